"""Messages of a station on their way into the decoder, as columns."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

    from ground.blocks import Nanoseconds, Octets


@dataclass(frozen=True, slots=True)
class Messages:
    """m messages of one station of one mission, in order of receipt.

    ``data``: uint8, one-dimensional; the payload of message i is ``data[start[i] : start[i] + length[i]]``.
    ``start``, ``length``: int64 (m,), octets.
    ``ert``: int64 (m,), earth receive time of the first frame, ns since 1970 UTC or NO_TIME. ``dt``: int64 (m,), ns per
    frame. ``run``: string (m,), the publisher's start, null where it sends none. ``seq``: int64 (m,), the running
    number of the first frame, negative where it sends none.
    """

    data: Octets
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    ert: Nanoseconds
    dt: NDArray[np.int64]
    run: pa.Array[pa.StringScalar]
    seq: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start)

    def select(self, rows: NDArray[np.intp] | slice) -> Messages:
        """The messages that an index array or a slice names; ``data`` is shared, not copied."""
        run = self.run[rows] if isinstance(rows, slice) else self.run.take(rows)
        return Messages(
            self.data, self.start[rows], self.length[rows], self.ert[rows], self.dt[rows], run, self.seq[rows]
        )

    def by_numbering(self) -> Iterator[tuple[Messages, bool]]:
        """Stretches of messages that all have running numbers, or all have none, and which it is."""
        numbered = self.run.is_valid().to_numpy(zero_copy_only=False) & (self.seq >= 0)
        edges = [0, *(np.flatnonzero(numbered[1:] != numbered[:-1]) + 1).tolist(), len(numbered)]
        for a, b in pairwise(edges):
            if a < b:
                yield self.select(slice(a, b)) if b - a < len(self) else self, bool(numbered[a])
