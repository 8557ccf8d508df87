"""From a real broker to a real WebSocket."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import zlib
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dashboard.hub import Hub
from dashboard.journal import Journal
from dashboard.viewer import BATCHES, HEADER
from ground.link.address import parse_broker_url
from tests.dashboard.conftest import LEDGER, Dashboard, Publisher, Setup, publisher
from tests.stores.telemetry import MS, T0, random_batch, same

if TYPE_CHECKING:
    from pathlib import Path

    from websockets.asyncio.client import ClientConnection

    from ground.stores import Store
    from tests.conftest import Mosquitto

POWER = {"id": 1, "mission": "luna26", "container": "Power"}
ALARM = {"time": str(T0), "parameter": "Power/voltage", "severity": "critical", "value": 1.5}
EVENT = {"time": str(T0), "severity": "warning", "source": "bear-lakes", "text": "gap"}
CLOCK = {"time": str(T0), "rate": 1.0, "wall": str(T0), "epoch": str(T0)}


class Page:
    """What a browser page does with its WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.schemas: dict[tuple[int, int], bytes] = {}
        self.texts: list[dict[str, Any]] = []

    async def subscribe(self, *subscriptions: dict[str, Any]) -> None:
        """Subscribe, and wait until the server has: it complains of what comes next."""
        await self.socket.send(json.dumps({"subscribe": subscriptions}))
        await self.socket.send("done?")
        assert "should be JSON" in str((await self.text("error"))["text"])

    async def batch(self) -> tuple[int, int, int, int, pa.RecordBatch]:
        """The next batch: subscription, kind, from, to, rows. What comes before it is kept."""
        while True:
            message = await self.socket.recv()
            if isinstance(message, bytes):
                number, kind, start, stop = HEADER.unpack_from(message)
                stream = self.schemas[number, kind] + message[HEADER.size :]
                return number, kind, start, stop, pa.ipc.open_stream(stream).read_next_batch()
            self.read_text(message)

    async def text(self, kind: str) -> dict[str, Any]:
        """The next report of this kind."""
        while True:
            message = await self.socket.recv()
            if isinstance(message, str) and self.read_text(message)["type"] == kind:
                return self.texts[-1]

    def read_text(self, message: str) -> dict[str, Any]:
        text: dict[str, Any] = json.loads(message)
        self.texts.append(text)
        if text["type"] == "schema":
            self.schemas[text["id"], text["kind"] == "summary"] = base64.b64decode(text["ipc"])
        return text


async def send_schema(publish: Publisher, schema: pa.Schema, *, prefix: str = "", summary: bool = False) -> str:
    octets = schema.serialize().to_pybytes()
    number = f"{zlib.crc32(octets):08x}"
    topic = f"{prefix}schema/luna26/Power" + ("/summary" if summary else "")
    await publish(topic, octets, {"schema_id": number}, retain=True)
    return number


async def send_batch(
    publish: Publisher,
    rows: pa.RecordBatch,
    schema_id: str,
    start: int,
    stop: int,
    *,
    prefix: str = "",
    kind: str = "raw",
) -> None:
    properties: dict[str, str | int] = {"schema_id": schema_id, "from": start, "to": stop, "kind": kind}
    await publish(f"{prefix}live/luna26/Power", rows.serialize().to_pybytes(), properties)


async def taken(dashboard: Dashboard, what: str, count: int = 1) -> None:
    """Wait until the hub has taken so many messages of a sort."""
    async with asyncio.timeout(20):
        while dashboard.hub.counts[what] < count:
            await asyncio.sleep(0.01)


async def test_batches_arrive_bit_for_bit(dashboard: Dashboard, publish: Publisher) -> None:
    rows = random_batch(64, seed=1)
    schema_id = await send_schema(publish, rows.schema)
    await taken(dashboard, "schema")
    async with dashboard.live() as socket:
        page = Page(socket)
        await page.subscribe(POWER, {"id": 2**32 - 1, "mission": "luna26", "container": "Power"})
        for i in range(3):
            await send_batch(publish, rows, schema_id, 2**63 + i, 2**63 + i + 1)
        received = [await page.batch() for _ in range(6)]
        for number in (1, 2**32 - 1):
            mine = [batch for batch in received if batch[0] == number]
            assert [batch[1:4] for batch in mine] == [(0, 2**63 + i, 2**63 + i + 1) for i in range(3)]
            assert all(same(batch[4], rows) for batch in mine)
    parameters = (await dashboard.client.get("/api/missions/luna26/parameters")).json()
    assert "Power" in {entry["container"] for entry in parameters}


async def test_summaries_have_a_schema_of_their_own(dashboard: Dashboard, publish: Publisher) -> None:
    rows = random_batch(2, seed=1)
    summary = rows.slice(1).select(["time", "ert", "seq", "voltage"]).replace_schema_metadata(None)
    ids = [await send_schema(publish, rows.schema), await send_schema(publish, summary.schema, summary=True)]
    await taken(dashboard, "schema", 2)
    async with dashboard.live() as socket:
        page = Page(socket)
        await page.subscribe(POWER)
        await send_batch(publish, rows, ids[0], 0, 5)
        await send_batch(publish, summary, ids[1], 5, 5, kind="summary")
        first, second = await page.batch(), await page.batch()
        assert (first[1], second[1]) == (0, 1)
        assert same(second[4], summary)


async def test_a_batch_waits_for_nobody_and_needs_its_schema(dashboard: Dashboard, publish: Publisher) -> None:
    """One whose schema isn't known cannot be shown; the page sees the jump in the positions."""
    old, new = random_batch(1, seed=1), random_batch(1, seed=2).select(["time", "ert", "seq"])
    old_id = await send_schema(publish, old.schema)
    async with dashboard.live() as socket:
        page = Page(socket)
        await page.subscribe(POWER)
        await taken(dashboard, "schema")
        await send_batch(publish, old, old_id, 0, 1)
        await send_batch(publish, new, "unknown", 1, 2)
        await taken(dashboard, "of no schema")
        new_id = await send_schema(publish, new.schema)
        await taken(dashboard, "schema", 2)
        await send_batch(publish, new, new_id, 2, 3)
        await send_batch(publish, old, old_id, 3, 4)
        received = [await page.batch() for _ in range(3)]
    assert [batch[2] for batch in received] == [0, 2, 3]
    assert [batch[4].num_columns for batch in received] == [old.num_columns, 3, old.num_columns]


async def test_a_page_is_told_how_things_stand(dashboard: Dashboard, publish: Publisher) -> None:
    station = {"time": str(T0), "in_view": False, "reason": "occulted by the Moon", "next": None}
    await publish("clock/luna26", json.dumps({**CLOCK, "rate": 0.0}), retain=True)
    await publish("clock/luna26", json.dumps(CLOCK), retain=True)
    await publish("station/luna26/weilheim", json.dumps(station), retain=True)
    await taken(dashboard, "station")
    await taken(dashboard, "clock", 2)
    async with dashboard.live() as socket:
        page = Page(socket)
        while not {"ledger", "clock", "station"} <= {text["type"] for text in page.texts}:
            page.read_text(str(await socket.recv()))
        assert {"type": "ledger", "data": LEDGER} in page.texts
        assert {"type": "clock", "mission": "luna26", "data": CLOCK} in page.texts
        assert {"type": "station", "mission": "luna26", "station": "weilheim", "data": station} in page.texts
        await publish("alarm/luna26", json.dumps(ALARM))
        await publish("event/ground", json.dumps(EVENT))
        for kind, mission, data in (("alarm", "luna26", ALARM), ("event", "ground", EVENT)):
            told = await page.text(kind)
            assert (told["mission"], told["data"]) == (mission, data)


async def test_what_happened_is_told_to_pages_that_come_later_even_after_a_restart(
    setup: Setup, publish: Publisher, tmp_path: Path
) -> None:
    kept = tmp_path / "data" / "journal.jsonl"
    async with setup.dashboard(journal=kept) as dashboard:
        async with dashboard.live() as socket:
            page = Page(socket)
            assert (await page.text("log"))["data"] == []
            await publish("alarm/luna26", json.dumps(ALARM))
            await publish("event/luna26", json.dumps(EVENT))
            told = [await page.text("alarm"), await page.text("event")]
        async with dashboard.live() as socket:
            assert (await Page(socket).text("log"))["data"] == told
    async with setup.dashboard(journal=kept) as again, again.live() as socket:
        assert (await Page(socket).text("log"))["data"] == told


async def test_a_replay_has_its_own_namespace_and_banner(setup: Setup, publish: Publisher) -> None:
    rows = random_batch(1, seed=1)
    async with (
        setup.dashboard() as real,
        setup.dashboard(prefix="replay/7/", banner="REPLAY of 2020-11-24") as replay,
        real.live() as real_socket,
        replay.live() as replay_socket,
    ):
        real_page, replay_page = Page(real_socket), Page(replay_socket)
        assert await replay_page.text("banner") == {"type": "banner", "text": "REPLAY of 2020-11-24", "replay": True}
        for page in (real_page, replay_page):
            await page.subscribe(POWER)
        for dashboard, prefix, start in ((replay, "replay/7/", 10), (real, "", 20)):
            schema_id = await send_schema(publish, rows.schema, prefix=prefix)
            await taken(dashboard, "schema")
            await send_batch(publish, rows, schema_id, start, start + 1, prefix=prefix)
        assert (await replay_page.batch())[2] == 10
        assert (await real_page.batch())[2] == 20
        assert "banner" not in {text["type"] for text in real_page.texts}
        assert real.hub.counts["live"] == replay.hub.counts["live"] == 1


async def test_damaged_messages_are_counted_and_survived(dashboard: Dashboard, publish: Publisher) -> None:
    rows = random_batch(1, seed=1)
    damaged: list[tuple[str, bytes | str, dict[str, str | int]]] = [
        ("clock/luna26", b"\xff{", {}),
        ("clock/luna26", "", {}),
        ("clock/luna26", '{"rate": NaN}', {}),
        ("clock/luna26", "[" * 100_000, {}),
        ("clock/apollo", "{}", {}),
        ("clock", "{}", {}),
        ("station/luna26", "{}", {}),
        ("alarm/luna26", "{}", {}),
        ("alarm/ground", json.dumps(ALARM), {}),
        ("event/luna26", json.dumps({**EVENT, "time": T0 / 3}), {}),
        ("event/luna26", json.dumps({**EVENT, "text": "x" * 20_000}), {}),
        ("schema/luna26/Power", b"no schema", {"schema_id": "x"}),
        ("schema/luna26/Power", rows.schema.serialize().to_pybytes(), {}),
        ("live/luna26/Power", b"x", {"schema_id": "x", "from": 1, "kind": "raw"}),
        ("live/luna26/Power", b"x", {"schema_id": "x", "from": 2, "to": 1}),
        ("live/luna26/Power", b"x", {"schema_id": "x", "from": -1, "to": 2**64}),
        ("live/luna26/Power", b"x", {"schema_id": "x", "from": 1, "to": 2, "kind": "new"}),
    ]
    for topic, payload, properties in damaged:
        await publish(topic, payload, properties)
    await taken(dashboard, "damaged", len(damaged))
    schema_id = await send_schema(publish, rows.schema)
    await taken(dashboard, "schema")
    async with dashboard.live() as socket:
        page = Page(socket)
        await socket.send(b"\x00\x01")
        assert "should be JSON" in (await page.text("error"))["text"]
        await socket.send('{"subscribe": [{"id": 1, "mission": "apollo", "container": "x"}]}')
        assert "apollo" in (await page.text("error"))["text"]
        await page.subscribe(POWER)
        await send_batch(publish, rows, schema_id, 0, 1)
        assert same((await page.batch())[4], rows)


async def test_a_page_that_does_not_read_costs_a_bounded_buffer_and_disturbs_nobody(
    dashboard: Dashboard, publish: Publisher
) -> None:
    rows = random_batch(2000, seed=1)
    schema_id = await send_schema(publish, rows.schema)
    await taken(dashboard, "schema")
    async with dashboard.live(max_queue=1) as slow_socket, dashboard.live() as quick_socket:
        slow, quick = Page(slow_socket), Page(quick_socket)
        for page in (slow, quick):
            await page.subscribe(POWER)
        total = 300  # of 250 KB each: more than sockets hold
        stops = []
        for i in range(total):
            await send_batch(publish, rows, schema_id, i, i + 1)
            stops.append((await quick.batch())[3])
        assert stops == list(range(1, total + 1))
        assert max(viewer.waiting for viewer in dashboard.hub._viewers) <= BATCHES + 2
        late: list[tuple[int, int]] = []
        while not late or late[-1][1] < total:
            _, _, start, stop, _ = await slow.batch()
            late.append((start, stop))
        assert late[-BATCHES:] == [(i, i + 1) for i in range(total - BATCHES, total)]
        assert sum(viewer.dropped for viewer in dashboard.hub._viewers) == total - len(late) > 0


async def test_a_broker_that_comes_back(mosquitto_process: Mosquitto, store: Store) -> None:
    rows = random_batch(1, seed=1, start=T0 + MS)
    async with Setup(mosquitto_process.url, store).dashboard() as dashboard, dashboard.live() as socket:
        page = Page(socket)
        await page.subscribe(POWER)
        mosquitto_process.stop()
        while (text := (await page.text("error"))["text"]) is None:
            pass
        assert "no connection to the broker" in text
        async with dashboard.live() as later:
            assert (await Page(later).text("error"))["text"] == text
        mosquitto_process.start()
        assert (await page.text("error"))["text"] is None
        async with publisher(mosquitto_process.url) as publish:
            schema_id = await send_schema(publish, rows.schema)
            await taken(dashboard, "schema")
            await send_batch(publish, rows, schema_id, 5, 6)
            assert same((await page.batch())[4], rows)


async def test_pages_that_come_and_go_leave_nothing_behind(dashboard: Dashboard) -> None:
    for _ in range(20):
        async with dashboard.live() as socket:
            await Page(socket).text("ledger")
    async with asyncio.timeout(10):
        while dashboard.hub._viewers:
            await asyncio.sleep(0.01)


async def test_every_page_hears_the_servers_time_again_and_again(dashboard: Dashboard) -> None:
    async with dashboard.live() as first, dashboard.live() as second:
        begun = time.time_ns()
        for page in (Page(first), Page(second)):
            beats = [await page.text("heartbeat") for _ in range(3)]
            assert all(beat.keys() == {"type", "time"} for beat in beats)
            times = [int(beat["time"]) for beat in beats]
            assert begun < times[1] < times[2] <= time.time_ns()


async def test_a_page_that_does_not_read_owes_one_heartbeat() -> None:
    hub = Hub({"luna26"}, parse_broker_url("mqtt://127.0.0.1:1"), dict, Journal())
    viewer = hub.join()
    before = viewer.waiting
    beating = asyncio.create_task(hub.beat(period=0))
    for _ in range(100):
        await asyncio.sleep(0)
    beating.cancel()
    assert viewer.waiting == before + 1
