from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ground.blocks import Alike
from ground.loadtest.latency import latencies, measure
from ground.loadtest.seen import Seen
from ground.recording.write import Recorder

if TYPE_CHECKING:
    from pathlib import Path

MS = 10**6


def test_from_when_it_was_due_to_the_last_word_on_its_position() -> None:
    due = np.array([0, 10, 20, 30], np.int64) * MS
    times, reached = np.array([40, 50, 60], np.int64) * MS, np.array([1, 1, 3], np.int64)
    assert latencies(0, due, times, reached).tolist() == [50 * MS, 50 * MS, 40 * MS]
    assert latencies(1, due[1:], times, reached).tolist() == [50 * MS, 40 * MS]
    assert not len(latencies(3, due[3:], times, reached))


async def test_of_a_recording_from_some_position_on(tmp_path: Path) -> None:
    n = 1000
    due = 10**18 + np.arange(n) * MS
    ert = np.array([b"%019d" % at for at in due.tolist()]).view(np.uint8).reshape(n, 19)
    async with Recorder(tmp_path) as recorder:
        await recorder.append([Alike("tm/m/s/0", np.zeros((n, 4), np.uint8), (("ert", ert),))], due)
    seen, late = Seen(), Seen()
    seen.add(10**18 + 600 * MS, 500)
    seen.add(10**18 + 1000 * MS, 900)
    late.add(2 * 10**18, 1000)
    found = measure(tmp_path, {"record": seen, "store": late, "live": Seen()}, 500)
    assert found["record"] == {"p50": 300.0, "p99": 496.0, "max": 500.0}
    assert found["store"]["max"] == 600_000.0  # and more
    assert found["live"] == {"p50": None, "p99": None, "max": None}
