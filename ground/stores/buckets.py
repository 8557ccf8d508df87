"""Samples that arrive piece by piece, reduced to the rows of a :class:`~ground.stores.History`.

For databases that hand samples over and cannot reduce them as the contract says. Samples are reduced to parts, parts
are joined to larger parts, and these to buckets; what a database has reduced by itself comes in as parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ground.stores.longtable import HISTORY, TIME, as_float, as_text, changes_of, is_number, is_state, raw_samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ground.stores.longtable import Name, Values

_HELD = 65_536
"""Samples held back before they are reduced: enough to put equal times in the order of their packets."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """``count`` equal buckets that cover [start, stop), in ns since 1970 UTC.

    Bucket b holds the times in [first + b width, first + (b + 1) width), in integer ns. With a ``step``, edges and
    width are whole multiples of it: the width is rounded down, so that there are more buckets, fewer than twice as
    many; the first and the last one end with the window. Raises ValueError for what cannot be divided.
    """

    start: int
    stop: int
    count: int
    step: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.stop - self.start < 2**63:
            window = f"the window from {self.start} to {self.stop} ns"
            raise ValueError(f"{window} should be between 1 ns and 292 years long")
        if self.count < 1:
            raise ValueError(f"{self.count} buckets: there should be one at least")
        if not self.width:
            raise ValueError(f"{self.count} buckets of the window are shorter than the step of {self.step} ns")

    @property
    def width(self) -> int:
        """Width in ns."""
        return -((self.start - self.stop) // self.count) // self.step * self.step

    @property
    def first(self) -> int:
        """Where bucket 0 would begin if it were whole."""
        return self.start // self.step * self.step

    def of(self, time: NDArray[np.int64]) -> NDArray[np.int64]:
        """The bucket of each time (n,) in the window."""
        return (time - self.first) // self.width

    def runs(self, time: NDArray[np.int64]) -> NDArray[np.intp]:
        """Where each run of times of one bucket begins; ``time`` (n,) is in order, and n is at least 1."""
        # Dividing every time would cost more than all the rest that is done with it.
        bucket, last = self.of(time[[0, -1]])
        edges = self.first + np.arange(bucket + 1, last + 1) * self.width
        if len(edges) > len(time):
            return runs(self.of(time))
        return np.unique(np.append(0, np.searchsorted(time, edges)))

    def starts(self, bucket: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where each bucket (n,) begins."""
        return np.maximum(self.first + bucket * self.width, self.start)


def parts_of(
    first: NDArray[np.intp], time: NDArray[np.int64], values: Values, *, number: bool, state: bool
) -> pa.Table:
    """Parts that begin at the indices ``first``, of n samples in order without nulls.

    The columns of a part: ``time`` (int64 ns, that of its first sample), ``count``, ``finite`` (how many are finite
    numbers), of these ``min``, ``sum`` and ``max`` (float64), ``changes`` (places in it where the value differs from
    the one before), ``first`` and ``last`` (of the type of ``values``). What isn't a ``number`` or a ``state`` has
    none of the figures of those.
    """
    last = np.append(first[1:], len(time)) - 1
    count = last + 1 - first
    n = len(first)
    floats = number and pa.types.is_floating(values.type)
    none = np.zeros(n, np.int64)
    least = total = most = np.zeros(n)
    finite = count if number else none
    if number:
        figures = as_float(values).to_numpy(zero_copy_only=False)
        known = np.isfinite(figures) if floats else None
        if known is None or known.all():
            low = high = addend = figures
        else:
            finite = np.add.reduceat(known.astype(np.int64), first)
            low, addend, high = (np.where(known, figures, other) for other in (np.inf, 0.0, -np.inf))
        with np.errstate(over="ignore", invalid="ignore"):  # a sum beyond float64 has no finite mean
            total = np.add.reduceat(addend, first)
        least, most = np.minimum.reduceat(low, first), np.maximum.reduceat(high, first)
    changes = none
    if state:
        differs = changes_of(values).to_numpy().copy()
        differs[first] = 0
        changes = np.add.reduceat(differs, first)
    columns: dict[str, Any] = {
        "time": time[first],
        "count": count,
        "finite": finite,
        "min": least,
        "sum": total,
        "max": most,
        "changes": changes,
        "first": values.take(first),
        "last": values.take(last),
    }
    return pa.table(columns)


def joined(parts: pa.Table, group: NDArray[np.int64]) -> pa.Table:
    """One part of each run of equal numbers in ``group`` (n,); ``parts`` (n,) are in order of time."""
    parts = parts.combine_chunks()
    first = runs(group)
    if len(first) == len(group):
        return parts
    last = np.append(first[1:], len(group)) - 1
    steps = between(parts)
    steps[first] = 0

    def reduced(name: str, how: np.ufunc) -> NDArray[Any]:
        return np.asarray(how.reduceat(parts[name].to_numpy(), first))

    columns: dict[str, Any] = {
        "time": parts["time"].to_numpy()[first],
        "count": reduced("count", np.add),
        "finite": reduced("finite", np.add),
        "min": reduced("min", np.minimum),
        "sum": reduced("sum", np.add),
        "max": reduced("max", np.maximum),
        "changes": reduced("changes", np.add) + np.add.reduceat(steps, first),
        "first": parts["first"].take(first),
        "last": parts["last"].take(last),
    }
    return pa.table(columns)


def by_time(parts: list[pa.Table]) -> pa.Table:
    """The parts under one another in order of time; of equal times, those that came first."""
    together = pa.concat_tables(parts).combine_chunks()
    time = together["time"].to_numpy()
    return together if (time[1:] >= time[:-1]).all() else together.take(np.argsort(time, kind="stable"))


def between(parts: pa.Table) -> NDArray[np.int64]:
    """1 for each part (n,) whose first value differs from the last one of the part before, else 0."""
    differs = np.zeros(len(parts), np.int64)
    if len(parts) > 1:
        first, last = parts["first"].combine_chunks(), parts["last"].combine_chunks()
        other = pc.not_equal(first.slice(1), last.slice(0, len(parts) - 1))
        differs[1:] = other.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return differs


class Reduction:
    """One parameter's samples in the window of ``buckets``: in buckets, or as they are where they are few.

    Samples arrive in the order of time, up to differences that :data:`_HELD` samples bridge.
    """

    def __init__(self, name: Name, field: pa.Field[Any], buckets: Buckets) -> None:
        self.name = name
        self.count = 0
        self._field = field
        self._buckets = buckets
        self._held: list[pa.Table] = []
        self._waiting = 0
        self._parts: list[pa.Table] = []

    @property
    def few(self) -> bool:
        """Whether they are so few that they should come as samples, and have come as parts."""
        return bool(self._parts) and self.count <= self._buckets.count

    def add(self, time: NDArray[np.int64], seq: NDArray[np.uint16], digest: NDArray[np.int64], values: Values) -> None:
        """Samples of shape (n,); what is null or outside the window is left out."""
        chosen = (time >= self._buckets.start) & (time < self._buckets.stop)
        chosen &= values.is_valid().to_numpy(zero_copy_only=False)
        if not chosen.any():
            return
        identity = {"time": time[chosen], "seq": seq[chosen], "digest": digest[chosen]}
        piece = pa.table({**identity, "value": values.filter(pa.array(chosen))})
        self._held.append(piece)
        self.count += len(piece)
        self._waiting += len(piece)
        if self._waiting > max(_HELD, self._buckets.count):
            self._reduce()

    def add_parts(self, parts: pa.Table) -> None:
        """Parts (see :func:`parts_of`) of samples that :meth:`add` isn't given; each lies in one bucket."""
        if len(parts):
            self.count += int(parts["count"].to_numpy().sum())
            self._parts.append(parts)

    def finish(self) -> pa.Table:
        """The rows of the long table, in the order of time."""
        if not self._parts and self.count <= self._buckets.count:
            time, values = self._ordered()
            return raw_samples(self.name, self._field, pa.array(time).cast(TIME), values)
        self._reduce()
        return self._rows()

    def _ordered(self) -> tuple[NDArray[np.int64], Values]:
        held = pa.concat_tables(self._held) if self._held else None
        self._held.clear()
        self._waiting = 0
        if held is None:
            return np.empty(0, np.int64), pa.array([], self._field.type)
        time, seq, digest = (held[name].to_numpy() for name in ("time", "seq", "digest"))
        values = held["value"].combine_chunks()
        if (time[1:] > time[:-1]).all():
            return time, values
        order = np.lexsort((digest, seq, time))
        return time[order], values.take(order)

    def _reduce(self) -> None:
        """Turn what is held back into parts."""
        time, values = self._ordered()
        if len(time):
            number, state = is_number(self._field.type), is_state(self._field)
            self._parts.append(parts_of(self._buckets.runs(time), time, values, number=number, state=state))

    def _rows(self) -> pa.Table:
        parts = by_time(self._parts)
        bucket = self._buckets.of(parts["time"].to_numpy())
        whole = joined(parts, bucket)
        bucket = bucket[runs(bucket)]
        finite = whole["finite"].to_numpy()
        missing = finite == 0
        n = len(whole)
        last = whole["last"].combine_chunks()
        return pa.table(
            [
                pa.repeat(str(self.name), n),
                pa.array(self._buckets.starts(bucket)).cast(TIME),
                whole["count"],
                pa.array(whole["min"].to_numpy(), mask=missing),
                pa.array(whole["sum"].to_numpy() / np.maximum(finite, 1), mask=missing),
                pa.array(whole["max"].to_numpy(), mask=missing),
                as_float(last),
                as_text(last),
                pa.array(whole["changes"].to_numpy() + between(whole))
                if is_state(self._field)
                else pa.nulls(n, pa.int64()),
                pa.repeat(False, n),
            ],
            schema=HISTORY,
        )


def runs(group: NDArray[np.int64]) -> NDArray[np.intp]:
    """Where each run of equal numbers begins."""
    return np.flatnonzero(np.append(True, group[1:] != group[:-1]))[: len(group)]
