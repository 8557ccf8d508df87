"""The store contract: schemas that change. Runs on every store; see ``open_store`` in conftest.py."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from ground.errors import RefusedError
from ground.stores import Checkpoint, Count, Rows
from ground.stores.longtable import IDENTITY
from tests.stores.examples import ALL, power, put
from tests.stores.telemetry import T0, batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ground.stores import Store
    from tests.stores.conftest import OpenStore


def one(at: int, kind: pa.DataType, *values: Any, meta: dict[str, str] | None = None) -> pa.RecordBatch:
    """Rows at T0 + at, ... with the column ``a``, and with their own number in ``b``."""
    n = len(values)
    schema = pa.schema([*IDENTITY, pa.field("a", kind, metadata=meta), pa.field("b", pa.int64())])
    numbers = list(range(at, at + n))
    return batch([T0 + i for i in numbers], numbers, schema, a=pa.array(values, kind), b=pa.array(numbers))


async def test_new_columns_are_added(open_store: OpenStore) -> None:
    v1 = batch([T0], [0], a=pa.array([1], pa.int8()))
    v2 = batch(
        [T0 + 1],
        [1],
        pa.schema(
            [*IDENTITY, pa.field("b", pa.string(), metadata={"unit": "W"}), pa.field("a", pa.int8())], {"v": "2"}
        ),
        a=pa.array([2], pa.int8()),
        b=pa.array(["two"]),
    )
    async with open_store() as store:
        await put(store, power(v1, v2))
        await put(store, power(batch([T0 + 2], [2], a=pa.array([3], pa.int8()))))
    async with open_store() as store:
        stored = await store.rows("luna26", "Power", *ALL)
        assert stored.schema.names == [*IDENTITY.names, "a", "b"]
        assert stored["a"].to_pylist() == [1, 2, 3]
        assert stored["b"].to_pylist() == [None, "two", None]
        assert stored.schema.field("b").metadata == {b"unit": b"W"}


WIDENED = [
    (pa.uint8(), [0, 255, None], pa.uint16(), [65535], pa.uint16()),
    (pa.uint8(), [255], pa.int8(), [-128], pa.int16()),
    (pa.int8(), [-128], pa.int64(), [-(2**63), 2**63 - 1], pa.int64()),
    (pa.uint32(), [2**32 - 1], pa.uint64(), [2**64 - 1], pa.uint64()),
    (pa.uint32(), [2**32 - 1], pa.int32(), [-(2**31)], pa.int64()),
    (pa.float32(), [0.5, -0.0, -1024.0], pa.float64(), [0.1], pa.float64()),
    (pa.int32(), [2**31 - 1, -(2**31)], pa.float64(), [0.1], pa.float64()),
    (pa.int32(), [2**31 - 1], pa.float32(), [0.5], pa.float64()),
    (pa.uint16(), [65535], pa.float32(), [0.5], pa.float32()),
]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(("old", "before", "new", "after", "wide"), WIDENED)
async def test_a_widened_type_goes_on_in_its_column(
    open_store: OpenStore,
    old: pa.DataType,
    before: list[Any],
    new: pa.DataType,
    after: list[Any],
    wide: pa.DataType,
    together: bool,
) -> None:
    """Later rows of the narrower type, as from a late playback, are of the column too."""
    calls = [one(0, old, *before, meta={"unit": "V"}), one(50, new, *after, meta={"unit": "W"}), one(90, old, *before)]
    async with open_store() as store:
        for call in [calls] if together else [[each] for each in calls]:
            await put(store, power(*call))
    async with open_store() as store:
        stored = await store.rows("luna26", "Power", *ALL)
        assert stored.schema.field("a").type == wide
        assert stored["a"].to_pylist() == [*before, *after, *before]
        assert stored["b"].null_count == 0
        assert await store.counts("luna26") == {"Power": Count(stored.num_rows, 0)}
        assert (await store.containers("luna26"))["Power"].field("a").type == wide


async def test_history_of_a_widened_parameter_is_one(store: Store) -> None:
    await put(store, power(one(0, pa.uint8(), 1, 2, 3)))
    await put(store, power(one(10, pa.uint16(), 1000, 2000)))
    raw = (await store.history("luna26", ["Power/a"], T0, T0 + 20, 100)).table
    assert raw["last"].to_pylist() == [1.0, 2.0, 3.0, 1000.0, 2000.0]
    bucket = (await store.history("luna26", ["Power/a"], T0, T0 + 20, 1)).table.to_pylist()[0]
    assert (bucket["count"], bucket["min"], bucket["max"], bucket["last"]) == (5, 1.0, 2000.0, 2000.0)
    assert (await store.last("luna26", ["Power/a"]))["last"].to_pylist() == [2000.0]


async def test_a_schema_widens_step_by_step(store: Store) -> None:
    await put(store, power(one(0, pa.uint8(), 1)))
    await put(store, power(one(1, pa.uint16(), 2), one(2, pa.int16(), -3), one(3, pa.float64(), 0.5)))
    assert (await store.rows("luna26", "Power", *ALL))["a"].to_pylist() == [1.0, 2.0, -3.0, 0.5]
    await put(store, power(one(4, pa.int64(), 7)))
    assert (await store.rows("luna26", "Power", *ALL))["a"].to_pylist() == [1.0, 2.0, -3.0, 0.5, None]
    assert await store.counts("luna26") == {"Power": Count(5, 0, unfit={"a": 1})}


UNFIT: list[tuple[pa.DataType, Any, pa.DataType, Sequence[Any]]] = [
    (pa.bool_(), True, pa.uint8(), [1, None]),
    (pa.uint8(), 1, pa.bool_(), [True, None]),
    (pa.int64(), 1, pa.float64(), [0.5, None]),
    (pa.float64(), 0.5, pa.uint64(), [1, None]),
    (pa.uint64(), 1, pa.int8(), [-1, None]),
    (pa.string(), "x", pa.int8(), [1, None]),
    (pa.int8(), 1, pa.string(), ["1", None]),
    (pa.binary(), b"x", pa.string(), ["x", None]),
    (IDENTITY.field("time").type, None, pa.int64(), [1, None]),
]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(("old", "value", "new", "after"), UNFIT)
async def test_another_change_of_type_is_stored_as_nulls_and_counted(
    open_store: OpenStore, old: pa.DataType, value: Any, new: pa.DataType, after: list[Any], together: bool
) -> None:
    first, changed = one(0, old, value, meta={"unit": "V"}), one(1, new, *after, meta={"unit": "W"})
    async with open_store() as store:
        for call in [[first, changed]] if together else [[first], [changed]]:
            await put(store, power(*call), Checkpoint(1, b""))
        await put(store, power(changed), Checkpoint(2, b""))  # repeated: its values aren't counted again
    async with open_store() as store:
        assert await store.counts("luna26") == {"Power": Count(3, 2, unfit={"a": 1})}
        await put(store, power(one(7, new, after[0]), one(9, old, value)), Checkpoint(3, b""))
        assert await store.counts("luna26") == {"Power": Count(5, 2, unfit={"a": 2})}
        stored = await store.rows("luna26", "Power", *ALL)
        assert stored.schema.field("a").equals(pa.field("a", old))
        assert stored["a"].to_pylist() == [value, None, None, None, value]
        assert stored["b"].to_pylist() == [0, 1, 2, 7, 9]


async def test_infinities_are_no_part_of_a_bucket_s_statistics(store: Store) -> None:
    await put(store, power(one(0, pa.float64(), 1.0, math.inf, 3.0, -math.inf, math.nan, 2.0)))
    bucket = (await store.history("luna26", ["Power/a"], T0, T0 + 10, 1)).table.to_pylist()[0]
    assert (bucket["min"], bucket["mean"], bucket["max"], bucket["last"]) == (1.0, 2.0, 3.0, 2.0)


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        (pa.RecordBatch.from_pydict({"time": [1]}), "column time should be there as timestamp"),
        (batch([T0], [0]).drop_columns("digest"), "column digest should be there as int64"),
        (batch([T0], [0], a=pa.array([None])), "column a has the type null"),
        (batch([T0], [0], a=pa.array([[1]])), "column a has the type list"),
        (
            pa.RecordBatch.from_arrays([*batch([T0], [0]).columns, *[pa.array([1])] * 2], [*IDENTITY.names, "a", "a"]),
            "column a is there twice",
        ),
    ],
)
@pytest.mark.parametrize("known", [True, False])
async def test_a_batch_that_cannot_be_stored_names_its_column(
    store: Store, rows: pa.RecordBatch, what: str, known: bool
) -> None:
    """Nothing of the call is stored, and the error says that trying again cannot help."""
    before = Checkpoint(1, b"one") if known else None
    if before:
        await put(store, power(batch([T0], [0], a=pa.array([1]))), before)
    other = Rows("luna26", "Thermal", batch([T0], [0]))
    with pytest.raises(RefusedError, match=f"luna26/Power: {what}"):
        await put(store, [other, *power(rows)], Checkpoint(2, b"two"))
    assert await store.checkpoint("luna26") == before
    assert await store.counts("luna26") == ({"Power": Count(1, 0)} if known else {})
    await put(store, [other], Checkpoint(2, b"two"))
    assert await store.checkpoint("luna26") == Checkpoint(2, b"two")
