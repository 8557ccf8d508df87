from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from ground.__main__ import main
from ground.commands import stack
from ground.errors import GroundError
from ground.mission import load_mission
from tests.test_mission import GOOD, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four missions: a good one whose title looks like markup, one with a bad link, one with bad XTCE, one without."""
    monkeypatch.setenv("GROUND_MISSIONS", str(tmp_path))
    definitions = load_mission("change5").telemetry.read_text()
    write(tmp_path, GOOD.replace('"Test"', '"Test [/x]"'), "good")
    write(tmp_path, GOOD.replace("offset = 6", "offset = -3"), "link")
    write(tmp_path, GOOD, "xtce")
    write(tmp_path, GOOD, "none")
    for name in ("good", "link"):
        (tmp_path / name / "telemetry.xml").write_text(definitions)
    (tmp_path / "xtce" / "telemetry.xml").write_text(definitions.replace("<ParameterSet>", "<ParameterSets>", 1))
    return tmp_path


def test_the_list_has_good_and_bad(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["missions"]) == 1
    printed = capsys.readouterr().out
    assert "Test [/x]" in printed
    assert "Chang'e 5" in printed
    assert f"link cannot be used: {folders}/link/mission.toml:7: [time.frame] offset = -3" in printed
    assert f"xtce cannot be used: {folders}/xtce/telemetry.xml:" in printed
    assert f"none cannot be used: {folders}/none/telemetry.xml: " in printed


def test_the_list_as_json(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["missions", "--json"]) == 1
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert found["good"] == {"name": "good", "title": "Test [/x]", "simulated": False, "error": None}
    assert "offset = -3" in found["link"]["error"]
    assert {name for name, one in found.items() if one["error"]} == {"link", "xtce", "none"}
    assert found["luna26"]["simulated"]


def test_the_list_of_good_ones_is_good(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GROUND_MISSIONS", raising=False)
    assert main(["missions"]) == 0
    assert "cannot be used" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "says"),
    [("link", "link/mission.toml:7: "), ("xtce", "xtce/telemetry.xml:"), ("none", "none/telemetry.xml")],
)
def test_one_is_checked(folders: Path, capsys: pytest.CaptureFixture[str], name: str, says: str) -> None:
    assert main(["missions", name]) == 1
    assert f"{folders}/{says}" in capsys.readouterr().err
    assert main(["missions", "good"]) == 0
    assert "Test [/x]: " in capsys.readouterr().out


def test_what_is_bad_keeps_nothing_else_from_starting(
    folders: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with caplog.at_level(logging.WARNING):
        names = {mission.name for mission, _ in stack.start_with_usable()}
    assert {"good", "change5", "luna26"} <= names
    assert not {"link", "xtce", "none"} & names
    assert len(caplog.records) == 3
    assert "mission link is left out: " in caplog.text
    with pytest.raises(GroundError, match=r"xtce/telemetry\.xml:"):
        stack.compiled_missions(["good", "xtce"])

    def defect(_: object) -> object:
        raise KeyError("container")

    monkeypatch.setattr("ground.xtce.plan.compile", defect)
    usable, unusable = stack.usable_missions(["good"])
    assert not usable
    assert "KeyError('container')" in unusable["good"]
