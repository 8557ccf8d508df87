from __future__ import annotations

from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import pytest

from ground.stores.duckdb import DuckdbStore
from ground.stores.influxdb import InfluxdbStore
from tests.services.influxdb import Influxdb, influxdb
from tests.stores.telemetry import finite

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    import pyarrow as pa

    from ground.stores import Store

__all__ = ["influxdb"]

OpenStore: TypeAlias = "Callable[[], AbstractAsyncContextManager[Store]]"
Keeps: TypeAlias = "Callable[[pa.RecordBatch], pa.RecordBatch]"


@pytest.fixture(params=["duckdb", "influxdb"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Opens the test's own, at first empty, store of the kind under test; what it holds survives closing."""
    with ExitStack() as stack:
        if request.param == "influxdb":
            server: Influxdb = request.getfixturevalue("influxdb")
            address = stack.enter_context(server.bucket())

        @asynccontextmanager
        async def opened() -> AsyncIterator[Store]:
            store: Store
            if request.param == "influxdb":
                store = await InfluxdbStore.open(address, server.token)
            else:
                store = await DuckdbStore.open(tmp_path)
            try:
                yield store
            finally:
                await store.close()

        yield opened


@pytest.fixture
def keeps(request: pytest.FixtureRequest) -> Keeps:
    """What the store under test keeps of a batch: InfluxDB has no NaN and no infinity, and keeps nulls of them."""
    return finite if request.node.callspec.params["open_store"] == "influxdb" else lambda rows: rows


@pytest.fixture
async def store(open_store: OpenStore) -> AsyncIterator[Store]:
    async with open_store() as opened:
        yield opened
