"""Breaks one mechanism at a time in a copy of the project and sees whether the tests that promise it notice.

    python -m tests.promises.mutants [NAME ...]

Ends with status 1 and names the mutants that survived, and those whose text is no longer in the code.
"""

# ruff: noqa: E501 (lines of code as they stand)
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from tests.real_data import ROOT as REAL_DATA

PROJECT: Final = Path(__file__).parents[2]
COPIED: Final = ("ground", "simulators", "dashboard", "tests", "pyproject.toml")
LEFT: Final = shutil.ignore_patterns("node_modules", "__pycache__", "influxd", ".hypothesis")


class Mutant(NamedTuple):
    """``before`` becomes ``after`` in ``file``, and ``tests`` must fail."""

    name: str
    file: str
    before: str
    after: str
    tests: str


MUTANTS: Final = (
    Mutant("no fdatasync", "ground/recording/write.py", "            os.fdatasync(segment.file)\n            os.pwrite",
           "            os.pwrite", "tests/promises/test_durable.py"),
    Mutant("committed before the sync", "ground/recording/write.py",
           "            os.fdatasync(segment.file)\n            os.pwrite(self._committed_file, committed_line(position), 0)",
           "            os.pwrite(self._committed_file, committed_line(position), 0)\n            os.fdatasync(segment.file)",
           "tests/promises/test_durable.py"),
    Mutant("acknowledged before recorded", "ground/ingest.py",
           "            await self._append(recorder, delivery)\n            client.ack(delivery)",
           "            client.ack(delivery)\n            await self._append(recorder, delivery)",
           "tests/promises/test_durable.py"),
    Mutant("what the disk refuses is acknowledged", "ground/ingest.py",
           "                await asyncio.sleep(_RETRY_SECONDS)\n            else:\n                self._recording_error = None\n                return",
           "            return", "tests/promises/test_durable.py"),
    Mutant("a mission's ledger always balances", "ground/processing/ledger.py",
           '            "balanced": self.balanced(),', '            "balanced": True,', "tests/promises/test_ledger.py"),
    Mutant("the report always balances", "ground/processing/follow.py",
           '"balanced": all(mission["balanced"] for mission in missions.values())', '"balanced": True',
           "tests/processing/test_isolation.py"),
    Mutant("alarm state not restored", "ground/processing/partition.py",
           '        self._watch.restore(values["watch"])\n', "", "tests/processing"),
    Mutant("alarms on playback", "ground/processing/watch.py", "if item.realtime", "if True", "tests/processing"),
    Mutant("no digest in the identity", "ground/ccsds/digest.py",
           "    return _mix(total + length.astype(np.uint64) * _GOLDEN).view(np.int64)",
           "    return np.zeros(len(start), np.int64)", "tests/processing/test_partition.py tests/ccsds"),
    Mutant("repeats not dropped", "ground/processing/partition.py",
           "        streams = self._order.process(streams)\n", "        self._order.process(streams)\n",
           "tests/processing/test_partition.py"),
    Mutant("a station's order, not the log's", "ground/processing/partition.py",
           "    order: NDArray[np.int64] = np.lexsort((place, position)).astype(np.int64)",
           "    order: NDArray[np.int64] = np.arange(len(place))", "tests/processing/test_partition.py"),
    Mutant("a repeated frame counts", "ground/processing/frames.py",
           "                channel = channel.select(self._once(channel))\n", "                self._once(channel)\n",
           "tests/processing/test_partition.py"),
    Mutant("one mission's defect ends all", "ground/processing/keeping.py",
           "            self._stand(error)\n            await self.offer()\n            return Step()", "            raise",
           "tests/processing/test_isolation.py"),
    Mutant("a checkpoint of any recording is taken", "ground/processing/keeping.py",
           "if checkpoint is None or foreign:", "if checkpoint is None:", "tests/processing/test_isolation.py"),
    Mutant("ingest needs its database at the start", "ground/commands/stack.py",
           "        return LateStore(partial(open_store, url, data))\n", "        pass\n",
           "tests/integration/test_store_at_start.py"),
    Mutant("two ranges a flush", "ground/live.py",
           '                properties = [("schema_id", schema_id), ("from", str(start)), ("to", str(position))]',
           '                properties = [("schema_id", schema_id), ("from", str(start)), ("to", str(position))]\n                start = position',
           "tests/test_live.py"),
)  # fmt: skip


def survives(mutant: Mutant) -> str | None:
    """Why the mutant is not accounted for; None where the tests notice it."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        for name in COPIED:
            source = PROJECT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=LEFT, symlinks=True)
            else:
                shutil.copy2(source, copy / name)
        file = copy / mutant.file
        text = file.read_text("utf-8")
        if text.count(mutant.before) != 1:
            return "its text is not there once: bring it up to date"
        file.write_text(text.replace(mutant.before, mutant.after), "utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "--timeout", "60", *mutant.tests.split()],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": folder, "GROUND_REAL_DATA": str(REAL_DATA)},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode == 1:
        return None
    return "no test noticed" if done.returncode == 0 else f"the tests did not run: {done.stdout[-300:]}"


def main() -> int:
    """Run those that are named, or all."""
    chosen = [mutant for mutant in MUTANTS if not sys.argv[1:] or mutant.name in sys.argv[1:]]
    failures = 0
    for mutant in chosen:
        why = survives(mutant)
        failures += why is not None
        print(
            f"{'killed' if why is None else 'SURVIVED'}  {mutant.name}{'' if why is None else f': {why}'}", flush=True
        )
    print(f"{len(chosen) - failures} of {len(chosen)} killed")
    return int(failures > 0)


if __name__ == "__main__":
    raise SystemExit(main())
