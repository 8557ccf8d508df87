"""The load test against both brokers, and that its verification would notice what it is there to notice."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import duckdb
import mqtt5
import numpy as np
import pytest

import ground.commands.loadtest
from ground.__main__ import main
from ground.blocks import Alike
from ground.link.topics import telemetry
from ground.loadtest.latency import latency
from ground.loadtest.stream import GROUP, Stream
from ground.loadtest.verify import verify
from ground.loadtest.wire import Shape
from ground.loadtest.work import MISSION, Work
from ground.mission import load_mission
from ground.pipeline import Pipeline
from ground.recording.read import Recording
from ground.recording.write import Recorder
from ground.stores.duckdb import DuckdbStore
from ground.xtce import plan, read

if TYPE_CHECKING:
    from pathlib import Path

    from ground.loadtest.verify import Comparison
    from ground.stores import Store

KEYS = [
    *("offered", "recorded", "stored_packets", "stored_samples", "samples_per_s", "cpu_us_per_sample", "latency_ms"),
    *("peak_rss_mb", "ledger"),
]


def loadtest(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "ground", "loadtest", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_mosquitto_many_publishers_at_a_rate(mosquitto: str) -> None:
    options = ("--packets", "6000", "--rate", "4000", "--publishers", "3", "--frames-per-message", "4")
    report = loadtest("--broker", mosquitto, *options)
    assert [*report] == KEYS
    assert report["offered"] == report["recorded"] == report["stored_packets"] >= 6000
    assert report["stored_samples"] == 32 * report["stored_packets"]
    frames = report["ledger"]["missions"][MISSION]["frames"]
    # Each publisher's first group of messages has a damaged and a repeated one, of four frames.
    assert frames["duplicate"] == frames["rejected"]["fecf"] == 12
    assert report["ledger"]["balanced"]
    assert report["latency_ms"]["record"]["p50"] <= report["latency_ms"]["live"]["max"]
    assert report["latency_ms"]["store"]["max"] > 0
    assert report["cpu_us_per_sample"] > 0
    assert report["peak_rss_mb"] > 10


def test_embedded_broker_as_fast_as_it_goes() -> None:
    report = loadtest("--packets", "3000", "--containers", "7", "--parameters", "3")
    assert report["offered"] == report["stored_packets"] >= 3000
    assert report["stored_samples"] == 3 * report["stored_packets"]
    assert report["ledger"]["balanced"]


def test_a_row_that_goes_missing_fails_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def lose_one(store: Store, work: Work, sent: list[int]) -> Comparison:
        await store.close()
        with duckdb.connect(tmp_path / "data" / "store" / "telemetry.duckdb") as database:
            database.execute(f"DELETE FROM {MISSION}.Load1 WHERE p0 = 41")
        store = await DuckdbStore.open(tmp_path / "data" / "store")
        found = await verify(store, work, sent)
        await store.close()
        return found

    monkeypatch.setattr(ground.commands.loadtest, "verify", lose_one)
    assert main(["loadtest", "--packets", "500", "--data", str(tmp_path / "data")]) == 1
    said = capsys.readouterr().err
    assert "1 packets missing, 0 rows unexpected, 0 values differ" in said
    assert "Load1: packet 41 of publisher 0" in said


async def stored(folder: Path, work: Work, messages: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The first messages of every publisher through recording, pipeline and store; how many packets they carry."""
    work.write_mission(folder)
    monkeypatch.setenv("GROUND_MISSIONS", str(folder))
    mission = load_mission(MISSION)
    streams = [Stream(work, publisher, 2) for publisher in range(work.publishers)]
    async with Recorder(folder / "recording") as recorder:
        for stream in streams:
            payload, seq = stream.group(0)
            topic = telemetry(MISSION, f"load{stream.publisher}", 0)
            digits = np.array([b"%012d" % number for number in seq.tolist()]).view(np.uint8).reshape(GROUP, 12)
            run = np.full((GROUP, 1), ord("r"), np.uint8)
            alike = Alike(topic, payload[:messages], (("run", run[:messages]), ("seq", digits[:messages])))
            await recorder.append([alike], np.arange(messages))
    store = await DuckdbStore.open(folder / "store")
    missions = [(mission, plan.compile(read.load(mission.telemetry)))]
    pipeline = Pipeline(missions, Recording(folder / "recording"), store)
    await pipeline.start()
    await pipeline.run()
    assert pipeline.report()["balanced"]
    await store.close()
    return [stream.packets(messages) for stream in streams]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE {t} SET p2 = p2 + 0.001 WHERE p0 = 10", "0 packets missing 0 unexpected 2 different"),
        ("UPDATE {t} SET seq = seq + 1 WHERE p0 = 11", "0 packets missing 0 unexpected 2 different"),
        ("DELETE FROM {t} WHERE p0 IN (20, 21)", "4 packets missing 0 unexpected 0 different"),
        ("INSERT INTO {t} SELECT * FROM {t} WHERE p0 = 5", "0 packets missing 2 unexpected 0 different"),
        (
            "UPDATE {t} SET time = time - INTERVAL 500 MILLISECONDS WHERE p0 = 0",
            "2 packets missing 2 unexpected 0 different",
        ),
    ],
)
async def test_every_difference_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, said: str
) -> None:
    work = Work(10**18, parameters=4, containers=1, publishers=2)
    sent = await stored(tmp_path, work, 300, monkeypatch)
    assert sent == [596, 596]
    store = await DuckdbStore.open(tmp_path / "store")
    found = await verify(store, work, sent)
    assert found.equal, found.named
    assert found.stored == 1192
    # One publisher sent less than it says: what it didn't send is missing.
    assert (await verify(store, work, [596, 600])).missing == 4
    assert (await verify(store, work, [596, 595])).unexpected == 1
    await store.close()
    with duckdb.connect(tmp_path / "store" / "telemetry.duckdb") as database:
        database.execute(change.format(t=f"{MISSION}.Load0"))
    store = await DuckdbStore.open(tmp_path / "store")
    found = await verify(store, work, sent)
    await store.close()
    assert f"{found.missing} packets missing {found.unexpected} unexpected {found.different} different" == said
    assert not found.equal
    assert found.named


def test_a_stream_knows_what_it_carries() -> None:
    stream = Stream(Work(0, parameters=1), 0, 3)
    for packets in (1, 297, 299, 301, 600, 1500, 1501, 4000):
        messages = stream.messages(packets)
        assert stream.packets(messages) >= packets > stream.packets(messages - 1)
    payload, seq = stream.group(1)
    assert (payload[200] == payload[50]).all()
    assert seq[200] == seq[50]
    assert (payload[100] != payload[99]).sum() == 3
    assert sorted({*seq.tolist()}) == [3 * number for number in range(GROUP - 1, 2 * (GROUP - 1))]


def test_packets_on_the_wire_are_read_by_the_codec() -> None:
    payload = np.arange(40, dtype=np.uint8).reshape(2, 20)
    numbers = np.array([[7, 10**11], [10**18, 10**18 + 1], [1, 65535]])
    octets = Shape("tm/m/s/0", "run", 20).packets(payload, *numbers)
    for row, sent, seq, ert, packet_id in zip(octets, payload, *numbers.tolist(), strict=True):
        packet, read_octets = mqtt5.read(memoryview(row.tobytes()))
        assert isinstance(packet, mqtt5.PublishPacket)
        assert read_octets == len(row)
        assert (packet.topic, bytes(packet.payload or b""), packet.packet_id) == ("tm/m/s/0", sent.tobytes(), packet_id)
        assert packet.qos == mqtt5.QoS.AT_LEAST_ONCE
        assert {name: value.lstrip("0") for name, value in packet.user_properties} == {
            "ert": str(ert),
            "run": "run",
            "seq": str(seq),
        }


def test_latency_counts_from_when_a_message_was_due_to_the_last_word_on_its_position() -> None:
    due = np.array([0, 10, 20, 30], np.int64) * 10**6
    seen = np.array([(40 * 10**6, 1), (50 * 10**6, 1), (60 * 10**6, 3)], np.int64)
    assert latency(due, seen) == {"p50": 50.0, "p99": 50.0, "max": 50.0}
    assert latency(due, np.empty((0, 2), np.int64)) == {"p50": None, "p99": None, "max": None}
