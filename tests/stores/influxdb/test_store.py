"""What only the InfluxDB store does, on a real server; what every store does is in test_contract.py."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from ground.errors import StoreError
from ground.stores import Checkpoint, Count, Rows
from ground.stores.influxdb import InfluxdbStore, history
from ground.stores.longtable import TIME
from tests.services.influxdb import Influxdb, Process, influxd, influxdb
from tests.stores.examples import put
from tests.stores.telemetry import MS, SCHEMA, T0, batch, random_batch, same, times

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

__all__ = ["influxd", "influxdb"]

NOWHERE = Checkpoint(0, b"")
POWER = ("luna26", "Power")
ALL = (-(2**63) + 2, 2**63 - 1)


@pytest.fixture
def address(influxdb: Influxdb) -> Iterator[str]:
    with influxdb.bucket() as bucket:
        yield bucket


@asynccontextmanager
async def opened(address: str, token: str, **settings: Any) -> AsyncIterator[InfluxdbStore]:
    store = await InfluxdbStore.open(address, token, **settings)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(influxdb: Influxdb, address: str) -> AsyncIterator[InfluxdbStore]:
    async with opened(address, influxdb.token) as store:
        yield store


def finite_batch(rows: int, seed: int = 1) -> pa.RecordBatch:
    """Of every type, with floats that InfluxDB has and a float64 can sum."""
    table = random_batch(rows, seed)
    rng = np.random.default_rng(seed)
    for name in ("voltage", "angle"):
        index = table.schema.get_field_index(name)
        values = pa.array(rng.normal(size=rows), table.schema.field(name).type, mask=rng.random(rows) < 0.1)
        table = table.set_column(index, table.schema.field(name), values)
    return table


async def test_what_is_not_finite_is_null_and_counted(store: InfluxdbStore) -> None:
    values = pa.array([1.5, math.nan, math.inf, -math.inf, None], pa.float32())
    await put(store, [Rows(*POWER, batch(range(T0, T0 + 5), range(5), v=values))], NOWHERE)
    stored = await store.rows(*POWER, *ALL)
    assert stored["v"].to_pylist() == [1.5, None, None, None, None]
    await put(store, [Rows(*POWER, batch([T0 + 9], [9], v=pa.array([1.0], pa.float32())))], NOWHERE)
    assert (await store.counts("luna26"))["Power"] == Count(6, 0, nonfinite=3)


async def test_missions_may_give_one_parameter_different_types(influxdb: Influxdb, address: str) -> None:
    """InfluxDB has one type for a field of a measurement, and would drop the points of the second mission."""
    columns: dict[str, pa.Array[Any]] = {
        "a": pa.array([1, 2], pa.int8()),
        "b": pa.array([1.5, 2.5]),
        "c": pa.array(["x", None]),
        "d": pa.array([2**64 - 1, 0], pa.uint64()),
        "e": pa.array([7, 8], pa.int64()),
    }
    rows = {
        mission: batch([T0, T0 + 1], [0, 1], mode=column, load=pa.array([1.5, 2.5]))
        for mission, column in columns.items()
    }
    async with opened(address, influxdb.token) as store:
        for mission in "ab":
            await put(store, [Rows(mission, "Power", rows[mission])], NOWHERE)
    async with opened(address, influxdb.token) as store:
        await asyncio.gather(*(put(store, [Rows(mission, "Power", rows[mission])], NOWHERE) for mission in "cdae"))
        for mission, one in rows.items():
            assert same(await store.rows(mission, "Power", *ALL), one), mission
            last = await store.last(mission, ["Power/load", "Power/mode"])
            assert last["parameter"].to_pylist() == ["Power/load", "Power/mode"]
        counts = {mission: (await store.counts(mission))["Power"] for mission in rows}
        assert counts == dict.fromkeys("bcde", Count(2, 0)) | {"a": Count(2, 2)}


async def test_names_that_influxdb_uses_itself(store: InfluxdbStore) -> None:
    names = ["mission", "twin", "_field", "_measurement", "_value", "_time", "name", "tags", "pieces", "a b,c=d"]
    one = batch([T0], [1], **{name: pa.array([i]) for i, name in enumerate(names)})
    await put(store, [Rows("_m", container, one) for container in ("_start", "mission")], NOWHERE)
    for container in ("_start", "mission"):
        assert same(await store.rows("_m", container, *ALL), one)
        last = await store.last("_m", [f"{container}/{name}" for name in names])
        assert last["last"].to_pylist() == list(range(len(names)))
        history = await store.history("_m", [f"{container}/{name}" for name in names], T0, T0 + 1, 1)
        assert history.table["last"].to_pylist() == list(range(len(names)))


async def test_text_of_any_length_is_stored_or_counted(store: InfluxdbStore) -> None:
    texts = ["x" * 70_000, "y" * 1_100_000, "z"]
    rows = batch([T0, T0 + 1, T0 + 2], [0, 1, 2], text=pa.array(texts))
    with pytest.warns(ResourceWarning, match="large body"):
        await put(store, [Rows(*POWER, rows)], NOWHERE)
    assert (await store.rows(*POWER, *ALL))["text"].to_pylist() == [texts[0], texts[2]]
    assert (await store.counts("luna26"))["Power"] == Count(2, 0, refused=1)


async def test_rows_beyond_retention_are_counted_and_the_others_stored(influxdb: Influxdb) -> None:
    now = time.time_ns()
    rows = batch([T0, now, T0 + 1, now + 1], range(4), a=pa.array(range(4)))
    with influxdb.bucket(retention_s=7 * 86_400) as address:
        async with opened(address, influxdb.token) as store:
            await put(store, [Rows(*POWER, rows)], Checkpoint(3, b"s"))
            assert (await store.rows(*POWER, *ALL))["a"].to_pylist() == [1, 3]
            assert await store.counts("luna26") == {"Power": Count(2, 0, refused=2)}
            assert await store.checkpoint("luna26") == Checkpoint(3, b"s")


async def test_times_that_influxdb_has_no_timestamp_for(store: InfluxdbStore) -> None:
    rows = batch([ALL[0], 0], [0, 1], a=pa.array([1, 2]))
    rows = rows.set_column(0, "time", times([ALL[0], 2**63 - 2]))
    await put(store, [Rows(*POWER, rows)], NOWHERE)
    assert (await store.rows(*POWER, *ALL))["a"].to_pylist() == [1]
    assert (await store.counts("luna26"))["Power"] == Count(1, 0, refused=1)


async def test_gzip(influxdb: Influxdb, address: str) -> None:
    rows = finite_batch(1000)
    async with opened(address, influxdb.token, gzip=True) as store:
        await put(store, [Rows(*POWER, rows)], NOWHERE)
        assert same(await store.rows(*POWER, *ALL), rows)


async def test_a_large_state_comes_back(store: InfluxdbStore) -> None:
    for size in (300_000, 5):  # the second, smaller one is written over the first
        state = np.random.default_rng(size).bytes(size)
        await put(store, [], Checkpoint(size, state))
        assert await store.checkpoint("luna26") == Checkpoint(size, state)


@pytest.mark.parametrize("buckets", [1, 7, 100, 2000])
async def test_the_server_reduces_as_we_do(store: InfluxdbStore, buckets: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = finite_batch(3000)
    few = pa.array([i if i % 100 == 0 else None for i in range(3000)], pa.int32())
    rows = rows.append_column("few", few)
    await put(store, [Rows(*POWER, rows)], NOWHERE)
    names = [f"Power/{name}" for name in rows.schema.names[4:]]
    window = (T0 - 5 * MS, T0 + 2995 * MS, buckets)
    ours = (await store.history("luna26", names, *window)).table
    monkeypatch.setattr(history, "RAW", 100)
    theirs = (await store.history("luna26", names, *window)).table
    for name in ours.schema.names:
        left, right = (table[name].cast(pa.int64()) if name == "time" else table[name] for table in (ours, theirs))
        if name == "mean":
            one, other = ([math.nan if x is None else x for x in column.to_pylist()] for column in (left, right))
            np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-7)  # the digits of a float32 are good for no more
        else:
            assert left.to_pylist() == right.to_pylist(), name
    raw = dict(zip(theirs["parameter"].to_pylist(), theirs["raw"].to_pylist(), strict=True))
    assert raw["Power/few"] == (buckets >= 30)


@pytest.mark.parametrize("reopened", [False, True])
async def test_the_server_dies_in_the_middle_of_an_append(influxd: Process, reopened: bool) -> None:
    influxd.start()
    server = influxd.set_up()
    address = f"influxdb://{server.netloc}/{server.org}/first"
    before, rows = finite_batch(1000), finite_batch(60_000).slice(500)
    store = await InfluxdbStore.open(address, server.token, patience=0.3)
    await put(store, [Rows(*POWER, before)], Checkpoint(1, b"one"))
    appending = asyncio.create_task(put(store, [Rows(*POWER, rows)], Checkpoint(2, b"two")))
    await points_stored(server, 11_000)  # seen before they are in the log: of three requests, one is confirmed
    assert not appending.done()
    influxd.kill()
    with pytest.raises(StoreError, match=r"tried for 0\.3 s|Cannot connect|disconnected"):
        await appending
    with pytest.raises(StoreError, match="Cannot connect"):
        await store.checkpoint("luna26")
    influxd.start()
    if reopened:
        await store.close()
        store = await InfluxdbStore.open(address, server.token)
    assert await store.checkpoint("luna26") == Checkpoint(1, b"one")
    assert await store.counts("luna26") == {"Power": Count(1000, 0)}
    assert same(await store.rows(*POWER, *ALL), before)  # what the checkpoint doesn't cover isn't seen
    await points_stored(server, 5_000)
    await put(store, [Rows(*POWER, rows.slice(0, 20_000))], Checkpoint(2, b"two"))
    await put(store, [Rows(*POWER, rows.slice(19_000)), Rows(*POWER, before.slice(0, 10))], Checkpoint(3, b"three"))
    assert await store.counts("luna26") == {"Power": Count(60_000, 1_510)}
    stored = await store.rows(*POWER, *ALL)
    await store.close()
    assert same(stored, pa.concat_tables([pa.Table.from_batches([part]) for part in (before, rows.slice(500))]))


async def points_stored(server: Influxdb, enough: int) -> None:
    """Wait until so many points of the container lie in the bucket, checkpoint or not."""
    question = {"db": "first", "q": 'SELECT count("seq") FROM "Power"'}
    with server.api() as api:
        for _ in range(6000):
            answer = api.post("/query", data=question).raise_for_status().json()["results"][0]
            if "series" in answer and answer["series"][0]["values"][0][1] > enough:
                return
            await asyncio.sleep(0.01)
    raise AssertionError("no points arrived")


async def test_an_append_that_is_given_up_counts_right_afterwards(influxdb: Influxdb, address: str) -> None:
    """At whatever point it is given up, and again after another restart."""
    rows = finite_batch(30_000)
    async with opened(address, influxdb.token) as store:
        for tenths in itertools.chain(range(1, 8)):
            appending = asyncio.create_task(put(store, [Rows(*POWER, rows)], Checkpoint(1, b"")))
            await asyncio.wait({appending}, timeout=tenths / 20)
            appending.cancel()
            await asyncio.wait({appending})
            if not appending.cancelled():
                break
    async with opened(address, influxdb.token) as store:
        done = await store.checkpoint("luna26") is not None
        await put(store, [Rows(*POWER, rows)], Checkpoint(2, b""))
        assert await store.counts("luna26") == {"Power": Count(30_000, 30_000 if done else 0)}
        assert same(await store.rows(*POWER, *ALL), rows)


async def test_a_bucket_deleted_under_the_store(influxdb: Influxdb, address: str) -> None:
    rows = finite_batch(10)
    async with opened(address, influxdb.token, patience=0.2) as store:
        await put(store, [Rows(*POWER, rows)], Checkpoint(1, b""))
        name = address.rpartition("/")[2]
        with influxdb.api() as api:
            (bucket,) = api.get("/api/v2/buckets", params={"name": name}).json()["buckets"]
            api.delete(f"/api/v2/buckets/{bucket['id']}").raise_for_status()
            with pytest.raises(StoreError, match="ground influx setup"):
                await put(store, [Rows(*POWER, rows)], Checkpoint(2, b""))
            with pytest.raises(StoreError, match=name):
                await store.checkpoint("luna26")
            made = api.post("/api/v2/buckets", json={"name": name, "orgID": bucket["orgID"], "retentionRules": []})
        await put(store, [Rows(*POWER, rows)], Checkpoint(2, b""))
        assert await store.counts("luna26") == {"Power": Count(10, 0)}
        assert same(await store.rows(*POWER, *ALL), rows)
        with influxdb.api() as api:
            api.delete(f"/api/v2/buckets/{made.json()['id']}").raise_for_status()


async def test_wrong_credentials(influxdb: Influxdb, address: str) -> None:
    with pytest.raises(StoreError, match="INFLUXDB_TOKEN"):
        await InfluxdbStore.open(address, "wrong")
    with pytest.raises(StoreError, match="absent"):
        await InfluxdbStore.open(address.rpartition("/")[0] + "/absent", influxdb.token)


async def test_a_query_that_takes_too_long(influxdb: Influxdb, address: str) -> None:
    async with opened(address, influxdb.token) as store:
        await put(store, [Rows(*POWER, finite_batch(20_000))], NOWHERE)
    async with opened(address, influxdb.token, time_limit=0.05) as store:
        with pytest.raises(StoreError, match=r"no answer within 0\.05 s; ask for a shorter window"):
            await store.rows(*POWER, *ALL)


def test_the_schema_covers_every_type() -> None:
    """So that a new type of the contract meets this suite."""
    assert {field.type for field in SCHEMA} >= {pa.float32(), pa.uint64(), pa.bool_(), pa.string(), pa.binary(), TIME}


async def test_a_checkpoint_is_never_a_mixture_of_two(influxdb: Influxdb, address: str) -> None:
    """InfluxDB changes the fields of a point one after another before the eyes of those who read."""

    def state(position: int) -> bytes:
        return np.random.default_rng(position).bytes(1_000 * (position % 7) * 50)

    async def append() -> None:
        async with opened(address, influxdb.token) as writer:
            for position in range(60):
                await put(writer, [], Checkpoint(position, state(position)))

    appending = asyncio.create_task(append())
    seen = set()
    async with opened(address, influxdb.token) as reader:
        while not appending.done():
            if found := await reader.checkpoint("luna26"):
                assert found.state == state(found.position)
                seen.add(found.position)
    await appending
    assert len(seen) > 5
