"""What a day of each spacecraft takes: made without a broker, and written as a recording.

``python -m benchmarks.simulation``. CPU seconds of the whole process; beside them those of a loop of ten million
additions, by which machines, and busy and quiet hours of one, can be compared.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.table import note
from simulators.run import SPACECRAFT, generate

DAY = 86_400


def loop() -> float:
    begun, total = time.process_time(), 0
    for i in range(10_000_000):
        total += i
    return time.process_time() - begun


def made(mission: str) -> None:
    """In this process, which should be a fresh one: files read and orbits integrated count too."""
    before = loop()
    begun, wall, messages, octets = time.process_time(), time.perf_counter(), 0, 0
    for _, part in generate(mission, DAY):
        messages += len(part)
        octets += sum(len(message.payload) for message in part)
    note(
        "a simulated day",
        craft=mission,
        cpu_seconds=time.process_time() - begun,
        wall_seconds=time.perf_counter() - wall,
        loop_seconds=(before + loop()) / 2,
        messages=messages,
        megabytes=octets / 1e6,
    )


def recorded(mission: str) -> None:
    """By the command, with all that it imports."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        command = [sys.executable, "-m", "ground", "simulate", mission, "--output", f"{folder}/recording"]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        octets = sum(path.stat().st_size for path in Path(folder).rglob("*.arrows"))
        note(
            "a simulated day, recorded", craft=mission, wall_seconds=time.perf_counter() - begun, megabytes=octets / 1e6
        )


if __name__ == "__main__":
    if sys.argv[1:]:
        made(sys.argv[1])
    else:
        for name in SPACECRAFT:
            subprocess.run([sys.executable, "-m", "benchmarks.simulation", name], check=True)
            recorded(name)
