"""The server around history and live: what it lists, whom it lets in, how it starts and stops."""

from __future__ import annotations

import asyncio
import base64
import signal
from typing import TYPE_CHECKING

import httpx
import pyarrow as pa
import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from dashboard.access import LOOPBACK, Access
from dashboard.app import serve
from ground.errors import ConfigError
from ground.stores import Checkpoint, Rows
from tests.dashboard.conftest import LEDGER
from tests.stores.telemetry import T0, batch

if TYPE_CHECKING:
    from pathlib import Path

    from websockets.asyncio.client import ClientConnection

    from tests.dashboard.conftest import Dashboard, Setup


async def test_missions_and_ledger(dashboard: Dashboard) -> None:
    assert (await dashboard.client.get("/healthz")).json() == {"status": "ok"}
    assert (await dashboard.client.get("/api/ledger")).json() == LEDGER
    luna, change5 = (await dashboard.client.get("/api/missions")).json()
    assert (luna["name"], luna["simulated"], change5["name"]) == ("luna26", True, "change5")
    assert change5["channels"][1] == {"vcid": 2, "name": "Dump", "mode": "playback"}
    assert {"name", "title", "latitude_deg", "longitude_deg"} == set(luna["stations"][0])


async def test_parameters_that_are_defined_or_were_seen(dashboard: Dashboard) -> None:
    defined = (await dashboard.client.get("/api/missions/luna26/parameters")).json()
    assert len(defined) >= 60
    assert all(entry["name"] == f"{entry['container']}/{entry['parameter']}" for entry in defined)
    limited = next(entry for entry in defined if entry["limits"])
    assert set(limited["limits"][0]) == {"severity", "low", "high"}
    labelled = next(entry for entry in defined if entry["kind"] == "enumeration")
    assert all(code.lstrip("-").isdecimal() for code in labelled["labels"])

    before = (await dashboard.client.get("/api/missions/change5/parameters")).json()
    schema = pa.schema(
        [
            *batch([T0], [0]).schema,
            pa.field("mode", pa.uint8(), metadata={"kind": "enumeration", "labels": '{"1": "ON"}', "unit": "x"}),
            pa.field("heat", pa.float32()),
        ]
    )
    old = batch([T0], [0], schema, mode=pa.array([1], pa.uint8()), heat=pa.array([1], pa.float32()))
    seen = batch([T0], [0], data=pa.array([b"x"]))
    rows = [Rows("change5", "Packet_40", seen), Rows("change5", "Old", old)]
    await dashboard.store.append("change5", rows, [], Checkpoint(1, b""))
    after = (await dashboard.client.get("/api/missions/change5/parameters")).json()
    added = [entry for entry in after if entry not in before]
    assert {entry["container"] for entry in added} == {"Packet_40", "Old"}
    of_old = {entry["parameter"]: entry for entry in added if entry["container"] == "Old"}
    assert of_old["mode"]["labels"] == {"1": "ON"}
    assert (of_old["mode"]["kind"], of_old["mode"]["unit"], of_old["mode"]["type"]) == ("enumeration", "x", "uint8")
    assert (of_old["heat"]["kind"], of_old["heat"]["labels"]) == ("float", None)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/missions/apollo/parameters", 404),
        ("/api/missions/apollo/latest", 404),
        ("/api/missions/apollo/history?parameter=a/b&start=0&stop=1", 404),
        ("/api/missions/luna26/history?start=0&stop=1", 422),
        ("/api/missions/luna26/history?parameter=a/b&start=0", 422),
        ("/api/missions/luna26/history?parameter=a/b&start=0&stop=1&buckets=0", 422),
        ("/api/missions/luna26/history?parameter=a/b&start=0&stop=1&buckets=x", 422),
        ("/api/missions/luna26/history?parameter=a/b&start=1&stop=1", 400),
        ("/api/missions/luna26/history?parameter=a/b&start=-9e9&stop=1", 422),
        ("/api/missions/luna26/history?parameter=a/b&start=2020-13-01&stop=1", 422),
        ("/api/missions/luna26/history?parameter=a/b&start=0&stop=99999999999999999999", 422),
        ("/api/missions/luna26/history?parameter=a/b&start=0&stop=1", 404),
        ("/api/missions/luna26/history?" + "parameter=a/b&" * 100 + "start=0&stop=1&buckets=20000", 400),
        ("/api/nothing", 404),
        ("/docs", 404),
        ("/../../etc/passwd", 404),
    ],
)
async def test_bad_requests_are_explained(dashboard: Dashboard, path: str, status: int) -> None:
    answer = await dashboard.client.get(path)
    assert answer.status_code == status
    assert answer.json()["detail"]


async def test_a_store_that_fails_is_503(dashboard: Dashboard) -> None:
    await dashboard.store.close()
    for path in ("latest", "history?parameter=a/b&start=0&stop=1"):
        answer = await dashboard.client.get(f"/api/missions/luna26/{path}")
        assert answer.status_code == 503
        assert "not open" in answer.json()["detail"]


async def test_openapi_describes_every_path(dashboard: Dashboard) -> None:
    paths = (await dashboard.client.get("/openapi.json")).json()["paths"]
    mission = "/api/missions/{mission}"
    assert set(paths) == {
        "/healthz", "/readyz", "/metrics", "/api/missions", "/api/ledger", f"{mission}/parameters",
        f"{mission}/history", f"{mission}/latest", f"{mission}/rows/{{container}}",
        f"{mission}/alarms", f"{mission}/alarms/acknowledge", f"{mission}/events",
        f"{mission}/alarms/{{container}}/{{parameter}}/history",
        f"{mission}/alarms/{{container}}/{{parameter}}/{{action}}",
    }  # fmt: skip


async def test_the_page_and_its_headers(setup: Setup, tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<title>Perilune</title>")
    (tmp_path / "assets" / "index-1a2b.js").write_text("1")
    async with setup.dashboard(pages=tmp_path) as dashboard:
        page = await dashboard.client.get("/")
        assert page.text == "<title>Perilune</title>"
        assert page.headers["cache-control"] == "no-cache"
        asset = await dashboard.client.get("/assets/index-1a2b.js")
        assert "immutable" in asset.headers["cache-control"]
        for answer in (page, asset, await dashboard.client.get("/api/missions"), await dashboard.client.get("/x")):
            assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert "server" not in answer.headers


async def test_pages_that_are_not_built(dashboard: Dashboard) -> None:
    page = await dashboard.client.get("/")
    assert page.status_code == 503
    assert "make setup" in page.text


# Access


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost:80:80", "evil.example:8000"])
async def test_another_host_is_refused(dashboard: Dashboard, host: str) -> None:
    answer = await dashboard.client.get("/api/missions", headers={"host": host})
    assert answer.status_code == 421


async def test_another_host_is_refused_the_live_stream(dashboard: Dashboard) -> None:
    async with dashboard.live("localhost"):
        pass
    with pytest.raises(InvalidStatus, match="403"):
        async with dashboard.live("evil.example"):
            pass


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "[::1]", "[::1]:8000"])
async def test_names_of_loopback(dashboard: Dashboard, host: str) -> None:
    assert (await dashboard.client.get("/healthz", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://[", "http://127.0.0.1"]
)
async def test_a_page_of_another_origin_is_refused(dashboard: Dashboard, origin: str) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        async with dashboard.live(additional_headers={"origin": origin}):
            pass
    async with dashboard.live(additional_headers={"origin": dashboard.url}):
        pass


async def test_a_password(setup: Setup) -> None:
    access = Access.configured("127.0.0.1", environ={"GROUND_DASHBOARD_PASSWORD": "lune:é"})
    async with setup.dashboard(access=access) as dashboard:
        assert (await dashboard.client.get("/healthz")).status_code == 200
        for auth in (None, ("ground", "lune"), ("lune:é", "")):
            answer = await dashboard.client.get("/api/missions", auth=auth)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Basic ")
        for header in ("Basic", "Basic ?", "Bearer bHVuZTrDqQ==", "Basic " + "A" * 4000):
            answer = await dashboard.client.get("/api/missions", headers={"authorization": header})
            assert answer.status_code == 401
        assert (await dashboard.client.get("/api/missions", auth=("anyone", "lune:é"))).status_code == 200
        with pytest.raises(InvalidStatus, match="403"):
            async with dashboard.live():
                pass
        credentials = base64.b64encode("anyone:lune:é".encode()).decode()
        async with dashboard.live(additional_headers={"authorization": f"Basic {credentials}"}):
            pass


def test_an_open_address_needs_a_password(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "192.0.2.1", "::", "station.example"):
        with pytest.raises(ConfigError, match="GROUND_DASHBOARD_PASSWORD"):
            Access.configured(host, environ={})
    with pytest.raises(ConfigError, match="cannot be read"):
        Access.configured("127.0.0.1", environ={"GROUND_DASHBOARD_PASSWORD_FILE": str(tmp_path / "absent")})
    (tmp_path / "password").write_text("secret\n")
    environ = {"GROUND_DASHBOARD_PASSWORD_FILE": str(tmp_path / "password")}
    access = Access.configured("2001:db8::1", ["Ops.example", "::2"], environ=environ)
    assert access.password == "secret"
    assert access.hosts > LOOPBACK | {"[2001:db8::1]", "ops.example", "[::2]"}
    assert "secret" not in repr(access)
    assert Access.configured("::1", environ={}) == Access()


async def test_an_open_address_is_not_served_without_a_password(setup: Setup) -> None:
    with pytest.raises(ConfigError, match="GROUND_DASHBOARD_PASSWORD"):
        async with setup.dashboard("0.0.0.0"):
            pass


# Starting and stopping


async def test_a_port_that_is_taken(dashboard: Dashboard) -> None:
    port = httpx.URL(dashboard.url).port
    assert port
    with pytest.raises(ConfigError, match=rf"cannot listen on 127\.0\.0\.1 port {port}"):
        await serve(dashboard.app, "127.0.0.1", port)


async def read_to_the_end(live: ClientConnection) -> None:
    async for _ in live:
        pass


async def test_it_leaves_signals_alone_and_stops_with_pages_open(setup: Setup) -> None:
    before = signal.getsignal(signal.SIGINT)
    async with setup.dashboard() as dashboard:
        assert signal.getsignal(signal.SIGINT) is before
        live = await dashboard.live()
        await live.recv()
    with pytest.raises(ConnectionClosedError, match="1012"):
        await read_to_the_end(live)
    assert not [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("dashboard")]
