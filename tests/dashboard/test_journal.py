"""What is kept of events and alarms, in memory and over a restart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.journal import KEPT, Journal

if TYPE_CHECKING:
    from pathlib import Path

EVENT = {"time": "-5", "severity": "info", "source": "station", "text": "acquisition of signal"}
ALARM = {"time": "5", "severity": "normal", "parameter": "Power/bus_voltage", "value": 28.0}


def test_the_newest_are_kept_and_alarms_dont_push_out_events() -> None:
    journal = Journal()
    journal.enter("event", "luna26", EVENT)
    for n in range(KEPT + 10):
        journal.enter("alarm", "luna26", {**ALARM, "time": str(n)})
    kept = journal.entries()
    assert kept[0]["data"] == EVENT
    assert [int(entry["data"]["time"]) for entry in kept[1:]] == list(range(10, KEPT + 10))
    received = [int(entry["received"]) for entry in kept]
    assert received == sorted(received)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("event", None),
        ("event", []),
        ("event", ALARM),
        ("alarm", EVENT),
        ("event", {**EVENT, "severity": "critical"}),
        ("alarm", {**ALARM, "severity": ["normal"]}),
        ("event", {**EVENT, "text": 1}),
        ("event", {**EVENT, "time": "1.5"}),
        ("event", {**EVENT, "time": None}),
        ("event", {**EVENT, "time": "9" * 20}),
    ],
)
def test_what_a_page_could_not_show_is_refused(kind: str, data: Any) -> None:
    journal = Journal()
    with pytest.raises(ValueError, match=r"should|has"):
        journal.enter(kind, "luna26", data)
    assert journal.entries() == []


async def test_a_restart_goes_on_with_what_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "new" / "journal.jsonl"
    journal = Journal(path)
    await journal.save()
    assert not path.exists(), "nothing has happened"
    journal.enter("event", "luna26", EVENT)
    journal.enter("alarm", "tianwen1", ALARM)
    await journal.save()
    again = Journal(path)
    assert again.entries() == journal.entries()
    again.enter("event", "luna26", EVENT)
    await again.save()
    assert len(Journal(path).entries()) == 3
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@given(damage=st.binary())
def test_damage_in_the_file_costs_its_own_lines_only(tmp_path_factory: pytest.TempPathFactory, damage: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "journal.jsonl"
    entry = Journal().enter("event", "luna26", EVENT)
    path.write_bytes(damage + b"\n" + json.dumps(entry).encode() + b'\n[1]\n{"type": []}\n')
    assert Journal(path).entries() == [entry]


async def test_a_disk_that_refuses_costs_the_journal_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    journal = Journal(tmp_path / "file" / "journal.jsonl")
    journal.enter("event", "luna26", EVENT)
    await journal.save()
    assert "not kept over a restart" in caplog.text
    assert json.dumps(journal.entries()[0]["data"]) == json.dumps(EVENT)
