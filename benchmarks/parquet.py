"""``ground decode --format parquet`` of a long file: the real Chang'e 5 recording again and again, the frame counts of
its virtual channels running on. Budget: 50 MB/s, less than 500 MB of memory.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.table import note
from tests.real_data import recording

LENGTH = 220


def make(path: Path, megabytes: int) -> None:
    """Write about so many megabytes of frames to ``path``."""
    frames = np.fromfile(recording("change5"), np.uint8)
    frames = frames[: len(frames) // LENGTH * LENGTH].reshape(-1, LENGTH)
    vcid = frames[:, 1] & 0x3F
    count = frames[:, 2].astype(np.int64) << 16 | frames[:, 3].astype(np.int64) << 8 | frames[:, 4]
    span = {int(vc): int(np.ptp(count[vcid == vc])) + 1 for vc in np.unique(vcid)}
    step = np.array([span[int(vc)] for vc in vcid])
    with path.open("wb") as file:
        for copy in range(-(-megabytes * 10**6 // frames.size)):
            octets = (count + copy * step & 0xFF_FFFF).astype(">u4").view(np.uint8).reshape(-1, 4)
            frames[:, 2:5] = octets[:, 1:]
            file.write(frames.tobytes())


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--megabytes", type=int, default=1000)
    megabytes = options.parse_args().megabytes
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "long.u8"
        make(path, megabytes)
        command = [sys.executable, "-m", "ground", "decode", str(path), "--mission", "change5", "--format", "parquet"]
        start = time.perf_counter()
        process = subprocess.Popen([*command, "--output", str(Path(scratch) / "out")], stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - start
        written = sum(file.stat().st_size for file in (Path(scratch) / "out").iterdir())
    assert status == 0, "ground decode failed"
    note(
        "decode to parquet",
        size_mb=megabytes,
        mb_per_s=megabytes / took,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_rss_mb=usage.ru_maxrss * 1024 / 1e6,
        written_mb=written / 1e6,
    )


if __name__ == "__main__":
    main()
