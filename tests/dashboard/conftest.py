from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiomqtt
import httpx
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from websockets.asyncio.client import connect

from dashboard.access import Access
from dashboard.app import create_app, serve
from ground.link.address import parse_broker_url
from ground.mission import load_mission
from ground.stores.duckdb import DuckdbStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from fastapi import FastAPI

    from dashboard.hub import Hub
    from ground.stores import Store

LEDGER = {"position": {"recorded": 3, "processed": 2, "stored": 1}, "balanced": True}


@dataclass
class Dashboard:
    """A dashboard that serves on a free port of this machine."""

    url: str
    app: FastAPI
    store: Store
    client: httpx.AsyncClient

    @property
    def hub(self) -> Hub:
        hub: Hub = self.app.state.hub
        return hub

    def live(self, name: str = "127.0.0.1", **options: Any) -> connect:
        """A WebSocket to this dashboard; ``name`` is what the Host header calls it."""
        port = httpx.URL(self.url).port
        uri = f"ws://{name}:{port}/ws"
        return connect(uri, host="127.0.0.1", port=port, compression=None, proxy=None, **options)


@dataclass
class Setup:
    """How to start dashboards on one broker and store."""

    broker: str
    store: Store
    running: list[asyncio.Task[None]] = field(default_factory=list)

    @asynccontextmanager
    async def dashboard(self, host: str = "127.0.0.1", **options: Any) -> AsyncIterator[Dashboard]:
        missions = options.pop("missions", None) or [load_mission(name) for name in ("luna26", "change5")]
        options = {"pages": Path("/nonexistent"), **options}
        ledger = options.pop("ledger", lambda: LEDGER)
        app = create_app(missions, self.store, ledger, parse_broker_url(self.broker), **options)
        started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve(app, host, 0, started.set_result))
        serving.add_done_callback(lambda _: started.cancel())
        await asyncio.wait({started})
        if serving.done():
            await serving
        url = started.result()
        while not app.state.hub.connected:
            await asyncio.sleep(0.01)
        try:
            async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
                yield Dashboard(url, app, self.store, client)
        finally:
            serving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await serving


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await DuckdbStore.open(tmp_path / "store")
    yield opened
    await opened.close()


@pytest.fixture
def setup(embedded_broker: str, store: Store) -> Setup:
    return Setup(embedded_broker, store)


@pytest.fixture
async def dashboard(setup: Setup) -> AsyncIterator[Dashboard]:
    async with setup.dashboard() as running:
        yield running


class Publisher:
    """Publishes as the pipeline does."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client

    async def __call__(
        self,
        topic: str,
        payload: bytes | str,
        properties: Mapping[str, str | int] | None = None,
        *,
        retain: bool = False,
    ) -> None:
        pairs = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if properties:
            pairs.UserProperty = [(name, str(value)) for name, value in properties.items()]
        qos = 0 if "live/" in topic else 1
        await self._client.publish(topic, payload, qos=qos, retain=retain, properties=pairs)


@asynccontextmanager
async def publisher(broker: str) -> AsyncIterator[Publisher]:
    address = parse_broker_url(broker)
    async with aiomqtt.Client(address.host, address.port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        yield Publisher(client)


@pytest.fixture
async def publish(embedded_broker: str) -> AsyncIterator[Publisher]:
    async with publisher(embedded_broker) as opened:
        yield opened


__all__ = ["LEDGER", "Access", "Dashboard", "Publisher", "Setup", "publisher"]
