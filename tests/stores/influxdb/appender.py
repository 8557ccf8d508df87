"""Appends to the InfluxDB store at an address until it is killed, late rows as well, and makes roll-ups meanwhile."""

from __future__ import annotations

import asyncio
import os
import sys

import numpy as np
import pyarrow as pa

from ground.stores import Checkpoint, Entry, Rows
from ground.stores.influxdb import InfluxdbStore
from tests.stores.telemetry import T0, batch

SECONDS = 1_200


def append_of(position: int) -> tuple[str, list[Rows], list[Entry], Checkpoint]:
    """The first has the newest second; each other one brings a tenth of the seconds, anywhere before it."""
    random = np.random.default_rng(position)
    seconds = np.sort(random.choice(SECONDS, SECONDS // 10, replace=False)) if position else np.array([0, SECONDS])
    time = T0 + seconds * 10**9 + position * 1_000_000
    rows = batch(time.tolist(), [position] * len(time), a=pa.array(random.normal(size=len(seconds))))
    return "luna26", [Rows("luna26", "Power", rows)], [], Checkpoint(position + 1, b"")


async def main(address: str) -> None:
    store = await InfluxdbStore.open(address, os.environ["INFLUXDB_TOKEN"])
    found = await store.checkpoint("luna26")
    position = found.position if found else 0

    async def roll_up() -> None:
        while True:
            await store.roll_up()
            await asyncio.sleep(0)

    rolling = asyncio.create_task(roll_up())
    while not rolling.done():
        await store.append(*append_of(position))
        position += 1
        print(position, flush=True)
    rolling.result()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
