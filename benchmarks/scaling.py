"""Whether cost grows with the work: a recording through the pipeline to DuckDB, 1 to 128 parameters, 1 to 100
containers.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from benchmarks.table import note
from benchmarks.work import mission, record
from ground.loadtest.work import Work
from ground.processing.follow import Follower
from ground.recording.read import Recording
from ground.stores.duckdb import DuckdbStore

PACKETS = 96_000
SHAPES = [(1, 10), (8, 10), (32, 10), (128, 10), (32, 1), (32, 100)]


async def run(parameters: int, containers: int, scratch: Path) -> tuple[float, float]:
    """Wall and CPU seconds."""
    work = Work(10**18, parameters=parameters, containers=containers)
    loaded = mission(work, scratch)
    await record(work, scratch / "recording", PACKETS, 16)
    store = await DuckdbStore.open(scratch / "store")
    follower = Follower([loaded], Recording(scratch / "recording"), store)
    await follower.start()
    wall, cpu = time.perf_counter(), time.process_time()
    await follower.run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    stored = sum(count.stored for count in (await store.counts(loaded[0].name)).values())
    assert stored == PACKETS
    await store.close()
    return wall, cpu


def main() -> None:
    for parameters, containers in SHAPES:
        with tempfile.TemporaryDirectory() as scratch:
            wall, cpu = asyncio.run(run(parameters, containers, Path(scratch)))
        note(
            f"pipeline, {parameters} parameters, {containers} containers",
            packets_per_s=PACKETS / wall,
            samples_per_s=PACKETS * parameters / wall,
            cpu_us_per_packet=cpu / PACKETS * 1e6,
        )


if __name__ == "__main__":
    main()
