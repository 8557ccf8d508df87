"""Recorded messages of one mission on their way through its partition, as columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    number of the first frame, negative where it sends none. ``position``: int64 (m,), ascending, in the recording.
    """

    data: Octets
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    ert: Nanoseconds
    dt: NDArray[np.int64]
    run: pa.Array[pa.StringScalar]
    seq: NDArray[np.int64]
    position: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start)

    def select(self, rows: NDArray[np.intp] | slice) -> Messages:
        """The messages that an index array or a slice names; ``data`` is shared, not copied."""
        return Messages(
            self.data,
            self.start[rows],
            self.length[rows],
            self.ert[rows],
            self.dt[rows],
            self.run[rows] if isinstance(rows, slice) else self.run.take(rows),
            self.seq[rows],
            self.position[rows],
        )

    def by_numbering(self) -> Iterator[tuple[Messages, bool]]:
        """Stretches of messages that all have running numbers, or all have none, and which it is."""
        numbered = self.run.is_valid().to_numpy(zero_copy_only=False) & (self.seq >= 0)
        edges = [0, *(np.flatnonzero(numbered[1:] != numbered[:-1]) + 1).tolist(), len(numbered)]
        for a, b in pairwise(edges):
            if a < b:
                yield self.select(slice(a, b)) if b - a < len(self) else self, bool(numbered[a])


@dataclass(frozen=True, slots=True)
class Part:
    """What the recording holds of one mission in the positions [start, stop).

    ``received``: int64 (stop - start,), ns since 1970 UTC by the recorder's clock, of all positions; ``ert``: the same
    by the stations', where they say it. ``stations``: telemetry by station. ``operator``: position and payload of each
    operator's message, in order. ``unrouted``: of the part that belongs to no mission, the positions (k,) by topic.
    """

    start: int
    received: Nanoseconds
    ert: Nanoseconds
    stations: Mapping[str, Messages] = field(default_factory=dict)
    operator: tuple[tuple[int, bytes], ...] = ()
    unrouted: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)

    @property
    def stop(self) -> int:
        """The position after the last one."""
        return self.start + len(self.received)
