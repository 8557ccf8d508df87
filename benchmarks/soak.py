"""A long run of ``ground loadtest`` at 70 % of the knee: the ledger balances, memory and lag stay flat, all is stored.

    python -m benchmarks.soak [--minutes N] [--broker embedded|mosquitto] [--store duckdb|influxdb] [--knee PACKETS/S]

Ends with status 1 where one of these doesn't hold. The knee is looked for first where it isn't given.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.knee import BROKERS, STORES, find, latencies, loadtest, services
from benchmarks.table import note
from ground.loadtest.run import AT_KNEE

WARM_UP = 0.2
"""Part of the run that is not looked at: caches fill, tables are made."""

RSS_MB_PER_MINUTE = 3.0
"""What the memory of the ingest may grow by, as a straight line through all looks says."""

LAG_S_PER_MINUTE = 0.1
"""The same of the lag."""


def slope_per_minute(time_s: list[float], values: list[float]) -> float:
    """Of the straight line with the least squares."""
    return float(np.polyfit(np.array(time_s) / 60, values, 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--broker", choices=BROKERS, default="embedded")
    parser.add_argument("--store", choices=STORES, default="duckdb")
    parser.add_argument("--frames-per-message", type=int, default=1)
    parser.add_argument("--knee", type=float, help="packets/s, where it is known")
    options = parser.parse_args()
    where = f"{options.broker}, {options.store}, {options.frames_per_message} a message"
    knee = options.knee or find(options.broker, options.store, 10.0, options.frames_per_message)
    with tempfile.TemporaryDirectory() as folder, services(options.broker, options.store) as (url, environment):
        trace = Path(folder) / "trace.jsonl"
        load = ["--rate", str(AT_KNEE * knee), "--duration", str(60 * options.minutes), "--trace", str(trace)]
        load += ["--frames-per-message", str(options.frames_per_message)]
        # It fails where the ledger doesn't balance at the end or what is read back isn't what was sent.
        report = loadtest([*url, *load], environment)
        looks = [json.loads(line) for line in trace.read_text("utf-8").splitlines()]
    offering = [look for look in looks if look["phase"].startswith("offering")]
    steady = [look for look in offering if look["time_s"] > WARM_UP * offering[-1]["time_s"]]
    time_s = [look["time_s"] for look in steady]
    rss, own, lag = (
        slope_per_minute(time_s, [look[key] for look in steady]) for key in ("rss_mb", "own_rss_mb", "lag_s")
    )
    note(
        f"soak, {where}",
        minutes=options.minutes,
        packets_per_s=AT_KNEE * knee,
        verified_packets=report["stored_packets"],
        looks=len(looks),
        unbalanced=sum(not look["balanced"] for look in looks),
        rss_mb=float(np.median([look["rss_mb"] for look in steady])),
        rss_mb_per_minute=rss,
        peak_rss_mb=report["peak_rss_mb"],
        own_rss_mb_per_minute=own,
        lag_s=float(np.median([look["lag_s"] for look in steady])),
        lag_s_per_minute=lag,
        cpu_us_per_sample=report["cpu_us_per_sample"],
        **latencies(report),
    )
    problems = {
        "the ledger did not balance all the time": any(not look["balanced"] for look in looks),
        f"memory grows by more than {RSS_MB_PER_MINUTE} MB a minute": rss > RSS_MB_PER_MINUTE,
        f"the lag grows by more than {LAG_S_PER_MINUTE} s a minute": lag > LAG_S_PER_MINUTE,
    }
    if found := [problem for problem, is_so in problems.items() if is_so]:
        raise SystemExit(f"soak, {where}: {'; '.join(found)}")


if __name__ == "__main__":
    main()
