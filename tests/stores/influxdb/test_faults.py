"""What the store makes of answers that get lost, old buckets and missions in trouble, on a real server."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pyarrow as pa
import pytest
from aiohttp import web

from ground.errors import RefusedError, StoreError
from ground.stores import Checkpoint, Count, Entry, Rows
from ground.stores.influxdb import Address, InfluxdbStore, Server
from ground.stores.influxdb.records import Record
from tests.services.influxdb import Influxdb, influxdb
from tests.stores.influxdb.test_store import ALL, opened
from tests.stores.telemetry import MS, T0, batch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    Swallow = Callable[[bytes], bool]

__all__ = ["influxdb"]


@pytest.fixture
def address(influxdb: Influxdb) -> Iterator[str]:
    with influxdb.bucket() as bucket:
        yield bucket


class Proxy:
    """Between a store and the server. ``swallow``: of which writes the answers get lost; ``refuse``: and of which the
    requests, too. ``deaf``: no query is answered.
    """

    def __init__(self) -> None:
        self.swallow: Swallow = lambda _: False
        self.refuse: Swallow = lambda _: False
        self.deaf = False
        self.arrived = asyncio.Event()
        self.hold: asyncio.Event | None = None


@asynccontextmanager
async def proxied(influxdb: Influxdb, address: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy, and the address of the bucket behind it."""
    proxy = Proxy()

    async def forward(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        write = request.path == "/api/v2/write"
        if (write and proxy.refuse(body)) or (not write and proxy.deaf):
            return web.json_response({"message": "in trouble"}, status=503)
        if write and proxy.hold and b"held" in body:
            proxy.arrived.set()
            await proxy.hold.wait()
        headers = {name: value for name, value in request.headers.items() if name != "Host"}
        async with session.request(request.method, url + request.path_qs, data=body, headers=headers) as answer:
            if write and answer.status == 204 and proxy.swallow(body):
                return web.json_response({"message": "the answer is lost"}, status=504)
            content = await answer.read()
            return web.Response(body=content, status=answer.status, content_type=answer.content_type)

    url = f"http://{influxdb.netloc}"
    application = web.Application(client_max_size=2**24)
    application.add_routes([web.route("*", "/{path:.*}", forward)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    async with aiohttp.ClientSession(auto_decompress=True) as session:
        yield proxy, f"influxdb://{host}:{port}/" + address.split("/", 3)[3]
    await runner.cleanup()


def rows_of(first: int, count: int, mission: str = "luna26") -> list[Rows]:
    numbers = range(first, first + count)
    return [Rows(mission, "Power", batch([T0 + i * MS for i in numbers], numbers, a=pa.array(numbers)))]


def is_checkpoint(body: bytes) -> bool:
    return b"perilune.state" in body


async def test_an_answer_to_the_checkpoint_that_got_lost_is_asked_for(influxdb: Influxdb, address: str) -> None:
    async with proxied(influxdb, address) as (proxy, url), opened(url, influxdb.token, patience=0.1) as store:
        proxy.swallow = is_checkpoint
        await store.append("luna26", rows_of(0, 100), [], Checkpoint(1, b"one"))
        assert await store.checkpoint("luna26") == Checkpoint(1, b"one")
        await store.append("luna26", rows_of(90, 20), [], Checkpoint(2, b"two"))
        assert await store.counts("luna26") == {"Power": Count(110, 10)}


@pytest.mark.parametrize("again", ["the same", "more", "in pieces"])
async def test_rows_of_an_append_that_nobody_knows_was_stored_are_counted_once(
    influxdb: Influxdb, address: str, again: str
) -> None:
    async with proxied(influxdb, address) as (proxy, url), opened(url, influxdb.token, patience=0.1) as store:
        await store.append("luna26", rows_of(0, 10), [], Checkpoint(1, b""))
        sent = asyncio.Event()

        def swallow(body: bytes) -> bool:
            if is_checkpoint(body):
                sent.set()
                proxy.deaf = True
            return is_checkpoint(body)

        proxy.swallow = swallow
        with pytest.raises(StoreError, match="the answer is lost"):
            await store.append("luna26", rows_of(5, 100), [], Checkpoint(5, b"five"))
        assert sent.is_set()
        with pytest.raises(StoreError):  # it still cannot say what it holds
            await store.append("luna26", rows_of(5, 100), [], Checkpoint(5, b"five"))
        proxy.swallow, proxy.deaf = (lambda _: False), False
        assert await store.checkpoint("luna26") == Checkpoint(5, b"five")
        if again == "the same":
            await store.append("luna26", rows_of(5, 100), [], Checkpoint(5, b"five"))
            assert await store.counts("luna26") == {"Power": Count(105, 5)}
        if again == "more":
            proxy.refuse = is_checkpoint
            with pytest.raises(StoreError, match="in trouble"):
                await store.append("luna26", rows_of(5, 200), [], Checkpoint(7, b""))
            proxy.refuse = lambda _: False
            await store.append("luna26", rows_of(5, 200), [], Checkpoint(7, b""))
            assert await store.counts("luna26") == {"Power": Count(205, 5)}
        if again == "in pieces":
            await store.append("luna26", rows_of(5, 60), [], Checkpoint(3, b""))
            await store.append("luna26", rows_of(65, 40), [], Checkpoint(5, b"five"))
            assert await store.counts("luna26") == {"Power": Count(105, 5)}
        await store.append("luna26", rows_of(0, 10), [], Checkpoint(9, b""))  # repeated for once
        assert (await store.counts("luna26"))["Power"].repeated == 15
        found = (await store.rows("luna26", "Power", *ALL))["a"].to_pylist()
        assert found == list(range(205 if again == "more" else 105))


async def test_what_a_broken_append_has_stored_is_counted_in_full(influxdb: Influxdb, address: str) -> None:
    """Alike, unfit and not finite as well, when its rows are handed over again."""
    first = batch([T0], [0], a=pa.array([1.0]), b=pa.array([1]))
    columns = {"digest": pa.array([1, 2, 2, 3]), "a": pa.array([float("nan"), 1.0, 1.0, 2.0]), "b": pa.array([*"wxyz"])}
    second = batch([T0, T0 + 5, T0 + 5, T0 + 5], [0, 1, 1, 1], **columns)
    async with proxied(influxdb, address) as (proxy, url), opened(url, influxdb.token, patience=0.1) as store:
        await store.append("luna26", [Rows("luna26", "Power", first)], [], Checkpoint(1, b""))
        proxy.refuse = is_checkpoint
        with pytest.raises(StoreError, match="in trouble"):
            await store.append("luna26", [Rows("luna26", "Power", second)], [], Checkpoint(2, b""))
        proxy.refuse = lambda _: False
        await store.append("luna26", [Rows("luna26", "Power", second)], [], Checkpoint(2, b""))
        counted = Count(4, 1, alike=2, nonfinite=1, unfit={"b": 3})
        assert await store.counts("luna26") == {"Power": counted}


async def test_a_mission_in_trouble_leaves_the_others(influxdb: Influxdb, address: str) -> None:
    """One's append stands still in the server, and fails in the end; the other's go through meanwhile."""
    async with proxied(influxdb, address) as (proxy, url), opened(url, influxdb.token, patience=0.1) as store:
        held, free = rows_of(0, 10, "held"), rows_of(0, 10, "free")
        await store.append("held", held, [], Checkpoint(1, b""))
        proxy.hold = asyncio.Event()
        appending = asyncio.create_task(store.append("held", rows_of(10, 10, "held"), [], Checkpoint(2, b"")))
        await proxy.arrived.wait()
        for position in range(1, 4):
            await store.append("free", free, [], Checkpoint(position, b""))
        assert not appending.done()
        appending.cancel()
        await asyncio.wait({appending})
        proxy.hold.set()
        proxy.hold = None
        assert await store.counts("free") == {"Power": Count(10, 20)}
        assert await store.checkpoint("held") == Checkpoint(1, b"")
        await store.append("held", rows_of(10, 10, "held"), [], Checkpoint(2, b""))
        assert await store.counts("held") == {"Power": Count(20, 0)}


async def test_a_bucket_of_the_older_format_is_refused(influxdb: Influxdb, address: str) -> None:
    server = Server(Address.parse(address), influxdb.token)
    store = InfluxdbStore(server)
    old = Record({}, {"position": 5, "appends": 1, "counts": [["luna26", "Power", 3, 0, 0, 9, 0, 0, []]]}, b"")
    await server.write(old.line("perilune.progress"))
    for ask in (
        lambda: store.checkpoint("luna26"),
        lambda: store.counts("luna26"),
        lambda: store.append("luna26", rows_of(0, 1), [], Checkpoint(1, b"")),
        lambda: store.rows("luna26", "Power", *ALL),
        lambda: InfluxdbStore.open(address, influxdb.token),
    ):
        with pytest.raises(StoreError, match=r"older version.*`ground rebuild`"):
            await ask()
    await store.close()


async def test_series_are_as_many_as_rows_share_a_timestamp(influxdb: Influxdb, address: str) -> None:
    """Not as many as there are twins: each series costs the server memory for ever."""
    async with opened(address, influxdb.token) as store:
        for position in range(4):
            time = [T0 + (position * 50 + i // 2) * MS for i in range(100)]
            rows = batch(time, [0] * 100, digest=pa.array(range(100), pa.int64()))
            await store.append("luna26", [Rows("luna26", "Power", rows)], [], Checkpoint(position, b""))
        third = batch([T0], [0], digest=pa.array([-1], pa.int64()))
        await store.append("luna26", [Rows("luna26", "Power", third)], [], Checkpoint(9, b""))
        assert await store.counts("luna26") == {"Power": Count(401, 0, alike=201)}
        server = Server(Address.parse(address), influxdb.token)
        (answer,) = await server.query(['SHOW SERIES FROM "Power"'])
        await server.close()
    assert sorted(answer[0].column("key")) == [f"Power,mission=luna26{twin}" for twin in ("", ",twin=1", ",twin=2")]


async def test_entries_outlive_a_finite_retention(influxdb: Influxdb) -> None:
    entries = [Entry("alarm", position, 0, T0, "Power/voltage", {}) for position in (0, 7)]
    with influxdb.api() as api:
        org = api.get("/api/v2/orgs").json()["orgs"][0]["id"]
        rules: list[dict[str, Any]] = [{"type": "expire", "everySeconds": 3 * 86_400}]
        made = api.post("/api/v2/buckets", json={"name": "short", "orgID": org, "retentionRules": rules})
        made.raise_for_status()
        address = f"influxdb://{influxdb.netloc}/{influxdb.org}/short"
        async with opened(address, influxdb.token) as store:
            await store.append("luna26", [], entries, Checkpoint(1, b""))
            assert list(await store.entries("luna26", "alarm")) == entries[::-1]
        api.delete(f"/api/v2/buckets/{made.json()['id']}").raise_for_status()


@pytest.mark.parametrize("position", [-1, 2**63])
async def test_an_entry_beyond_all_positions_is_refused(influxdb: Influxdb, address: str, position: int) -> None:
    async with opened(address, influxdb.token) as store:
        with pytest.raises(RefusedError, match=f"luna26: an entry at position {position} "):
            await store.append("luna26", [], [Entry("event", position, 0, 0, "x", {})], Checkpoint(1, b""))
        assert await store.checkpoint("luna26") is None
