"""``ground loadtest`` against both brokers, and what it says when something is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

import ground.commands.loadtest
from ground.__main__ import main
from ground.loadtest.verify import verify
from ground.loadtest.work import MISSION
from ground.stores.duckdb import DuckdbStore

if TYPE_CHECKING:
    from pathlib import Path

    from ground.loadtest.traffic import Traffic
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


def test_mosquitto_many_publishers_at_a_rate(mosquitto: str, tmp_path: Path) -> None:
    options = ("--packets", "6000", "--rate", "4000", "--publishers", "3", "--frames-per-message", "4")
    trace = tmp_path / "trace.jsonl"
    report = loadtest("--broker", mosquitto, *options, "--trace", str(trace))
    assert [*report] == KEYS
    assert report["offered"] == report["recorded"] == report["stored_packets"] >= 6000
    # The onboard time is not counted: it is there twice.
    assert report["stored_samples"] == 32 * report["stored_packets"]
    frames = report["ledger"]["missions"][MISSION]["frames"]
    # Each publisher's first group of messages has a damaged and a repeated one, of four frames.
    assert frames["duplicate"] == frames["rejected"]["fecf"] == 12
    assert report["ledger"]["balanced"]
    assert report["latency_ms"]["record"]["p50"] <= report["latency_ms"]["live"]["max"]
    assert report["latency_ms"]["store"]["max"] > 0
    assert report["cpu_us_per_sample"] > 0
    assert report["peak_rss_mb"] > 10
    looks = [json.loads(line) for line in trace.read_text().splitlines()]
    assert [*looks[-1]["packets"]] == ["offered", "recorded", "decoded", "stored"]
    assert looks[-1]["packets"]["offered"] == report["offered"]
    assert all(look["balanced"] for look in looks)


def test_embedded_broker_as_fast_as_it_goes() -> None:
    report = loadtest("--packets", "3000", "--containers", "7", "--parameters", "3")
    assert report["offered"] == report["stored_packets"] >= 3000
    assert report["stored_samples"] == 3 * report["stored_packets"]
    assert report["ledger"]["balanced"]


def test_a_mission_of_its_own_frames() -> None:
    report = loadtest("--mission", "tianwen1", "--packets", "9000", "--publishers", "2", "--frames-per-message", "3")
    assert report["offered"] == report["stored_packets"] >= 9000
    assert report["ledger"]["missions"]["tianwen1"]["frames"]["rejected"]["spacecraft"] > 0


def test_a_row_that_goes_missing_fails_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def lose_one(store: Store, traffic: Traffic, sent: list[int]) -> Comparison:
        await store.close()
        with duckdb.connect(tmp_path / "data" / "store" / "telemetry.duckdb") as database:
            database.execute(f"DELETE FROM {MISSION}.Load1 WHERE seq = 10")
        store = await DuckdbStore.open(tmp_path / "data" / "store")
        found = await verify(store, traffic, sent)
        await store.close()
        return found

    monkeypatch.setattr(ground.commands.loadtest, "verify", lose_one)
    assert main(["loadtest", "--packets", "500", "--data", str(tmp_path / "data")]) == 1
    said = capsys.readouterr().err
    assert "1 packets missing, 0 rows unexpected, 0 values differ" in said
    assert "Load1: packet 10 of publisher 0" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--broker mqtt://127.0.0.1:1", "127.0.0.1:1"),
        ("--store influxdb://127.0.0.1:1/org/bucket --packets 10", "127.0.0.1:1"),
        ("--store sqlite", "--store 'sqlite' should be duckdb"),
        ("--mission voyager", "there is no mission 'voyager'"),
        ("--mission luna26 --parameters 3", "--parameters and --containers are of the made-up mission"),
        ("--find-knee --duration 2", "--duration 2 is too short"),
        ("--rate 0", "--rate = 0.0 should be above 0"),
        ("--trace /nowhere/file", "/nowhere/file"),
    ],
)
def test_errors_in_words(
    arguments: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ground.commands.loadtest, "_CONNECT_SECONDS", 0.5)
    monkeypatch.setenv("INFLUXDB_TOKEN", "none")
    assert main(["loadtest", *arguments.split()]) == 1
    heard = capsys.readouterr().err
    assert said in heard
    assert "Traceback" not in heard
