"""``ground simulate --output``: what it writes is what the pipeline takes, without a broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ground.__main__ import main
from ground.mission import load_mission
from ground.recording.read import Recording
from simulators.ephemeris import SECOND
from simulators.luna26 import LUNA26
from simulators.run import generate
from simulators.simulation import Simulation
from simulators.state import State
from tests.simulators.receiver import Receiver, apid, sequence

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 150


def write(path: Path, *arguments: str) -> int:
    return main(["simulate", "luna26", "--output", str(path), "--duration", str(SECONDS), *arguments])


@pytest.fixture(scope="module")
def flown() -> list[Any]:
    """The same time step by step, as it goes to a broker."""
    simulation = Simulation(load_mission("luna26"), LUNA26, State("luna26", 26, LUNA26.start, LUNA26.start))
    steps = []
    while simulation.state.time < LUNA26.start + SECONDS * SECOND:
        steps += simulation.advance(7)
    return [message for step in steps[: 2 * SECONDS] for message in step.messages]


def test_a_recording_holds_what_a_broker_would_have_got(tmp_path: Path, flown: list[Any]) -> None:
    assert write(tmp_path) == 0
    blocks = list(Recording(tmp_path).read(0))
    assert b"".join(one.payload.tobytes() for one in blocks) == b"".join(message.payload for message in flown)
    lengths = np.concatenate([np.diff(one.offset) for one in blocks])
    assert lengths.tolist() == [len(message.payload) for message in flown]
    for name in ("ert", "dt", "seq"):
        found = np.concatenate([getattr(one, name) for one in blocks])
        assert found.tolist() == [getattr(message, name) for message in flown]
    topics = [topic for one in blocks for topic in one.topic.to_pylist()]
    assert topics == [f"tm/luna26/{message.station}/{message.vcid}" for message in flown]


def test_once_more_it_is_known_and_other_seeds_are_not(tmp_path: Path) -> None:
    def runs(**changes: Any) -> tuple[str, bytes]:
        (_, first), *_ = generate("luna26", 10, **changes)
        return dict(first[0].properties)["run"], b"".join(message.payload for message in first)

    assert runs() == runs(seed=26)
    assert runs()[0] != runs(seed=27)[0]
    assert runs()[1] != runs(seed=27)[1]
    assert runs()[0] != runs(faults=["reboot@3"])[0]


def test_bare_frames_for_decode(tmp_path: Path, flown: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "frames.u8"
    assert write(path) == 0
    assert path.read_bytes() == b"".join(message.payload for message in flown)
    assert "600 messages" in capsys.readouterr().err
    receiver = Receiver(load_mission("luna26")).feed(path.read_bytes(), check_fecf=False)
    power = [packet for packet in receiver.packets[0] if apid(packet) == 256]
    assert [sequence(packet) for packet in power] == list(range(SECONDS))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fault", "heater-on:sauna"], "luna26 has no sauna; it has battery, instrument, tank, tracker"),
        (["--fault", "stuck-sensor:Power/nothing"], "luna26 has no Power/nothing"),
        (["--scenario", "nowhere.toml"], "nowhere.toml"),
        (["--start", "2020-01-01"], "known only from 2028"),
        (["--vectors", "x.txt"], "--vectors are sent to a broker"),
    ],
)
def test_what_cannot_be_written_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert write(tmp_path / "recording", *arguments) == 1
    assert message in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert write(tmp_path / "nowhere" / "frames.u8") == 1
    assert "nowhere/frames.u8: cannot be written" in capsys.readouterr().err
