"""What is sent: the packets of a mission's containers in turn, in its frames. All of it follows from running numbers.

The packets of a publisher come in rounds, one of each kind, end to end in an endless row of octets that the frames'
packet zones cut up. So the octets of every frame, and the time and values of every packet, can be had from their
numbers, by columns, when they are sent and again when they are looked for in the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ground.errors import ConfigError
from ground.loadtest.clock import Clock
from ground.loadtest.draw import draw
from ground.loadtest.fecf import Remembered, fecf
from ground.loadtest.framing import Framing
from ground.loadtest.kinds import ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ground.blocks import Nanoseconds, Octets
    from ground.mission import Mission
    from ground.xtce.declarations import SpaceSystem

_APART: Final = 977
"""By how many rows the packets of two publishers are apart."""


class Traffic:
    """The telemetry of ``publishers`` stations, whose onboard clocks begin at ``now``, ns since 1970 UTC.

    ``kinds``: the kinds of packet, in their turn; they are named by their index in it. Raises
    :class:`~ground.errors.ConfigError` for a mission whose packets or frames cannot be made.
    """

    def __init__(self, mission: Mission, system: SpaceSystem, now: int, publishers: int = 1) -> None:
        self.mission = mission
        self.publishers = publishers
        self.frame_length = mission.link.length
        self._framing = Framing(mission)
        self.delicate = self._framing.delicate
        self.kinds = draw(mission, system)
        if not self.kinds:
            raise ConfigError(f"{system.path}: there is no container that packets could be made of")
        self._zone = self._framing.zone
        lengths = [self._zone if self._framing.one_per_frame else kind.length for kind in self.kinds]
        self._start = np.concatenate(([0], np.cumsum(lengths)))
        self._round = int(self._start[-1])
        self._frame_clock = Clock(mission.frame_time, now) if mission.frame_time else None
        self._clocks = [Clock(kind.clock, now) if kind.clock else None for kind in self.kinds]
        self._fecf = self._remembered()
        channels = [vcid for vcid, channel in sorted(mission.channels.items()) if channel.mode == "realtime"] or [0]
        self.channels = [channels[publisher % len(channels)] for publisher in range(publishers)]
        """The virtual channel of each publisher."""

    @property
    def packets_per_frame(self) -> float:
        """On average."""
        return self._zone * len(self.kinds) / self._round

    @property
    def samples_per_packet(self) -> float:
        """On average."""
        return sum(kind.parameters for kind in self.kinds) / len(self.kinds)

    def packets(self, frames: int) -> int:
        """How many packets end in the first so many frames of a publisher."""
        rounds, rest = divmod(frames * self._zone, self._round)
        return rounds * len(self.kinds) + int(np.searchsorted(self._start[1:], rest, side="right"))

    def frames_for(self, packets: int) -> int:
        """How many frames it takes until so many packets have ended."""
        rounds, rest = divmod(packets, len(self.kinds))
        return -(-(rounds * self._round + int(self._start[rest])) // self._zone)

    def rounds(self, kind: int, packets: int) -> int:
        """How many of a publisher's first ``packets`` are of this kind."""
        return (packets - kind + len(self.kinds) - 1) // len(self.kinds)

    def frames(self, publisher: int, first: int, n: int) -> Octets:
        """The frames ``first`` to ``first + n - 1`` of a publisher, uint8 (n, frame_length)."""
        number = np.arange(first, first + n, dtype=np.int64)
        begin = number * self._zone
        rounds = np.arange(begin[0] // self._round, -(-(begin[-1] + self._zone) // self._round))
        octets = np.zeros((len(rounds), self._round), np.uint8)
        for kind, start in enumerate(self._start[:-1].tolist()):
            octets[:, start : start + self.kinds[kind].length] = self.octets(kind, publisher, rounds)
        skip = int(begin[0] - rounds[0] * self._round)
        zones = octets.reshape(-1)[skip : skip + n * self._zone].reshape(n, self._zone)
        place = begin % self._round
        pointer = self._start[np.searchsorted(self._start, place)] - place
        clock = self._frame_clock
        time = clock.octets(number * self.publishers + publisher) if clock else None
        frames = self._framing.frames(self.channels[publisher], number, zones, pointer, time)
        if self.mission.link.fecf:
            turn, row = number % len(self.kinds), self._row(publisher, number // len(self.kinds))
            check = self._fecf.of(frames, turn, row) if self._fecf else fecf(frames[:, :-2])
            frames[:, -2:] = check.astype(">u2").view(np.uint8).reshape(-1, 2)
        return frames

    def octets(self, kind: int, publisher: int, number: NDArray[np.int64]) -> Octets:
        """The packets of a kind in these rounds (n,), uint8 (n, length)."""
        clock = self._clocks[kind]
        time = clock.octets(number * self.publishers + publisher) if clock else None
        return self.kinds[kind].packets(self._row(publisher, number), number, time)

    def values(self, kind: int, publisher: int, number: NDArray[np.int64]) -> Iterator[tuple[str, NDArray[Any]]]:
        """What is stored of the packets of a kind in these rounds (n,): every parameter and its values (n,)."""
        row = self._row(publisher, number)
        return self.kinds[kind].values(row, lambda: self.octets(kind, publisher, number))

    def sequence_count(self, number: NDArray[np.int64]) -> NDArray[np.int64]:
        """Packet sequence counts in these rounds (n,): 14 bits, counted by kind."""
        return number & 0x3FFF

    def step(self, kind: int, number: NDArray[np.int64]) -> NDArray[np.int64]:
        """The step of its clock at which a publisher's packet of a kind in these rounds (n,) has its time: of the
        packets' own the round, of the frames' the number of the frame in which it begins.
        """
        if self._clocks[kind]:
            return number
        return (number * self._round + int(self._start[kind])) // self._zone

    def first_round(self, kind: int, step: int) -> int:
        """The first round whose packet of a kind has its time at ``step`` or later."""
        if self._clocks[kind]:
            return step
        return max(0, -(-(step * self._zone - int(self._start[kind])) // self._round))

    def time(self, kind: int, publisher: int | NDArray[np.int64], step: NDArray[np.int64]) -> Nanoseconds:
        """Onboard times of steps (n,) of a publisher, int64 (n,) ns since 1970 UTC: no two publishers share any."""
        clock = self._clocks[kind] or self._frame_clock
        assert clock is not None, "draw() sees to it"
        return clock.time(step * self.publishers + publisher)

    def _remembered(self) -> Remembered | None:
        """Where a frame holds one packet, its error control field can be had faster: the generator must not be the
        limit.
        """
        if not self.mission.link.fecf or any(length != self._zone for length in np.diff(self._start).tolist()):
            return None
        packets = [kind.octets for kind in self.kinds]
        written = {octet for kind in self.kinds for octet in kind.written_octets}
        return Remembered(self.frame_length - 2, self._framing.start, packets, written)

    def _row(self, publisher: int, number: NDArray[np.int64]) -> NDArray[np.int64]:
        return (number + _APART * publisher) % ROWS
