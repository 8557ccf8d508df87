"""Where results go: a line of JSON each, with what they were measured on."""

from __future__ import annotations

import json
import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

RESULTS = Path(__file__).with_name("results.jsonl")
PACKAGES = ("duckdb", "mqtt5", "numpy", "pyarrow", "iotcore", "influxdb-client", "space-packet-parser")

LOAD_AT_START = os.getloadavg()[0]
"""What else the machine was doing before there was a benchmark."""


def note(benchmark: str, versions: Mapping[str, str] | None = None, /, **figures: float | str | None) -> None:
    """Print the figures and append them to the table. ``versions``: of what else took part."""
    rounded = {name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()}
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text("utf-8"))
    line = {
        "benchmark": benchmark,
        **rounded,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} x {found[1] if found else platform.machine()}, {platform.system()}",
        # Figures taken beside other work are worth as much as their ratios. The benchmark's own work is in the second.
        "load_at_start": round(LOAD_AT_START, 1),
        "load": round(os.getloadavg()[0], 1),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
            **(versions or {}),
        },
    }
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    print(benchmark + ": " + ", ".join(f"{name} {value}" for name, value in rounded.items()), flush=True)
