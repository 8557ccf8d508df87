"""Where in the log severities change: values, containers by APID, successive samples, hysteresis, labels and texts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ground.errors import ConfigError
from ground.processing.levels import SEVERITIES, severity_levels
from ground.processing.limits import Change, Limits, check_hysteresis
from ground.processing.step import Telemetry
from ground.stores import Rows
from ground.xtce.declarations import Alarm, Kind, Limit
from ground.xtce.plan import ParameterInfo
from tests.processing.telemetry import loaded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WARN, CRITICAL = Limit("warning", 10, 20), Limit("critical", 5, None)
VOLTS = Alarm((WARN, CRITICAL))


def limits(
    alarm: Alarm = VOLTS, hysteresis: float = 0, kind: Kind = "float", labels: Mapping[int, str] | None = None
) -> Limits:
    info = ParameterInfo("volts", kind, "", "", labels or {}, alarm, pa.float64())
    return Limits({"Power": {"volts": info}}, {"Power/volts": hysteresis})


def telemetry(
    values: Sequence[Any], first: int = 0, container: str = "Power", kind: pa.DataType | None = None
) -> Telemetry:
    n = len(values)
    at = np.arange(first, first + n)
    column = pa.array(values, kind or pa.float64(), from_pandas=False)
    batch = pa.RecordBatch.from_pydict({"time": pa.array(at, pa.timestamp("ns", "UTC")), "volts": column})
    return Telemetry(Rows("m", container, batch), True, at + 100, at * 0)


def seen(changes: Sequence[Change]) -> list[tuple[int, str]]:
    return [(change.time, change.severity) for change in changes]


def test_levels_are_the_worst_range_and_ends_are_inside() -> None:
    values = np.array([10, 20, 9.99, 20.01, 5, 4.99, 1e9])
    names = [SEVERITIES[i] for i in severity_levels(values, (WARN, CRITICAL))]
    assert names == ["normal", "normal", "warning", "warning", "warning", "critical", "warning"]


def test_only_changes_are_told_with_value_time_place_and_limit() -> None:
    changes = limits().check(telemetry([15, 9, 8, 3, float("nan"), None, 2, 12]))
    assert changes == [
        Change(101, 0, "Power/volts", 1, "warning", "normal", 9.0, WARN),
        Change(103, 0, "Power/volts", 3, "critical", "warning", 3.0, CRITICAL),
        Change(107, 0, "Power/volts", 7, "normal", "critical", 12.0, None),
    ]


def test_nan_and_null_change_nothing_and_infinity_is_out_of_limits() -> None:
    of = limits()
    assert of.check(telemetry([None, float("nan"), None])) == []
    assert of.check(telemetry([])) == []
    assert seen(of.check(telemetry([15, float("inf"), float("nan"), 15, float("-inf")]))) == [
        (1, "critical"),
        (3, "normal"),
        (4, "critical"),
    ]


def test_a_container_by_apid_has_the_limits_of_its_definition_each_for_itself() -> None:
    of = limits()
    assert [c.parameter for c in of.check(telemetry([9], container="Power_7"))] == ["Power_7/volts"]
    assert [c.parameter for c in of.check(telemetry([9], container="Power_8"))] == ["Power_8/volts"]
    assert of.check(telemetry([9], container="Power_7")) == []
    assert of.check(telemetry([9], container="Power_x")) == []
    assert of.check(telemetry([9], container="Other_7")) == []


def test_a_severity_counts_after_so_many_successive_samples() -> None:
    of = limits(replace(VOLTS, violations=3))
    assert seen(of.check(telemetry([9, 9, 15, 9, 9]))) == []
    # The third in a row comes in the next block; what is worse has to last as long, what is normal ends it at once.
    assert seen(of.check(telemetry([9, 4, 4], 5))) == [(5, "warning")]
    assert seen(of.check(telemetry([4, 15, 9], 8))) == [(8, "critical"), (9, "normal")]
    # Two of them critical and one only warning: all three were at least a warning.
    assert seen(of.check(telemetry([15, 4, 9, 4], 11))) == [(14, "warning")]
    # Null isn't a sample.
    assert seen(of.check(telemetry([15, 9, None, 9, float("nan"), 9], 15))) == [(15, "normal"), (20, "warning")]


def test_a_severity_falls_once_the_value_is_back_inside_by_the_hysteresis() -> None:
    of = limits(hysteresis=1)
    values = [10.5, 9.9, 10.5, 10.9, 11, 10.1, 20.1, 19.5, 19]
    assert seen(of.check(telemetry(values))) == [(1, "warning"), (4, "normal"), (6, "warning"), (8, "normal")]
    # It falls step by step: out of critical at 6, out of warning at 11.
    assert seen(of.check(telemetry([4.9, 5.5, 6, 10.5, 11]))) == [(0, "critical"), (2, "warning"), (4, "normal")]


LABELS = {0: "OFF", 1: "ON", 2: "FAILED", 255: "FAILED"}


def test_labels_of_an_enumeration_have_severities() -> None:
    alarm = Alarm(codes={1: "normal", 0: "watch", 2: "critical", 255: "critical"}, otherwise="warning")
    changes = limits(alarm, kind="enumeration", labels=LABELS).check(
        telemetry([1, 2, 255, 7, None, 0], kind=pa.uint8())
    )
    assert [(c.severity, c.value, c.label, c.limit) for c in changes] == [
        ("critical", 2.0, "FAILED", None),
        ("warning", 7.0, "", None),
        ("watch", 0.0, "OFF", None),
    ]


def test_booleans_have_severities() -> None:
    changes = limits(Alarm(codes={1: "severe"}), kind="boolean").check(
        telemetry([False, True, None, False], kind=pa.bool_())
    )
    assert [(c.severity, c.label) for c in changes] == [("severe", "True"), ("normal", "False")]


def test_texts_have_severities_and_match_as_a_whole() -> None:
    alarm = Alarm(patterns=(("OK.*", "normal"), ("E[0-9]+|FATAL", "critical")), otherwise="watch", violations=2)
    of = limits(alarm, kind="string")
    values = ["OK", "OK\nfine", "E1", "E22", None, "E1 or so", "E1 or so\n", "OK"]
    changes = of.check(telemetry(values, kind=pa.string()))
    assert [(c.time, c.severity, c.label) for c in changes] == [
        (3, "critical", "E22"),
        (5, "watch", "E1 or so"),
        (7, "normal", "OK"),
    ]
    [long] = limits(alarm, kind="string").check(telemetry(["x" * 9999] * 2, kind=pa.string()))
    assert len(long.label) == 200


def test_a_parameter_inside_its_limits_leaves_no_trace() -> None:
    of = limits(replace(VOLTS, violations=3))
    of.check(telemetry([9, 9, 9, 15, 15]))
    assert of.state() == {}


value = st.none() | st.floats(0, 30) | st.sampled_from([float("nan"), float("inf"), -1.0, 9.0, 4.0])


@given(
    st.lists(value, max_size=30),
    st.integers(1, 7),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.5, 3.0]),
)
def test_changes_do_not_depend_on_cuts_and_restarts(
    values: list[float | None], size: int, violations: int, hysteresis: float
) -> None:
    alarm = replace(VOLTS, violations=violations)
    whole = limits(alarm, hysteresis)
    expected = whole.check(telemetry(values))
    parts: list[Change] = []
    cut = limits(alarm, hysteresis)
    for i in range(0, len(values), size):
        again = limits(alarm, hysteresis)
        again.restore(json.loads(json.dumps(cut.state())))
        cut = again
        parts += cut.check(telemetry(values[i : i + size], i))
    assert parts == expected
    assert cut.state() == whole.state()
    # The rule, sample by sample.
    level, recent, told = 0, [0] * violations, []
    for at, one in enumerate(values):
        if one is None or one != one:  # noqa: PLR0124
            continue
        [now] = severity_levels(np.array([one]), alarm.limits)
        inner = [Limit("warning", 10 + hysteresis, 20 - hysteresis), Limit("critical", 5 + hysteresis, None)]
        [held] = severity_levels(np.array([one]), inner)
        recent = [*recent[1:], int(now)]
        after = level
        if min(recent) > level:
            after = min(recent)
        elif held < level:
            after = int(held)
        if after != level:
            told.append((at, SEVERITIES[after]))
            level = after
    assert seen(expected) == told


def test_hysteresis_that_cannot_be_is_refused_with_the_file_and_the_parameter() -> None:
    mission, compiled = loaded("luna26")
    container, named = next(iter(compiled.alarms.items()))
    name, info = next((name, info) for name, info in named.items() if any(x.low and x.high for x in info.limits))
    check_hysteresis(replace(mission, hysteresis={f"{container}/{name}": 0.0}), compiled)
    with pytest.raises(ConfigError, match=r"mission\.toml: \[hysteresis\] 'Nowhere/x' is no number"):
        check_hysteresis(replace(mission, hysteresis={"Nowhere/x": 1.0}), compiled)
    with pytest.raises(ConfigError, match=f"{container}/{name}' = 1e\\+09 leaves no value"):
        check_hysteresis(replace(mission, hysteresis={f"{container}/{info.name}": 1e9}), compiled)
