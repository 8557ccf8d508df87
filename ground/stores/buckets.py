"""Samples that arrive piece by piece, reduced to the rows of a :class:`~ground.stores.History`.

For databases that hand samples over and cannot reduce them as the contract says. Bucket b of a window that starts at
``start`` holds the times in [start + b width, start + (b + 1) width), in integer ns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ground.stores.longtable import HISTORY, TIME, as_float, as_text, changes_of, is_number, is_state, raw_samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ground.stores.longtable import Name, Values

_HELD = 65_536
"""Samples held back before they are reduced: enough to put equal times in the order of their packets."""


def width_of(start: int, stop: int, buckets: int) -> int:
    """Width in ns of ``buckets`` equal buckets that cover [start, stop). ValueError for what cannot be divided."""
    if not 0 < stop - start < 2**63:
        raise ValueError(f"the window from {start} to {stop} ns should be between 1 ns and 292 years long")
    if buckets < 1:
        raise ValueError(f"{buckets} buckets: there should be one at least")
    return -(-(stop - start) // buckets)


class Reduction:
    """One parameter's samples in [start, stop), in as many buckets as are asked for, or as they are where they are few.

    Pieces arrive in the order of time, up to differences that :data:`_HELD` samples bridge.
    """

    def __init__(self, name: Name, field: pa.Field[Any], start: int, stop: int, buckets: int) -> None:
        self.name = name
        self._field = field
        self._start, self._stop, self._buckets = start, stop, buckets
        self._width = width_of(start, stop, buckets)
        self._held: list[pa.Table] = []
        self._count = 0
        self._previous: Values = pa.array([], field.type)
        self._parts: list[pa.Table] = []

    def add(self, time: NDArray[np.int64], seq: NDArray[np.uint16], values: Values) -> None:
        """Samples of shape (n,); what is null or outside the window is left out."""
        chosen = (time >= self._start) & (time < self._stop) & values.is_valid().to_numpy(zero_copy_only=False)
        if not chosen.any():
            return
        piece = pa.table({"time": time[chosen], "seq": seq[chosen], "value": values.filter(pa.array(chosen))})
        self._held.append(piece)
        self._count += len(piece)
        if sum(map(len, self._held)) > max(_HELD, self._buckets):
            self._reduce()

    def finish(self) -> pa.Table:
        """The rows of the long table, in the order of time."""
        if self._count <= self._buckets:
            time, values = self._ordered()
            return raw_samples(self.name, self._field, pa.array(time).cast(TIME), values)
        self._reduce()
        return self._merged()

    def _ordered(self) -> tuple[NDArray[np.int64], Values]:
        held = pa.concat_tables(self._held) if self._held else None
        self._held.clear()
        if held is None:
            return np.empty(0, np.int64), pa.array([], self._field.type)
        time, seq = held["time"].to_numpy(), held["seq"].to_numpy()
        values = held["value"].combine_chunks()
        if (np.diff(time) > 0).all():
            return time, values
        order = np.lexsort((seq, time))
        return time[order], values.take(order)

    def _reduce(self) -> None:
        """Turn what is held back into one row a bucket."""
        time, values = self._ordered()
        if not len(time):
            return
        bucket = (time - self._start) // self._width
        first = _firsts(bucket)
        number = as_float(values).to_numpy(zero_copy_only=False)
        finite = np.isfinite(number)
        known = pa.concat_arrays([self._previous, values])
        changes = changes_of(known).to_numpy()[len(self._previous) :]
        last = np.append(first[1:], len(bucket)) - 1
        self._previous = values.slice(len(values) - 1)
        with np.errstate(over="ignore"):  # a sum beyond float64 gives an infinite mean
            total = np.add.reduceat(np.where(finite, number, 0.0), first)
        self._parts.append(
            pa.table(
                {
                    "bucket": bucket[first],
                    "count": np.diff(np.append(first, len(bucket))),
                    "finite": np.add.reduceat(finite.astype(np.int64), first),
                    "min": np.minimum.reduceat(np.where(finite, number, np.inf), first),
                    "sum": total,
                    "max": np.maximum.reduceat(np.where(finite, number, -np.inf), first),
                    "changes": np.add.reduceat(changes, first),
                    "last": values.take(pa.array(last)),
                }
            )
        )

    def _merged(self) -> pa.Table:
        """The parts as rows of the long table: where one part ends in a bucket and the next begins, they are joined."""
        parts = pa.concat_tables(self._parts).combine_chunks()
        bucket = parts["bucket"].to_numpy()
        order = np.argsort(bucket, kind="stable")
        bucket, parts = bucket[order], parts.take(order)
        first = _firsts(bucket)

        def joined(name: str, how: np.ufunc) -> NDArray[Any]:
            return np.asarray(how.reduceat(parts[name].to_numpy(), first))

        last = parts["last"].combine_chunks().take(pa.array(np.append(first[1:], len(bucket)) - 1))
        finite = joined("finite", np.add)
        missing = (finite == 0) | (not is_number(self._field.type))
        n = len(first)
        return pa.table(
            [
                pa.repeat(str(self.name), n),
                pa.array(self._start + bucket[first] * self._width).cast(TIME),
                pa.array(joined("count", np.add)),
                pa.array(joined("min", np.minimum), mask=missing),
                pa.array(joined("sum", np.add) / np.maximum(finite, 1), mask=missing),
                pa.array(joined("max", np.maximum), mask=missing),
                as_float(last),
                as_text(last),
                pa.array(joined("changes", np.add)) if is_state(self._field) else pa.nulls(n, pa.int64()),
                pa.repeat(False, n),
            ],
            schema=HISTORY,
        )


def _firsts(bucket: NDArray[np.int64]) -> NDArray[np.intp]:
    """Where each run of equal numbers begins."""
    return np.flatnonzero(np.append(True, bucket[1:] != bucket[:-1]))
