"""Read everything back: every value of every packet that was sent equals what is stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ground.loadtest.work import MISSION, STEP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ground.loadtest.work import Work
    from ground.stores import Store

_WINDOW: Final = 400_000
"""Packets of all containers that are compared at a time."""

_NAMED: Final = 20
"""Differences that are named; all are counted."""


@dataclass(slots=True)
class Comparison:
    """``stored``: rows read. ``missing``, ``unexpected``: packets sent and not stored, rows stored and not sent (or
    twice). ``different``: values. ``named``: the first differences in words."""

    stored: int = 0
    missing: int = 0
    unexpected: int = 0
    different: int = 0
    named: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether what is stored is what was sent."""
        return not (self.missing or self.unexpected or self.different)

    def name(self, text: str) -> None:
        """Note a difference."""
        if len(self.named) < _NAMED:
            self.named.append(text)


async def verify(store: Store, work: Work, sent: Sequence[int]) -> Comparison:
    """Compare the store with the first ``sent[k]`` packets of each publisher k."""
    found = Comparison()
    end = max(sent) * work.publishers
    for first in range(0, end, _WINDOW):
        index = np.arange(first, min(first + _WINDOW, end), dtype=np.int64)
        number, publisher = index // work.publishers, index % work.publishers
        was_sent = number < np.asarray(sent)[publisher]
        for container, name in enumerate(work.names):
            rows = np.flatnonzero(was_sent & (number % work.containers == container))
            start = work.epoch + first * STEP
            table = await store.rows(MISSION, name, start, start + len(index) * STEP)
            found.stored += len(table)
            _compare(table, work, name, publisher[rows], number[rows], found)
    outside = [work.epoch - 10**9, work.epoch, work.epoch + end * STEP, work.epoch + end * STEP + 10**9]
    for name in work.names:
        for start, stop in (outside[:2], outside[2:]):
            if rows_outside := len(await store.rows(MISSION, name, start, stop)):
                found.unexpected += rows_outside
                found.name(f"{name}: {rows_outside} rows with times that were never sent")
    return found


def _compare(
    table: pa.Table, work: Work, name: str, publisher: NDArray[np.int64], number: NDArray[np.int64], found: Comparison
) -> None:
    """``table``: the rows stored in the window in which these packets (n,) of the container ``name`` lie."""
    time = work.epoch + (number * work.publishers + publisher) * STEP
    stored = table.column("time").cast(pa.int64()).to_numpy()
    if not np.array_equal(stored, time):
        missing = np.setdiff1d(time, stored)
        once, first, times = np.unique(stored, return_index=True, return_counts=True)
        unexpected = len(np.setdiff1d(once, time)) + int((times - 1).sum())
        found.missing += len(missing)
        found.unexpected += unexpected
        for at in missing[:_NAMED].tolist():
            i = int(np.searchsorted(time, at))
            found.name(f"{name}: packet {number[i]} of publisher {publisher[i]} (time {at}) is not stored")
        if unexpected:
            found.name(f"{name}: {unexpected} rows that were not sent, or are there twice")
        table = table.take(first[np.isin(once, time)])
        rows = np.flatnonzero(np.isin(time, stored))
        time, publisher, number = time[rows], publisher[rows], number[rows]
    if not len(time):
        return
    values = work.values(publisher, number)
    expected: dict[str, NDArray[np.generic]] = {"seq": work.sequence_count(number), "onboard_time": time}
    expected |= {f"p{i}": values[:, i] for i in range(work.parameters)}
    for column, sent in expected.items():
        have = table.column(column).to_numpy() if column in table.column_names else np.full(len(time), np.nan)
        # Bit for bit where the store gives the type back that went in.
        same = have.astype(sent.dtype) == sent
        if not same.all():
            found.different += int(len(same) - same.sum())
            i = int(np.argmin(same))
            found.name(f"{name}/{column}: packet {number[i]} of publisher {publisher[i]}: {have[i]} is not {sent[i]}")
