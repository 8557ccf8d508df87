"""A spacecraft and its stations, step by step of mission time: what it measures, sends, and who hears it.

Steps are half seconds. What is measured in one is multiplexed, filled up with an idle packet, and sent in the next.
Half an hour of them, a chunk, is made at once and depends only on the :class:`~simulators.state.State` at its begin:
after a restart it is made again, octet for octet, and what was sent of it is left out.

The transmitter is keyed by the pass plan: it is on while some station hears it, and the frame counts run only then. So
loss of signal shows as silence, not as a gap. Packets go on being made, and their sequence counts with them; a recorder
keeps them for the next pass. One station records at a time, and keeps the spacecraft until it loses it.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ground.errors import ConfigError
from simulators.attitude import burning, pointed, quaternions, rates
from simulators.downlink import STEP, Downlink, Session
from simulators.ephemeris import SECOND
from simulators.faults import Faults
from simulators.geometry import light_time, scene, views
from simulators.passes import Upcoming
from simulators.recorder import Recorder
from simulators.sampling import Sampler
from simulators.spacecraft import Ticks
from simulators.station import IN_VIEW, plan, status

if TYPE_CHECKING:
    from pathlib import Path

    from ground.mission import Mission
    from simulators.downlink import Message
    from simulators.ephemeris import Floats
    from simulators.faults import Fault
    from simulators.geometry import View
    from simulators.spacecraft import Spacecraft
    from simulators.state import State
    from simulators.station import Contact

CHUNK = 1800
"""Seconds that are made at once."""

_REACH_DAYS = 200
_REACH = _REACH_DAYS * 86_400 * SECOND


class Step(NamedTuple):
    """What the ground gets when mission time there is ``time``; ``onboard``: the spacecraft's, ns since 1970 UTC."""

    time: int
    onboard: int
    messages: list[Message]


@dataclass(frozen=True)
class Chunk:
    """:data:`CHUNK` seconds in steps. ``views``, ``contact``: at the ticks, (CHUNK + 1,) instants a second apart.

    ``after``: the state at the end, but for the arc of the trajectory.
    """

    views: dict[str, View]
    contact: Contact
    steps: list[Step]
    after: State


class Simulation:
    """One spacecraft with its stations, from ``state`` on, which it keeps up to date. ``memory``: the recorder's file.

    Raises :class:`~ground.errors.ConfigError` where the mission is not known at that time.
    """

    def __init__(self, mission: Mission, craft: Spacecraft, state: State, memory: Path | None = None) -> None:
        self.mission, self.craft, self.state = mission, craft, state
        self.trajectory = craft.trajectory(mission.folder, state.begin, state.arc)
        if self.trajectory.begin > state.begin:
            raise ConfigError(f"{mission.name} is known only from {_iso(self.trajectory.begin)} on; start later")
        if state.arc is None and state.begin - self.trajectory.begin > _REACH:
            # A year of orbits takes minutes to integrate, and a burn that is not in the file would be missing.
            raise ConfigError(
                f"{mission.name} was last known at {_iso(self.trajectory.begin)}; start within {_REACH_DAYS} days of it"
            )
        self._recorder = Recorder(craft.recorder, memory if craft.recorder else None)
        self._downlink = Downlink(mission, craft, self._recorder)
        self._sampler = Sampler(mission, craft)
        self._upcoming = Upcoming(craft, self.trajectory, mission.stations)
        self._chunk = self._compute()

    @property
    def clock(self) -> int:
        """Onboard time, ns since 1970 UTC: what has been sent lies before it."""
        return self.state.time + STEP

    @property
    def ground(self) -> int:
        """Mission time on the ground: when what was sent at :attr:`clock` reaches the Earth."""
        return self.clock + round(float(light_time(self.trajectory, self.clock)[0]) * SECOND)

    def advance(self, steps: int) -> list[Step]:
        """Make the next ``steps`` steps, fewer where a chunk ends in between."""
        state = self.state
        if state.time >= self._chunk.after.begin:
            vars(state).update(vars(self._chunk.after))
            state.arc = self.trajectory.saved(state.begin)
            self._chunk = self._compute()
        first = (state.time - state.begin) // STEP
        result = self._chunk.steps[first : first + steps]
        state.time += len(result) * STEP
        return result

    def inject(self, *faults: Fault) -> None:
        """Let ``faults`` happen; what was sent stays, so not before the second after the present one begins.

        They are part of the state from now on. Raises :class:`~ground.errors.ConfigError` where the spacecraft has
        nothing of a target's name.
        """
        # Between two ticks physics is a straight line: a tick that changes would show in the second before it.
        earliest = -(-self.state.time // SECOND) * SECOND + SECOND if self.state.time > self.state.epoch else 0
        for one in faults:
            self._check(one)
            late = max(earliest - one.begin, 0)
            self.state.faults.append(replace(one, begin=one.begin + late, end=one.end + late).saved())
        if faults:
            self._chunk = self._compute()

    def stations(self) -> dict[str, dict[str, Any]]:
        """The payload of ``station/<mission>/<name>`` of each station, now."""
        state, contact = self.state, self._chunk.contact
        k = (state.time - state.begin) // SECOND
        sent = dict(state.seq)
        for step in self._chunk.steps[: (state.time - state.begin) // STEP]:
            for message in step.messages:
                sent[message.station] = message.seq + len(message.payload) // self.mission.link.length
        result = {}
        for name, station in self.mission.stations.items():
            view, reason = self._chunk.views[name], str(contact.reasons[name][k])
            result[name] = status(
                self.craft,
                station,
                view,
                k,
                time=self.ground,
                reason=reason,
                strength=float(contact.strength[name][k]) if reason == IN_VIEW else None,
                sent=sent.get(name, 0),
                event=self._upcoming.next(name, state.time),
            )
        return result

    def close(self) -> None:
        """Give the recorder's file back."""
        self._recorder.close()

    def _check(self, fault: Fault) -> None:
        if fault.kind == "heater-on":
            known = [node.name for node in self.craft.bus.nodes if node.heater]
        elif fault.kind.endswith("-sensor"):
            known = [f"{name}/{one}" for name in self.craft.telemetry for one in self._sampler.encoders[name].names]
        else:
            return
        if fault.target not in known:
            shown = known if len(known) < 10 else [*known[:3], "..."]
            raise ConfigError(f"{fault.kind}: {self.mission.name} has no {fault.target}; it has {', '.join(shown)}")

    def _compute(self) -> Chunk:
        state, craft, stations = deepcopy(self.state), self.craft, self.mission.stations
        begin, faults = state.begin, Faults(state.faults)
        # The clock looks a step beyond the last one that is sent.
        time = begin + np.arange(CHUNK + 1) * SECOND
        where, seen = scene(self.trajectory, time), views(self.trajectory, stations.values(), time)
        thrust = 1000 * np.linalg.norm(self.trajectory.thrust(time), axis=0)
        burn = np.max([burning(time, one) for one in self.trajectory.burns] + [np.zeros(len(time))], axis=0)
        safe, mispointing = faults.effect("safe", time), faults.effect("mispointing", time)
        axes = pointed(craft.axes(where), where, safe, self.trajectory.burns)
        high = craft.high_gain(where.earth_km, (safe > 0) | (burn > 0))
        loss = np.where(high, craft.high.loss(mispointing), 0.0)
        contact = plan(
            craft,
            stations,
            seen,
            eirp=np.where(high, craft.high.eirp, craft.low.eirp) - loss,
            safe=safe > 0,
            station=state.station,
            backlog=state.backlog,
            made=self._sampler.octets,
        )
        acting = {f"{node.name}_stuck" for node in craft.bus.nodes} | {f"friction_{i}" for i in range(1, 5)}
        acting |= {"array_health", "cells_lost", "protons"}
        effects = {name: faults.effect(name, time, where.sun_au) for name in acting} | {"safe": safe}
        drive = craft.drive(where, axes, contact.transmitting, effects) | effects | {"acceleration": thrust}
        state.bus, profile = craft.bus.advance(state.bus or craft.bus.initial(), drive)
        profile |= (
            {name: drive[name] for name in ("flux", "array_cosine")}
            | _partner(seen, contact)
            | {
                "acceleration": thrust,
                "burn": burn,
                "transmitting": contact.transmitting,
                "rate": contact.rate,
                "high_gain": high.astype(float),
                "antenna_gain": np.where(high, craft.high.gain, craft.low.gain) - loss,
                "backlog": contact.backlog,
                "recorder_fill": contact.backlog / max(craft.recorder, 1),
                "sun_au": where.sun_au,
                "propellant_full": np.full(len(time), craft.bus.propellant),
            }
        )
        ticks = Ticks(
            state.seed, state.epoch, self.trajectory, faults, where, quaternions(axes), rates(axes, 1.0), profile
        )
        packets, times = self._sampler.packets(ticks, CHUNK, state)
        edges = begin + np.arange(CHUNK * SECOND // STEP + 1) * STEP
        sessions = self._sessions(begin, contact, seen, faults)
        messages = self._downlink.send(packets, np.searchsorted(times, edges), sessions, state)
        state.station = contact.station[-2]
        state.time = state.begin = begin + CHUNK * SECOND
        # A step is over on the ground when what the next one sends begins to arrive.
        over = edges[1:] + STEP
        heard = over + np.rint(light_time(self.trajectory, over) * SECOND).astype(np.int64)
        steps = [Step(*one) for one in zip(heard.tolist(), over.tolist(), messages, strict=True)]
        return Chunk(seen, contact, steps, state)

    def _sessions(self, begin: int, contact: Contact, seen: dict[str, View], faults: Faults) -> list[Session]:
        """The steps in which a station listens. Step i sends from i + 1 half seconds after ``begin`` on."""
        ticks = begin + np.arange(CHUNK + 1) * SECOND
        tick = (np.arange(2 * CHUNK) + 1) // 2
        heard = zip([contact.station[k] for k in tick.tolist()], contact.rate[tick].tolist(), strict=True)
        sessions, first = [], 0
        for (station, rate), group in groupby(heard):
            last = first + len(list(group))
            if station is not None:
                dt = round(SECOND / rate)
                edges = begin + (np.arange(first, last + 1) + 1) * STEP
                slots = np.arange(-(-int(edges[0]) // dt) * dt, int(edges[-1]), dt)
                delay = np.interp(slots - begin, ticks - begin, seen[station].light_time)
                sessions.append(
                    Session(
                        first=first,
                        last=last,
                        station=station,
                        dt=dt,
                        slots=slots,
                        clock=slots + np.rint(faults.effect("clock_offset", slots)).astype(np.int64),
                        ert=slots + np.rint(delay * SECOND).astype(np.int64),
                        strength=contact.strength[station][(slots - begin) // SECOND],
                        edges=np.searchsorted(slots, edges),
                    )
                )
            first = last
        return sessions


def _partner(seen: dict[str, View], contact: Contact) -> dict[str, Floats]:
    """Range and range rate of the station that hears the spacecraft best, or would: the transponder's partner."""
    heard = {name: reason == IN_VIEW for name, reason in contact.reasons.items()}
    best = np.argmax([view.elevation + 1e3 * heard[name] for name, view in seen.items()], axis=0)
    return {name: np.choose(best, [getattr(view, name) for view in seen.values()]) for name in ("range", "range_rate")}


def _iso(time: int) -> str:
    return f"{np.datetime64(time, 'ns')}"[:23] + " UTC"
