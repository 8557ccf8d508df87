"""The store contract. Runs on every store; see ``open_store`` in conftest.py."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ground.errors import StoreError
from ground.stores import Checkpoint, Count, Rows
from ground.stores.longtable import HISTORY, IDENTITY, LATEST
from tests.stores.examples import ALL, NOWHERE, containers, power, shared_store, sorted_rows, values_of
from tests.stores.telemetry import MS, SCHEMA, T0, batch, random_batch, same, times

if TYPE_CHECKING:
    from ground.stores import Store
    from tests.stores.conftest import Keeps, OpenStore


async def test_an_empty_store_answers_with_nothing(store: Store) -> None:
    assert await store.checkpoint() is None
    assert await store.counts() == {}
    assert await store.containers("luna26") == {}
    history = await store.history("luna26", ["Power/voltage", "nonsense"], 0, 10, 5)
    assert history.table.equals(HISTORY.empty_table())
    assert (history.through, history.width) == (0, 2)
    assert (await store.last("luna26", ["Power/voltage"])).equals(LATEST.empty_table())
    assert (await store.rows("luna26", "Power", *ALL)).equals(IDENTITY.empty_table())


async def test_rows_and_checkpoint_survive_closing(open_store: OpenStore) -> None:
    rows = random_batch(3, seed=1)
    async with open_store() as store:
        await store.append(power(rows), Checkpoint(7, b"\x00state\xff"))
    async with open_store() as store:
        assert await store.checkpoint() == Checkpoint(7, b"\x00state\xff")
        assert await store.counts() == {("luna26", "Power"): Count(3, 0)}
        schemas = await store.containers("luna26")
        assert list(schemas) == ["Power"]
        assert schemas["Power"].equals(SCHEMA, check_metadata=True)
        assert await store.containers("tianwen1") == {}
        assert same(await store.rows("luna26", "Power", *ALL), rows)


async def test_a_checkpoint_moves_without_rows(store: Store) -> None:
    await store.append([], Checkpoint(1, b"a"))
    await store.append(power(random_batch(0, seed=1)), Checkpoint(2**63, b""))
    assert await store.checkpoint() == Checkpoint(2**63, b"")
    assert await store.counts() == {}


@st.composite
def any_batches(draw: st.DrawFn) -> pa.RecordBatch:
    """Up to six rows of every type, with distinct identities."""
    # InfluxDB's timestamps are time + seq, so they end a little earlier.
    identity = st.tuples(st.integers(ALL[0], ALL[1] - 1 - 65535), st.integers(0, 65535))
    identities = draw(st.lists(identity, min_size=1, max_size=6, unique=True))
    n = len(identities)
    columns: dict[str, pa.Array[Any]] = {
        "time": times([time for time, _ in identities]),
        "seq": pa.array([seq for _, seq in identities], pa.uint16()),
    }
    for field in SCHEMA:
        if field.name not in columns:
            column = draw(st.lists(st.none() | values_of(field.type), min_size=n, max_size=n))
            columns[field.name] = times(column) if pa.types.is_timestamp(field.type) else pa.array(column, field.type)
    return pa.RecordBatch.from_pydict(columns, schema=SCHEMA)


@shared_store
@given(rows=any_batches())
async def test_every_value_comes_back_as_it_was(store: Store, keeps: Keeps, rows: pa.RecordBatch) -> None:
    container = next(containers)
    await store.append(power(rows, container=container), NOWHERE)
    assert same(await store.rows("luna26", container, *ALL), sorted_rows(keeps(rows)))


async def test_times_three_centuries_apart_come_back_in_order(store: Store) -> None:
    """int64 doesn't hold their difference."""
    rows = random_batch(2, seed=1).set_column(0, SCHEMA.field("time"), times([3, ALL[0]]))
    await store.append(power(rows), NOWHERE)
    found = (await store.rows("luna26", "Power", *ALL)).column("time").cast(pa.int64()).to_pylist()
    assert found == [ALL[0], 3]


@pytest.mark.parametrize("size", [1, 2, 1000, 2048, 5000, 100_000])
async def test_batches_of_all_sizes(store: Store, keeps: Keeps, size: int) -> None:
    rows = random_batch(size, seed=size)
    await store.append(power(rows), NOWHERE)
    assert same(await store.rows("luna26", "Power", *ALL), keeps(rows))
    assert await store.counts() == {("luna26", "Power"): Count(size, 0, 0, dropped(rows, keeps))}


async def test_a_window_is_half_open(store: Store) -> None:
    await store.append(power(random_batch(4, seed=1)), NOWHERE)
    window = await store.rows("luna26", "Power", T0 + MS, T0 + 3 * MS)
    assert window.column("time").cast(pa.int64()).to_pylist() == [T0 + MS, T0 + 2 * MS]


async def test_missions_and_containers_are_apart(store: Store) -> None:
    """XTCE names are case-sensitive; words of SQL and of the database's own catalogue are names like any other."""
    keys = [
        ("luna26", "Power"), ("luna26", "power"), ("LUNA26", "Power"), ("main", "Power"), ("ground", "checkpoint"),
        ("luna26", "select"), ("luna-26", "Packet_40"), ('a"b', 'c"; DROP TABLE d'),
    ]  # fmt: skip
    rows = {key: batch([T0], [i], value=pa.array([i])) for i, key in enumerate(keys)}
    await store.append([Rows(*key, one) for key, one in rows.items()], NOWHERE)
    for key, one in rows.items():
        assert same(await store.rows(*key, *ALL), one), key
    assert set(await store.containers("luna26")) == {"Power", "power", "select"}


async def test_parameters_differ_by_case(store: Store) -> None:
    columns = {
        name: pa.array([i], pa.int8()) for i, name in enumerate(["Time", "mode", "Mode", "MODE", "order", "a-b"])
    }
    await store.append(power(batch([T0], [0], **columns)), NOWHERE)
    await store.append(power(batch([T0 + 1], [1], mODE=pa.array([9], pa.int8()), **columns)), NOWHERE)
    stored = await store.rows("luna26", "Power", *ALL)
    assert [stored[name].to_pylist() for name in columns] == [[i, i] for i in range(6)]
    assert stored["mODE"].to_pylist() == [None, 9]
    last = await store.last("luna26", ["Power/MODE", "Power/Time"])
    assert last["last"].to_pylist() == [3.0, 0.0]


# Repetition


@st.composite
def arrivals(draw: st.DrawFn) -> list[list[tuple[int, int]]]:
    """Batches of (time, seq) from so few that they repeat within and between batches, in any order."""
    identity = st.tuples(st.integers(0, 5), st.integers(0, 2))
    return draw(st.lists(st.lists(identity, min_size=1, max_size=8), min_size=1, max_size=5))


@shared_store
@given(arriving=arrivals(), together=st.booleans())
async def test_a_row_is_stored_once(store: Store, arriving: list[list[tuple[int, int]]], together: bool) -> None:
    container = next(containers)
    serial = itertools.count()
    first: dict[tuple[int, int], int] = {}
    batches = []
    for identities in arriving:
        values = [next(serial) for _ in identities]
        for identity, value in zip(identities, values, strict=True):
            first.setdefault(identity, value)
        time, seq = zip(*identities, strict=True)
        batches.append(batch([T0 + t for t in time], seq, value=pa.array(values)))
    for call in [batches] if together else [[one] for one in batches]:
        await store.append(power(*call, container=container), NOWHERE)
    stored = await store.rows("luna26", container, *ALL)
    expected = sorted((T0 + time, seq, value) for (time, seq), value in first.items())
    found = [stored["time"].cast(pa.int64()), stored["seq"], stored["value"]]
    assert list(zip(*(column.to_pylist() for column in found), strict=True)) == expected
    total = sum(map(len, arriving))
    assert (await store.counts())["luna26", container] == Count(len(first), total - len(first))


async def test_repetition_is_known_after_closing(open_store: OpenStore, keeps: Keeps) -> None:
    rows, more = random_batch(2000, seed=1), random_batch(20, 2, T0 + 1995 * MS)
    nonfinite = dropped(rows, keeps)
    async with open_store() as store:
        await store.append(power(rows), Checkpoint(1, b""))
        await store.append(power(rows.slice(500, 100)), Checkpoint(2, b""))
    async with open_store() as store:
        assert await store.counts() == {("luna26", "Power"): Count(2000, 100, 0, nonfinite)}
        await store.append(power(rows.slice(1990), more), Checkpoint(3, b""))
        nonfinite += dropped(more.slice(5), keeps)
        assert await store.counts() == {("luna26", "Power"): Count(2015, 115, 0, nonfinite)}


def dropped(rows: pa.RecordBatch, keeps: Keeps) -> int:
    """How many values became nulls in the store."""
    return sum(column.null_count for column in keeps(rows).columns) - sum(column.null_count for column in rows.columns)


# Schemas that change


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
        await store.append(power(v1, v2), NOWHERE)
        await store.append(power(batch([T0 + 2], [2], a=pa.array([3], pa.int8()))), NOWHERE)
    async with open_store() as store:
        stored = await store.rows("luna26", "Power", *ALL)
        assert stored.schema.names == ["time", "ert", "seq", "a", "b"]
        assert stored["a"].to_pylist() == [1, 2, 3]
        assert stored["b"].to_pylist() == [None, "two", None]
        assert stored.schema.field("b").metadata == {b"unit": b"W"}


async def test_a_changed_type_is_refused_and_nothing_of_the_call_is_stored(store: Store) -> None:
    await store.append(power(batch([T0], [0], a=pa.array([1], pa.int8()))), Checkpoint(1, b"one"))
    bad = batch([T0 + 2], [2], a=pa.array([1.5]), b=pa.array([1]))
    good = batch([T0 + 1], [1], a=pa.array([1], pa.int8()))
    with pytest.raises(StoreError, match=r"luna26/Power: column a is stored as int8 and arrived as double"):
        await store.append([*power(good, container="Thermal"), *power(good, bad)], Checkpoint(2, b"two"))
    assert await store.checkpoint() == Checkpoint(1, b"one")
    assert await store.counts() == {("luna26", "Power"): Count(1, 0)}
    await store.append(power(good), Checkpoint(2, b"two"))
    assert await store.counts() == {("luna26", "Power"): Count(2, 0)}
    assert (await store.containers("luna26"))["Power"].names == ["time", "ert", "seq", "a"]


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        (pa.RecordBatch.from_pydict({"time": [1]}), "column time should be there as timestamp"),
        (batch([T0], [0], a=pa.array([None])), "column a has the type null"),
        (
            pa.RecordBatch.from_arrays([*batch([T0], [0]).columns, *[pa.array([1])] * 2], [*IDENTITY.names, "a", "a"]),
            "column a is there twice",
        ),
    ],
)
async def test_a_batch_that_cannot_be_stored_names_its_column(store: Store, rows: pa.RecordBatch, what: str) -> None:
    with pytest.raises(StoreError, match=f"luna26/Power: {what}"):
        await store.append(power(rows), NOWHERE)
    assert await store.checkpoint() is None


async def test_a_closed_store_says_so(open_store: OpenStore) -> None:
    async with open_store() as store:
        pass
    with pytest.raises(StoreError, match="not open"):
        await store.append([], NOWHERE)
    with pytest.raises(StoreError, match="not open"):
        await store.checkpoint()
    await store.close()
