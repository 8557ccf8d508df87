"""What ``ground export`` writes is what is stored: all of it, exactly, or nothing."""

from __future__ import annotations

import asyncio
import csv
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from dashboard.access import Access
from dashboard.app import create_app, serve
from ground.__main__ import main
from ground.decode import iso_times
from ground.link.address import parse_broker_url
from ground.mission import load_mission
from ground.stores import Checkpoint, Rows
from ground.stores.duckdb import DuckdbStore
from tests.stores.telemetry import MS, T0, batch, random_batch, same

if TYPE_CHECKING:
    from collections.abc import Iterator

N = 2500
POWER = random_batch(N, seed=4)
THERMAL = batch([T0, T0 + 1], [0, 1], body=pa.array([2**63 - 1, -1], pa.int64()))


async def _fill(folder: Path) -> DuckdbStore:
    store = await DuckdbStore.open(folder)
    await store.append(
        "luna26", [Rows("luna26", "Power", POWER), Rows("luna26", "Thermal", THERMAL)], [], Checkpoint(1, b"")
    )
    return store


@contextmanager
def served(folder: Path, password: str | None = None) -> Iterator[str]:
    """The URL of a dashboard with a store in ``folder``, in a thread of its own; no broker answers it."""
    ready, stop = threading.Event(), threading.Event()
    urls: list[str] = []

    async def run() -> None:
        store = await _fill(folder)
        missions = [load_mission("luna26")]
        nobody = parse_broker_url("mqtt://127.0.0.1:1")
        app = create_app(missions, store, dict, nobody, access=Access(password=password), pages=Path("/nonexistent"))

        def started(url: str) -> None:
            urls.append(url)
            ready.set()

        serving = asyncio.create_task(serve(app, "127.0.0.1", 0, started))
        while not stop.is_set():
            await asyncio.sleep(0.05)
        serving.cancel()
        await asyncio.wait([serving])
        await store.close()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        assert ready.wait(30)
        yield urls[0]
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[str]]:
    """The arguments that name the same telemetry, of a dashboard that runs and of a store that nobody has open."""
    if request.param == "url":
        with served(tmp_path / "store") as url:
            yield ["--url", url]
    else:
        asyncio.run(_close(tmp_path / "store"))
        yield ["--store", f"duckdb:{tmp_path / 'store'}"]


async def _close(folder: Path) -> None:
    await (await _fill(folder)).close()


def export(*arguments: str, output: Path) -> int:
    return main(["export", "--mission", "luna26", "--output", str(output), *arguments])


@pytest.mark.parametrize("source", ["url", "store"], indirect=True)
def test_all_that_is_stored_leaves_exactly(
    source: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert export(*source, "--format", "parquet", "--json", output=out) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"Power": N, "Thermal": 2}
    assert f"{N + 2} rows of 2 containers written to {out}/" in printed.err
    assert sorted(file.name for file in out.iterdir()) == ["Power.parquet", "Thermal.parquet"]
    [rows] = pa.parquet.read_table(out / "Power.parquet").combine_chunks().to_batches()
    assert same(rows, POWER)


@pytest.mark.parametrize("source", ["url", "store"], indirect=True)
def test_a_parameter_and_a_window_can_be_chosen(source: list[str], tmp_path: Path) -> None:
    window = ["--from", str(T0 + 10 * MS), "--to", iso_times([T0 + 20 * MS])[0]]
    chosen = ["--parameter", "Power/i64", "--parameter", "Power/mode", "--container", "Thermal"]
    assert export(*source, *window, *chosen, "--format", "csv", output=tmp_path / "out") == 0
    lines = list(csv.DictReader((tmp_path / "out" / "Power.csv").read_text("utf-8").splitlines()))
    assert [line["time"] for line in lines] == iso_times([T0 + i * MS for i in range(10, 20)])
    assert list(lines[0]) == ["time", "ert", "seq", "digest", "i64", "mode"]
    assert [line["i64"] and int(line["i64"]) for line in lines] == [
        "" if value is None else value for value in POWER.column("i64").slice(10, 10).to_pylist()
    ]
    assert {line["mode"] for line in lines} <= {"", "OFF", "ON", *map(str, range(2, 256))}
    assert len((tmp_path / "out" / "Thermal.csv").read_text().splitlines()) == 1


@pytest.mark.parametrize("source", ["url"], indirect=True)
def test_json_lines_carry_64_bits_as_text(source: list[str], tmp_path: Path) -> None:
    assert export(*source, "--container", "Thermal", "--format", "jsonl", output=tmp_path / "out") == 0
    lines = [json.loads(line) for line in (tmp_path / "out" / "Thermal.jsonl").read_text().splitlines()]
    assert [line["body"] for line in lines] == [str(2**63 - 1), "-1"]
    assert [line["time"] for line in lines] == iso_times([T0, T0 + 1])


@pytest.mark.parametrize("source", ["url", "store"], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--container", "Nothing"], "nothing is stored of luna26's container 'Nothing'"),
        (["--parameter", "Power/nothing"], "nothing is stored of Power's parameters nothing"),
        (["--parameter", "voltage"], "should be CONTAINER/NAME"),
    ],
)
def test_what_is_not_there_is_named(
    source: list[str], arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(*source, *arguments, output=tmp_path / "out") == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_password_is_sent_where_one_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(tmp_path / "store", "lune:é") as url:
        assert export("--url", url, output=tmp_path / "out") == 1
        assert "a password is needed" in capsys.readouterr().err
        monkeypatch.setenv("GROUND_DASHBOARD_PASSWORD", "lune:é")
        assert export("--url", url, output=tmp_path / "out") == 0


def test_nobody_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export("--url", "http://127.0.0.1:1", output=tmp_path) == 1
    assert "no dashboard answers at http://127.0.0.1:1" in capsys.readouterr().err
    assert export("--store", f"duckdb:{tmp_path / 'absent'}", output=tmp_path) == 1
    assert "there is no such folder" in capsys.readouterr().err


def test_a_transfer_that_is_cut_short_leaves_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = pa.BufferOutputStream()
    with pa.ipc.new_stream(whole, POWER.schema) as writer:
        writer.write_batch(POWER)
        writer.write_batch(POWER)
    octets = whole.getvalue().to_pybytes()

    class Halfway(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            half = octets[: len(octets) // 2 + 5000]
            self.wfile.write(f"{len(half):x}\r\n".encode() + half + b"\r\n")
            self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Halfway) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}"
            assert export("--url", url, "--container", "Power", output=tmp_path / "out") == 1
        finally:
            server.shutdown()
            thread.join()
    assert "the transfer of Power was cut short" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []
