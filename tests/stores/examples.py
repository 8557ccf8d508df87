"""What the contract tests share: values that hypothesis draws, and stores that examples share."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from ground.stores import Checkpoint, Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ground.stores import Entry, Store

ALL = (-(2**63) + 2, 2**63 - 1)
NOWHERE = Checkpoint(0, b"")

containers = (f"C{i}" for i in itertools.count())
"""A name that no example has used: examples share a store, since opening one takes longer than they do."""

shared_store = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)


def power(*batches: pa.RecordBatch, container: str = "Power") -> list[Rows]:
    return [Rows("luna26", container, rows) for rows in batches]


async def put(
    store: Store, rows: Sequence[Rows], checkpoint: Checkpoint = NOWHERE, entries: Sequence[Entry] = ()
) -> None:
    """Append to the mission of the rows."""
    await store.append(rows[0].mission if rows else "luna26", rows, entries, checkpoint)


def values_of(kind: pa.DataType) -> st.SearchStrategy[Any]:
    if pa.types.is_floating(kind):
        return st.floats(width=32 if kind == pa.float32() else 64)
    if pa.types.is_integer(kind):
        low, high = (0, 2**kind.bit_width - 1)
        if pa.types.is_signed_integer(kind):
            low, high = -(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1
        return st.integers(low, high)
    if pa.types.is_timestamp(kind):
        return st.integers(*ALL)
    if pa.types.is_boolean(kind):
        return st.booleans()
    return st.text(max_size=20) if pa.types.is_string(kind) else st.binary(max_size=20)


def sorted_rows(rows: pa.RecordBatch | pa.Table) -> pa.Table:
    table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
    return table.sort_by([("time", "ascending"), ("seq", "ascending"), ("digest", "ascending")])


def dropped(rows: pa.RecordBatch, keeps: Callable[[pa.RecordBatch], pa.RecordBatch]) -> int:
    """How many values became nulls in the store."""
    return sum(column.null_count for column in keeps(rows).columns) - sum(column.null_count for column in rows.columns)
