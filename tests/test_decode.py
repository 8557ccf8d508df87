"""``ground decode`` on the real recordings, and on what can be done to them."""

from __future__ import annotations

import base64
import csv
import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ground.__main__ import main
from ground.blocks import NO_TIME
from ground.decode import FORMATS, decode_file, summary
from ground.decoder import MissionDecoder, Telemetry
from ground.messages import Messages
from ground.mission import load_mission
from ground.xtce import plan, read
from tests.real_data import RECORDINGS, ROOT, counts, recording, requires_real_data

if TYPE_CHECKING:
    from pathlib import Path

SPAN = {
    "change5": ("2020-11-28T10:09:01.000000000Z", "2020-11-28T11:53:07.000000000Z"),
    "danuri": ("2022-08-05T08:44:25.875000000Z", "2022-08-05T08:50:12.875000000Z"),
    "hera": (None, None),
    "tianwen2": ("2026-05-25T15:50:10.004867553Z", "2026-05-25T16:00:08.004867553Z"),
}


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["decode", *arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@requires_real_data
@pytest.mark.parametrize("mission", RECORDINGS)
def test_the_counts_of_every_real_recording(mission: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, str(recording(mission)), "--mission", mission, "--summary", "--json")
    assert status == 0
    got, expected = json.loads(out), counts(mission)
    assert got["frames"] == expected["frames"]
    good = sum(vc["frames"] for vc in got["vcs"].values())
    assert good + sum(got["rejected"].values()) == got["frames"]
    assert good == expected.get("good", sum(vc["n"] for vc in expected["vcs"].values()))
    assert got["rejected"]["fecf"] == expected.get("fecf_bad", 0)
    assert set(got["vcs"]) == set(expected["vcs"])
    for vcid, vc in expected["vcs"].items():
        mine = got["vcs"][vcid]
        assert [mine["frames"], mine["gaps"], mine["lost"], mine["packets"]] == [
            vc["n"],
            vc["gaps"],
            vc["missing"],
            vc["packets"],
        ]
        assert mine["apids"] == {apid: n for apid, (n, _) in vc["apids"].items()}
        if "first" in vc:
            assert (mine["first"], mine["last"]) == (vc["first"], vc["last"])
    if mission in SPAN:
        assert (got["time"]["first"], got["time"]["last"]) == SPAN[mission]


def frames_as_messages(octets: np.ndarray, length: int, first: int = 0) -> Messages:
    n = len(octets) // length
    none = np.full(n, NO_TIME, np.int64)
    run_ = pa.array(["run"] * n, pa.string())
    start = np.arange(n, dtype=np.int64) * length
    return Messages(octets, start, np.full(n, length), none, np.zeros(n, np.int64), run_, first + np.arange(n))


def as_rows(telemetry: list[Telemetry]) -> dict[str, pa.Table]:
    parts: dict[str, list[pa.RecordBatch]] = {}
    for item in telemetry:
        parts.setdefault(item.rows.container, []).append(item.rows.batch)
    return {name: pa.Table.from_batches(batches).combine_chunks() for name, batches in parts.items()}


@requires_real_data
@pytest.mark.parametrize("mission", RECORDINGS)
def test_a_restart_after_every_single_frame_gives_identical_rows(mission: str) -> None:
    definition = load_mission(mission)
    compiled = plan.compile(read.load(definition.telemetry))
    length = definition.link.length
    octets = np.fromfile(recording(mission), np.uint8)[: 400 * length]
    whole = MissionDecoder(definition, compiled)
    expected, _ = whole.process("file", frames_as_messages(octets, length))
    telemetry: list[Telemetry] = []
    state: dict[str, Any] | None = None
    for i in range(len(octets) // length):
        decoder = MissionDecoder(definition, compiled)
        if state is not None:
            decoder.restore(json.loads(json.dumps(state)))
        rows, _ = decoder.process("file", frames_as_messages(octets[i * length : (i + 1) * length], length, i))
        telemetry += rows
        state = decoder.state()
    assert as_rows(telemetry) == as_rows(expected)
    assert state is not None
    assert state == whole.state()


@requires_real_data
def test_every_message_sent_twice_changes_nothing_but_the_duplicates() -> None:
    definition = load_mission("change5")
    compiled = plan.compile(read.load(definition.telemetry))
    octets = np.fromfile(recording("change5"), np.uint8)[: 300 * 220]
    once, twice, bare = (MissionDecoder(definition, compiled) for _ in range(3))
    messages = frames_as_messages(octets, 220)
    expected, _ = once.process("s", messages)
    again = messages.select(np.repeat(np.arange(300), 2))
    assert as_rows(twice.process("s", again)[0]) == as_rows(expected)
    # Without running numbers the frames themselves tell.
    plain = Messages(again.data, again.start, again.length, again.ert, again.dt, pa.nulls(600, pa.string()), again.seq)
    assert as_rows(bare.process("s", plain)[0]) == as_rows(expected)
    for decoder in (twice, bare):
        assert decoder.ledger.duplicate in (300, 299)  # one of the 300 is rejected before it is compared
        assert decoder.ledger.good == once.ledger.good
        assert decoder.ledger.balanced()


@requires_real_data
@pytest.mark.parametrize("file_format", FORMATS)
def test_the_tables_hold_every_packet(file_format: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--mission", "change5", "--format", file_format, "--output", str(tmp_path)]
    status, _, err = run(capsys, str(recording("change5")), *arguments)
    assert status == 0
    assert "21282 packets of 96 containers" in err
    path = tmp_path / f"Packet_40.{file_format}"
    if file_format == "parquet":
        payloads = [bytes(v.as_py()) for v in pq.read_table(path).column("payload")]
    elif file_format == "csv":
        with path.open() as file:
            payloads = [base64.b64decode(row["payload"]) for row in csv.DictReader(file)]
    else:
        payloads = [base64.b64decode(json.loads(line)["payload"]) for line in path.read_text().splitlines()]
    assert len(payloads) == 1515
    assert {len(payload) for payload in payloads} == {62 - 6}


@requires_real_data
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(flips=st.dictionaries(st.integers(0, 1115 * 60 - 1), st.integers(1, 255), max_size=10))
def test_flipped_bits_cost_what_they_touch(flips: dict[int, int], tmp_path: Path) -> None:
    octets = bytearray(recording("mars2020").read_bytes()[: 1115 * 60])
    for place, mask in flips.items():
        octets[place] ^= mask
    file = tmp_path / "damaged.u8"
    file.write_bytes(octets)
    ledger = decode_file(file, load_mission("mars2020"))
    assert ledger.balanced()
    # The recording's first 60 frames are good.
    hit = {place // 1115 for place in flips}
    assert 0 <= len(hit) - ledger.rejected["fecf"] <= (len(flips) > len(hit))
    assert ledger.good == 60 - ledger.rejected.total()


@pytest.mark.parametrize("mission", ["change5", "danuri", "hera", "mars2020", "stereo-a", "tianwen2"])
@pytest.mark.parametrize("size", [0, 1, 219, 100_000])
def test_random_octets_are_counted_and_never_raise(
    mission: str, size: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "noise.u8"
    file.write_bytes(np.random.default_rng(size).integers(0, 256, size, np.uint8).tobytes())
    status, out, _ = run(capsys, str(file), "--mission", mission, "--json")
    counts_ = json.loads(out)
    length = load_mission(mission).link.length
    assert status == 0
    assert counts_["frames"] == -(-size // length)
    assert counts_["rejected"]["length"] == (size % length != 0)
    assert sum(vc["frames"] for vc in counts_["vcs"].values()) + sum(counts_["rejected"].values()) == counts_["frames"]


@requires_real_data
def test_a_frame_that_is_in_a_file_three_times_counts_once() -> None:
    file, hera = ROOT / "cases" / "hera-one-frame-three-times.u8", load_mission("hera")
    ledger = decode_file(file, hera)
    [channel] = ledger.channels.values()
    assert (ledger.frames_in, ledger.duplicate, ledger.balanced()) == (3, 2, True)
    assert (channel.frames, channel.gaps, channel.lost, channel.packets) == (1, 0, 0, 6)


def test_a_truncated_file_loses_its_last_frame_only(tmp_path: Path) -> None:
    frames = [bytes([0x56, 0xC1, 0, 0, n, 0]) + bytes(8) + b"\x07\xff" + bytes(204) for n in range(4)]
    file = tmp_path / "cut.u8"
    file.write_bytes(b"".join(frames)[:-120])
    counts_ = summary(decode_file(file, load_mission("change5")), load_mission("change5"))
    assert counts_["frames"] == 4
    assert counts_["rejected"] == {"version": 0, "spacecraft": 0, "fecf": 0, "length": 1}
    assert counts_["vcs"]["1"]["frames"] == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing.u8", "--mission", "change5"], "missing.u8: no such file"),
        (["README.md", "--mission", "apollo"], "there is no mission 'apollo'; known: change5"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (1, "")
    assert says in err
    assert len(err.splitlines()) == 1


@requires_real_data
def test_the_wrong_mission_is_named_as_a_possible_cause(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, str(recording("change5")), "--mission", "danuri", "--json")
    assert status == 0
    assert json.loads(out)["rejected"]["spacecraft"] > 3000
    assert "frames rejected: spacecraft" in err


def test_a_file_of_bare_packets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    toml = 'title = "Bare"\n[link]\nframe = "none"\n[[time.packet]]\noffset = 6\nlength = 4\n'
    (folder / "mission.toml").write_text(toml)
    (folder / "telemetry.xml").write_bytes(load_mission("change5").telemetry.read_bytes())
    packets = [struct.pack(">HHHI", 100 + i % 3, i, 3 + i, i) + bytes(i) for i in range(30)]
    file = tmp_path / "packets.bin"
    file.write_bytes(b"".join(packets) + packets[0][:5])
    status, out, err = run(capsys, str(file), "--mission", str(folder), "--json")
    assert status == 0
    assert json.loads(out) == {
        "frames": 31,
        "rejected": {"version": 0, "spacecraft": 0, "fecf": 0, "length": 1},
        "vcs": {
            "0": {
                "frames": 30,
                "first": None,
                "last": None,
                "gaps": 0,
                "lost": 0,
                "packets": 30,
                "apids": {"100": 10, "101": 10, "102": 10},
            }
        },
        "time": {"first": "1970-01-01T00:00:00.000000000Z", "last": "1970-01-01T00:00:29.000000000Z"},
    }
    assert "1 frame rejected: length" in err
