"""``ground up`` as a newcomer runs it: everything together, and the real Tianwen-1 vectors through all of it."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from ground.link.mqtt import Client, parse_broker_url
from tests.integration.service import Service, free_port, ground, ledger_when
from tests.real_data import ROOT, requires_real_data

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

AXES = ("position_x", "position_y", "position_z", "velocity_x", "velocity_y", "velocity_z")
EPOCH = 1_451_577_600 * 10**9  # 2015-12-31T16:00 UTC


class Up(Service):
    """``ground up`` on free ports."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        ports = ["--port", "0", "--mqtt-port", "0", "--mqtt-v4-port", "0"]
        super().__init__(folder / "up.log", "up", "--no-browser", *ports, "--data", str(folder / "data"), *arguments)

    async def urls(self) -> tuple[str, str]:
        """Of the page and of the MQTT 5 listener."""
        page = await self.said(r"Perilune Ground\s+(http://\S+)")
        broker = await self.said(r"MQTT 5\s+(mqtt://\S+)")
        return page[1], broker[1]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    service = Up(tmp_path, "--no-simulators")
    yield service
    service.end()


@requires_real_data
@pytest.mark.parametrize("name", ["state_vectors_20200801.txt", "state_vectors_20210208.txt"])
async def test_the_real_state_vectors_come_back_bit_for_bit(up: Up, tmp_path: Path, name: str) -> None:
    page, broker = await up.urls()
    file = ROOT / "tianwen1" / name
    lines = [line.split() for line in file.read_text().splitlines()]
    sent = ["--vectors", str(file), "--data", str(tmp_path / "station"), "--speed", "max", "--broker", broker]
    ground("simulate", "tianwen1", *sent)
    await ledger_when(
        broker, lambda seen: seen["missions"].get("tianwen1", {}).get("rows", {}).get("stored") == len(lines)
    )
    times = [EPOCH + int(line[0].strip("[]"), 16) * 100_000 for line in lines]
    query = {
        "parameter": [f"Navigation/{axis}" for axis in AXES],
        "start": str(times[0]),
        "stop": str(times[-1] + 1),
        "buckets": str(len(lines)),
    }
    async with httpx.AsyncClient(base_url=page) as http:
        answer = (await http.get("/api/missions/tianwen1/history", params=query)).raise_for_status()
        as_json = await http.get("/api/missions/tianwen1/history", params=query, headers={"accept": "application/json"})
    table = pa.ipc.open_stream(io.BytesIO(answer.content)).read_all()
    for column, axis in enumerate(AXES, 3):
        of_axis = [name.as_py() == f"Navigation/{axis}" for name in table.column("parameter")]
        rows = table.filter(pa.array(of_axis))
        assert rows.column("time").cast(pa.int64()).to_pylist() == times
        values = rows.column("last").to_numpy()
        expected = np.array([float(line[column]) for line in lines])
        assert values.tobytes() == expected.tobytes()
    of_json = [row for row in as_json.json()["rows"] if row["parameter"] == "Navigation/position_x"]
    assert [(int(row["time"]), row["last"]) for row in of_json] == [
        (time, float(line[3])) for time, line in zip(times, lines, strict=True)
    ]
    up.stop()


def more_than(before: dict[str, int], ledger: dict[str, Any]) -> bool:
    stored = {name: mission["rows"]["stored"] for name, mission in ledger["missions"].items()}
    return all(stored.get(name, 0) > rows + 100 for name, rows in before.items())


async def test_both_spacecraft_are_live_and_the_next_start_goes_on(tmp_path: Path) -> None:
    last = {"luna26": 0, "tianwen1": 0}
    for _ in range(2):
        service = Up(tmp_path)
        try:
            _, broker = await service.urls()
            ledger = await ledger_when(broker, partial(more_than, last))
            for name, mission in ledger["missions"].items():
                last[name] = mission["rows"]["stored"]
                assert mission["balanced"]
                assert mission["missing"] == 0
                assert all(vc["gaps"] == 0 for vc in mission["vcs"].values())
            service.stop()
        finally:
            service.end()


def broker_of(data: Path) -> int:
    """The process of the embedded broker that has its configuration in ``data``."""
    config = str(data / "broker" / "broker.toml").encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if config in (folder / "cmdline").read_bytes():
                return int(folder.name)
    raise AssertionError("no broker runs")


def recorded(count: int, ledger: dict[str, Any]) -> bool:
    return bool(ledger["position"]["recorded"] == count)


@pytest.mark.parametrize("what", ["the broker", "everything"])
async def test_what_a_station_sends_after_a_kill_is_recorded(tmp_path: Path, what: str) -> None:
    """Stations are there at once when the broker is back; it acknowledges to nobody before ingest has subscribed."""
    port = free_port()
    ports = ["--port", "0", "--mqtt-port", str(port), "--mqtt-v4-port", "0"]
    url = f"mqtt://127.0.0.1:{port}"

    def up() -> Service:
        data = ["--data", str(tmp_path / "data")]
        return Service(tmp_path / "up.log", "up", "--no-browser", "--no-simulators", *data, *ports)

    async def send(names: Sequence[str]) -> None:
        """One message from each of many stations, as soon as it gets through."""
        async with AsyncExitStack() as stack:
            links = [
                await stack.enter_async_context(Client(parse_broker_url(url, {}), f"{what} {name}")) for name in names
            ]
            async with asyncio.TaskGroup() as tasks:
                for link, name in zip(links, names, strict=True):
                    tasks.create_task(link.publish(f"tm/hera/{name}/1", b"frame"))

    service = up()
    try:
        await service.said("MQTT 5")
        await send([f"a{n}" for n in range(20)])
        await ledger_when(url, partial(recorded, 20))
        if what == "everything":
            service.kill()
        else:
            os.kill(broker_of(tmp_path / "data"), signal.SIGKILL)
        sending = asyncio.create_task(send([f"b{n}" for n in range(200)]))
        if what == "everything":
            service = up()
        await sending
        await ledger_when(url, partial(recorded, 220))
        service.stop()
    finally:
        service.end()
