"""What is DuckDB's own: one file, one process, disks that fill up, queries that take too long."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from ground.errors import StoreError
from ground.stores import Checkpoint, Count, Rows
from ground.stores.duckdb import FILE, DuckdbStore
from tests.stores.telemetry import MS, T0, batch, random_batch, same

ROOT = Path(__file__).parents[3]
ALL = (-(2**63) + 2, 2**63 - 1)


async def appender(folder: Path) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "tests.stores.duckdb.appender", str(folder))
    return await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)


async def test_a_second_process_is_told_who_holds_the_file(tmp_path: Path) -> None:
    other = await appender(tmp_path)
    try:
        assert other.stdout
        await other.stdout.readline()
        with pytest.raises(StoreError, match=rf"{FILE} is in use by process {other.pid}; ground up runs"):
            await DuckdbStore.open(tmp_path)
    finally:
        other.kill()
        await other.communicate()
    store = await DuckdbStore.open(tmp_path)
    await store.close()


async def test_a_second_store_in_the_process_is_refused(tmp_path: Path) -> None:
    store = await DuckdbStore.open(tmp_path)
    with pytest.raises(StoreError, match="is open in this process already"):
        await DuckdbStore.open(tmp_path / "." / "x" / "..")
    await store.close()
    await (await DuckdbStore.open(tmp_path)).close()


async def test_nothing_durable_is_lost_or_doubled_by_kill(tmp_path: Path) -> None:
    for _ in range(4):
        process = await appender(tmp_path)
        assert process.stdout
        first = await process.stdout.readline()
        await asyncio.sleep(random.uniform(0, 2))
        process.kill()
        printed, _ = await process.communicate()
        last = max(int(line) for line in [first, *printed.splitlines(keepends=True)] if line.endswith(b"\n"))
        store = await DuckdbStore.open(tmp_path)
        checkpoint = await store.checkpoint("luna26")
        assert checkpoint
        assert checkpoint.position >= last
        assert checkpoint.state == str(checkpoint.position).encode()
        for container in "AB":
            times = (await store.rows("luna26", container, *ALL))["time"].cast(pa.int64()).to_numpy()
            assert np.array_equal(times, T0 + np.arange(checkpoint.position))
        assert (await store.entries("luna26", "event"))[0].position == checkpoint.position
        await store.close()


def test_a_full_disk_loses_nothing_and_is_recovered_from(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk; it strikes in the log and in the folding of the log."""
    script = """
        import asyncio, resource, signal, sys
        from pathlib import Path
        from ground.errors import StoreError
        from ground.stores import Checkpoint, Count, Rows
        from ground.stores.duckdb import DuckdbStore
        from tests.stores.telemetry import MS, T0, random_batch

        def limit(octets):
            resource.setrlimit(resource.RLIMIT_FSIZE, (octets, resource.RLIM_INFINITY))

        async def main():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            store = await DuckdbStore.open(Path(sys.argv[1]))
            refused = 0
            for i in range(30):
                if i % 10 == 5:
                    limit(int(sys.argv[2]))
                rows = [Rows("luna26", "Power", random_batch(20_000, i, T0 + i * 20_000 * MS))]
                try:
                    await store.append("luna26", rows, [], Checkpoint(i + 1, b""))
                except StoreError as error:
                    refused += 1
                    limit(resource.RLIM_INFINITY)
                    await store.append("luna26", rows, [], Checkpoint(i + 1, b""))
                assert (await store.checkpoint("luna26")).position == i + 1
                limit(resource.RLIM_INFINITY) if i % 10 == 9 else None
            assert await store.counts("luna26") == {"Power": Count(30 * 20_000, 0)}, await store.counts("luna26")
            await store.close()
            print(refused)

        asyncio.run(main())
    """
    for octets in (3_000_000, 18_000_000):
        folder = tmp_path / str(octets)
        command = [sys.executable, "-W", "error", "-c", textwrap.dedent(script), str(folder), str(octets)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert int(done.stdout) > 0


async def test_a_query_is_given_up_in_time_and_the_store_goes_on(tmp_path: Path) -> None:
    store = await DuckdbStore.open(tmp_path, time_limit=0.05)
    rows = random_batch(1000, seed=1)
    await store.append("luna26", [Rows("luna26", "Power", rows)], [], Checkpoint(1, b""))

    def endless(cursor: duckdb.DuckDBPyConnection) -> None:
        cursor.execute("SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range = -b.range").fetchall()

    with pytest.raises(StoreError, match=r"no answer within 0\.05 s"):
        await store._read(endless)
    store._time_limit = 1000
    query = asyncio.create_task(store._read(endless))
    await asyncio.sleep(0.1)
    await store.append(
        "luna26", [Rows("luna26", "Power", random_batch(1000, 2, T0 + 1000 * MS))], [], Checkpoint(2, b"")
    )
    query.cancel()
    with pytest.raises(asyncio.CancelledError):
        await query
    assert same(await store.rows("luna26", "Power", T0, T0 + 1000 * MS), rows)
    await store.close()


async def test_queries_that_wait_do_not_hold_up_an_append(tmp_path: Path) -> None:
    store = await DuckdbStore.open(tmp_path)

    def sleep(_: duckdb.DuckDBPyConnection) -> None:
        time.sleep(0.5)

    queries = [asyncio.create_task(store._read(sleep)) for _ in range(6)]
    await store.append("luna26", [Rows("luna26", "Power", random_batch(10, seed=1))], [], Checkpoint(1, b""))
    assert not any(query.done() for query in queries[2:])
    await asyncio.gather(*queries)
    await store.close()


async def test_the_file_is_plain_sql(tmp_path: Path) -> None:
    """A schema for each mission, a table for each container, times in UTC: any DuckDB client reads it."""
    store = await DuckdbStore.open(tmp_path)
    await store.append(
        "luna26",
        [Rows("luna26", "Power", batch([T0], [7], battery=pa.array([28.5], pa.float32())))],
        [],
        Checkpoint(1, b""),
    )
    await store.append(
        "luna26",
        [Rows("luna26", "Power", batch([T0], [7], battery=pa.array([0], pa.float32())))],
        [],
        Checkpoint(2, b""),
    )
    assert await store.counts("luna26") == {"Power": Count(1, 1)}
    await store.close()
    assert not (tmp_path / f"{FILE}.wal").exists()
    with duckdb.connect(tmp_path / FILE, read_only=True) as plain:
        found = plain.execute("SELECT time::VARCHAR, seq, battery FROM luna26.Power").fetchall()
    assert found == [("2020-11-24 00:00:00", 7, 28.5)]
