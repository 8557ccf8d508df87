from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ground.errors import ConfigError
from ground.mission import load_mission
from simulators.state import State
from simulators.vectors import read_vectors, send_vectors
from tests.real_data import ROOT, requires_real_data
from tests.simulators.receiver import Receiver, apid

if TYPE_CHECKING:
    from pathlib import Path

LINES = """[0150fe9feecc] 2020-08-01 21:01:30.5676 99929721.15472408 -106358786.60340533 -45541375.03963038 25.6 18.2 8

[0150fea4d0d1] 2020-08-01 21:02:02.568100 99930541.23208189 -106358204.52150576 -45541101.93563232 25.6 18.2 8.5
"""


def sent(path: Path, state: State) -> list[bytes]:
    receiver = Receiver(load_mission("tianwen1"))
    for step in send_vectors(receiver.mission, state, path, "kashi"):
        for message in step.messages:
            receiver.feed(message.payload)
            assert message.ert >= state.time
    assert all(zone[6:] == b"\x4a\xaa" for zone in receiver.insert_zones)
    return [packet for packet in receiver.packets.get(1, []) if apid(packet) == 1287]


@requires_real_data
@pytest.mark.parametrize("name", ["state_vectors_20200801.txt", "state_vectors_20210208.txt"])
def test_real_vectors_are_sent_bit_for_bit(name: str) -> None:
    path = ROOT / "tianwen1" / name
    lines = [line.split() for line in path.read_text().splitlines()]
    packets = sent(path, State("tianwen1", 1, 0, 0))
    assert len(packets) == len(lines)
    for packet, line in zip(packets, lines, strict=True):
        assert packet[18:24].hex() == line[0].strip("[]")
        assert packet[72:120] == struct.pack(">6d", *map(float, line[3:]))


def test_a_restart_goes_on_with_the_next_vector(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text(LINES)
    times, vectors = read_vectors(path)
    assert times.tolist() == [1_596_315_690_567_600_000, 1_596_315_722_568_100_000]
    assert vectors[1, 0] == 99930541.23208189
    state = State("tianwen1", 1, int(times[0]), int(times[0]) - 1)
    first = next(send_vectors(load_mission("tianwen1"), state, path, "kashi"))
    assert state.time == times[0]
    assert first.messages[0].seq == 0
    rest = list(send_vectors(load_mission("tianwen1"), state, path, "kashi"))
    assert [message.seq for step in rest for message in step.messages] == [len(first.messages[0].payload) // 220]
    assert sent(path, state) == []
    assert np.all(np.diff(times) > 0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[0150fe9feecc] 2020-08-01 21:01:30 1 2 3 4 5", r"vectors\.txt:2: should be"),
        ("[0150fe9feecc] 2020-08-01 21:01:30 1 2 3 4 5 x", r"vectors\.txt:2: could not convert"),
        ("[zz] 2020-08-01 21:01:30 1 2 3 4 5 6", r"vectors\.txt:2: invalid literal"),
        ("[ffffffffffff] 2020-08-01 21:01:30 1 2 3 4 5 6", r"vectors\.txt:2: should be"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text(LINES.splitlines()[0] + "\n" + line + "\n")
    with pytest.raises(ConfigError, match=message):
        read_vectors(path)


def test_a_file_without_vectors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_vectors(tmp_path / "nowhere.txt")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(ConfigError, match="no state vector"):
        read_vectors(tmp_path / "empty.txt")
