"""A check: what a day of both simulators puts into a real InfluxDB comes back exactly, types included.

    python -m benchmarks.readback [--hours N] [MISSION ...]

Ends with status 1 and names the hour and the container where anything differs.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from benchmarks.table import note
from ground.stores.influxdb import InfluxdbStore
from tests.services.influxdb import Process, binary
from tests.stores.influxdb.readback import Readback, simulated


async def check(address: str, token: str, mission: str, hours: int, scratch: Path) -> list[str]:
    store = await InfluxdbStore.open(address, token, time_limit=120)
    readback = Readback(store)
    begun = time.perf_counter()
    for number, rows in enumerate(simulated(mission, hours * 3600, scratch), 1):
        await readback.append(rows)
        print(f"\r{mission}: {number / 6:.1f} h", end="", flush=True)
    wrong, values = await readback.differences()
    await store.close()
    print(f"\r{mission}: {values} values of {hours} h in {time.perf_counter() - begun:.0f} s; {len(wrong)} differences")
    note("read back from InfluxDB", mission=mission, hours=hours, values=values, differences=len(wrong))
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("missions", nargs="*", default=["luna26", "tianwen1"])
    parser.add_argument("--hours", type=int, default=24)
    options = parser.parse_args()
    wrong: list[str] = []
    for mission in options.missions:
        with tempfile.TemporaryDirectory() as folder:
            process = Process(binary(), Path(folder))
            process.start()
            try:
                server = process.set_up()
                address = f"influxdb://{server.netloc}/{server.org}/first"
                wrong += asyncio.run(check(address, server.token, mission, options.hours, Path(folder)))
            finally:
                process.kill()
    if wrong:
        raise SystemExit("\n".join(wrong))


if __name__ == "__main__":
    main()
