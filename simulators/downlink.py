"""From packets to what a station hands on: frames at the contact's rate, some of them lost on the way."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ground.errors import ConfigError
from simulators import noise
from simulators.encoder import PRIMARY_HEADER
from simulators.ephemeris import SECOND
from simulators.framing import Framer
from simulators.sampling import Packets
from simulators.station import frame_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ground.mission import Mission
    from simulators.ephemeris import Floats
    from simulators.recorder import Recorder
    from simulators.spacecraft import Spacecraft
    from simulators.state import State

STEP = SECOND // 2
_DELIVERED_DAMAGED = 0.25
"""Share of undecodable frames that a station hands on all the same where frames carry their own check."""
_QUEUE = 1000
"""Packets that may wait."""


class Message(NamedTuple):
    """Frames of one virtual channel for ``tm/<mission>/<station>/<vcid>``; ``ert``, ``dt`` in ns."""

    station: str
    vcid: int
    payload: bytes
    ert: int
    dt: int
    seq: int


@dataclass(frozen=True)
class Session:
    """Steps ``first`` to ``last``, exclusive, in which one ``station`` listens at one ``rate`` in frames a second.

    ``slots`` (k,): the frames' times, ns since 1970 UTC; ``clock`` (k,): what the onboard clock shows then. ``ert``
    (k,): when they arrive. ``strength`` (k,): Eb/N0 in dB. ``edges`` (steps + 1,): the slots of each step.
    """

    first: int
    last: int
    station: str
    dt: int
    slots: NDArray[np.int64]
    clock: NDArray[np.int64]
    ert: NDArray[np.int64]
    strength: Floats
    edges: NDArray[np.int64]


class Downlink:
    """A spacecraft's transmitter and its way to the ground. Its counters are in a :class:`State`."""

    def __init__(self, mission: Mission, craft: Spacecraft, recorder: Recorder) -> None:
        self._mission, self._craft, self._recorder = mission, craft, recorder
        self._framer = Framer(mission, insert_tail=craft.insert_tail, fill=craft.fill)

    def send(
        self, packets: Packets, cuts: NDArray[np.int64], sessions: list[Session], state: State
    ) -> list[list[Message]]:
        """The messages of n steps: packets ``cuts[i]`` to ``cuts[i + 1]`` (n + 1,) come in step i, after those waiting.

        In silence they are recorded; so is what waits. Raises :class:`~ground.errors.ConfigError` where ever more wait.
        """
        waiting = [bytes.fromhex(octets) for octets in state.waiting]
        packets = _after(waiting, packets)
        cuts = cuts + len(waiting)
        messages: list[list[Message]] = [[] for _ in range(len(cuts) - 1)]
        done = step = 0
        for one in sessions:
            done = self._silence(packets, done, int(cuts[one.first]), state, silent=one.first > step)
            done = self._session(one, packets, done, cuts, state, messages)
            step = one.last
        done = self._silence(packets, done, int(cuts[-1]), state, silent=step < len(messages))
        if len(packets) - done > _QUEUE:
            raise ConfigError(f"{self._craft.name} makes more packets than its link carries: lower their rates")
        state.waiting = [packets.octets(i, i + 1).tobytes().hex() for i in range(done, len(packets))]
        return messages

    def _silence(self, packets: Packets, first: int, last: int, state: State, *, silent: bool) -> int:
        if silent and self._craft.recorder:
            self._recorder.append(state, packets, first, last)
        return last if silent else first

    def _session(
        self,
        one: Session,
        packets: Packets,
        done: int,
        cuts: NDArray[np.int64],
        state: State,
        messages: list[list[Message]],
    ) -> int:
        """Add the messages of a session; returns up to which packet it has sent."""
        craft, framer = self._craft, self._framer
        # Room is kept for an idle packet that fills up the last frame.
        room = np.diff(one.edges)
        sent = _fitting(packets, done, cuts[one.first + 1 : one.last + 1].tolist(), self._octets(room))
        channels = [(craft.vcid, packets, sent)]
        left = room - framer.count(np.diff(packets.edges[sent]))
        if craft.playback_vcid is not None and state.backlog:
            octets = self._octets(np.where(left > 1, left, 0))
            recorded = self._recorder.oldest(state, sum(octets))
            played = _fitting(recorded, 0, [len(recorded)] * len(octets), octets)
            state.recorder["read"] += int(recorded.edges[played[-1]])
            channels.append((craft.playback_vcid, recorded, played))
        frames = np.empty((len(one.slots), self._mission.link.length), np.uint8)
        vcids = np.full(len(one.slots), craft.idle_vcid)
        free = one.edges[:-1].copy()
        for vcid, queue, chosen in channels:
            count = framer.count(np.diff(queue.edges[chosen]))
            rows = np.repeat(free - np.cumsum(count) + count, count) + np.arange(count.sum())
            free += count
            zones, pointer, idle = framer.filled(queue, chosen, state.idle.get(vcid, 0))
            state.take(state.idle, vcid, idle, 1 << 14)
            vcfc = state.take(state.vcfc, vcid, len(rows), 1 << 24)
            frames[rows] = framer.frames(vcid, vcfc, one.clock[rows], zones, pointer)
            vcids[rows] = vcid
        rows = np.flatnonzero(vcids == craft.idle_vcid)
        vcfc = state.take(state.vcfc, craft.idle_vcid, len(rows), 1 << 24)
        frames[rows] = framer.frames(craft.idle_vcid, vcfc, one.clock[rows])
        for step, message in self._received(one, frames, vcids, state):
            messages[step].append(message)
        return int(sent[-1])

    def _octets(self, slots: NDArray[np.int64]) -> list[int]:
        """Room for packets in so many frames (n,)."""
        room: list[int] = np.maximum(slots * self._framer.zone - PRIMARY_HEADER - 1, 0).tolist()
        return room

    def _received(
        self, one: Session, frames: NDArray[np.uint8], vcids: NDArray[np.int64], state: State
    ) -> Iterator[tuple[int, Message]]:
        """What the station hands on, by step: a message for each run of a virtual channel without a hole."""
        craft, slots = self._craft, one.slots
        kept = np.ones(len(slots), bool)
        if (
            len(slots) and one.strength.min() < craft.required + 6 * craft.waterfall
        ):  # beyond, one in a thousand million
            kept = noise.uniform(state.seed, "frame", slots) >= frame_errors(craft, one.strength)
            if self._mission.link.fecf:
                damaged = ~kept & (noise.uniform(state.seed, "damage", slots) < _DELIVERED_DAMAGED)
                for row in np.flatnonzero(damaged):
                    where = noise.uniform(state.seed, "bits", slots[row] + np.arange(12))
                    frames[row, (where * frames.shape[1]).astype(int)] ^= 0x10
                kept |= damaged
        rows = np.flatnonzero(kept)
        step = np.searchsorted(one.edges, rows, side="right") - 1
        new = (np.diff(rows) != 1) | (np.diff(step) != 0) | (np.diff(vcids[rows]) != 0)
        begins = np.concatenate([[0], np.flatnonzero(new) + 1, [len(rows)]]) if len(rows) else np.zeros(1, int)
        seq = state.take(state.seq, one.station, len(rows))
        firsts, n = rows[begins[:-1]], np.diff(begins)
        at = one.first + step[begins[:-1]]
        numbers = np.array([at, vcids[firsts], one.ert[firsts], seq + begins[:-1], firsts, firsts + n]).T.tolist()
        octets, length = frames.tobytes(), frames.shape[1]
        for in_step, vcid, ert, number, first, last in numbers:
            payload = octets[first * length : last * length]
            yield in_step, Message(one.station, vcid, payload, ert, one.dt, number)


def _after(waiting: list[bytes], packets: Packets) -> Packets:
    if not waiting:
        return packets
    edges = np.cumsum([0, *map(len, waiting)])
    data = np.concatenate([np.frombuffer(b"".join(waiting), np.uint8), packets.data])
    return Packets(data, np.concatenate([edges, packets.edges[1:] + edges[-1]]))


def _fitting(packets: Packets, first: int, last: list[int], room: list[int]) -> NDArray[np.int64]:
    """How the packets from ``first`` on are shared out over n steps, (n + 1,) cuts.

    In step i at most up to ``last[i]``, exclusive, and at most ``room[i]`` octets; what doesn't fit waits.
    """
    edges, cuts = packets.edges.tolist(), [first]
    for stop, octets in zip(last, room, strict=True):
        first = bisect_right(edges, edges[first] + octets, first, stop + 1) - 1
        cuts.append(first)
    return np.array(cuts, np.int64)
