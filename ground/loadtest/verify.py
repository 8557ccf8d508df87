"""Read everything back: every value of every packet that was sent equals what is stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from ground.loadtest.clock import LATEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ground.loadtest.traffic import Traffic
    from ground.stores import Store

_WINDOW: Final = 100_000
"""Packets of a container that are compared at a time."""

_NAMED: Final = 20
"""Differences that are named; all are counted."""


@dataclass(slots=True)
class Comparison:
    """``stored``, ``samples``: rows read, and their values. ``missing``, ``unexpected``: packets sent and not stored,
    rows stored and not sent (or twice). ``different``: values. ``named``: the first differences in words.
    """

    stored: int = 0
    samples: int = 0
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


async def verify(store: Store, traffic: Traffic, sent: Sequence[int]) -> Comparison:
    """Compare the store with the first ``sent[k]`` packets of each publisher k."""
    found = Comparison()
    for kind in range(len(traffic.kinds)):
        await _verify_kind(store, traffic, kind, [traffic.rounds(kind, packets) for packets in sent], found)
    ours = {kind.name for kind in traffic.kinds}
    for name in (await store.containers(traffic.mission.name)).keys() - ours:
        rows = len(await store.rows(traffic.mission.name, name, 0, LATEST))
        found.unexpected += rows
        found.name(f"{name}: {rows} rows of a container of which nothing was sent")
    return found


async def _verify_kind(store: Store, traffic: Traffic, kind: int, rounds: Sequence[int], found: Comparison) -> None:
    """``rounds``: how many packets of the kind each publisher has sent."""
    mission, name = traffic.mission.name, traffic.kinds[kind].name
    steps = int(traffic.step(kind, np.array([max(rounds) - 1]))[0]) + 1 if max(rounds) else 0
    a_step = traffic.publishers * (1 + traffic.first_round(kind, 1))
    edges = [*range(0, steps, max(1, _WINDOW // a_step)), steps]
    times = traffic.time(kind, 0, np.array(edges, np.int64)).tolist()
    for start, stop in ((0, times[0]), (times[-1], LATEST)):
        if outside := len(await store.rows(mission, name, start, stop)) if start < stop else 0:
            found.unexpected += outside
            found.name(f"{name}: {outside} rows with times that were never sent")
    for i in range(len(edges) - 1):
        first, end = traffic.first_round(kind, edges[i]), traffic.first_round(kind, edges[i + 1])
        numbers = [np.arange(first, min(end, count), dtype=np.int64) for count in rounds]
        table = await store.rows(mission, name, times[i], times[i + 1])
        found.stored += len(table)
        found.samples += len(table) * traffic.kinds[kind].parameters
        _compare(table, traffic, kind, numbers, found)


def _compare(
    table: pa.Table, traffic: Traffic, kind: int, numbers: Sequence[NDArray[np.int64]], found: Comparison
) -> None:
    """``table``: what is stored in the window in which each publisher has sent the packets of these rounds (n,)."""
    name = traffic.kinds[kind].name
    publisher = np.repeat(np.arange(len(numbers)), [len(rounds) for rounds in numbers])
    number = np.concatenate(numbers)
    time = traffic.time(kind, publisher, traffic.step(kind, number))
    sent, stored = _identities(time, traffic.sequence_count(number), table)
    _, ours, theirs = np.intersect1d(sent, stored, return_indices=True)
    missing = np.delete(np.arange(len(sent)), ours)
    found.missing += len(missing)
    for i in missing[:_NAMED].tolist():
        packet = f"{name}: packet {number[i]} of publisher {publisher[i]}"
        found.name(
            f"{packet} (time {time[i]}, sequence count {traffic.sequence_count(number[i : i + 1])[0]}) is not stored"
        )
    if unexpected := len(stored) - len(theirs):
        found.unexpected += unexpected
        found.name(f"{name}: {unexpected} rows that were not sent, or are there twice")
    columns = {column: _values(table, column) for column in table.column_names}
    for one in range(len(numbers)):
        rows = publisher[ours] == one
        have, rounds = theirs[rows], number[ours[rows]]
        for column, values in traffic.values(kind, one, rounds):
            same = _same(columns.get(column), have, values)
            if not same.all():
                found.different += int(len(same) - same.sum())
                i = int(np.argmin(same))
                is_stored = columns[column][0][have[i]] if column in columns else "nothing"
                found.name(f"{name}/{column}: packet {rounds[i]} of publisher {one}: {is_stored} is not {values[i]}")


def _identities(
    time: NDArray[np.int64], count: NDArray[np.int64], table: pa.Table
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A number for each time and sequence count, of what was sent (n,) and of what is stored (m,)."""
    there = table.column("time").cast(pa.int64()).to_numpy()
    _, step = np.unique(np.concatenate((time, there)), return_inverse=True)
    identity = step.astype(np.int64) << 16 | np.concatenate((count, table.column("seq").to_numpy()))
    return identity[: len(time)], identity[len(time) :]


def _values(table: pa.Table, name: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """A column and which of it are not null."""
    column = table.column(name)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    valid = column.is_valid().to_numpy()
    return column.to_numpy(), valid


def _same(
    column: tuple[NDArray[Any], NDArray[np.bool_]] | None, rows: NDArray[np.intp], sent: NDArray[Any]
) -> NDArray[np.bool_]:
    """Which rows of a column are, bit for bit, what was sent."""
    if column is None:
        return np.zeros(len(sent), np.bool_)
    stored, valid = column
    with np.errstate(invalid="ignore"):
        return np.asarray((stored[rows].astype(sent.dtype) == sent) & valid[rows], np.bool_)
