"""A spacecraft and its stations, step by step of mission time: what it measures, sends, and who hears it.

Steps are half seconds. What is measured in one is multiplexed, filled up with an idle packet, and sent in the next; so
nothing is under way between two steps but what :class:`~simulators.state.State` holds.

The transmitter is keyed by the pass plan: it is on while some station hears it, and the frame counts run only then. So
loss of signal shows as silence, not as a gap. Packets go on being made, and their sequence counts with them, as they
would on their way to a recorder. One station records at a time, and keeps the spacecraft until it loses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ground.errors import ConfigError
from simulators.encoder import encoders
from simulators.ephemeris import SECOND
from simulators.framing import IDLE_APID, Framer
from simulators.geometry import scene, views
from simulators.spacecraft import SAMPLE, Moments
from simulators.station import Passes, listening, status

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ground.mission import Mission
    from simulators.bus import Profile
    from simulators.geometry import View
    from simulators.spacecraft import Spacecraft
    from simulators.state import State

STEP = SECOND // 2
CHUNK = 60
"""Seconds whose geometry and physics are computed together; a restart redoes at most these."""

# Interpolated between ticks; the rest holds, so that powers and currents add up at every sample.
_SMOOTH = {"charge", "range", "range_rate", "array_cosine"}


@dataclass(frozen=True)
class Message:
    """Frames of one virtual channel for ``tm/<mission>/<station>/<vcid>``; ``ert``, ``dt`` in ns."""

    station: str
    vcid: int
    payload: bytes
    ert: int
    dt: int
    seq: int


@dataclass(frozen=True)
class Step:
    """What goes out when mission time reaches ``time``."""

    time: int
    messages: list[Message]


@dataclass(frozen=True)
class Chunk:
    """A minute from ``begin`` on.

    ``views``, ``heard``: of each station at the ticks, (CHUNK + 1,) instants a second apart. ``end_state``: the bus's.
    ``packets``: by step, (APID, octets) in the order of their times.
    """

    begin: int
    views: dict[str, View]
    heard: dict[str, NDArray[np.bool_]]
    end_state: dict[str, Any]
    packets: list[list[tuple[int, bytes]]]


class Simulation:
    """One spacecraft with its stations, from ``state`` on, which it keeps up to date.

    ``state.chunk`` holds the chunk under way: its ``begin``, the ``bus`` then, and the ``arc`` of the trajectory.
    """

    def __init__(self, mission: Mission, craft: Spacecraft, state: State) -> None:
        self.mission, self.craft, self.state = mission, craft, state
        if not state.chunk:
            state.chunk = {"begin": str(state.time), "bus": craft.bus.initial(), "arc": None}
        self.trajectory = craft.trajectory(mission.folder, int(state.chunk["begin"]), state.chunk["arc"])
        if self.trajectory.begin > int(state.chunk["begin"]):
            raise ConfigError(f"{mission.name} is known only from {_iso(self.trajectory.begin)} on; start later")
        self._framer = Framer(mission, insert_tail=craft.insert_tail, fill=craft.fill)
        self._encoders = encoders(mission.telemetry)
        self._passes = Passes(craft, self.trajectory, mission.stations)
        self._chunk = self._compute(int(state.chunk["begin"]), state.chunk["bus"])

    @property
    def clock(self) -> int:
        """Mission time (onboard, ns since 1970 UTC): what has been sent lies before it."""
        return self.state.time + STEP

    def advance(self, steps: int) -> list[Step]:
        """Make the next ``steps`` steps, fewer where a chunk ends in between."""
        state = self.state
        end = self._chunk.begin + CHUNK * SECOND
        if state.time >= end:
            state.chunk = {"begin": str(end), "bus": self._chunk.end_state, "arc": self.trajectory.saved(end)}
            self._chunk = self._compute(end, self._chunk.end_state)
            end += CHUNK * SECOND
        result = []
        for _ in range(min(steps, (end - state.time) // STEP)):
            packets = self._chunk.packets[(state.time - self._chunk.begin) // STEP]
            for apid, _ in packets:
                state.take(state.counts, apid, 1, 1 << 14)
            state.time += STEP
            result.append(Step(state.time + STEP, self._send([octets for _, octets in packets], state.time)))
        return result

    def stations(self) -> dict[str, dict[str, Any]]:
        """The payload of ``station/<mission>/<name>`` of each station, now."""
        time = self.state.time
        k = (time - self._chunk.begin) // SECOND
        return {
            name: status(
                self.craft,
                station,
                self._chunk.views[name],
                k,
                self.clock,
                self.state.seq.get(name, 0),
                self._passes.next(name, time),
            )
            for name, station in self.mission.stations.items()
        }

    def _compute(self, begin: int, bus: dict[str, Any]) -> Chunk:
        craft, stations = self.craft, self.mission.stations
        ticks = begin + np.arange(CHUNK + 1) * SECOND
        seen = views(self.trajectory, stations.values(), ticks)
        heard = {name: listening(craft, stations[name], view) for name, view in seen.items()}
        transmitting = np.any(list(heard.values()), axis=0).astype(float)
        where = scene(self.trajectory, ticks)
        drive = craft.drive(where, craft.axes(where), transmitting)
        # The transponder's partner is the station that hears it best, or would.
        best = np.argmax([view.elevation + 1e3 * heard[name] for name, view in seen.items()], axis=0)
        partner = {
            name: np.array([getattr(view, name) for view in seen.values()])[best, np.arange(len(ticks))]
            for name in ("range", "range_rate")
        }
        end_state, profile = craft.bus.advance(bus, drive)
        profile |= drive | partner | {"transmitting": transmitting}
        return Chunk(begin, seen, heard, end_state, self._packets(begin, profile))

    def _moments(self, time: NDArray[np.int64], ticked: Profile) -> Moments:
        since = (time - time[0]) / SECOND
        tick = (time - time[0]) // SECOND
        profile = {
            name: np.interp(since, np.arange(CHUNK + 1), values)
            if name in _SMOOTH or name.endswith("_temperature") or name.startswith("momentum_")
            else values[tick]
            for name, values in ticked.items()
        }
        where = scene(self.trajectory, time)
        return Moments(self.state.seed, self.state.epoch, time, where, self.craft.axes(where), profile)

    def _packets(self, begin: int, profile: Profile) -> list[list[tuple[int, bytes]]]:
        """All packets of the chunk from ``begin`` on, by step: made anew after a restart, octet for octet."""
        grid = np.arange(begin, begin + CHUNK * SECOND, SAMPLE)
        moments = self._moments(grid, profile)
        made: list[tuple[int, int, bytes]] = []
        for container, cadence in self.craft.telemetry.items():
            rows = np.flatnonzero(((grid - self.state.epoch) // SAMPLE - cadence.phase) % cadence.period == 0)
            if not len(rows):
                continue
            encoder = self._encoders[container]
            chosen = moments.rows(rows)
            past = int(np.sum(chosen.time < self.state.time))
            count = self.state.counts.get(encoder.apid, 0) - past
            octets = encoder.encode(cadence.values(chosen), chosen.time, count)
            made += [(int(time), encoder.apid, row.tobytes()) for time, row in zip(chosen.time, octets, strict=True)]
        made.sort(key=lambda one: one[:2])
        steps: list[list[tuple[int, bytes]]] = [[] for _ in range(CHUNK * SECOND // STEP)]
        for time, apid, packet in made:
            steps[(time - begin) // STEP].append((apid, packet))
        return steps

    def _send(self, packets: list[bytes], time: int) -> list[Message]:
        """The frames of the step from ``time`` on: ``packets`` first, idle frames for the rest."""
        state, craft = self.state, self.craft
        k = (time - self._chunk.begin) // SECOND
        state.station = self._listener(k)
        if state.station is None:
            return []
        dt = SECOND // craft.frame_rate
        slots = STEP // dt
        used = self._framer.count(packets)
        if used > slots:
            raise ConfigError(f"{craft.name} makes {used} frames in a step of {slots}: lower its containers' rates")
        times = time + np.arange(slots) * dt
        light_time = self._chunk.views[state.station].light_time
        light = np.interp((times - self._chunk.begin) / SECOND, np.arange(CHUNK + 1), light_time)
        ert = times + np.rint(light * SECOND).astype(np.int64)
        messages = []
        for vcid, first, n in ((craft.vcid, 0, used), (craft.idle_vcid, used, slots - used)):
            if n == 0:
                continue
            count = state.take(state.vcfc, vcid, n, 1 << 24)
            if vcid == craft.vcid:
                idle = state.take(state.counts, IDLE_APID, 1, 1 << 14)
                frames = self._framer.packet_frames(vcid, count, packets, idle, times[first : first + n])
            else:
                frames = self._framer.idle_frames(vcid, count, times[first : first + n])
            seq = state.take(state.seq, state.station, n)
            messages.append(Message(state.station, vcid, frames.tobytes(), int(ert[first]), dt, seq))
        return messages

    def _listener(self, k: int) -> str | None:
        """The station that records at tick ``k``: the one that did, as long as it hears; else the highest."""
        hearing = [name for name, heard in self._chunk.heard.items() if heard[k]]
        if self.state.station in hearing:
            return self.state.station
        return max(hearing, key=lambda name: float(self._chunk.views[name].elevation[k]), default=None)


def _iso(time: int) -> str:
    return f"{np.datetime64(time, 'ns')}"[:23] + " UTC"
