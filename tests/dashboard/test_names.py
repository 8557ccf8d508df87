"""A mission may be called what its agency calls it: dots, blanks and letters beyond ASCII work in every URL."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pyarrow as pa
import pytest

from ground.__main__ import main
from ground.mission import load_mission
from ground.stores import Checkpoint, Rows
from tests.stores.telemetry import T0, batch

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dashboard.conftest import Publisher, Setup


@pytest.mark.parametrize("name", ["Luna 26.1", "嫦娥 五号", 'a"b;c%2', "..", "50% é"])
async def test_a_mission_of_any_name(setup: Setup, publish: Publisher, tmp_path: Path, name: str) -> None:
    mission = dataclasses.replace(load_mission("luna26"), name=name)
    rows = batch([T0], [0], voltage=pa.array([1.5]))
    await setup.store.append(name, [Rows(name, "Power 1.0", rows)], [], Checkpoint(1, b""))
    async with setup.dashboard(missions=[mission]) as dashboard, dashboard.live() as socket:
        base = f"/api/missions/{quote(name, safe='').replace('.', '%2E')}"
        client = dashboard.client
        assert [entry["name"] for entry in (await client.get("/api/missions")).json()] == [name]
        listed = (await client.get(f"{base}/parameters")).json()
        assert "Power 1.0/voltage" in {entry["name"] for entry in listed}
        asked = {"parameter": "Power 1.0/voltage", "start": str(T0), "stop": str(T0 + 1)}
        headers = {"accept": "application/json"}
        [row] = (await client.get(f"{base}/history", params=asked, headers=headers)).json()["rows"]
        assert row["last"] == 1.5
        [row] = (await client.get(f"{base}/latest", params={"parameter": asked["parameter"]}, headers=headers)).json()[
            "rows"
        ]
        assert row["last"] == 1.5
        answer = await client.get(f"{base}/rows/Power%201.0")
        assert answer.status_code == 200
        assert pa.ipc.open_stream(answer.content).read_all().num_rows == 1
        named = f"filename*=UTF-8''{quote(f'{name}-Power 1.0.arrow', safe='')}"
        assert answer.headers["content-disposition"] == f"attachment; {named}"
        await socket.send(json.dumps({"subscribe": [{"id": 1, "mission": name, "container": "Power 1.0"}]}))
        await publish(f"clock/{name}", json.dumps({"time": "5", "wall": "5", "rate": 1}))
        async with asyncio.timeout(20):
            while json.loads(await socket.recv())["type"] != "clock":
                pass
        arguments = ["export", "--mission", name, "--url", dashboard.url, "--output", str(tmp_path / "out")]
        assert await asyncio.to_thread(main, arguments) == 0
        assert [file.name for file in (tmp_path / "out").iterdir()] == ["Power 1.0.csv"]
