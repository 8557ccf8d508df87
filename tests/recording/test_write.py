from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from mqtt5 import PublishPacket

from ground.blocks import NO_TIME
from ground.errors import RecordingError
from ground.recording.read import Recording
from ground.recording.segment import read_committed, segment_name, segment_positions
from ground.recording.write import Recorder

if TYPE_CHECKING:
    from pathlib import Path


def packets(first: int, count: int, size: int = 10) -> list[PublishPacket]:
    return [
        PublishPacket(f"tm/m/s/{n % 3}", b"%0*d" % (size, n), user_properties=[("run", "r"), ("seq", str(n))])
        for n in range(first, first + count)
    ]


def times(count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.arange(count, dtype=np.int64)


def payloads(folder: Path) -> list[bytes]:
    blocks = list(Recording(folder).read(0))
    return [b.payload[b.offset[i] : b.offset[i + 1]].tobytes() for b in blocks for i in range(len(b))]


async def test_messages_come_back_as_they_were(tmp_path: Path) -> None:
    properties = [("ert", "-5"), ("dt", "1000"), ("run", "né"), ("seq", str(2**63 - 1)), ("other", "x")]
    async with Recorder(tmp_path / "a" / "b") as recorder:
        positions = await recorder.append(
            [PublishPacket("tm/m/s/1", b"\0\xff", user_properties=properties), PublishPacket("tm/m/s/2", b"")],
            np.array([7, 8]),
        )
        assert positions == range(2)
        assert recorder.committed == 2
    (block,) = Recording(tmp_path / "a" / "b").read(0)
    assert block.received.tolist() == [7, 8]
    assert block.ert.tolist() == [-5, NO_TIME]
    assert block.dt.tolist() == [1000, 0]
    assert block.run.to_pylist() == ["né", None]
    assert block.seq.tolist() == [2**63 - 1, -1]
    assert block.topic.to_pylist() == ["tm/m/s/1", "tm/m/s/2"]
    assert block.payload.tobytes() == b"\0\xff"
    assert block.offset.tolist() == [0, 2, 2]


@pytest.mark.parametrize("text", ["", "1.5", "ten", str(2**63), "1_0", "٣"])
async def test_a_property_that_is_no_integer_is_null_and_counted(tmp_path: Path, text: str) -> None:
    good = PublishPacket("t", b"", user_properties=[("seq", "3")])
    async with Recorder(tmp_path) as recorder:
        await recorder.append([PublishPacket("t", b"", user_properties=[("seq", text)]), good], times(2))
        assert recorder.malformed == 1
    (block,) = Recording(tmp_path).read(0)
    assert block.seq.tolist() == [-1, 3]


async def test_a_segment_is_a_plain_arrow_stream(tmp_path: Path) -> None:
    async with Recorder(tmp_path) as recorder:
        await recorder.append(packets(0, 5), times(5))
        await recorder.append(packets(5, 5), times(5))
    with pa.OSFile(str(tmp_path / segment_name(0)), "rb") as file, pa.ipc.open_stream(file) as stream:
        batches = list(stream.iter_batches_with_custom_metadata())
    assert [batch.batch.num_rows for batch in batches] == [5, 5]
    assert [int(batch.custom_metadata[b"position"]) for batch in batches] == [0, 5]
    with pa.OSFile(str(tmp_path / segment_name(0)), "rb") as file:
        bodies = [message.body for message in pa.ipc.MessageReader.open_stream(file) if message.type == "record batch"]
    crcs = [int(batch.custom_metadata[b"crc32"], 16) for batch in batches]
    assert crcs == [zlib.crc32(memoryview(body or b"")) for body in bodies]
    assert batches[0].batch.schema.names == ["received", "ert", "dt", "run", "seq", "topic", "payload"]


async def test_appends_during_a_sync_become_one_batch(tmp_path: Path) -> None:
    async with Recorder(tmp_path) as recorder:
        ranges = await asyncio.gather(*(recorder.append(packets(n * 3, 3), times(3)) for n in range(50)))
    assert sorted(n for positions in ranges for n in positions) == list(range(150))
    got = payloads(tmp_path)
    for number, positions in enumerate(ranges):
        assert [got[n] for n in positions] == [b"%010d" % n for n in range(number * 3, number * 3 + 3)]
    with pa.OSFile(str(tmp_path / segment_name(0)), "rb") as file, pa.ipc.open_stream(file) as stream:
        assert len(list(stream)) < 50


async def test_a_restart_and_a_full_segment_begin_a_new_one(tmp_path: Path) -> None:
    for start in (0, 20):
        async with Recorder(tmp_path, segment_octets=2500) as recorder:
            assert recorder.committed == start
            for n in range(start, start + 20, 5):
                await recorder.append(packets(n, 5, size=200), times(5))
    assert segment_positions(tmp_path) == [0, 10, 20, 30]
    assert payloads(tmp_path) == [b"%0200d" % n for n in range(40)]


async def test_a_restart_without_messages_leaves_no_segment(tmp_path: Path) -> None:
    for _ in range(2):
        async with Recorder(tmp_path):
            pass
    assert not segment_positions(tmp_path)
    assert read_committed(tmp_path) == 0
    assert list(Recording(tmp_path).read(0)) == []


async def test_one_writer_at_a_time(tmp_path: Path) -> None:
    async with Recorder(tmp_path):
        with pytest.raises(RecordingError, match="another process"):
            async with Recorder(tmp_path):
                pass


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match="cannot record here"):
        async with Recorder(tmp_path / "file" / "folder"):
            pass


async def test_a_full_disk_is_an_error_and_leaves_no_half_batch(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with Recorder(tmp_path) as recorder:
        await recorder.append(packets(0, 10), times(10))
        resource.setrlimit(resource.RLIMIT_FSIZE, (8000, hard))
        try:
            for _ in range(2):
                with pytest.raises(RecordingError, match="cannot be written"):
                    await recorder.append(packets(10, 100, size=1000), times(100))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert recorder.committed == 10
        reader = Recording(tmp_path, lambda: recorder.committed)
        assert sum(len(block) for block in reader.read(0)) == 10
        assert await recorder.append(packets(10, 100, size=1000), times(100)) == range(10, 110)
        assert sum(len(block) for block in reader.read(0)) == 110
        assert not reader.damage
    assert payloads(tmp_path) == [b"%010d" % n for n in range(10)] + [b"%01000d" % n for n in range(10, 110)]


async def test_a_cancelled_append_does_not_harm_the_others(tmp_path: Path) -> None:
    async with Recorder(tmp_path) as recorder:
        first = asyncio.create_task(recorder.append(packets(0, 1), times(1)))
        second = asyncio.create_task(recorder.append(packets(1, 1), times(1)))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == range(1, 2)
        assert await recorder.append(packets(2, 1), times(1)) == range(2, 3)
    assert payloads(tmp_path) == [b"%010d" % n for n in range(3)]


async def test_grown_tells_who_waits(tmp_path: Path) -> None:
    async with Recorder(tmp_path) as recorder:
        waiting = asyncio.create_task(recorder.grown(3))
        await recorder.append(packets(0, 3), times(3))
        assert not waiting.done()
        await recorder.append(packets(3, 2), times(2))
        assert await waiting == 5


WRITER = """
import asyncio, sys
from pathlib import Path
import numpy as np
from mqtt5 import PublishPacket
from ground.recording.write import Recorder

async def main():
    async with Recorder(Path(sys.argv[1]), segment_octets=100_000) as recorder:
        async def one():
            while True:
                n = recorder.committed
                positions = await recorder.append([PublishPacket("t", b"x" * 300)] * 7, np.zeros(7, np.int64))
                print(positions.stop, flush=True)
        await asyncio.gather(*(one() for _ in range(4)))

asyncio.run(main())
"""


def test_kill_9_costs_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    acknowledged = 0
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout
            for _ in range(200):
                acknowledged = max(acknowledged, int(writer.stdout.readline()))
            writer.send_signal(signal.SIGKILL)
            for line in writer.stdout:
                acknowledged = max(acknowledged, int(line) if line.endswith("\n") else 0)
        committed = read_committed(tmp_path)
        assert committed >= acknowledged
        reader = Recording(tmp_path)
        assert sum(len(block) for block in reader.read(0)) == committed
        assert not reader.damage


async def test_a_torn_end_is_written_again(tmp_path: Path) -> None:
    async with Recorder(tmp_path) as recorder:
        await recorder.append(packets(0, 5), times(5))
    segment = tmp_path / segment_name(0)
    whole = segment.read_bytes()
    for cut in (0, 100, len(whole) - 100):
        segment.write_bytes(whole[:cut])
        (tmp_path / "committed").unlink()
        async with Recorder(tmp_path) as recorder:
            assert recorder.committed == 0
            await recorder.append(packets(100, 5), times(5))
        assert payloads(tmp_path) == [b"%010d" % n for n in range(100, 105)]


async def test_positions_of_acknowledged_messages_are_not_used_twice(tmp_path: Path) -> None:
    async with Recorder(tmp_path) as recorder:
        await recorder.append(packets(0, 5), times(5))
    os.truncate(tmp_path / segment_name(0), 300)
    async with Recorder(tmp_path) as recorder:
        assert await recorder.append(packets(5, 5), times(5)) == range(5, 10)
    reader = Recording(tmp_path)
    assert [(block.position, len(block)) for block in reader.read(0)] == [(5, 5)]
    assert [damage.lost for damage in reader.damage.values()] == [5]


async def test_a_recording_keeps_its_identity(tmp_path: Path) -> None:
    identities = []
    for _ in range(2):
        async with Recorder(tmp_path / "r") as recorder:
            await recorder.append(packets(0, 1), times(1))
            identities.append(Recording(tmp_path / "r").identity)
    moved = (tmp_path / "r").rename(tmp_path / "moved")
    identities.append(Recording(moved).identity)
    async with Recorder(tmp_path / "r"):
        other = Recording(tmp_path / "r").identity
    assert identities == identities[:1] * 3
    assert re.fullmatch("[0-9a-f]{32}", other)
    assert other != identities[0]


async def test_an_old_recording_has_no_identity_until_it_is_written_again(tmp_path: Path) -> None:
    async with Recorder(tmp_path) as recorder:
        await recorder.append(packets(0, 1), times(1))
    file = tmp_path / "identity"
    file.unlink()
    assert Recording(tmp_path).identity == ""
    assert not file.exists()
    async with Recorder(tmp_path):
        assert Recording(tmp_path).identity
    assert len(payloads(tmp_path)) == 1


@pytest.mark.parametrize("octets", [b"", b"\0" * 33, b"ab\n", b"\xff" * 32])
async def test_a_garbled_identity_is_replaced_and_said(
    tmp_path: Path, octets: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "identity").write_bytes(octets)
    assert Recording(tmp_path).identity == ""
    async with Recorder(tmp_path):
        assert Recording(tmp_path).identity
    assert str(tmp_path / "identity") in caplog.text


def test_an_identity_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "identity").mkdir()
    with pytest.raises(RecordingError, match=str(tmp_path)):
        _ = Recording(tmp_path).identity
