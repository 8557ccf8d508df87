from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ground.limits import SEVERITIES, AlarmState, severity_levels


@dataclass(frozen=True)
class Range:
    severity: str
    low: float | None
    high: float | None


WARN, CRITICAL = Range("warning", 10, 20), Range("critical", 5, None)


def batch(values: list[float | None], first: int = 0) -> pa.RecordBatch:
    n = len(values)
    time = pa.array(np.arange(first, first + n), pa.timestamp("ns", "UTC"))
    return pa.RecordBatch.from_pydict(
        {"time": time, "ert": time, "seq": pa.array(range(n), pa.uint16()), "volts": values}
    )


def test_levels_are_the_worst_range_and_ends_are_inside() -> None:
    values = np.array([10, 20, 9.99, 20.01, 5, 4.99, 1e9])
    names = [SEVERITIES[i] for i in severity_levels(values, (WARN, CRITICAL))]
    assert names == ["normal", "normal", "warning", "warning", "warning", "critical", "warning"]


def test_only_changes_are_alarms_with_value_time_and_limit() -> None:
    state = AlarmState("m", {"Power": {"volts": (WARN, CRITICAL)}})
    alarms = state.check("Power", batch([15, 9, 8, 3, float("nan"), None, 2, 12]))
    assert [(a.time, a.previous, a.severity, a.value) for a in alarms] == [
        (1, "normal", "warning", 9.0),
        (3, "warning", "critical", 3.0),
        (7, "critical", "normal", 12.0),
    ]
    assert alarms[1].to_json()["low"] == 5
    assert alarms[2].to_json()["low"] is None
    assert state.severity == {}


@given(st.lists(st.none() | st.floats(0, 30), max_size=30), st.integers(1, 7))
def test_alarms_do_not_depend_on_the_cuts(values: list[float | None], size: int) -> None:
    whole, cut = (AlarmState("m", {"Power": {"volts": (WARN, CRITICAL)}}) for _ in range(2))
    parts = [a for i in range(0, len(values), size) for a in cut.check("Power", batch(values[i : i + size], i))]
    assert parts == whole.check("Power", batch(values))
    assert cut.severity == whole.severity
