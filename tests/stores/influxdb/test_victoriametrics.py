"""Our lines in a real VictoriaMetrics, which takes the same writes; what docs/influxdb.md says of it."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import pyarrow as pa
import pytest

from ground.errors import StoreError
from ground.stores.influxdb import Address, InfluxdbStore, Server
from ground.stores.influxdb.container import unseen
from ground.stores.influxdb.points import Points
from tests.stores.telemetry import MS, T0, batch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def victoriametrics(tmp_path: Path) -> Iterator[str]:
    """The URL of one of the test's own."""
    binary = shutil.which("victoria-metrics")
    if not binary:
        pytest.skip("needs VictoriaMetrics: apt-get install victoria-metrics")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{probe.getsockname()[1]}"
    process = subprocess.Popen(
        [binary, f"-storageDataPath={tmp_path / 'data'}", f"-httpListenAddr={place}", "-retentionPeriod=100y"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://{place}"
    finally:
        process.kill()
        process.wait()


async def answers(api: httpx.AsyncClient) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                if (await api.get("/health")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


async def test_it_takes_our_lines_but_cannot_be_the_store(victoriametrics: str) -> None:
    columns: dict[str, pa.Array[Any]] = {
        "voltage": pa.array([28.5, None, -0.25], pa.float32()),
        "mode": pa.array([1, 2, 3], pa.uint8()),
        "heater": pa.array([True, False, None]),
        "text": pa.array(["a b", 'c"', "d"]),
    }
    rows = batch([T0, T0 + MS, T0 + 2 * MS], [7, 8, 9], **columns)
    points, _ = Points.of(pa.Table.from_batches([rows]))
    container = unseen(("luna26", "Power")).grown(rows.schema, [])
    server = Server(Address(victoriametrics, "org", "bucket"), "any")
    store = InfluxdbStore(server)
    async with httpx.AsyncClient(base_url=victoriametrics) as api:
        await answers(api)
        assert await server.write(points.lines(container).text) == []
        await api.get("/internal/force_flush")
        answer = await api.get("/api/v1/export", params={"match[]": '{mission="luna26"}'})
    series = {item["metric"]["__name__"]: item for item in map(json.loads, answer.text.splitlines())}
    ms = T0 // MS
    assert (series["Power_voltage"]["values"], series["Power_voltage"]["timestamps"]) == ([28.5, -0.25], [ms, ms + 2])
    assert (series["Power_mode"]["values"], series["Power_mode"]["timestamps"]) == ([1, 2, 3], [ms, ms + 1, ms + 2])
    assert series["Power_heater"]["values"] == [1, 0]
    assert series["Power_seq"]["values"] == [7, 8, 9]
    assert series["Power_text"]["values"] == [0, 0, 0]  # it has no text
    # It answers InfluxQL with a table that is not asked for: taken for a store, it must be found out.
    with pytest.raises(StoreError):
        await store.checkpoint("luna26")
    await store.close()
