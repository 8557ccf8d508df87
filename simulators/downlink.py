"""From packets to what a station hands on: frames at the contact's rate, some of them lost on the way."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ground.errors import ConfigError
from simulators import noise
from simulators.encoder import PRIMARY_HEADER
from simulators.ephemeris import SECOND
from simulators.framing import IDLE_APID, Framer
from simulators.station import frame_errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ground.mission import Mission
    from simulators.ephemeris import Floats
    from simulators.recorder import Recorder
    from simulators.spacecraft import Spacecraft
    from simulators.state import State

_DELIVERED_DAMAGED = 0.25
"""Share of undecodable frames that a station hands on all the same where frames carry their own check."""

_QUEUE = 1000
"""Packets that may wait."""


@dataclass(frozen=True)
class Message:
    """Frames of one virtual channel for ``tm/<mission>/<station>/<vcid>``; ``ert``, ``dt`` in ns."""

    station: str
    vcid: int
    payload: bytes
    ert: int
    dt: int
    seq: int


class Downlink:
    """A spacecraft's transmitter and its way to the ground. Its counters are in ``state``."""

    def __init__(self, mission: Mission, craft: Spacecraft, state: State, recorder: Recorder) -> None:
        self._mission, self._craft, self._state, self._recorder = mission, craft, state, recorder
        self._framer = Framer(mission, insert_tail=craft.insert_tail, fill=craft.fill)

    def send(
        self,
        packets: list[bytes],
        slots: NDArray[np.int64],
        station: str,
        light_time: Floats,
        strength: Floats,
        clock: NDArray[np.int64],
    ) -> list[Message]:
        """The messages of ``slots`` (n,), the frames' times in ns since 1970 UTC, transmitted to ``station``.

        ``clock``: what the onboard clock shows then. ``packets`` first, then what the recorder holds, idle frames for
        the rest. Packets that don't fit wait for the next time. ``light_time`` s, ``strength`` dB: (n,), n > 1. Raises
        :class:`~ground.errors.ConfigError` where ever more of them wait.
        """
        state, craft = self._state, self._craft
        if state.waiting or self._framer.count(packets) > len(slots):
            packets = self._queue(packets, len(slots))
        used = self._framer.count(packets)
        parts: list[tuple[int, NDArray[np.uint8]]] = []
        at = 0
        if packets:
            parts.append((craft.vcid, self._framed(craft.vcid, packets, clock[:used])))
            at = used
        # Room is kept for an idle packet that fills up the last frame.
        if craft.playback_vcid is not None and len(slots) - at > 1 and self._recorder.backlog:
            recorded = self._recorder.take((len(slots) - at) * self._framer.zone - PRIMARY_HEADER - 1)
            n = self._framer.count(recorded)
            if recorded:
                parts.append((craft.playback_vcid, self._framed(craft.playback_vcid, recorded, clock[at : at + n])))
                at += n
        if at < len(slots):
            count = state.take(state.vcfc, craft.idle_vcid, len(slots) - at, 1 << 24)
            parts.append((craft.idle_vcid, self._framer.idle_frames(craft.idle_vcid, count, clock[at:])))
        ert = slots + np.rint(light_time * SECOND).astype(np.int64)
        failed = np.zeros(len(slots), dtype=bool)
        if strength.min() < craft.required + 6 * craft.waterfall:  # beyond, one frame in a thousand million
            failed = noise.uniform(state.seed, "frame", slots) < frame_errors(craft, strength)
        dt = int(slots[1] - slots[0])
        messages, begin = [], 0
        for vcid, frames in parts:
            rows = slice(begin, begin + len(frames))
            messages += self._received(station, vcid, frames, slots[rows], ert[rows], failed[rows], dt)
            begin += len(frames)
        return messages

    def _queue(self, packets: list[bytes], slots: int) -> list[bytes]:
        """Those of the waiting packets and of ``packets`` that fit into so many frames; the others wait."""
        queue = [bytes.fromhex(octets) for octets in self._state.waiting] + packets
        room, n = slots * self._framer.zone - PRIMARY_HEADER - 1, 0
        while n < len(queue) and len(queue[n]) <= room:
            room -= len(queue[n])
            n += 1
        self._state.waiting = [octets.hex() for octets in queue[n:]]
        if len(self._state.waiting) > _QUEUE:
            raise ConfigError(f"{self._craft.name} makes more packets than its link carries: lower their rates")
        return queue[:n]

    def _framed(self, vcid: int, packets: list[bytes], clock: NDArray[np.int64]) -> NDArray[np.uint8]:
        state = self._state
        count = state.take(state.vcfc, vcid, len(clock), 1 << 24)
        full = sum(map(len, packets)) == len(clock) * self._framer.zone
        idle = 0 if full else state.take(state.counts, IDLE_APID, 1, 1 << 14)
        return self._framer.packet_frames(vcid, count, packets, idle, clock)

    def _received(
        self,
        station: str,
        vcid: int,
        frames: NDArray[np.uint8],
        slots: NDArray[np.int64],
        ert: NDArray[np.int64],
        failed: NDArray[np.bool_],
        dt: int,
    ) -> list[Message]:
        """The frames that the station hands on, a message for each run without a hole."""
        state = self._state
        if not failed.any():
            seq = state.take(state.seq, station, len(frames))
            return [Message(station, vcid, frames.tobytes(), int(ert[0]), dt, seq)]
        kept = ~failed
        if self._mission.link.fecf:
            damaged = failed & (noise.uniform(state.seed, "damage", slots) < _DELIVERED_DAMAGED)
            for row in np.flatnonzero(damaged):
                where = noise.uniform(state.seed, "bits", slots[row] + np.arange(12))
                frames[row, (where * frames.shape[1]).astype(int)] ^= 0x10
            kept |= damaged
        edges = np.flatnonzero(np.diff(kept, prepend=False, append=False))
        return [
            Message(station, vcid, frames[a:b].tobytes(), int(ert[a]), dt, state.take(state.seq, station, int(b - a)))
            for a, b in list(pairwise(edges.tolist()))[::2]
        ]
