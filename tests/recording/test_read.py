from __future__ import annotations

import asyncio
import os
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mqtt5 import PublishPacket

from ground.errors import RecordingError
from ground.recording.read import Recording
from ground.recording.scan import Damage
from ground.recording.segment import PREAMBLE, SCHEMA, committed_line, encode, segment_name, segment_positions
from ground.recording.write import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BATCHES, ROWS = 3, 2
MESSAGES = [
    (f"tm/m/s/{n}", bytes([n]) * (n + 1), [("run", f"r{n}"), ("seq", str(n)), ("ert", str(n * 1000))])
    for n in range(BATCHES * ROWS)
]


@pytest.fixture(scope="module")
def segment(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A segment with three batches of two messages, closed in good order."""

    async def write(folder: Path) -> None:
        async with Recorder(folder) as recorder:
            for first in range(0, len(MESSAGES), ROWS):
                part = [PublishPacket(t, p, user_properties=u) for t, p, u in MESSAGES[first : first + ROWS]]
                await recorder.append(part, np.arange(first, first + ROWS, dtype=np.int64))

    folder = tmp_path_factory.mktemp("whole")
    asyncio.run(write(folder))
    return (folder / segment_name(0)).read_bytes()


@pytest.fixture(scope="module")
def starts(segment: bytes) -> list[int]:
    """The offsets of the three batches and the end of the last."""
    offsets = [at for at in range(0, len(segment), 8) if segment[at : at + 4] == b"\xff\xff\xff\xff"]
    assert offsets[0] == 0
    assert offsets[1] == len(PREAMBLE)
    assert len(offsets) == BATCHES + 2
    return offsets[1:]


def read(folder: Path, committed: int | None = len(MESSAGES)) -> tuple[set[int], Recording]:
    """Which messages come back (each checked octet for octet), and the reader."""
    reader = Recording(folder, None if committed is None else lambda: committed)
    found = []
    for block in reader.read(0):
        numbers = list(range(block.position, block.end))
        topics, payloads, _ = zip(*MESSAGES[block.position : block.end], strict=True) if numbers else ((), (), ())
        assert block.payload[block.offset[0] : block.offset[-1]].tobytes() == b"".join(payloads)
        assert np.diff(block.offset).tolist() == [len(payload) for payload in payloads]
        assert block.topic.to_pylist() == list(topics)
        assert block.run.to_pylist() == [f"r{n}" for n in numbers]
        assert block.seq.tolist() == block.received.tolist() == numbers
        assert block.ert.tolist() == [n * 1000 for n in numbers]
        found += numbers
    assert found == sorted(set(found))
    return set(found), reader


def batch_of(offset: int, starts: list[int]) -> int | None:
    """The number of the batch that has the octet ``offset``."""
    return next((n for n in range(BATCHES) if starts[n] <= offset < starts[n + 1]), None)


EVERYTHING = set(range(BATCHES * ROWS))


@pytest.mark.parametrize("committed", [None, len(MESSAGES)])
def test_any_flipped_bit_costs_its_batch_only_and_is_named(
    tmp_path: Path, segment: bytes, starts: list[int], committed: int | None
) -> None:
    path = tmp_path / segment_name(0)
    path.write_bytes(segment)
    for offset in range(0, len(segment), 1 if committed else 5):
        with path.open("r+b", buffering=0) as file:
            os.pwrite(file.fileno(), bytes([segment[offset] ^ 1 << offset % 8]), offset)
            found, reader = read(tmp_path, committed)
            os.pwrite(file.fileno(), segment[offset : offset + 1], offset)
        number = batch_of(offset, starts)
        if number is None:
            assert found == EVERYTHING
            continue
        assert found == EVERYTHING - set(range(number * ROWS, number * ROWS + ROWS))
        (damage,) = reader.damage.values()
        assert damage.offset == starts[number]
        assert damage.lost == (None if number == BATCHES - 1 and committed is None else ROWS)
        assert str(path) in str(damage)


@pytest.mark.parametrize("committed", [None, len(MESSAGES)])
def test_truncation_at_any_octet_costs_what_is_cut_off(
    tmp_path: Path, segment: bytes, starts: list[int], committed: int | None
) -> None:
    path = tmp_path / segment_name(0)
    path.write_bytes(segment)
    for length in reversed(range(len(segment))):
        os.truncate(path, length)
        found, reader = read(tmp_path, committed)
        whole = sum(length >= end for end in starts[1:])
        assert found == set(range(whole * ROWS))
        if committed and whole < BATCHES:
            assert sum(damage.lost or 0 for damage in reader.damage.values()) == (BATCHES - whole) * ROWS


@pytest.mark.parametrize("number", range(BATCHES))
def test_zeros_and_a_batch_that_is_not_there(tmp_path: Path, segment: bytes, starts: list[int], number: int) -> None:
    lost = set(range(number * ROWS, number * ROWS + ROWS))
    size = starts[number + 1] - starts[number]
    for middle, octets in ((bytes(size), size), (b"", 0), (b"\xff" * 999, 999)):
        (tmp_path / segment_name(0)).write_bytes(segment[: starts[number]] + middle + segment[starts[number + 1] :])
        found, reader = read(tmp_path)
        assert found == EVERYTHING - lost
        (damage,) = reader.damage.values()
        assert damage.lost == ROWS
        if number < BATCHES - 1:
            assert (damage.offset, damage.octets) == (starts[number], octets)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_octets_make_it_fail(tmp_path_factory: pytest.TempPathFactory, segment: bytes, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("r")
    start = data.draw(st.integers(0, len(segment)))
    stop = data.draw(st.integers(start, len(segment)))
    (folder / segment_name(0)).write_bytes(segment[:start] + data.draw(st.binary(max_size=300)) + segment[stop:])
    read(folder, data.draw(st.sampled_from([None, len(MESSAGES)])))


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
@pytest.mark.parametrize("position", [0, 1, 2, 5, 6, 50])
def test_reading_from_any_position_in_blocks_of_any_size(
    tmp_path: Path, segment: bytes, position: int, limit: int
) -> None:
    (tmp_path / segment_name(0)).write_bytes(segment)
    blocks = list(Recording(tmp_path).read(position, limit))
    assert [n for block in blocks for n in range(block.position, block.end)] == list(range(position, BATCHES * ROWS))
    assert [s for block in blocks for s in block.seq.tolist()] == list(range(position, BATCHES * ROWS))
    assert all(len(block) <= limit for block in blocks)


@pytest.mark.parametrize("limit", [1, 3, 5])
def test_reading_block_by_block(tmp_path: Path, segment: bytes, limit: int) -> None:
    (tmp_path / segment_name(0)).write_bytes(segment)
    reader = Recording(tmp_path)
    position = 0
    while block := next(reader.read(position, limit), None):
        assert block.position == position
        assert block.seq.tolist() == list(range(position, block.end))
        position = block.end
    assert position == BATCHES * ROWS


def test_small_batches_are_joined(tmp_path: Path, segment: bytes) -> None:
    (tmp_path / segment_name(0)).write_bytes(segment)
    assert [len(block) for block in Recording(tmp_path).read(0)] == [BATCHES * ROWS]


def test_nothing_is_read_beyond_the_committed_position(tmp_path: Path, segment: bytes) -> None:
    (tmp_path / segment_name(0)).write_bytes(segment)
    (tmp_path / "committed").write_bytes(committed_line(4))
    assert read(tmp_path, None)[0] == set(range(4))
    assert Recording(tmp_path).end() == 4
    for unreadable in (b"", b"12\n", committed_line(4).replace(b"4", b"5", 1)):
        (tmp_path / "committed").write_bytes(unreadable)
        assert read(tmp_path, None)[0] == EVERYTHING
        assert Recording(tmp_path).end() == BATCHES * ROWS


async def test_following_a_growing_recording(tmp_path: Path) -> None:
    async with Recorder(tmp_path, segment_octets=3000) as recorder:
        reader = Recording(tmp_path, lambda: recorder.committed)
        position = 0
        for n in range(30):
            assert list(reader.read(position)) == []
            await recorder.append([PublishPacket("t", b"%0300d" % n)] * 2, np.zeros(2, np.int64))
            for block in reader.read(position):
                assert block.position == position
                assert block.payload[block.offset[0] : block.offset[1]].tobytes() == b"%0300d" % n
                position = block.end
            assert position == 2 * n + 2
    assert not reader.damage
    assert len(segment_positions(tmp_path)) > 3


async def test_following_goes_past_a_damaged_end(tmp_path: Path) -> None:
    async with Recorder(tmp_path) as recorder:
        reader = Recording(tmp_path, lambda: recorder.committed)
        await recorder.append([PublishPacket("t", b"a" * 50)] * 2, np.zeros(2, np.int64))
        path = tmp_path / segment_name(0)
        with path.open("r+b") as file:
            file.seek(-20, 2)
            file.write(b"?")
        assert [(block.position, len(block)) for block in reader.read(0)] == [(2, 0)]
        await recorder.append([PublishPacket("t", b"b")] * 3, np.zeros(3, np.int64))
        assert [(block.position, len(block)) for block in reader.read(2)] == [(2, 3)]
        assert [damage.lost for damage in reader.damage.values()] == [2]


def test_a_missing_segment_is_a_jump(tmp_path: Path, segment: bytes, starts: list[int]) -> None:
    for number in (0, 2):
        body = segment[starts[number] : starts[number + 1]]
        (tmp_path / segment_name(number * ROWS)).write_bytes(PREAMBLE + body)
    found, reader = read(tmp_path)
    assert found == EVERYTHING - set(range(2, 4))
    assert [damage.lost for damage in reader.damage.values()] == [2]
    (tmp_path / segment_name(0)).unlink()
    found, reader = read(tmp_path)
    assert found == set(range(4, 6))
    assert [damage.lost for damage in reader.damage.values()] == [4]


def test_a_segment_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / segment_name(0)).mkdir()
    with pytest.raises(RecordingError, match="cannot be read"):
        list(Recording(tmp_path).read(0))


@pytest.mark.parametrize("kept", [0, 100, 2000, 40_000, 60_000])
async def test_a_segment_cut_off_by_another_hand_while_it_is_read(tmp_path: Path, kept: int) -> None:
    async with Recorder(tmp_path) as recorder:
        for n in range(10):
            await recorder.append([PublishPacket("t", bytes([n]) * 10_000)], np.zeros(1, np.int64))
    path = tmp_path / segment_name(0)
    reader = Recording(tmp_path)
    blocks = []
    for block in reader.read(0, limit=1):
        blocks.append(block)
        if len(blocks) == 3:
            os.truncate(path, kept)
    assert [block.payload[block.offset[0]] for block in blocks if len(block)] == list(range(sum(map(len, blocks))))
    assert sum(map(len, blocks)) == max(4, kept // 10_600)  # one is read ahead
    assert blocks[-1].end == 10
    (damage,) = reader.damage.values()
    assert damage.reason == "truncated"
    assert damage.lost == 10 - sum(map(len, blocks))


def forged(batch: pa.RecordBatch, change: Callable[[bytearray], None]) -> bytes:
    """An IPC message whose body was changed, and whose seals are right all the same."""
    body = bytearray(encode(batch, 2)[1])
    change(body)
    header = bytearray(encode(batch, 2)[0])
    place = header.index(struct.pack("<I", 8) + b"%08x" % zlib.crc32(encode(batch, 2)[1])) + 4
    header[place : place + 8] = b"%08x" % zlib.crc32(body)
    seal = header.index(b"crc32 ") + 6
    header[seal : seal + 8] = b"00000000"
    header[seal : seal + 8] = b"%08x" % zlib.crc32(header)
    return bytes(header + body)


def offsets(column: int, *values: int) -> Callable[[pa.RecordBatch], Callable[[bytearray], None]]:
    def of(batch: pa.RecordBatch) -> Callable[[bytearray], None]:
        old = np.frombuffer(memoryview(batch.column(column).buffers()[1] or b""), np.int32)[:3].tobytes()
        return lambda body: body.__setitem__(slice(at := body.index(old), at + 12), struct.pack("<3i", *values))

    return of


@pytest.mark.parametrize("column", [3, 5, 6])
@pytest.mark.parametrize("values", [(-4, 2, 5), (0, -1, 5), (0, 4, 3), (5, 3, 0), (0, 2, 2**31 - 1), (-9, -5, -1)])
def test_offsets_that_lead_outside_cost_their_batch_only(
    tmp_path: Path, segment: bytes, starts: list[int], column: int, values: tuple[int, ...]
) -> None:
    text = pa.array(["one", "four4"])
    integers = pa.array([1, 2])
    times = integers.view(SCHEMA.field("received").type)
    columns = [times, times, integers, text, integers, pa.array(["ab", "abcdef"]), pa.array([b"x", b"xyz"])]
    batch = pa.record_batch(columns, schema=SCHEMA)
    message = forged(batch, offsets(column, *values)(batch))
    (tmp_path / segment_name(0)).write_bytes(segment[: starts[1]] + message + segment[starts[2] :])
    found, reader = read(tmp_path)
    assert found == EVERYTHING - {2, 3}
    (damage,) = reader.damage.values()
    assert (damage.offset, damage.lost) == (starts[1], 2)
    assert "contradict" in damage.reason


def test_text_that_is_not_utf_8_costs_its_batch_only(tmp_path: Path, segment: bytes, starts: list[int]) -> None:
    message = segment[starts[1] : starts[2]]
    batch = pa.ipc.read_record_batch(pa.ipc.read_message(message), SCHEMA)

    def change(body: bytearray) -> None:
        body[body.index(b"tm/m")] = 0xFF

    forgery = forged(batch, change)
    (tmp_path / segment_name(0)).write_bytes(segment[: starts[1]] + forgery + segment[starts[2] :])
    found, reader = read(tmp_path)
    assert found == EVERYTHING - {2, 3}
    assert [damage.offset for damage in reader.damage.values()] == [starts[1]]


def test_damage_is_told_while_more_is_met(tmp_path: Path) -> None:
    """A look at it is one moment's, whatever the reading thread finds meanwhile."""
    reader = Recording(tmp_path)
    reader._report(Damage(tmp_path, 0, 1, "?", 1))
    seen = []
    for damage in reader.damage.values():
        seen.append(damage)
        reader._report(Damage(tmp_path, len(seen), 1, "?", 1))
    assert len(seen) == 1
    assert len(reader.damage) == 2
