"""``ground loadtest --find-knee`` on both brokers with both stores; everything that is sent is read back.

    python -m benchmarks.knee [--seconds N] [--frames-per-message N]

Budget: publish to fdatasync at 70 % of the knee, p99 60 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from itertools import product
from typing import TYPE_CHECKING, Any

from benchmarks.services import influxdb, mosquitto
from benchmarks.table import note

if TYPE_CHECKING:
    from collections.abc import Iterator

BROKERS = ("embedded", "mosquitto")
STORES = ("duckdb", "influxdb")


@contextmanager
def services(broker: str, store: str) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Options and environment of a ``ground loadtest`` on servers of its own, empty ones."""
    options: list[str] = []
    environment = {**os.environ}
    with ExitStack() as stack:
        if broker == "mosquitto":
            options += ["--broker", stack.enter_context(mosquitto())]
        if store == "influxdb":
            server = stack.enter_context(influxdb())
            options += ["--store", f"influxdb://{server.netloc}/{server.org}/first"]
            environment["INFLUXDB_TOKEN"] = server.token
        yield options, environment


def loadtest(options: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """The report of a load test; what it says meanwhile is shown. Ends the benchmark where it fails."""
    command = [sys.executable, "-m", "ground", "loadtest", "--json", *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"ground loadtest {' '.join(options)} failed")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def latencies(report: dict[str, Any]) -> dict[str, float | None]:
    """Flat, in ms."""
    return {f"{kind}_{name}_ms": ms for kind, of in report["latency_ms"].items() for name, ms in of.items()}


def find(broker: str, store: str, seconds: float, frames: int) -> float:
    """Find the knee and note it, packets/s."""
    with services(broker, store) as (options, environment):
        load = ["--find-knee", "--duration", str(seconds), "--frames-per-message", str(frames)]
        report = loadtest([*options, *load], environment)
    note(
        f"knee, {broker}, {store}, {frames} a message",
        packets_per_s=report["knee"]["packets_per_s"],
        samples_per_s=report["knee"]["samples_per_s"],
        steps=len(report["knee"]["steps"]),
        verified_packets=report["stored_packets"],
        cpu_us_per_sample_at_70_percent=report["cpu_us_per_sample"],
        peak_rss_mb=report["peak_rss_mb"],
        **latencies(report),
    )
    knee: float = report["knee"]["packets_per_s"]
    return knee


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of a step")
    parser.add_argument("--frames-per-message", type=int, default=1)
    options = parser.parse_args()
    for broker, store in product(BROKERS, STORES):
        try:
            find(broker, store, options.seconds, options.frames_per_message)
        except SystemExit as ended:
            # What this machine hasn't got was said; there may be more that it has.
            if ended.code:
                raise


if __name__ == "__main__":
    main()
