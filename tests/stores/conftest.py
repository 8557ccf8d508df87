from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import pytest

from ground.stores.duckdb import DuckdbStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from ground.stores import Store

OpenStore: TypeAlias = "Callable[[], AbstractAsyncContextManager[Store]]"


@pytest.fixture(params=["duckdb"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """Opens the test's own, at first empty, store of the kind under test; what it holds survives closing."""

    @asynccontextmanager
    async def duckdb() -> AsyncIterator[Store]:
        store = await DuckdbStore.open(tmp_path)
        try:
            yield store
        finally:
            await store.close()

    return {"duckdb": duckdb}[request.param]


@pytest.fixture
async def store(open_store: OpenStore) -> AsyncIterator[Store]:
    async with open_store() as opened:
        yield opened
