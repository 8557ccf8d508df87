"""History out of DuckDB: a plot of one parameter over a million samples, and over a hundredth of them."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.table import note
from benchmarks.work import mission, record
from ground.loadtest.work import MISSION, STEP, Work
from ground.pipeline import Pipeline
from ground.recording.read import Recording
from ground.stores.duckdb import DuckdbStore

PACKETS = 960_000
BUCKETS = 1000


async def measure(scratch: Path) -> None:
    work = Work(10**18, parameters=8, containers=1)
    loaded = mission(work, scratch)
    await record(work, scratch / "recording", PACKETS, 16)
    store = await DuckdbStore.open(scratch / "store")
    pipeline = Pipeline([loaded], Recording(scratch / "recording"), store)
    await pipeline.start()
    await pipeline.run()
    for part in (1, 100):
        took = []
        for _ in range(7):
            start = time.perf_counter()
            answer = await store.history(MISSION, ["Load0/p3"], 10**18, 10**18 + PACKETS // part * STEP, BUCKETS)
            took.append((time.perf_counter() - start) * 1e3)
            assert len(answer.table) == BUCKETS
        note("history, DuckDB", samples=PACKETS // part, buckets=BUCKETS, median_ms=statistics.median(took))
    await store.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(measure(Path(scratch)))


if __name__ == "__main__":
    main()
