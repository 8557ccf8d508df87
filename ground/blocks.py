"""The columns that travel between the stages before decoding: blocks of messages, of frames and of packets.

After decoding the currency is :class:`pyarrow.RecordBatch` (see ``docs/architecture.md``). Nothing here is an object
per frame or per packet; a block is a handful of arrays of equal length.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Octets: TypeAlias = "NDArray[np.uint8]"
Nanoseconds: TypeAlias = "NDArray[np.int64]"
"""Nanoseconds since 1970-01-01T00:00:00 UTC with days of 86,400 s. :data:`NO_TIME` marks a missing time."""

NO_TIME = np.iinfo(np.int64).min
"""The int64 that numpy and Arrow call NaT, used in :data:`Nanoseconds` where there is no time."""


@dataclass(frozen=True, eq=False)
class Alike:
    """n messages of one topic and of equal lengths, in order of receipt, a row each.

    ``payload``: uint8 (n, octets). ``user_properties``: names and values, uint8 (n, characters), all ASCII.
    """

    topic: str
    payload: Octets
    user_properties: tuple[tuple[str, Octets], ...]

    def __len__(self) -> int:
        return len(self.payload)


def _empty() -> NDArray[np.int64]:
    return np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Packets:
    """A block of n space packets (CCSDS 133.0-B) of one virtual channel, in the order in which they ended.

    ``data``: uint8, one-dimensional; packet i is ``data[start[i] : start[i] + length[i]]``, primary header included.
    ``start``, ``length``: int64 (n,), octets.
    ``apid``, ``seq``: uint16 (n,), application process identifier and packet sequence count.
    ``time``: int64 (n,), onboard time (SCET) in ns since 1970 UTC, or :data:`NO_TIME`.
    ``ert``: int64 (n,), earth receive time in ns since 1970 UTC of the frame in which the packet began.
    ``frame``: int64 (n,), ascending: which of the frames (or, on a link without frames, of the messages) that were read
    together held the packet's last octet, 0 for the first of them. It tells where in the order of receipt the packet
    became whole.

    The processing fills in, int64 (n,) each: ``position`` of the message in the recording in which a packet ended,
    ``place`` in that message, and the ``digest`` of its octets; ``frame`` is empty from then on.
    """

    data: Octets
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    apid: NDArray[np.uint16]
    seq: NDArray[np.uint16]
    time: Nanoseconds
    ert: Nanoseconds
    frame: NDArray[np.int64]
    position: NDArray[np.int64] = field(default_factory=_empty)
    place: NDArray[np.int64] = field(default_factory=_empty)
    digest: NDArray[np.int64] = field(default_factory=_empty)

    def __len__(self) -> int:
        return len(self.start)

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Packets:
        """The packets that a mask, an index array or a slice names; ``data`` is shared, not copied."""
        return Packets(
            self.data,
            self.start[rows],
            self.length[rows],
            self.apid[rows],
            self.seq[rows],
            self.time[rows],
            self.ert[rows],
            *(
                column[rows] if len(column) else column
                for column in (self.frame, self.position, self.place, self.digest)
            ),
        )
