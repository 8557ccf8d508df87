"""Connections cost no password, so they are bounded, in number and in the time that they may say nothing."""

from __future__ import annotations

import asyncio
import resource
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from dashboard import connections

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.dashboard.conftest import Dashboard, Setup

REQUEST = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"


@asynccontextmanager
async def opened(
    dashboard: Dashboard, count: int = 1
) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    port = httpx.URL(dashboard.url).port
    pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    try:
        yield pairs
    finally:
        for _, writer in pairs:
            writer.transport.abort()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server has closed the connection."""
    async with asyncio.timeout(20):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


async def test_idle_connections_make_room_for_new_ones(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST", 10)
    async with dashboard.live() as page, opened(dashboard, 50) as idle:
        for reader, _ in idle[:41]:  # the page has a place, and the last nine have
            assert await ended(reader) == b""
        async with httpx.AsyncClient(base_url=dashboard.url, trust_env=False) as newcomer:
            assert (await newcomer.get("/healthz")).status_code == 200
        assert await ended(idle[41][0]) == b""
        idle[49][1].write(REQUEST)
        assert (await idle[49][0].readline()).startswith(b"HTTP/1.1 200")
        assert await page.recv()


async def test_pages_are_never_closed_for_a_new_connection(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST", 2)
    async with dashboard.live() as first, dashboard.live() as second:
        async with opened(dashboard, 20) as refused:
            for reader, _ in refused:
                assert await ended(reader) == b""
        await first.recv()
        await second.recv()


@pytest.mark.parametrize("before", [b"", b"GET /healthz HT", REQUEST + b"GET /healthz HT"])
async def test_a_request_that_does_not_come_is_given_up(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch, before: bytes
) -> None:
    monkeypatch.setattr(connections, "PATIENCE_SECONDS", 0.2)
    async with opened(dashboard) as [(reader, writer)]:
        writer.write(before)

        async def drip() -> None:
            while True:
                writer.write(b"x" if before else b"")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        said = await ended(reader)
        dripping.cancel()
        assert said.count(b"HTTP/1.1 200") == before.count(b"\r\n\r\n")


async def test_a_page_is_not_given_up(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PATIENCE_SECONDS", 0.01)
    async with dashboard.live() as page:
        for _ in range(5):
            await page.recv()


async def test_as_many_files_as_are_allowed(setup: Setup) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        async with setup.dashboard():
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(hard, 65_536)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
