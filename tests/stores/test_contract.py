"""The store contract. Runs on every store; see ``open_store`` in conftest.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ground.errors import StoreError
from ground.stores import Checkpoint, Count, Rows
from ground.stores.longtable import HISTORY, IDENTITY, LATEST
from tests.stores.examples import ALL, containers, dropped, power, put, shared_store, sorted_rows, values_of
from tests.stores.telemetry import MS, SCHEMA, T0, batch, random_batch, same, times

if TYPE_CHECKING:
    from ground.stores import Store
    from tests.stores.conftest import Keeps, OpenStore


async def test_an_empty_store_answers_with_nothing(store: Store) -> None:
    assert await store.checkpoint("luna26") is None
    assert await store.counts("luna26") == {}
    assert await store.containers("luna26") == {}
    history = await store.history("luna26", ["Power/voltage", "nonsense"], 0, 10, 5)
    assert history.table.equals(HISTORY.empty_table())
    assert (history.through, history.width) == (0, 2)
    assert (await store.last("luna26", ["Power/voltage"])).equals(LATEST.empty_table())
    assert (await store.rows("luna26", "Power", *ALL)).equals(IDENTITY.empty_table())


async def test_rows_and_checkpoint_survive_closing(open_store: OpenStore) -> None:
    rows = random_batch(3, seed=1)
    async with open_store() as store:
        await put(store, power(rows), Checkpoint(7, b"\x00state\xff"))
    async with open_store() as store:
        assert await store.checkpoint("luna26") == Checkpoint(7, b"\x00state\xff")
        assert await store.counts("luna26") == {"Power": Count(3, 0)}
        schemas = await store.containers("luna26")
        assert list(schemas) == ["Power"]
        assert schemas["Power"].equals(SCHEMA, check_metadata=True)
        assert await store.containers("tianwen1") == {}
        assert same(await store.rows("luna26", "Power", *ALL), rows)


async def test_a_checkpoint_moves_without_rows(store: Store) -> None:
    await put(store, [], Checkpoint(1, b"a"))
    await put(store, power(random_batch(0, seed=1)), Checkpoint(2**63, b""))
    assert await store.checkpoint("luna26") == Checkpoint(2**63, b"")
    assert await store.counts("luna26") == {}


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
        "digest": pa.array(draw(st.lists(values_of(pa.int64()), min_size=n, max_size=n)), pa.int64()),
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
    await put(store, power(rows, container=container))
    assert same(await store.rows("luna26", container, *ALL), sorted_rows(keeps(rows)))


async def test_times_three_centuries_apart_come_back_in_order(store: Store) -> None:
    """int64 doesn't hold their difference."""
    rows = random_batch(2, seed=1).set_column(0, SCHEMA.field("time"), times([3, ALL[0]]))
    await put(store, power(rows))
    found = (await store.rows("luna26", "Power", *ALL)).column("time").cast(pa.int64()).to_pylist()
    assert found == [ALL[0], 3]


@pytest.mark.parametrize("size", [1, 2, 1000, 2048, 5000, 100_000])
async def test_batches_of_all_sizes(store: Store, keeps: Keeps, size: int) -> None:
    rows = random_batch(size, seed=size)
    await put(store, power(rows))
    assert same(await store.rows("luna26", "Power", *ALL), keeps(rows))
    assert await store.counts("luna26") == {"Power": Count(size, 0, nonfinite=dropped(rows, keeps))}


async def test_a_window_is_half_open(store: Store) -> None:
    await put(store, power(random_batch(4, seed=1)))
    window = await store.rows("luna26", "Power", T0 + MS, T0 + 3 * MS)
    assert window.column("time").cast(pa.int64()).to_pylist() == [T0 + MS, T0 + 2 * MS]


async def test_missions_and_containers_are_apart(store: Store) -> None:
    """XTCE names are case-sensitive; words of SQL and of the database's own catalogue are names like any other."""
    keys = [
        ("luna26", "Power"), ("luna26", "power"), ("LUNA26", "Power"), ("main", "Power"), ("ground", "checkpoint"),
        ("luna26", "select"), ("luna-26", "Packet_40"), ('a"b', 'c"; DROP TABLE d'),
    ]  # fmt: skip
    rows = {key: batch([T0], [i], value=pa.array([i])) for i, key in enumerate(keys)}
    for key, one in rows.items():
        await put(store, [Rows(*key, one)])
    for key, one in rows.items():
        assert same(await store.rows(*key, *ALL), one), key
    assert set(await store.containers("luna26")) == {"Power", "power", "select"}


async def test_parameters_differ_by_case(store: Store) -> None:
    columns = {
        name: pa.array([i], pa.int8()) for i, name in enumerate(["Time", "mode", "Mode", "MODE", "order", "a-b"])
    }
    await put(store, power(batch([T0], [0], **columns)))
    await put(store, power(batch([T0 + 1], [1], mODE=pa.array([9], pa.int8()), **columns)))
    stored = await store.rows("luna26", "Power", *ALL)
    assert [stored[name].to_pylist() for name in columns] == [[i, i] for i in range(6)]
    assert stored["mODE"].to_pylist() == [None, 9]
    last = await store.last("luna26", ["Power/MODE", "Power/Time"])
    assert last["last"].to_pylist() == [3.0, 0.0]


async def test_a_closed_store_says_so(open_store: OpenStore) -> None:
    async with open_store() as store:
        pass
    with pytest.raises(StoreError, match="not open"):
        await put(store, [])
    with pytest.raises(StoreError, match="not open"):
        await store.checkpoint("luna26")
    await store.close()
