"""Whatever comes on a topic that the dashboard takes, it goes on, and what it says of it can be read."""

from __future__ import annotations

import argparse
import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import aiomqtt
import httpx
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from dashboard import hub as of_hub
from dashboard.heard import HeardLedger
from dashboard.hub import Hub
from dashboard.journal import Journal
from dashboard.untrusted import check_schema, read_clock, read_json, read_ledger, read_station
from ground.commands import dashboard as command
from ground.link.address import parse_broker_url
from tests.stores.telemetry import T0, random_batch

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dashboard.conftest import Dashboard, Publisher

NOBODY = parse_broker_url("mqtt://127.0.0.1:1")
GOOD = {"missions": {"luna26": {"frames": {"in": 3}}}, "balanced": True}
ROWS = random_batch(3, seed=1)

WORDS = st.sampled_from(
    ["time", "wall", "rate", "in_view", "next", "severity", "source", "text", "parameter", "missions", "balanced"]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["5", "info"])
JSON = st.recursive(LEAVES, lambda of: st.lists(of, max_size=4) | st.dictionaries(WORDS | st.text(max_size=3), of))
PAYLOADS = (
    st.binary(max_size=60)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.sampled_from(
        [b"", b"1e999", b"[" * 20_000, b'{"a":' * 20_000, b"9" * 5000, b'"\\ud800"', b"[" * 900 + b"]" * 900]
    )
    | st.just(ROWS.schema.serialize().to_pybytes())
    | st.just(ROWS.serialize().to_pybytes())
)
TOPICS = st.sampled_from(
    [
        "schema/luna26/Power", "schema/luna26/Power/summary", "live/luna26/Power", "station/luna26/bear-lakes",
        "clock/luna26", "event/luna26", "event/ground", "alarm/luna26", "schema", "live/luna26",
        "a/b/c/d/e/f", "clock//",
    ]
)  # fmt: skip
PROPERTIES = st.none() | st.dictionaries(
    st.sampled_from(["schema_id", "from", "to", "kind"]) | st.text(max_size=3),
    st.sampled_from(["raw", "summary", "1", "x", "-5", "9" * 30, "9" * 5000, "1_0", "٣"]) | st.text(max_size=3),
)


def message(topic: str, payload: bytes, properties: dict[str, str] | None) -> aiomqtt.Message:
    pairs = None
    if properties is not None:
        pairs = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        pairs.UserProperty = [*properties.items()]
    return aiomqtt.Message(topic, payload, 0, False, 1, pairs)


def said(hub: Hub) -> list[Any]:
    """What a page that comes now is told, read as a browser reads it: without NaN."""
    viewer = hub.join()
    hub.leave(viewer)
    return [json.loads(text, parse_constant=pytest.fail) for text in viewer._newest.values()]


@settings(max_examples=300)
@given(sent=st.lists(st.tuples(TOPICS, PAYLOADS, PROPERTIES), max_size=12))
def test_a_hub_takes_anything(sent: list[tuple[str, bytes, dict[str, str] | None]]) -> None:
    hub = Hub({"luna26"}, NOBODY, dict, Journal())
    for topic, payload, properties in sent:
        hub.take(message(topic, payload, properties))
    assert hub.counts["failures"] == 0
    assert hub.counts.total() - hub.counts["of no schema"] == len(sent)
    said(hub)
    for schema in hub.containers("luna26").values():
        assert schema.names


@given(payload=PAYLOADS)
def test_what_is_read_is_refused_in_words_or_can_be_said_again(payload: bytes) -> None:
    for read in (read_json, read_clock, read_station, read_ledger, check_schema):
        with suppress(ValueError):  # and nothing else
            json.dumps({"a": [read(payload)]}, allow_nan=False)


@settings(max_examples=200)
@given(payloads=st.lists(PAYLOADS))
def test_the_last_good_ledger_stays(payloads: list[bytes]) -> None:
    ledger = HeardLedger()
    ledger.take(json.dumps(GOOD).encode())
    for payload in (b"garbage", b"[1]", b"5", b"", b'{"missions": 5}', b'{"missions": {"luna26": 5}}', *payloads):
        ledger.take(payload)
    assert ledger()["missions"] == GOOD["missions"]
    assert ledger()["damaged_ledgers"] == ledger.damaged == 6 + len(payloads)


async def test_a_ledger_that_is_none_does_not_end_the_dashboard(
    embedded_broker: str, publish: Publisher, unused_tcp_port: int, tmp_path: Path
) -> None:
    """Retained, too: it would come again at every start."""
    parser = argparse.ArgumentParser()
    command.add(parser)
    store = f"duckdb:{tmp_path / 'store'}"
    options = parser.parse_args(["--broker", embedded_broker, "--store", store, "--port", str(unused_tcp_port)])
    await publish("ledger", "garbage", retain=True)
    url = f"http://127.0.0.1:{unused_tcp_port}"
    serving = asyncio.create_task(command._serve(options))
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:

            async def heard(damaged: int) -> dict[str, Any]:
                while (ledger := await ledger_of(client, serving)).get("damaged_ledgers") != damaged:
                    await asyncio.sleep(0.05)
                return ledger

            async with asyncio.timeout(30):
                await heard(1)
                await publish("ledger", json.dumps(GOOD))
                for payload in ("[1]", "5", ""):
                    await publish("ledger", payload, retain=True)
                assert (await heard(4))["missions"] == GOOD["missions"]
            assert (await client.get("/healthz")).status_code == 200
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def ledger_of(client: httpx.AsyncClient, serving: asyncio.Task[None]) -> dict[str, Any]:
    if serving.done():
        await serving
    try:
        found: dict[str, Any] = (await client.get("/api/ledger")).json()
    except httpx.TransportError:  # not listening yet
        return {}
    return found


async def test_a_defect_in_the_hub_is_counted_and_it_goes_on(
    dashboard: Dashboard, publish: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def until(what: str, count: int) -> None:
        async with asyncio.timeout(20):
            while dashboard.hub.counts[what] < count:
                await asyncio.sleep(0.01)

    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    clock = json.dumps({"time": str(T0), "wall": str(T0), "rate": 1.0})
    with monkeypatch.context() as patch:
        patch.setattr(of_hub, "read_clock", broken)
        await publish("clock/luna26", clock)
        await until("failures", 1)
    with monkeypatch.context() as patch:
        patch.setattr(dashboard.hub, "take", broken)
        await publish("clock/luna26", clock)
        await until("failures", 2)
    async with asyncio.timeout(20):
        while not dashboard.hub.counts["clock"]:
            await publish("clock/luna26", clock)
    assert dashboard.hub.connected


def test_names_are_bounded() -> None:
    hub = Hub({"luna26"}, NOBODY, dict, Journal())
    station = json.dumps({"time": "5", "in_view": False}).encode()
    for number in range(of_hub.MOST_REPORTS + 5):
        hub.take(message(f"station/luna26/{number}", station, None))
    octets = ROWS.schema.serialize().to_pybytes()
    for number in range(of_hub.MOST_CONTAINERS + 5):
        hub.take(message(f"schema/luna26/{number}", octets, {"schema_id": "1"}))
    assert hub.counts["damaged"] == 10
    assert len(said(hub)) == of_hub.MOST_REPORTS + 1
    hub.take(message("station/luna26/0", station, None))
    assert hub.counts["damaged"] == 10


TEXT_TIME = pa.record_batch({"time": [1], "ert": ["x"], "seq": [True], "voltage": [[1]]})
TWICE = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], ["voltage", "voltage"])


def with_metadata(**metadata: bytes | str) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [pa.array([1])], schema=pa.schema([pa.field("voltage", pa.int64(), metadata=metadata)])
    )


@pytest.mark.parametrize(
    "rows",
    [
        pa.record_batch({"voltage": [1.0]}),
        TEXT_TIME,
        TWICE,
        with_metadata(labels="garbage"),
        with_metadata(labels="[1]"),
        with_metadata(kind=b"\xff"),
    ],
)
async def test_live_batches_that_are_no_rows_leave_answers_whole(dashboard: Dashboard, rows: pa.RecordBatch) -> None:
    hub = dashboard.hub
    hub.take(message("schema/luna26/Powder", rows.schema.serialize().to_pybytes(), {"schema_id": "1"}))
    properties = {"schema_id": "1", "from": "0", "to": "1"}
    hub.take(message("live/luna26/Powder", rows.serialize().to_pybytes(), properties))
    latest = await dashboard.client.get("/api/missions/luna26/latest?parameter=Powder/voltage")
    assert latest.status_code == 200
    assert (await dashboard.client.get("/api/missions/luna26/parameters")).status_code == 200
