"""A spacecraft and its stations, step by step of mission time: what it measures, sends, and who hears it.

Steps are half seconds. What is measured in one is multiplexed, filled up with an idle packet, and sent in the next; so
nothing is under way between two steps but what :class:`~simulators.state.State` and the recorder hold.

The transmitter is keyed by the pass plan: it is on while some station hears it, and the frame counts run only then. So
loss of signal shows as silence, not as a gap. Packets go on being made, and their sequence counts with them; a recorder
keeps them for the next pass. One station records at a time, and keeps the spacecraft until it loses it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ground.errors import ConfigError
from simulators.attitude import pointed
from simulators.contact import Contact, plan
from simulators.downlink import Downlink
from simulators.ephemeris import SECOND
from simulators.faults import Faults
from simulators.geometry import light_time, scene, views
from simulators.passes import Upcoming
from simulators.recorder import Recorder
from simulators.sampling import Sampler
from simulators.station import IN_VIEW, eb_n0, status

if TYPE_CHECKING:
    from pathlib import Path

    from ground.mission import Mission
    from simulators.downlink import Message
    from simulators.ephemeris import Floats
    from simulators.faults import Fault
    from simulators.geometry import View
    from simulators.spacecraft import Spacecraft
    from simulators.state import State

STEP = SECOND // 2
CHUNK = 120
"""Seconds whose geometry and physics are computed together; a restart redoes at most these."""


@dataclass(frozen=True)
class Step:
    """What the ground gets when mission time there is ``time``; ``onboard``: the spacecraft's, ns since 1970 UTC."""

    time: int
    onboard: int
    messages: list[Message]


@dataclass(frozen=True)
class Chunk:
    """Two minutes from ``begin`` on.

    ``views``, ``contact``, ``light_time`` (s, to the centre of the Earth): at the ticks, (CHUNK + 1,) instants a second
    apart. ``end_state``: the bus's. ``packets``: by step, (APID, octets) in the order of their times.
    """

    begin: int
    views: dict[str, View]
    contact: Contact
    light_time: Floats
    end_state: dict[str, Any]
    packets: list[list[tuple[int, bytes]]]


class Simulation:
    """One spacecraft with its stations, from ``state`` on, which it keeps up to date.

    ``state.chunk`` holds the chunk under way: its ``begin``, the ``bus``, ``station`` and recorder's ``backlog`` then,
    and the ``arc`` of the trajectory. ``memory``: the recorder's file.
    """

    def __init__(self, mission: Mission, craft: Spacecraft, state: State, memory: Path | None = None) -> None:
        self.mission, self.craft, self.state = mission, craft, state
        if not state.chunk:
            state.chunk = {
                "begin": str(state.time),
                "bus": craft.bus.initial(),
                "arc": None,
                "station": None,
                "backlog": 0,
            }
        begin = int(state.chunk["begin"])
        self.trajectory = craft.trajectory(mission.folder, begin, state.chunk["arc"])
        if self.trajectory.begin > begin:
            raise ConfigError(f"{mission.name} is known only from {_iso(self.trajectory.begin)} on; start later")
        self.recorder = Recorder(state, craft.recorder, memory if craft.recorder else None)
        self._downlink = Downlink(mission, craft, state, self.recorder)
        self._sampler = Sampler(mission, craft, state, self.trajectory)
        self._faults = Faults(state.faults)
        self._upcoming = Upcoming(craft, self.trajectory, mission.stations)
        self._chunk = self._compute(begin, state.chunk)

    @property
    def clock(self) -> int:
        """Onboard time, ns since 1970 UTC: what has been sent lies before it."""
        return self.state.time + STEP

    @property
    def ground(self) -> int:
        """Mission time on the ground: when what was sent at :attr:`clock` reaches the Earth."""
        return self._received(self.clock)

    def advance(self, steps: int) -> list[Step]:
        """Make the next ``steps`` steps, fewer where a chunk ends in between."""
        state = self.state
        end = self._chunk.begin + CHUNK * SECOND
        if state.time >= end:
            state.chunk = {
                "begin": str(end),
                "bus": self._chunk.end_state,
                "arc": self.trajectory.saved(end),
                "station": self._chunk.contact.station[-2],
                "backlog": self.recorder.backlog,
            }
            self._chunk = self._compute(end, state.chunk)
            end += CHUNK * SECOND
        result = []
        for _ in range(min(steps, (end - state.time) // STEP)):
            packets = self._chunk.packets[(state.time - self._chunk.begin) // STEP]
            if any(state.time <= one.begin < state.time + STEP for one in self._faults.of("reboot")):
                state.counts.clear()
            for apid, _ in packets:
                state.take(state.counts, apid, 1, 1 << 14)
            state.time += STEP
            messages = self._send([octets for _, octets in packets], state.time)
            result.append(Step(self._received(state.time + STEP), state.time + STEP, messages))
        return result

    def inject(self, fault: Fault) -> None:
        """Let ``fault`` happen, not before the next step. It is part of the state from now on."""
        fault = replace(fault, begin=max(fault.begin, self.state.time))
        self.state.faults.append(fault.saved())
        self._faults = Faults(self.state.faults)
        self._chunk = self._compute(self._chunk.begin, self.state.chunk)

    def stations(self) -> dict[str, dict[str, Any]]:
        """The payload of ``station/<mission>/<name>`` of each station, now."""
        k = (self.state.time - self._chunk.begin) // SECOND
        contact = self._chunk.contact
        result = {}
        for name, station in self.mission.stations.items():
            view, reason = self._chunk.views[name], str(contact.reasons[name][k])
            strength: float | None = None
            if name == contact.station[k]:
                strength = float(contact.strength[k])
            elif reason == IN_VIEW:
                strength = float(eb_n0(self.craft, station, view, self.craft.rates[0])[k])
            result[name] = status(
                self.craft,
                station,
                view,
                k,
                time=self.ground,
                reason=reason,
                strength=strength,
                sent=self.state.seq.get(name, 0),
                event=self._upcoming.next(name, self.state.time),
            )
        return result

    def _received(self, time: int) -> int:
        ticks = np.arange(CHUNK + 1)
        delay = np.interp((time - self._chunk.begin) / SECOND, ticks, self._chunk.light_time)
        return time + round(float(delay) * SECOND)

    def _compute(self, begin: int, start: dict[str, Any]) -> Chunk:
        craft, stations = self.craft, self.mission.stations
        # The clock looks a step beyond the last one that is sent.
        ticks = begin + np.arange(CHUNK + 1) * SECOND
        effects = self._faults.effects(ticks, [node.name for node in craft.bus.nodes])
        loss = craft.pointing_loss(effects["mispointing"])
        seen = views(self.trajectory, stations.values(), ticks)
        contact = plan(
            craft,
            stations,
            seen,
            loss=loss,
            slowest=effects["safe"] > 0,
            station=start["station"],
            backlog=start["backlog"],
            made=self._sampler.octets,
        )
        where = scene(self.trajectory, ticks)
        axes = pointed(craft.axes(where), where, effects["safe"], self.trajectory.burns)
        drive = craft.drive(where, axes, contact.transmitting, effects) | effects
        drive["acceleration"] = 1000 * np.linalg.norm(self.trajectory.thrust(ticks), axis=0)
        # The transponder's partner is the station that hears it best, or would.
        heard = {name: reason == IN_VIEW for name, reason in contact.reasons.items()}
        best = np.argmax([view.elevation + 1e3 * heard[name] for name, view in seen.items()], axis=0)
        partner = {
            name: np.array([getattr(view, name) for view in seen.values()])[best, np.arange(len(ticks))]
            for name in ("range", "range_rate")
        }
        end_state, profile = craft.bus.advance(start["bus"], drive)
        profile |= drive | partner
        profile |= {
            "transmitting": contact.transmitting,
            "rate": contact.rate.astype(float),
            "pointing_loss": loss,
            "backlog": contact.backlog,
            "recorder_fill": contact.backlog / max(craft.recorder, 1),
            "propellant_full": np.full(len(ticks), craft.bus.propellant),
        }
        packets = self._sampler.packets(begin, CHUNK, STEP, profile, self._faults)
        return Chunk(begin, seen, contact, light_time(self.trajectory, ticks), end_state, packets)

    def _send(self, packets: list[bytes], time: int) -> list[Message]:
        """What becomes of ``packets`` in the step from ``time`` on: recorded in silence, else sent."""
        chunk, contact = self._chunk, self._chunk.contact
        k = (time - chunk.begin) // SECOND
        station = self.state.station = contact.station[k]
        if station is None:
            if self.craft.recorder:
                self.recorder.append(packets)
            return []
        rate = int(contact.rate[k])
        slots = time + np.arange(rate * STEP // SECOND) * (SECOND // rate)
        since = (slots - chunk.begin) / SECOND
        light = np.interp(since, np.arange(CHUNK + 1), chunk.views[station].light_time)
        clock = slots
        if self._faults.all:
            clock = slots + np.rint(self._faults.effects(slots, ())["clock_offset"]).astype(np.int64)
        return self._downlink.send(packets, slots, station, light, np.full(len(slots), contact.strength[k]), clock)


def _iso(time: int) -> str:
    return f"{np.datetime64(time, 'ns')}"[:23] + " UTC"
