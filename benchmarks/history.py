"""History of a long time: ten million samples of one parameter, the whole range in 2,000 buckets, from both stores.

    python -m benchmarks.history [--samples N] [--stores duckdb influxdb]

Samples are 0.1 s apart, ten million of them 11.6 days. InfluxDB is asked with its roll-ups and without. A text, whose
changes InfluxDB cannot count, has a tenth of the samples in the same time. The target is 0.3 s for ten million. Beside
the time stands the CPU time that this process spends on an answer, which tells more on a machine that does other work.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from benchmarks.table import note
from ground.stores import Checkpoint, Rows
from ground.stores.duckdb import DuckdbStore
from ground.stores.influxdb import InfluxdbStore
from ground.stores.longtable import TIME
from tests.services.influxdb import Process, binary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ground.stores import Store

BUCKETS = 2_000
APPEND = 200_000
START = 1_830_297_600 * 10**9
STEP = 100_000_000
CONTAINERS = {"Number": 1, "Text": 10}
"""How many steps their samples are apart."""


def batches(container: str, samples: int) -> Iterator[pa.RecordBatch]:
    """A float32 that wanders, or a text that changes every 1,000 samples or so."""
    random = np.random.default_rng(26)
    step = CONTAINERS[container] * STEP
    samples //= CONTAINERS[container]
    for first in range(0, samples, APPEND):
        number = np.arange(first, min(first + APPEND, samples))
        columns: dict[str, pa.Array[Any]] = {
            "time": pa.array(START + number * step).cast(TIME),
            "ert": pa.array(START + number * step + 10**9).cast(TIME),
            "seq": pa.array((number % 16384).astype(np.uint16)),
            "digest": pa.array(number),
        }
        if container == "Text":
            modes = np.cumsum(random.random(len(number)) < 0.001) % 3
            columns["p"] = pa.array(["SAFE", "COAST", "BURN"]).take(modes)
        else:
            columns["p"] = pa.array(np.cumsum(random.normal(size=len(number))).astype(np.float32))
        yield pa.RecordBatch.from_pydict(columns)


async def load(store: Store, samples: int) -> None:
    begun = time.perf_counter()
    for container in CONTAINERS:
        for batch in batches(container, samples):
            await store.append("bench", [Rows("bench", container, batch)], [], Checkpoint(1, b""))
    if isinstance(store, InfluxdbStore):
        await store.roll_up()
    print(f"loaded in {time.perf_counter() - begun:.0f} s", flush=True)


async def ask(name: str, store: Store, samples: int, runs: int) -> None:
    """Note how long an answer takes, the first one apart: it reads from disk what the others have in memory."""
    for container, steps in CONTAINERS.items():
        took, cpu = [], []
        for _ in range(runs):
            begun, used = time.perf_counter(), time.process_time()
            answer = await store.history("bench", [f"{container}/p"], START, START + samples * STEP, BUCKETS)
            took.append(time.perf_counter() - begun)
            cpu.append(time.process_time() - used)
            assert answer.table["count"].to_numpy().sum() == samples // steps
        note(
            f"history, {name}, {container.lower()}",
            samples=samples // steps,
            rollup_s=answer.rollup // 10**9,
            buckets=len(answer.table),
            first_s=took[0],
            median_s=statistics.median(took[1:]),
            cpu_s=statistics.median(cpu),
        )


async def duckdb(scratch: Path, samples: int) -> None:
    store = await DuckdbStore.open(scratch)
    await load(store, samples)
    await ask("DuckDB", store, samples, 8)
    await store.close()


async def influxdb(scratch: Path, samples: int) -> None:
    process = Process(binary(), scratch)
    process.start()
    try:
        server = process.set_up()
        address = f"influxdb://{server.netloc}/{server.org}/first"
        for rollups in (True, False):
            store = await InfluxdbStore.open(address, server.token, time_limit=120, rollups=rollups)
            if rollups:
                await load(store, samples)
            await ask(f"InfluxDB {'with' if rollups else 'without'} roll-ups", store, samples, 8 if rollups else 3)
            await store.close()
    finally:
        process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10_000_000)
    parser.add_argument("--stores", nargs="+", choices=["duckdb", "influxdb"], default=["duckdb", "influxdb"])
    options = parser.parse_args()
    for measure in (duckdb, influxdb):
        if measure.__name__ in options.stores:
            with tempfile.TemporaryDirectory() as scratch:
                asyncio.run(measure(Path(scratch), options.samples))


if __name__ == "__main__":
    main()
