from __future__ import annotations

import json
import re

import pytest

from ground.__main__ import main

ARGUMENTS = ["passes", "--mission", "luna26", "--from", "2028-09-13T02:00Z", "--to", "2028-09-13T06:00Z"]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> str:
    assert main([*ARGUMENTS, *request.param]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("printed", [["--json"]], indirect=True)
def test_json_is_for_scripts(printed: str) -> None:
    passes = json.loads(printed)
    assert [one["station"] for one in passes] == ["bear-lakes", "kalyazin", "ussuriysk"]
    for one in passes:
        assert int(one["aos"]) <= int(one["culmination"]) < int(one["los"])
        assert one["interruptions"][0]["reason"] == "occulted by the Moon"
    assert passes[2]["title"] == "Ussuriysk"
    assert int(passes[2]["los"]) < int(passes[0]["los"]), "the Moon sets in the east first"


@pytest.mark.parametrize("printed", [["--ics", "--station", "kalyazin"]], indirect=True)
def test_a_calendar_can_read_it(printed: str) -> None:
    lines = printed.splitlines()
    assert lines[0] == "BEGIN:VCALENDAR"
    assert lines[-1] == "END:VCALENDAR"
    assert all(len(line.encode()) <= 75 for line in lines)
    text = "\n".join(lines).replace("\n ", "")
    assert text.count("BEGIN:VEVENT") == text.count("END:VEVENT") == 1
    assert re.search(r"^DTSTART:20280913T020000Z$", text, re.MULTILINE)
    assert re.search(r"^DTEND:20280913T060000Z$", text, re.MULTILINE)
    assert re.search(
        r"^DESCRIPTION:Highest at .*degrees\\n03:05:30 to 03:37:06 occulted by the Moon", text, re.MULTILINE
    )


@pytest.mark.parametrize("printed", [[]], indirect=True)
def test_the_table_is_for_people(printed: str) -> None:
    assert "Bear Lakes" in printed
    assert "09-13 02:00:00" in printed
    assert "03:05-03:37" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--station", "kashi"], "luna26 has no station kashi"),
        (["--to", "2028-09-13T01:00Z"], "--to should be later"),
        (["--from", "2020-01-01", "--to", "2020-01-02"], "luna26 is known only from 2028-09-13 01:40:00"),
    ],
)
def test_what_cannot_be_predicted_is_said(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main([*ARGUMENTS, *arguments]) == 1
    assert message in capsys.readouterr().err
