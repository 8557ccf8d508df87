"""How fast telemetry goes into a real InfluxDB: the server alone, and through the store.

    python -m benchmarks.influxdb [--rows N] [--parameters N] [--step-ms N]

From one run on one server, in samples (values of parameters) per second:

* the raw write ceiling: lines encoded beforehand, two requests in flight;
* end to end: ``InfluxdbStore.append`` from Arrow batches to the confirmed checkpoint;
* the CPU time that this process spends per stored sample, of one core. The server's own CPU is not in it, but takes
  its part of the machine;
* what roll-ups add to that, made in two ways: of rows as they come, and of rows that are read again (as late ones
  are). How many they are for so many rows follows from the step between the rows.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from benchmarks.table import note
from ground.stores import Checkpoint, Rows
from ground.stores.influxdb import Address, InfluxdbStore, Server
from ground.stores.influxdb.container import unseen
from ground.stores.influxdb.points import Points
from ground.stores.longtable import TIME
from tests.services.influxdb import Process, binary

if TYPE_CHECKING:
    from tests.services.influxdb import Influxdb

APPEND = 20_000
"""Rows of an append, as the pipeline makes them under load."""

START = 1_830_297_600 * 10**9


def batches(rows: int, parameters: int, step: int) -> list[pa.RecordBatch]:
    """Rows of float32 parameters, ``step`` ns apart."""
    random = np.random.default_rng(26)
    made = []
    for first in range(0, rows, APPEND):
        n = min(APPEND, rows - first)
        number = np.arange(first, first + n)
        columns: dict[str, pa.Array[Any]] = {
            "time": pa.array(START + number * step).cast(TIME),
            "ert": pa.array(START + number * step + 10**9).cast(TIME),
            "seq": pa.array((number % 16384).astype(np.uint16)),
            "digest": pa.array(random.integers(-(2**63), 2**63 - 1, n)),
        }
        for name in range(parameters):
            columns[f"p{name}"] = pa.array(random.normal(0, 1000, n).astype(np.float32))
        made.append(pa.RecordBatch.from_pydict(columns))
    return made


async def ceiling(server: Influxdb, work: list[pa.RecordBatch]) -> float:
    """Seconds for lines that are encoded already."""
    container = unseen(("bench", "Ceiling")).grown(work[0].schema, [])
    ready = [
        piece.lines(container).text for batch in work for piece in Points.of(pa.Table.from_batches([batch]))[0].slices()
    ]
    client = Server(Address(f"http://{server.netloc}", server.org, "first"), server.token)
    lines = iter(ready)

    async def send() -> None:
        for text in lines:
            assert await client.write(text) == []

    begun = time.perf_counter()
    await asyncio.gather(send(), send())
    seconds = time.perf_counter() - begun
    await client.close()
    return seconds


async def through_the_store(
    server: Influxdb, work: list[pa.RecordBatch], container: str, *, rollups: bool
) -> tuple[float, float]:
    """Seconds, and seconds of CPU of this process; until the roll-ups are made, too, where they are."""
    address = f"influxdb://{server.netloc}/{server.org}/first"
    store = await InfluxdbStore.open(address, server.token, rollups=rollups)
    begun, cpu = time.perf_counter(), time.process_time()
    for position, batch in enumerate(work, 1):
        await store.append("bench", [Rows("bench", container, batch)], [], Checkpoint(position, b""))
    if rollups:
        await store.roll_up()
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    counts = await store.counts("bench")
    assert counts[container].stored == sum(batch.num_rows for batch in work)
    await store.close()
    return seconds, cpu


async def made_anew(server: Influxdb) -> tuple[float, float]:
    """Seconds, and seconds of CPU of this process, for all roll-ups from the rows in the bucket."""
    store = await InfluxdbStore.open(f"influxdb://{server.netloc}/{server.org}/first", server.token)
    await store.spoil_rollups()
    begun, cpu = time.perf_counter(), time.process_time()
    await store.roll_up()
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    await store.close()
    return seconds, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--parameters", type=int, default=32)
    parser.add_argument("--step-ms", type=int, default=1)
    options = parser.parse_args()
    work = batches(options.rows, options.parameters, options.step_ms * 10**6)
    samples = options.rows * options.parameters
    with tempfile.TemporaryDirectory() as folder:
        process = Process(binary(), Path(folder))
        process.start()
        try:
            server = process.set_up()
            raw = asyncio.run(ceiling(server, work))
            with_seconds, with_cpu = asyncio.run(through_the_store(server, work, "Rolled", rollups=True))
            seconds, cpu = asyncio.run(through_the_store(server, work, "Plain", rollups=False))
            anew_seconds, anew_cpu = asyncio.run(made_anew(server))
        finally:
            process.kill()
    note(
        "influxdb",
        rows=options.rows,
        parameters=options.parameters,
        ceiling_samples_per_s=samples / raw,
        stored_samples_per_s=samples / seconds,
        cpu_ns_per_sample=cpu / samples * 1e9,
        step_ms=options.step_ms,
        with_rollups_samples_per_s=samples / with_seconds,
        with_rollups_cpu_ns_per_sample=with_cpu / samples * 1e9,
        rollups_anew_samples_per_s=2 * samples / anew_seconds,  # of both containers
        rollups_anew_cpu_ns_per_sample=anew_cpu / samples / 2 * 1e9,
    )


if __name__ == "__main__":
    main()
