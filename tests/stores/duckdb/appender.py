"""Appends to the DuckDB store in a folder until it is killed, and prints the position of every durable append.

The rows of position p are one in each of two containers, at time T0 + p ns, so that what is stored can be told from the
checkpoint alone; each append has an event at its position. Their ballast makes DuckDB fold its log every second or so.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

import pyarrow as pa

from ground.stores import Checkpoint, Entry, Rows
from ground.stores.duckdb import DuckdbStore
from tests.stores.telemetry import T0, batch


async def main(folder: Path) -> None:
    store = await DuckdbStore.open(folder)
    found = await store.checkpoint("luna26")
    position = found.position if found else 0
    while True:
        n = random.randint(1, 50)
        ballast = pa.array([random.randbytes(20_000) for _ in range(n)])
        rows = batch([T0 + position + i for i in range(n)], range(position, position + n), ballast=ballast)
        position += n
        state = str(position).encode()
        both = [Rows("luna26", "A", rows), Rows("luna26", "B", rows)]
        event = Entry("event", position, 0, T0 + position, "A", {"position": position})
        await store.append("luna26", both, [event], Checkpoint(position, state))
        print(position, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
