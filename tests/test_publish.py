from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ground.blocks import NO_TIME
from ground.errors import ConfigError
from ground.link.mqtt import Client, parse_broker_url
from ground.mission import Mission, load_mission
from ground.publish import Published, publish_file
from ground.recording.read import RecordedBlock, Recording
from ground.recording.write import Recorder

DATA = Path(os.environ.get("GROUND_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))


def frames(mission: Mission, vcids: list[int], times: list[int] | None = None) -> bytes:
    """Frames of Chang'e 5 (AOS, seconds in the insert zone) or Hera (TM) with nothing in them."""
    link = mission.link
    octets = np.zeros((len(vcids), link.length), np.uint8)
    for row, vcid in enumerate(vcids):
        word = 1 << 14 | link.spacecraft_id << 6 | vcid if link.frame == "aos" else link.spacecraft_id << 4 | vcid << 1
        octets[row, :2] = word >> 8, word & 0xFF
        octets[row, -1] = row
        if times:
            octets[row, 10:14] = list(times[row].to_bytes(4, "little"))
    return octets.tobytes()


async def publish_and_record(
    broker: str, folder: Path, octets: bytes, mission: Mission, speed: float | None = None, frames_per_message: int = 32
) -> tuple[Published, list[RecordedBlock], int]:
    """What publish_file says, what was recorded, and the sum of its progress."""
    path = folder / "frames.u8"
    path.write_bytes(octets)
    progress: list[int] = []
    address = parse_broker_url(broker, {})
    async with (
        Recorder(folder / "recording") as recorder,
        Client(address, "ground", subscriptions=[("tm/#", 1)]) as link,
        Client(address, "station") as station,
    ):
        await link.connected(10)
        published = await publish_file(
            path,
            mission,
            station,
            speed=speed,
            frames_per_message=frames_per_message,
            progress=progress.append,
        )
        while recorder.committed < published.messages:
            delivery = await link.receive()
            await recorder.append(delivery.packets, delivery.received)
            link.ack(delivery)
    return published, list(Recording(folder / "recording").read(0)), sum(progress)


async def test_frames_of_one_channel_share_messages(broker: str, tmp_path: Path) -> None:
    mission = load_mission("change5")
    octets = frames(mission, [1, 1, 1, 1, 1, 2, 2, 1])
    published, (block,), progress = await publish_and_record(
        broker, tmp_path, octets + octets[:100], mission, frames_per_message=3
    )
    assert (published.messages, published.frames, published.rest, progress) == (5, 8, 100, len(octets) + 100)
    assert block.topic.to_pylist() == [f"tm/change5/file/{vcid}" for vcid in (1, 1, 2, 1, 1)]
    assert block.seq.tolist() == [0, 3, 5, 7, 8]
    assert block.run.to_pylist() == [published.run] * 5
    assert np.diff(block.offset).tolist() == [660, 440, 440, 220, 100]
    assert block.payload[block.offset[0] : block.offset[-1]].tobytes() == octets + octets[:100]
    assert block.ert.tolist() == [NO_TIME] * 5


@pytest.mark.parametrize("octets", [b"", b"x", b"xy"])
async def test_files_without_a_frame(mosquitto: str, tmp_path: Path, octets: bytes) -> None:
    published, blocks, _ = await publish_and_record(mosquitto, tmp_path, octets, load_mission("hera"))
    assert (published.frames, published.rest, published.messages) == (0, len(octets), bool(octets))
    assert b"".join(block.payload.tobytes() for block in blocks) == octets


async def test_pace_and_receive_time_follow_the_frame_times(mosquitto: str, tmp_path: Path) -> None:
    mission = load_mission("change5")
    times = [1000, 1001, 1003, 0, 900_000_000, 900_000_001]  # a step back and an impossible one are not waited for
    started = time.monotonic()
    published, blocks, _ = await publish_and_record(
        mosquitto, tmp_path, frames(mission, [1] * 6, times), mission, speed=20.0
    )
    assert time.monotonic() - started >= 4 / 20.0
    assert published.messages == 6
    epoch = 1_343_779_200  # 2012-08-01
    assert [ert for block in blocks for ert in block.ert.tolist()] == [(epoch + t) * 1_000_000_000 for t in times]


async def test_without_frame_times_it_is_a_frame_a_second(mosquitto: str, tmp_path: Path) -> None:
    before = time.time_ns()
    _, blocks, _ = await publish_and_record(
        mosquitto, tmp_path, frames(load_mission("hera"), [1, 3, 7]), load_mission("hera"), speed=10.0
    )
    erts = [ert for block in blocks for ert in block.ert.tolist()]
    assert before < erts[0] < erts[1] < erts[2] < time.time_ns()
    assert erts[2] - erts[0] >= 190_000_000
    assert [str(topic)[-1] for block in blocks for topic in block.topic] == ["1", "3", "7"]


async def test_a_file_that_is_not_there(mosquitto: str, tmp_path: Path) -> None:
    async with Client(parse_broker_url(mosquitto, {}), "station") as station:
        with pytest.raises(ConfigError, match="none"):
            await publish_file(tmp_path / "none", load_mission("hera"), station)


async def test_messages_for_nobody_are_counted_and_not_those_for_one_who_is_away(
    mosquitto: str, tmp_path: Path
) -> None:
    mission = load_mission("hera")
    path = tmp_path / "frames.u8"
    path.write_bytes(frames(mission, [1, 2, 3]))
    address = parse_broker_url(mosquitto, {})
    async with Client(address, "station") as station:
        assert (await publish_file(path, mission, station, speed=None)).unheard == 3
        async with Client(address, "away", subscriptions=[("tm/#", 1)], session_expiry=60) as away:
            await away.connected(10)
        assert (await publish_file(path, mission, station, speed=None)).unheard == 0
        assert station.counts.unheard == 3


def test_the_command_fails_where_nobody_listens(mosquitto: str, tmp_path: Path) -> None:
    path = tmp_path / "frames.u8"
    path.write_bytes(frames(load_mission("hera"), [1, 2, 3]))
    command = [sys.executable, "-m", "ground", "publish", str(path), "--mission", "hera", "--speed", "max"]
    done = subprocess.run([*command, "--broker", mosquitto], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"{mosquitto}: nobody was subscribed to 3 of the 3 messages" in done.stderr


async def test_a_real_pass_is_recorded_octet_for_octet(broker: str, tmp_path: Path) -> None:
    path = DATA / "recordings" / "change5" / "2020-11-28.u8"
    if not path.is_file():
        pytest.skip(f"needs the real recordings: set GROUND_REAL_DATA ({path})")
    octets = path.read_bytes()
    published, blocks, _ = await publish_and_record(broker, tmp_path, octets, load_mission("change5"))
    assert published.frames == 3075
    recorded = b"".join(block.payload[block.offset[0] : block.offset[-1]].tobytes() for block in blocks)
    assert recorded == octets
