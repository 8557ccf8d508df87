"""A kind of packet: as many valid packets of one container as are wanted.

A kind keeps some thousand packets whose contents were drawn by lot, and sends them over and over: only sequence count
and onboard time are written anew. So a packet's contents follow from its number, and nothing is remembered of what was
sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ground.loadtest.codes import engineering
from ground.xtce.declarations import BinaryEncoding, FloatEncoding, IntegerEncoding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from ground.blocks import Octets
    from ground.mission import TimeField
    from ground.xtce.declarations import ParameterType

ROWS: Final = 4093
"""Different packets of a kind; a prime, so that their turn never falls in with that of blocks or messages."""

HEADER: Final = 6
"""Octets of a packet's primary header (CCSDS 133.0-B-2, 4.1.3)."""

_COUNT: Final = slice(2, 4)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a parameter lies in a packet, in bits."""

    name: str
    type: ParameterType
    at: int
    bits: int

    @property
    def in_header(self) -> bool:
        """Whether it is part of the primary header, of which nothing is stored."""
        return isinstance(self.type.encoding, IntegerEncoding | FloatEncoding) and self.at + self.bits <= 8 * HEADER

    @property
    def readable(self) -> bool:
        """Whether :meth:`read` can."""
        encoding = self.type.encoding
        if isinstance(encoding, IntegerEncoding):
            return encoding.signed == "unsigned" and not encoding.little_endian
        return isinstance(encoding, BinaryEncoding) and self.at % 8 == 0

    def read(self, packets: Octets) -> NDArray[Any]:
        """Its values (n,) in ``packets``, uint8 (n, length): for the few fields that hold what is written anew."""
        first, last = self.at // 8, (self.at + self.bits + 7) // 8
        octets = packets[:, first:last]
        if isinstance(self.type.encoding, BinaryEncoding):
            blobs = np.empty(len(packets), object)
            blobs[:] = [row.tobytes() for row in octets]
            return blobs
        bits = np.unpackbits(octets, axis=1)[:, self.at - 8 * first :][:, : self.bits]
        weights = np.uint64(1) << np.arange(self.bits - 1, -1, -1, dtype=np.uint64)
        return engineering(self.type, bits.astype(np.uint64) @ weights)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of packet.

    ``name``: of its container, as stored. ``octets``: uint8 (ROWS, length). ``fixed``: the stored values (ROWS,) of
    its parameters; ``written``: where those lie that depend on what is written anew. ``clock``: where its time lies,
    None where it has its frame's.
    """

    name: str
    octets: Octets
    fixed: Mapping[str, NDArray[Any]]
    written: tuple[Place, ...]
    clock: TimeField | None

    @property
    def length(self) -> int:
        """Octets of a packet."""
        return int(self.octets.shape[1])

    @property
    def parameters(self) -> int:
        """How many are stored of a packet, without those that repeat its time."""
        return len(self.fixed) + sum(not self._is_time(one) for one in self.written)

    def _is_time(self, place: Place) -> bool:
        clock = self.clock
        if clock is None:
            return False
        return 8 * clock.offset <= place.at and place.at + place.bits <= 8 * (clock.offset + clock.length)

    @property
    def written_octets(self) -> list[int]:
        """Which octets of a packet are written anew."""
        clock = self.clock
        return [*range(_COUNT.start, _COUNT.stop), *(range(clock.offset, clock.offset + clock.length) if clock else ())]

    def packets(self, row: NDArray[np.int64], count: NDArray[np.int64], time: Octets | None) -> Octets:
        """Packets ``row``, int64 (n,) below ROWS, with sequence counts (n,) and time codes: uint8 (n, length)."""
        octets = self.octets[row]
        octets[:, _COUNT] = (0b11 << 14 | count & 0x3FFF).astype(">u2").view(np.uint8).reshape(-1, 2)
        if self.clock is not None and time is not None:
            octets[:, self.clock.offset : self.clock.offset + self.clock.length] = time
        return octets

    def values(self, row: NDArray[np.int64], packets: Callable[[], Octets]) -> Iterator[tuple[str, NDArray[Any]]]:
        """The stored values (n,) of every parameter of the packets ``row``, which ``packets`` makes if need be."""
        for name, values in self.fixed.items():
            yield name, values[row]
        if self.written:
            octets = packets()
            for place in self.written:
                yield place.name, place.read(octets)
