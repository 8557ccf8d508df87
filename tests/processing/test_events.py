"""Equal events in a minute are one line that counts, whatever the cuts, and a flood of sources has a bound."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ground.processing.events import Events

if TYPE_CHECKING:
    from ground.stores import Entry

MINUTE = 60 * 10**9


def add(
    events: Events, at: list[int], received: list[int], source: str = "miyun", amount: list[int] | None = None
) -> None:
    times = np.array(received, np.int64)
    amounts = None if amount is None else np.array(amount, np.int64)
    events.add("warning", source, "{amount} lost", np.array(at, np.int64), times, times + 7, amounts)


def test_equal_events_of_a_minute_are_one_with_count_and_sum() -> None:
    events = Events("m")
    add(events, [3, 5, 9], [1, 2, MINUTE], amount=[10, 20, 40])
    add(events, [6], [3])
    first, second = events.take()
    assert (first.position, first.place, first.time, first.subject) == (3, 0, 8, "miyun")
    assert first.values == {"severity": "warning", "source": "miyun", "text": "31 lost", "count": 3, "last": "3"}
    assert (second.position, second.values["text"], second.values["count"]) == (9, "40 lost", 1)
    assert events.take() == []


def test_a_line_grows_under_its_identity_also_after_a_restart() -> None:
    events = Events("m")
    add(events, [3], [1])
    [before] = events.take()
    again = Events("m")
    again.restore(json.loads(json.dumps(events.state())))
    add(again, [8], [2])
    [after] = again.take()
    assert (before.position, before.place, before.time) == (after.position, after.place, after.time)
    assert after.values["count"] == 2


def test_events_of_one_message_have_places_of_their_own() -> None:
    events = Events("m")
    add(events, [4], [1], "kashi")
    add(events, [4], [1], "miyun")
    assert [(entry.position, entry.place, entry.subject) for entry in events.take()] == [
        (4, 0, "kashi"),
        (4, 1, "miyun"),
    ]


def test_a_flood_of_sources_is_bounded_and_the_rest_are_counted_together() -> None:
    events = Events("m")
    for i in range(1000):
        add(events, [i], [i], f"s{i:04}")
    add(events, [1000], [1000], "s0000")
    entries = events.take()
    assert len(entries) == 257
    assert entries[0].values["count"] == 2
    assert entries[-1].values["text"].startswith("744 more events")
    assert len(events.state()[1]) == 257
    # The next minute starts afresh.
    add(events, [1001], [MINUTE], "s0999")
    assert [entry.subject for entry in events.take()] == ["s0999"]
    assert len(events.state()[1]) == 1


def test_a_source_as_long_as_a_topic_may_be_is_shortened() -> None:
    events = Events("m")
    add(events, [0], [0], "x" * 65_535)
    [entry] = events.take()
    assert len(entry.subject) == 200


one = st.tuples(st.sampled_from("abcd"), st.integers(0, 3), st.integers(0, 9), st.integers(0, 1))


@given(st.lists(one, max_size=40), st.sets(st.integers(0, 40)))
def test_lines_do_not_depend_on_cuts_and_restarts(noted: list[tuple[str, int, int, int]], cuts: set[int]) -> None:
    # Several events may come of one message; the clock may go back.
    position = np.cumsum([step for *_, step in noted]).astype(int).tolist()

    def run(stops: list[int]) -> tuple[dict[tuple[int, int], Entry], object]:
        events, lines, start = Events("m"), {}, 0
        for stop in stops:
            again = Events("m")
            again.restore(json.loads(json.dumps(events.state())))
            events = again
            # Stage by stage, as a partition adds them.
            for source in "dacb":
                for i in range(start, stop):
                    if noted[i][0] == source:
                        add(events, [position[i]], [noted[i][1] * MINUTE], source, [noted[i][2]])
            lines.update({(entry.position, entry.place): entry for entry in events.take()})
            start = stop
        return lines, events.state()

    # Only between messages is a recording cut.
    stops = sorted(cut for cut in cuts if 0 < cut < len(noted) and position[cut] != position[cut - 1])
    with_clock = [(s, minute, amount, 0) for s, minute, amount, _ in noted]
    for i in range(1, len(noted)):  # one message has one time
        if position[i] == position[i - 1]:
            with_clock[i] = (with_clock[i][0], with_clock[i - 1][1], *with_clock[i][2:])
    noted[:] = with_clock
    assert run([*stops, len(noted)]) == run([len(noted)])
