"""ISA-18.2: every transition of an alarm, what operators do with it, and that nothing depends on cuts."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ground.processing.alarms import Action, Alarms, parse_action
from ground.processing.levels import SEVERITIES
from ground.processing.limits import Change
from ground.xtce.declarations import Limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ground.stores import Entry

WARN = Limit("warning", 10, 20)


def change(position: int, after: str, before: str = "normal", parameter: str = "Power/volts", place: int = 0) -> Change:
    limit = WARN if after == "warning" else None
    return Change(position, place, parameter, 1000 + position, after, before, float(position), limit)


def action(position: int, what: str, parameter: str = "", **more: str) -> Action:
    return Action(position, what, parameter, **{"user": "", "comment": "", "until": "", **more})


def run(*items: Change | Action) -> tuple[Alarms, list[Entry]]:
    alarms = Alarms()
    changes = [item for item in items if isinstance(item, Change)]
    return alarms, alarms.process(changes, [item for item in items if isinstance(item, Action)])


RAISED, WORSE = change(0, "warning"), change(1, "critical", "warning")
BETTER, BACK = change(2, "warning", "critical"), change(3, "normal", "warning")
SEEN = action(1, "acknowledge", "Power/volts")


@pytest.mark.parametrize(
    ("items", "states"),
    [
        ([RAISED], ["unacknowledged"]),
        ([RAISED, SEEN], ["unacknowledged", "acknowledged"]),
        ([RAISED, SEEN, BACK], ["unacknowledged", "acknowledged", "normal"]),
        ([RAISED, BACK], ["unacknowledged", "returned"]),
        ([RAISED, change(0, "normal", "warning", place=1), SEEN], ["unacknowledged", "returned", "normal"]),
        ([RAISED, BACK, change(4, "warning")], ["unacknowledged", "returned", "unacknowledged"]),
        ([RAISED, SEEN, change(2, "critical", "warning")], ["unacknowledged", "acknowledged", "unacknowledged"]),
        ([change(0, "critical"), SEEN, BETTER], ["unacknowledged", "acknowledged", "acknowledged"]),
        ([change(0, "critical"), BETTER], ["unacknowledged", "unacknowledged"]),
        ([RAISED, WORSE], ["unacknowledged", "unacknowledged"]),
        ([RAISED, SEEN, action(2, "acknowledge")], ["unacknowledged", "acknowledged"]),
    ],
)
def test_transitions(items: list[Change | Action], states: list[str]) -> None:
    alarms, entries = run(*items)
    assert [entry.values["state"] for entry in entries] == states
    assert [alarm["state"] for alarm in alarms.current()] == [state for state in states[-1:] if state != "normal"]


def test_an_entry_tells_what_an_operator_needs() -> None:
    _, [raised, worse, seen] = run(RAISED, WORSE, action(5, "acknowledge", "Power/volts", user="Wu", comment="I see"))
    assert (raised.kind, raised.position, raised.place, raised.time, raised.subject) == (
        "alarm",
        0,
        0,
        1000,
        "Power/volts",
    )
    assert raised.values == {
        "parameter": "Power/volts",
        "state": "unacknowledged",
        "severity": "warning",
        "previous": "normal",
        "value": 0.0,
        "label": "",
        "low": 10,
        "high": 20,
        "since": "1000",
        "raised": "1000",
        "operator": "",
        "comment": "",
        "until": "",
        "position": "0",
    }
    assert (worse.values["since"], worse.values["raised"], worse.values["previous"]) == ("1001", "1000", "warning")
    assert (seen.position, seen.values["operator"], seen.values["comment"]) == (5, "Wu", "I see")
    # A new excursion is a new matter.
    alarms, _ = run(RAISED, action(1, "acknowledge", user="Wu", comment="I see"), BACK, change(7, "warning"))
    [now] = alarms.current()
    assert (now["operator"], now["comment"], now["raised"]) == ("", "", "1007")


def test_all_can_be_acknowledged_at_once_and_one_message_makes_lines_with_places() -> None:
    alarms, entries = run(
        change(0, "warning", parameter="A/x"), change(1, "severe", parameter="B/y"), action(2, "acknowledge")
    )
    assert [(e.position, e.place, e.subject, e.values["state"]) for e in entries[2:]] == [
        (2, 0, "A/x", "acknowledged"),
        (2, 1, "B/y", "acknowledged"),
    ]
    assert [alarm["parameter"] for alarm in alarms.current()] == ["B/y", "A/x"]  # the worst first


def test_shelving_hides_and_restores_what_happened_meanwhile() -> None:
    alarms, entries = run(RAISED, action(1, "shelve", "Power/volts", user="Wu", until="2026-12-01T12:00:00Z"))
    assert (entries[-1].values["state"], entries[-1].values["until"]) == ("shelved", "2026-12-01T12:00:00Z")
    assert "hidden" not in entries[-1].values
    [entry] = alarms.process([change(2, "critical", "warning")], [])
    assert (entry.values["state"], entry.values["severity"]) == ("shelved", "critical")
    [entry] = alarms.process([change(3, "normal", "critical")], [])
    assert entry.values["state"] == "shelved"
    [entry] = alarms.process([], [action(4, "unshelve", "Power/volts")])
    assert (entry.values["state"], entry.values["until"]) == ("returned", "")
    assert alarms.process([], [action(5, "unshelve", "Power/volts")]) == []
    # Acknowledged on the shelf, and shelved twice.
    for what, state in (
        ("shelve", "shelved"),
        ("shelve", "shelved"),
        ("acknowledge", "shelved"),
        ("unshelve", "normal"),
    ):
        [entry] = alarms.process([], [action(6, what)])
        assert entry.values["state"] == state
    assert alarms.current() == []


def test_a_comment_changes_nothing_else() -> None:
    alarms, entries = run(RAISED, action(1, "comment", "Power/volts", user="Wu", comment="known"))
    assert (entries[-1].values["state"], entries[-1].values["comment"]) == ("unacknowledged", "known")
    assert alarms.process([], [action(2, "comment", "Nobody/knows", comment="?")]) == []


def test_actions_take_effect_at_their_place_in_the_log() -> None:
    # The acknowledgement was recorded before the alarm, though both are in one block: it doesn't apply.
    alarms, entries = run(change(5, "warning"), action(4, "acknowledge"))
    assert [entry.values["state"] for entry in entries] == ["unacknowledged"]
    assert alarms.current()[0]["state"] == "unacknowledged"


def test_what_is_not_finite_is_told_by_name() -> None:
    for value, name in ((math.inf, "Infinity"), (-math.inf, "-Infinity"), (math.nan, "NaN")):
        alarms = Alarms()
        item = Change(0, 0, "A/x", 0, "severe", "normal", value, None)
        [entry] = alarms.process([item], [])
        assert entry.values["value"] == name
        json.dumps(dict(entry.values), allow_nan=False)
        again = Alarms()
        again.restore(json.loads(json.dumps(alarms.state())))
        assert again.current() == alarms.current()


def test_an_action_is_read() -> None:
    sent = {"action": "shelve", "parameter": "A/x", "user": "Wu", "comment": "好的 👍", "until": None, "id": 7}
    assert parse_action(3, json.dumps(sent).encode()) == Action(3, "shelve", "A/x", "Wu", "好的 👍", "")


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe\xfd", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"9" * 10_000, "not JSON"),
        (b"[]", "the action should be one of"),
        (b'{"action": ["acknowledge"]}', "the action should be one of"),
        (b'{"action": "delete"}', "the action should be one of"),
        # Not "all of the mission" by mistake.
        (b'{"action": "acknowledge", "parameter": 0}', "parameter should be a text"),
        (b'{"action": "acknowledge", "parameter": []}', "parameter should be a text"),
        (b'{"action": "comment", "comment": "%s"}' % (b"x" * 1001), "comment should be a text of at most 1000"),
        (b'{"action": "comment", "user": "\\ud800"}', "user should be a text"),
        (b'{"action": "comment", "comment": "a\\u0000b"}', "comment should be a text"),
    ],
)
def test_what_is_wrong_with_an_action_is_said(payload: bytes, says: str) -> None:
    found = parse_action(0, payload)
    assert isinstance(found, str)
    assert says in found


def test_the_longest_texts_fit_into_a_line_of_the_journal() -> None:
    wide = {"action": "comment", "user": "👍" * 100, "comment": "👍" * 1000, "until": "👍" * 100}
    found = parse_action(1, json.dumps(wide).encode())
    assert isinstance(found, Action)
    _, entries = run(RAISED, found)
    assert len(json.dumps(dict(entries[-1].values))) <= 16 * 1024


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
fields = st.fixed_dictionaries(
    {},
    optional={
        "action": st.sampled_from(["acknowledge", "shelve", "unshelve", "comment"]) | anything,
        **{name: st.text() | anything for name in ("parameter", "user", "comment", "until")},
    },
)


@given(st.binary() | (fields | anything).map(lambda values: json.dumps(values).encode()))
def test_no_payload_raises(payload: bytes) -> None:
    found = parse_action(0, payload)
    if isinstance(found, Action):
        for text in (found.parameter, found.user, found.comment, found.until):
            text.encode()
        _, entries = run(RAISED, found)
        json.dumps([dict(entry.values) for entry in entries], allow_nan=False).encode()


steps = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 5))
    | st.tuples(
        st.sampled_from(["acknowledge", "shelve", "unshelve", "comment"]), st.sampled_from(["", "a", "b", "x"])
    ),
    max_size=40,
)


@given(steps, st.sets(st.integers(0, 40)))
def test_lines_do_not_depend_on_cuts_and_restarts(steps: list[tuple[str, Any]], cuts: set[int]) -> None:
    items: list[Change | Action] = []
    level: dict[str, str] = {}
    for position, (what, of) in enumerate(steps):
        if isinstance(of, str):
            items.append(action(position, what, of, user=f"u{position}"))
        elif level.get(what, "normal") != SEVERITIES[of]:
            items.append(change(position, SEVERITIES[of], level.get(what, "normal"), what))
            level[what] = SEVERITIES[of]

    def result(stops: Sequence[int]) -> tuple[list[Entry], list[dict[str, Any]]]:
        alarms, entries, start = Alarms(), [], 0
        for stop in stops:
            again = Alarms()
            again.restore(json.loads(json.dumps(alarms.state())))
            alarms = again
            here = [item for item in items if start <= item.position < stop]
            changes = [item for item in here if isinstance(item, Change)]
            entries += alarms.process(changes, [item for item in here if isinstance(item, Action)])
            start = stop
        return entries, alarms.current()

    assert result([*sorted(cut for cut in cuts if cut < len(steps)), len(steps)]) == result([len(steps)])
