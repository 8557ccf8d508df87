"""Excursions that only playback has are told of as such, once, and touch no alarm."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ground.blocks import NO_TIME
from ground.processing.account import Account
from ground.processing.messages import Part
from ground.processing.recorded import TEXT
from ground.processing.step import Step, Telemetry
from ground.processing.watch import Watch
from ground.stores import Rows
from ground.xtce.declarations import Alarm, Limit
from ground.xtce.plan import ContainerPlan, Node, ParameterInfo, Plan
from tests.processing.telemetry import loaded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ground.stores import Entry

VOLTS = ParameterInfo(
    "volts", "float", "V", "", {}, Alarm((Limit("warning", 10, None), Limit("critical", 5, None))), pa.float64()
)
PLAN = Plan(
    Node(None, (), (), (), (), ()),
    {"Power": ContainerPlan("Power", "", (VOLTS,), pa.schema([]), per_apid=False)},
)


def watch() -> Watch:
    mission, _ = loaded("luna26")
    return Watch(replace(mission, hysteresis={}), PLAN, Account("m"))


def telemetry(rows: Sequence[tuple[int, int, float]], *, realtime: bool = False) -> Telemetry:
    """Rows of (position, SCET, volts)."""
    position, time, volts = (np.array(column) for column in zip(*rows, strict=True))
    batch = pa.RecordBatch.from_pydict(
        {
            "time": pa.array(time, pa.timestamp("ns", "UTC")),
            "digest": pa.array(np.nan_to_num(volts * 8).astype(np.int64)),
            "volts": pa.array(volts, pa.float64()),
        }
    )
    return Telemetry(Rows("m", "Power", batch), realtime, position, position * 0)


def process(of: Watch, *items: Telemetry) -> list[Entry]:
    step = Step(telemetry=[*items])
    of.process(step, Part(0, np.empty(0, np.int64), np.empty(0, np.int64)))
    return step.alarms


def test_an_excursion_in_playback_is_one_line_that_grows_and_no_alarm() -> None:
    of = watch()
    [begun] = process(of, telemetry([(7, 100, 12.0), (7 + 1, 101, 9.0)]))
    assert (begun.kind, begun.position, begun.place, begun.time, begun.subject) == ("alarm", 8, 0, 101, "Power/volts")
    assert begun.values["end"] == ""
    [ended] = process(of, telemetry([(9, 102, 4.0), (10, 103, 9.5), (11, 104, 11.0)]))
    assert (ended.position, ended.place, ended.time) == (8, 0, 101)
    assert ended.values == {
        "parameter": "Power/volts",
        "state": "recorded",
        "severity": "critical",
        "value": 4.0,
        "label": "",
        "low": 5,
        "high": None,
        "raised": "101",
        "end": "104",
        "text": TEXT,
        "position": "8",
    }
    assert of.current() == []


def test_playback_neither_raises_nor_clears_an_alarm_of_real_time() -> None:
    of = watch()
    [raised] = process(of, telemetry([(0, 1000, 9.0)], realtime=True))
    [recorded] = process(of, telemetry([(1, 500, 9.0), (2, 600, 12.0)]))
    assert (raised.values["state"], recorded.values["state"]) == ("unacknowledged", "recorded")
    [alarm] = of.current()
    assert (alarm["state"], alarm["raised"], alarm["severity"]) == ("unacknowledged", "1000", "warning")


def test_what_real_time_had_is_not_told_again_but_what_began_before_is() -> None:
    of = watch()
    live = telemetry([(0, 1000, 9.0), (1, 1010, 12.0)], realtime=True)
    process(of, live)
    assert process(of, telemetry([(2, 1001, 9.5), (3, 1011, 12.0)])) == []
    [line] = process(of, telemetry([(4, 990, 9.5), (5, 1012, 12.0)]))
    assert line.values["raised"] == "990"


def test_playback_that_comes_again_or_from_two_stations_is_told_once() -> None:
    of = watch()
    rows = [(0, 100, 12.0), (2, 101, 9.0), (4, 102, 12.0)]
    # The other station is a message behind.
    late = [(position + 3, time, volts) for position, time, volts in rows]
    merged = sorted([*rows, *late])
    assert len(process(of, telemetry(merged))) == 1
    assert process(of, telemetry([(position + 50, time, volts) for position, time, volts in rows])) == []


def test_lines_of_one_message_have_places_of_their_own() -> None:
    entries = process(watch(), telemetry([(5, 1000, 9.0)], realtime=True), telemetry([(5, 500, 9.0)]))
    assert [(e.position, e.place, e.values["state"]) for e in entries] == [
        (5, 0, "unacknowledged"),
        (5, 1, "recorded"),
    ]


def test_rows_without_a_time_or_of_containers_without_alarms_do_no_harm() -> None:
    of = watch()
    item = telemetry([(0, NO_TIME, 9.0)])
    [line] = process(of, item)
    assert line.time == NO_TIME
    assert process(of, replace(item, rows=replace(item.rows, container="Other"))) == []


row = st.tuples(st.booleans(), st.integers(0, 20), st.sampled_from([4.0, 9.0, 12.0, float("nan")]))


@given(st.lists(row, min_size=1, max_size=30), st.sets(st.integers(1, 30)))
def test_lines_do_not_depend_on_cuts_and_restarts(rows: list[tuple[bool, int, float]], cuts: set[int]) -> None:
    def result(stops: Sequence[int]) -> tuple[list[Any], Any]:
        of, lines, start = watch(), dict[tuple[int, int], Any](), 0
        for stop in stops:
            again = watch()
            again.restore(json.loads(json.dumps(of.state())))
            of = again
            items = []
            for realtime in (True, False):
                here = [(i, rows[i][1], rows[i][2]) for i in range(start, stop) if rows[i][0] is realtime]
                if here:
                    items.append(telemetry(here, realtime=realtime))
            lines.update({(entry.position, entry.place): entry for entry in process(of, *items)})
            start = stop
        return sorted(lines.items(), key=lambda one: one[0]), of.state()

    assert str(result([*sorted(cut for cut in cuts if cut < len(rows)), len(rows)])) == str(result([len(rows)]))
