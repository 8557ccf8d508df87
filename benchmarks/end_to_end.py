"""``ground loadtest``: through broker, ingest and DuckDB, all of it read back. Budgets: 3 million samples/s with 16
frames a message; publish to fdatasync p99 20 ms and to WebSocket p50 60 ms, p99 120 ms at 10,000 samples/s.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack

from benchmarks.services import MissingError, mosquitto
from benchmarks.table import note

RUNS = {
    "10,000 samples/s": ("--rate", "312.5", "--duration", "20"),
    "1 frame a message": ("--duration", "10"),
    "16 frames a message": ("--duration", "10", "--frames-per-message", "16"),
}


def main() -> None:
    for name in ("embedded", "mosquitto"):
        with ExitStack() as stack:
            try:
                broker = ("--broker", stack.enter_context(mosquitto())) if name == "mosquitto" else ()
            except MissingError as missing:
                print(f"end to end, {name}: {missing}")
                continue
            for what, options in RUNS.items():
                command = [sys.executable, "-m", "ground", "loadtest", "--json", *broker, *options]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stderr
                report = json.loads(done.stdout)
                latency = report["latency_ms"]
                note(
                    f"end to end, DuckDB, {name}, {what}",
                    packets_per_s=report["samples_per_s"] * report["stored_packets"] / report["stored_samples"],
                    samples_per_s=report["samples_per_s"],
                    cpu_us_per_sample=report["cpu_us_per_sample"],
                    peak_rss_mb=report["peak_rss_mb"],
                    record_p50_ms=latency["record"]["p50"],
                    record_p99_ms=latency["record"]["p99"],
                    live_p50_ms=latency["live"]["p50"],
                    live_p99_ms=latency["live"]["p99"],
                )


if __name__ == "__main__":
    main()
