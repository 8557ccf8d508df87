"""What the client makes of the server's answers, on a server that gives them on demand."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from aiohttp import web

from ground.errors import ConfigError, RefusedError, StoreError
from ground.stores.influxdb import Address, Server, token_from
from ground.stores.influxdb.records import store
from ground.stores.influxdb.server import identifier, literal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    Answer = Callable[[bytes], web.Response]


def problem(status: int, message: str, **headers: str) -> web.Response:
    return web.json_response({"code": "x", "message": message}, status=status, headers=headers)


@asynccontextmanager
async def server(answer: Answer, token: str = "secret", **settings: Any) -> AsyncIterator[tuple[Server, list[bytes]]]:
    """A client with the token "secret" of a server that answers writes with ``answer(body)``, and the bodies that came.

    ``token``: the one that the server knows.
    """
    bodies: list[bytes] = []

    async def write(request: web.Request) -> web.Response:
        if request.headers["Authorization"] != f"Token {token}":
            return problem(401, "unauthorized access")
        bodies.append(await request.read())
        return answer(bodies[-1])

    async def query(request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"] != f"Token {token}":
            return problem(401, "unauthorized access")
        return answer((await request.post())["q"].encode())  # type: ignore[union-attr]

    application = web.Application()
    application.add_routes([web.post("/api/v2/write", write), web.post("/query", query)])
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    client = Server(Address.parse(f"influxdb://{host}:{port}/org/bucket"), "secret", **settings)
    try:
        yield client, bodies
    finally:
        await client.close()
        await runner.cleanup()


def lines(count: int) -> pa.Array[Any]:
    return pa.array([f"m v={i}i {i}\n" for i in range(count)])


def octets(count: int) -> bytes:
    return b"".join(b"m v=%di %d\n" % (i, i) for i in range(count))


async def test_a_write_is_tried_again_no_sooner_than_the_server_says() -> None:
    answers = iter(
        [problem(429, "slow down", **{"Retry-After": "1"}), problem(503, "starting"), web.Response(status=204)]
    )
    async with server(lambda _: next(answers)) as (client, bodies):
        started = time.monotonic()
        assert await client.write(lines(3)) == []
        assert time.monotonic() - started >= 1
        assert bodies == [b"m v=0i 0\nm v=1i 1\nm v=2i 2\n"] * 3


async def test_a_server_that_stays_away_is_an_error_in_the_end() -> None:
    async with server(lambda _: problem(503, "starting"), patience=0.5) as (client, bodies):
        with pytest.raises(StoreError, match=r"bucket org/bucket: 503 starting; tried for 0.5 s"):
            await client.write(lines(1))
        assert len(bodies) >= 2


async def test_nobody_there() -> None:
    async with server(lambda _: web.Response(status=204), patience=0.3) as (client, _):
        pass
    alone = Server(client.address, "secret", patience=0.3)
    with pytest.raises(StoreError, match=r"tried for 0\.3 s"):
        await alone.write(lines(1))
    with pytest.raises(StoreError, match="Cannot connect"):
        await alone.query(["SHOW MEASUREMENTS"])
    await alone.close()


async def test_no_answer_within_the_time_limit() -> None:
    async with server(lambda _: web.Response(status=204), patience=0.3, time_limit=0.0) as (client, _):
        with pytest.raises(StoreError, match="no answer within 0 s"):
            await client.write(lines(1))
        with pytest.raises(StoreError, match="no answer within 0 s"):
            await client.query(["SHOW MEASUREMENTS"])


async def test_a_line_that_does_not_parse_is_found_and_the_others_are_stored() -> None:
    stored: list[bytes] = []

    def answer(body: bytes) -> web.Response:
        if b"v=5i" in body or b"v=11i" in body:
            return problem(400, f"unable to parse '{body.decode()}': bad")
        stored.extend(body.splitlines())
        return web.Response(status=204)

    async with server(answer) as (client, _):
        refused = await client.write(lines(13))
    assert [(item.lines, item.line) for item in refused] == [(1, "m v=5i 5"), (1, "m v=11i 11")]
    good = [line for line in octets(13).splitlines() if b"v=5i" not in line and b"v=11i" not in line]
    assert sorted(stored) == sorted(good)


async def test_dropped_lines_are_found_in_as_few_requests_as_possible() -> None:
    def answer(body: bytes) -> web.Response:
        dropped = sum(int(line.split()[-1]) < 4 for line in body.splitlines())
        if dropped:
            return problem(422, f"partial write: points beyond retention policy dropped={dropped}")
        return web.Response(status=204)

    async with server(answer) as (client, bodies):
        refused = await client.write(lines(16))
    assert [(item.lines, item.line) for item in refused] == [(4, "m v=0i 0")]
    assert "retention" in refused[0].reason
    assert len(bodies) == 5  # 16; 0-7, 0-3, 4-7; 8-15


async def test_a_body_that_is_too_long_is_halved() -> None:
    async with server(lambda body: problem(413, "too long") if len(body) > 30 else web.Response(status=204)) as (
        client,
        bodies,
    ):
        assert await client.write(lines(8)) == []
    assert sum(len(body) for body in bodies if len(body) <= 30) == len(b"m v=0i 0\n") * 8


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "INFLUXDB_TOKEN"), (403, "may the token"), (404, "influx setup"), (400, "400 go away")]
)
async def test_what_no_patience_mends_is_an_error_at_once(status: int, advice: str) -> None:
    async with server(lambda _: problem(status, "go away")) as (client, bodies):
        with pytest.raises(StoreError, match=advice):
            await client.write(lines(4))
        with pytest.raises(StoreError, match=advice):
            await client.query(["SELECT 1"])
    assert len(bodies) == 1


@pytest.mark.parametrize("write", [True, False])
async def test_a_token_that_is_refused_is_asked_for_again(write: bool) -> None:
    tokens = iter(["no better", "right"])
    asked: list[str] = []

    def renewed() -> str:
        if not asked:
            asked.append("")
            raise ConfigError("the file is being replaced")
        return next(tokens)

    async with server(lambda _: web.Response(text="{}"), token="right", renew=renewed) as (client, _):
        for _ in range(3):
            with pytest.raises(StoreError, match="INFLUXDB_TOKEN"):
                await (client.write(lines(1)) if write else client.query(["SELECT 1"]))
        assert await (client.write(lines(1)) if write else client.query(["SELECT 1"])) == ([] if write else [[]])


async def test_a_statement_that_fails_is_an_error_and_never_an_empty_answer() -> None:
    text = '{"results":[{"statement_id":0}]}\n{"results":[{"statement_id":1,"error":"too much"}]}\n'
    async with server(lambda _: web.Response(text=text)) as (client, _):
        with pytest.raises(StoreError, match="too much"):
            await client.query(["a", "b"])


async def test_answers_come_in_pieces() -> None:
    series = '{"name":"m","tags":{"a":"b"},"columns":["time","v"],"values":[[1,-0],[2,"-0,"]]}'
    piece = f'{{"results":[{{"statement_id":1,"series":[{series}]}}]}}\n'
    async with server(lambda _: web.Response(text=2 * piece)) as (client, _):
        first, second = await client.query(["a", "b"])
    assert first == []
    assert [series.tags for series in second] == [{"a": "b"}] * 2
    assert str(second[0].column("v")) == "[-0.0, '-0,']"


async def test_gzip() -> None:
    async with server(lambda _: web.Response(status=204), gzip=True) as (client, bodies):
        assert await client.write(lines(100)) == []
    assert bodies == [octets(100)]


async def test_cancelling_a_query_closes_its_connection() -> None:
    gone = asyncio.Event()

    async def query(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"\n")
                await asyncio.sleep(0.01)
        finally:
            gone.set()

    application = web.Application()
    application.add_routes([web.post("/query", query)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    client = Server(Address.parse(f"influxdb://{host}:{port}/o/b"), "t")
    asking = asyncio.create_task(client.query(["SELECT 1"]))
    await asyncio.sleep(0.1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.wait_for(gone.wait(), 10)
    await client.close()
    await runner.cleanup()


def test_addresses() -> None:
    assert Address.parse("influxdb://db/my%20org/b%2Fc") == Address("http://db:8086", "my org", "b/c")
    assert Address.parse("influxdbs://[::1]/o/b").url == "https://[::1]:443"
    for wrong in ["influxdb://db/o", "influxdb://db/o/b/c", "http://db/o/b", "influxdb:///o/b", "influxdb://db:x/o/b"]:
        with pytest.raises(ConfigError, match="HOST:PORT/ORG/BUCKET"):
            Address.parse(wrong)
    with pytest.raises(ConfigError, match="does not belong in the address"):
        Address.parse("influxdb://user:secret@db/o/b")


def test_tokens(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("from-file\n")
    assert token_from({"INFLUXDB_TOKEN": " t ", "INFLUXDB_TOKEN_FILE": "nowhere"}) == "t"
    assert token_from({"INFLUXDB_TOKEN_FILE": str(path)}) == "from-file"
    path.write_text("\n")
    for environment in ({}, {"INFLUXDB_TOKEN_FILE": str(path)}, {"INFLUXDB_TOKEN_FILE": str(tmp_path / "absent")}):
        with pytest.raises(ConfigError, match="INFLUXDB_TOKEN"):
            token_from(environment)


def test_quoting() -> None:
    assert identifier('a"\\b') == '"a\\"\\\\b"'
    assert literal("a'\\b") == "'a\\'\\\\b'"


async def test_a_server_is_left_alone_for_as_long_as_it_asks() -> None:
    """However short our patience is, and whoever writes next: the error says how long that is."""
    answers = iter([problem(503, "compacting", **{"Retry-After": "20"})])
    async with server(lambda _: next(answers), patience=0.5) as (client, bodies):
        for said in ("503 compacting", "asked to be left alone"):
            with pytest.raises(StoreError, match=said) as caught:
                await client.write(lines(1))
            assert caught.value.retry_after is not None
            assert 15 < caught.value.retry_after <= 20
        assert len(bodies) == 1
    async with server(lambda _: problem(503, "starting"), patience=0.5) as (client, _):
        with pytest.raises(StoreError) as caught:
            await client.write(lines(1))
        assert caught.value.retry_after is None
    async with server(lambda _: problem(429, "slow down", **{"Retry-After": "20"})) as (client, _):
        with pytest.raises(StoreError) as caught:
            await client.query(["SELECT 1"])
        assert caught.value.retry_after == 20


@pytest.mark.parametrize(("status", "for_good"), [(400, True), (405, True), *((s, False) for s in (401, 403, 404))])
async def test_what_nobody_mends_is_told_from_what_somebody_may(status: int, for_good: bool) -> None:
    async with server(lambda _: problem(status, "go away")) as (client, _):
        with pytest.raises(StoreError, match=f"{status} go away") as caught:
            await client.write(lines(4))
        assert isinstance(caught.value, RefusedError) == for_good


@pytest.mark.parametrize(("status", "for_good"), [(422, True), (413, False)])
async def test_a_record_of_ours_that_is_not_taken(status: int, for_good: bool) -> None:
    async with server(lambda _: problem(status, "no room")) as (client, _):
        with pytest.raises(StoreError, match="bucket org/bucket: no room: m v=0i 0") as caught:
            await store(client, lines(1))
        assert isinstance(caught.value, RefusedError) == for_good
