"""A history from roll-ups is what it would be from the samples, whatever happened before."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ground.__main__ import main
from ground.stores import Checkpoint, History, Rows
from ground.stores.buckets import Buckets, Reduction
from ground.stores.influxdb import InfluxdbStore, append, history, rollups
from ground.stores.influxdb.minutes import MINUTE
from ground.stores.longtable import HISTORY, IDENTITY, TIME, Name, stack
from tests.services.influxdb import Influxdb, influxdb
from tests.stores.examples import put
from tests.stores.influxdb.appender import SECONDS, append_of
from tests.stores.telemetry import SCHEMA, T0, finite, random_batch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

__all__ = ["influxdb"]

ROOT = Path(__file__).parents[3]
SECOND = 10**9
POWER = ("luna26", "Power")
NAMES = [f"Power/{name}" for name in SCHEMA.names if name not in IDENTITY.names]


@pytest.fixture
def address(influxdb: Influxdb) -> Iterator[str]:
    with influxdb.bucket() as bucket:
        yield bucket


@asynccontextmanager
async def opened(address: str, influxdb: Influxdb, **settings: Any) -> AsyncIterator[InfluxdbStore]:
    store = await InfluxdbStore.open(address, influxdb.token, **settings)
    try:
        yield store
    finally:
        await store.close()


def rows_of(seconds: int, per_second: int = 1, seed: int = 1, near: float = 0.25) -> pa.RecordBatch:
    """Of every type, with nulls, NaN and infinities; ``near``: how many are just before a minute."""
    n = seconds * per_second
    rows = random_batch(n, seed)
    rng = np.random.default_rng(seed)
    time = T0 + np.arange(n) * (SECOND // per_second)
    late = rng.random(n) < near
    time[late] = np.maximum(time[late] // MINUTE * MINUTE - rng.integers(1, 60_000, np.count_nonzero(late)), T0)
    columns = {field.name: rows.column(field.name) for field in SCHEMA}
    columns["time"] = pa.array(np.sort(time)).cast(TIME)
    columns["seq"] = pa.array((np.arange(n) % 16384).astype(np.uint16))
    special = rng.choice([np.nan, np.inf, 1.5], n)
    columns["angle"] = pc.if_else(pa.array(rng.random(n) < 0.05), special, pa.array(rng.normal(size=n)))
    columns["voltage"] = pa.array(rng.normal(size=n).astype(np.float32), mask=rng.random(n) < 0.1)
    columns["mode"] = pa.array(rng.integers(0, 3, n).astype(np.uint8), mask=rng.random(n) < 0.2)
    columns["text"] = pa.array([("a", "b")[int(i)] for i in rng.random(n) < 0.01])
    return pa.RecordBatch.from_pydict(columns, schema=SCHEMA)


def expected(rows: pa.RecordBatch, window: tuple[int, int, int], step: int = MINUTE) -> pa.Table:
    """Made from all samples, here."""
    rows = finite(rows)
    tables = []
    for name in NAMES:
        reduction = Reduction(Name(*name.split("/")), SCHEMA.field(name.split("/")[1]), Buckets(*window, step))
        time, seq, digest = (rows.column(column).to_numpy() for column in ("time", "seq", "digest"))
        reduction.add(time.view(np.int64), seq, digest, rows.column(name.split("/")[1]))
        tables.append(reduction.finish())
    return stack(tables, HISTORY)


def assert_equal(found: History, table: pa.Table) -> None:
    assert len(found.table) == len(table)
    for name in HISTORY.names:
        one, other = found.table[name], table[name]
        if name == "mean":
            np.testing.assert_allclose(one.to_numpy(), other.to_numpy(), rtol=1e-6, atol=1e-6)
        else:
            assert one.equals(other), name


LONG = 9_000
WINDOWS = [
    (T0 - 7, T0 + 150 * MINUTE + 1, 25),
    (T0 + 17 * SECOND, T0 + 140 * MINUTE + 33 * SECOND, 75),
]


@pytest.fixture
def little_is_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "RAW", 50)


async def check(store: InfluxdbStore, rows: pa.RecordBatch, *, rollup: int = MINUTE) -> None:
    for window in WINDOWS:
        found = await store.history("luna26", NAMES, *window)
        assert found.rollup == rollup
        assert_equal(found, expected(rows, window, rollup or 1))


@pytest.mark.usefixtures("little_is_many")
async def test_history_from_roll_ups_is_history_from_samples(influxdb: Influxdb, address: str) -> None:
    rows = rows_of(LONG)
    async with opened(address, influxdb) as store:
        for first in range(0, LONG, 700):
            await put(store, [Rows(*POWER, rows.slice(first, 700))], Checkpoint(first, b""))
            if first % 2:
                await store.roll_up()
        await store.roll_up()
        await check(store, rows)
        narrow = await store.history("luna26", NAMES, T0, T0 + 10 * MINUTE, 11)
        assert (narrow.rollup, narrow.width) == (0, -(-10 * MINUTE // 11))
    async with opened(address, influxdb, rollups=False) as store:
        found = await store.history("luna26", NAMES, *WINDOWS[0])
        assert (found.rollup, found.width) == (0, -(-(150 * MINUTE + 8) // 25))


@pytest.mark.parametrize("reopened", [False, True])
@pytest.mark.parametrize("reduced", ["here", "by the server"])
async def test_late_rows_make_their_minutes_dirty(
    influxdb: Influxdb, address: str, reopened: bool, reduced: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "RAW", 50 if reduced == "by the server" else 3_000)
    rows = rows_of(LONG, near=0.25 if reduced == "here" else 0)
    late = np.zeros(LONG, np.bool_)
    for first, last in [(0, 10), (833, 834), (2_000, 2_600), (7_000, 7_050)]:
        late[first:last] = True
    late |= np.random.default_rng(4).random(LONG) < 0.0005
    async with opened(address, influxdb) as store:
        await put(store, [Rows(*POWER, rows.filter(pa.array(~late)))], Checkpoint(1, b""))
        await store.roll_up()
        await check(store, rows.filter(pa.array(~late)))
        if not reopened:
            await put(store, [Rows(*POWER, rows.filter(pa.array(late)))], Checkpoint(2, b""))
            await check(store, rows)
            await store.roll_up()
            await check(store, rows)
    async with opened(address, influxdb) as store:
        await put(store, [Rows(*POWER, rows.filter(pa.array(late)))], Checkpoint(3, b""))
        await check(store, rows)
        await store.roll_up()
        await check(store, rows)


@pytest.mark.usefixtures("little_is_many")
@pytest.mark.parametrize("values", [200_000, 2_000])
async def test_all_made_anew_by_reading(
    influxdb: Influxdb, address: str, values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollups, "_READ", values)
    rows = rows_of(4_000, 5)
    window = (T0, T0 + 60 * MINUTE, 30)
    async with opened(address, influxdb) as store:
        await put(store, [Rows(*POWER, rows)], Checkpoint(1, b""))
        await store.roll_up()
        await store.spoil_rollups()
        found = await store.history("luna26", NAMES, *window)
        assert found.rollup == 0
    monkeypatch.setenv("INFLUXDB_TOKEN", influxdb.token)
    assert await asyncio.to_thread(main, ["influx", "roll-up", "--store", address]) == 0
    async with opened(address, influxdb) as store:
        found = await store.history("luna26", NAMES, *window)
        assert found.rollup == MINUTE
        assert_equal(found, expected(rows, window))


async def test_many_rows_of_one_time(influxdb: Influxdb, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that stands still: where the rows of one time are cut, more of that time may follow."""
    monkeypatch.setattr(rollups, "_READ", 800)
    n = 3_000
    rows = rows_of(n)
    time = T0 + np.repeat(np.arange(3) * 50 * SECOND, n // 3)
    rows = rows.set_column(0, "time", pa.array(time).cast(TIME))
    rows = pa.RecordBatch.from_arrays(rows.columns, schema=SCHEMA)
    async with opened(address, influxdb) as store:
        await put(store, [Rows(*POWER, rows), Rows("luna26", "Now", rows_of(600))], Checkpoint(1, b""))
        await store.spoil_rollups()
        await store.roll_up()
        monkeypatch.setattr(history, "RAW", 50)
        window = (T0, T0 + 4 * MINUTE, 2)
        found = await store.history("luna26", NAMES, *window)
        assert found.rollup == MINUTE
        assert_equal(found, expected(rows, window))


@pytest.mark.usefixtures("little_is_many")
async def test_rows_that_the_server_refuses_are_in_no_roll_up(influxdb: Influxdb, address: str) -> None:
    rows = rows_of(7_200)
    refused = pa.array(["y" * 1_100_000 if i == 3_000 else "a" for i in range(7_200)])
    sent = rows.set_column(SCHEMA.get_field_index("text"), SCHEMA.field("text"), refused)
    stored = pa.concat_batches([sent.slice(0, 3_000), sent.slice(3_001)])  # type: ignore[attr-defined]
    window = (T0, T0 + 110 * MINUTE, 50)
    async with opened(address, influxdb) as store:
        with pytest.warns(ResourceWarning, match="large body"):
            await put(store, [Rows(*POWER, sent)], Checkpoint(1, b""))
        await store.roll_up()
        found = await store.history("luna26", NAMES, *window)
        assert found.rollup == MINUTE
        assert_equal(found, expected(stored, window))


@pytest.mark.usefixtures("little_is_many")
@pytest.mark.parametrize("wide", [pa.uint16(), pa.float64()], ids=str)
async def test_a_parameter_that_is_widened(influxdb: Influxdb, address: str, wide: pa.DataType) -> None:
    """In the same field, or, where InfluxDB has another type for it, in a second one."""
    n = 7_200
    values = pa.array(np.random.default_rng(1).integers(0, 255, n), pa.uint8())
    rows = rows_of(n)
    index = SCHEMA.get_field_index("u8")
    narrow = rows.set_column(index, pa.field("u8", pa.uint8()), values)
    changed = rows.set_column(index, pa.field("u8", wide), values.cast(wide))
    window = (T0, T0 + 110 * MINUTE, 50)
    reduction = Reduction(Name("Power", "u8"), pa.field("u8", wide), Buckets(*window, MINUTE))
    time, seq, digest = (rows.column(column).to_numpy() for column in ("time", "seq", "digest"))
    reduction.add(time.view(np.int64), seq, digest, changed.column("u8"))
    table = reduction.finish()
    async with opened(address, influxdb) as store:
        for position, part in enumerate([narrow.slice(0, 3_610), changed.slice(3_610, 90), narrow.slice(3_700)]):
            await put(store, [Rows(*POWER, part)], Checkpoint(position, b""))
            if position != 1:
                await store.roll_up()
        found = await store.history("luna26", ["Power/u8", "Power/text"], *window)
        assert found.rollup == MINUTE
        assert found.table.filter(pc.field("parameter") == "Power/u8").num_rows == len(table)
        assert_equal(await store.history("luna26", ["Power/u8"], *window), table)
    async with opened(address, influxdb, rollups=False) as store:
        found = await store.history("luna26", ["Power/u8"], *window)
        assert pc.sum(found.table["count"]) == pc.sum(table["count"])
        last = await store.last("luna26", ["Power/u8"])
        assert last["last"].to_pylist() == [float(values[-1].as_py())]


@pytest.mark.usefixtures("little_is_many")
async def test_they_are_made_without_being_asked_for(
    influxdb: Influxdb, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(append, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(append, "QUIET", 0.1)
    async with opened(address, influxdb) as store:
        await put(store, [Rows(*POWER, rows_of(LONG))], Checkpoint(1, b""))
        async with asyncio.timeout(60):
            while not (await store.history("luna26", NAMES, *WINDOWS[0])).rollup:
                await asyncio.sleep(0.05)
        await check(store, rows_of(LONG))


@pytest.mark.usefixtures("little_is_many")
async def test_kill_9_at_any_moment_leaves_no_roll_up_that_is_stale(influxdb: Influxdb, address: str) -> None:
    """The process appends late rows and makes roll-ups all the time; it is killed and started again."""
    environment = {**os.environ, "INFLUXDB_TOKEN": influxdb.token}
    command = (sys.executable, "-m", "tests.stores.influxdb.appender", address)
    window = (T0, T0 + SECONDS * SECOND, 10)
    for _ in range(6):
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout
        await process.stdout.readline()
        await asyncio.sleep(random.uniform(0, 1))
        process.kill()
        await process.communicate()
        async with opened(address, influxdb) as store:
            for made_again in (False, True):
                if made_again:
                    await store.roll_up()
                else:
                    checkpoint = await store.checkpoint("luna26")
                    await store.append(*append_of(checkpoint.position if checkpoint else 0))
                rows = await store.rows(*POWER, *WINDOWS[0][:2])
                found = await store.history("luna26", ["Power/a"], *window)
                reduction = Reduction(Name("Power", "a"), rows.schema.field("a"), Buckets(*window, found.rollup or 1))
                time, seq = rows["time"].to_numpy().view(np.int64), rows["seq"].to_numpy()
                reduction.add(time, seq, rows["digest"].to_numpy(), rows["a"].combine_chunks())
                assert_equal(found, reduction.finish())
            assert found.rollup == MINUTE
