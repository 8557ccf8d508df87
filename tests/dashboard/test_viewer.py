"""The buffers of one page: bounded whatever happens, the newest kept, what is dropped counted exactly."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.viewer import BATCHES, HEADER, MAX_SUBSCRIPTIONS, REPORTS, BadRequestError, LiveBatch, Viewer

if TYPE_CHECKING:
    from dashboard.viewer import Kind

MISSIONS = ("luna26", "tianwen1")


def live(stop: int, container: str = "Power", kind: Kind = "raw", schema: bytes = b"schema") -> LiveBatch:
    return LiveBatch("luna26", container, kind, schema, stop - 1, stop, f"{container} {stop}".encode())


def subscribe(*containers: str, first: int = 1) -> str:
    wanted = [{"id": i, "mission": "luna26", "container": name} for i, name in enumerate(containers, first)]
    return json.dumps({"subscribe": wanted})


class Page:
    """A socket that takes ``room`` messages and then none until there is room again."""

    def __init__(self, room: int = 10**9) -> None:
        self.room = asyncio.Semaphore(room)
        self.texts: list[Any] = []
        self.batches: list[tuple[int, int, int, int, bytes]] = []
        self.log: list[str] = []

    async def send_text(self, data: str) -> None:
        await self.room.acquire()
        self.texts.append(json.loads(data))
        self.log.append("text")

    async def send_bytes(self, data: bytes) -> None:
        await self.room.acquire()
        number, kind, start, stop = HEADER.unpack_from(data)
        self.batches.append((number, kind, start, stop, data[HEADER.size :]))
        self.log.append("batch")


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def viewer() -> Viewer:
    return Viewer(MISSIONS)


async def run(viewer: Viewer, page: Page) -> asyncio.Task[None]:
    task = asyncio.create_task(viewer.send_to(page))
    await settle()
    return task


async def test_a_batch_goes_to_those_who_subscribed_with_its_schema_before_it(viewer: Viewer) -> None:
    page = Page()
    sending = await run(viewer, page)
    viewer.offer(live(1))
    viewer.hear(subscribe("Power", "Thermal", "Power"))
    viewer.offer(live(2))
    await settle()
    viewer.offer(live(3))
    viewer.offer(live(4, kind="summary", schema=b"other"))
    await settle()
    assert [text["id"] for text in page.texts] == [1, 3, 1, 3]
    assert page.texts[0] == {"type": "schema", "id": 1, "kind": "raw", "ipc": base64.b64encode(b"schema").decode()}
    assert page.texts[2]["kind"] == "summary"
    of_first = [batch[1:] for batch in page.batches if batch[0] == 1]
    assert of_first == [(0, 1, 2, b"Power 2"), (0, 2, 3, b"Power 3"), (1, 3, 4, b"Power 4")]
    assert page.log == ["text", "batch"] * 2 + ["batch"] * 2 + ["text", "batch"] * 2
    sending.cancel()


async def test_a_new_schema_is_announced_and_only_then(viewer: Viewer) -> None:
    page = Page()
    sending = await run(viewer, page)
    viewer.hear(subscribe("Power"))
    for stop, schema in enumerate([b"1", b"1", b"2", b"1"], 1):
        viewer.offer(live(stop, schema=schema))
    await settle()
    assert [base64.b64decode(text["ipc"]) for text in page.texts] == [b"1", b"2", b"1"]
    sending.cancel()


async def test_a_slow_page_gets_the_newest_and_nothing_grows(viewer: Viewer) -> None:
    page = Page(room=2)
    viewer.hear(subscribe("Power", "Thermal"))
    sending = await run(viewer, page)
    viewer.offer(live(1))
    await settle()  # schema and first batch are on their way
    for stop in range(2, 1002):
        viewer.offer(live(stop))
        viewer.replace("clock/luna26", json.dumps(stop))
        viewer.report(json.dumps(-stop))
        if stop % 100 == 0:
            await settle()
    assert viewer.waiting <= BATCHES + 1 + REPORTS
    for _ in range(2000):
        page.room.release()
    await settle()
    while viewer.waiting:
        await settle()
    positions = [stop for _, _, _, stop, _ in page.batches]
    assert positions == sorted(set(positions))
    assert positions[-BATCHES:] == list(range(1002 - BATCHES, 1002))
    clocks = [text for text in page.texts if isinstance(text, int) and text > 0]
    assert clocks[-1] == 1001
    alarms = [text for text in page.texts if isinstance(text, int) and text < 0]
    assert alarms[-REPORTS:] == list(range(REPORTS - 1002, -1002, -1))
    assert viewer.dropped == 1001 - len(positions) + 1000 - len(alarms)
    sending.cancel()


async def test_a_busy_container_does_not_hold_up_another(viewer: Viewer) -> None:
    page = Page()
    viewer.hear(subscribe("Busy", "Calm"))
    for stop in range(1, 6):
        viewer.offer(live(stop, "Busy"))
    viewer.offer(live(1, "Calm"))
    sending = await run(viewer, page)
    assert [number for number, *_ in page.batches] == [1, 2, 1, 1, 1, 1]
    sending.cancel()


async def test_subscriptions_are_replaced_and_those_that_stay_go_on(viewer: Viewer) -> None:
    page = Page()
    viewer.hear(subscribe("Power", "Thermal"))
    for stop in range(1, BATCHES + 3):
        viewer.offer(live(stop))
    viewer.offer(live(1, "Thermal"))
    viewer.hear(subscribe("Power"))
    assert viewer.dropped == 2
    sending = await run(viewer, page)
    assert [stop for _, _, _, stop, _ in page.batches] == list(range(3, BATCHES + 3))
    viewer.hear(subscribe("Thermal"))  # the same number for another container
    viewer.offer(live(9, "Thermal", schema=b"thermal"))
    await settle()
    assert base64.b64decode(page.texts[-1]["ipc"]) == b"thermal"
    assert page.batches[-1] == (1, 0, 8, 9, b"Thermal 9")
    assert viewer.dropped == 2
    sending.cancel()


def one(**changes: Any) -> str:
    return json.dumps({"subscribe": [{"id": 1, "mission": "luna26", "container": "Power", **changes}]})


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "[]", "1", "{}", '{"subscribe": 1}', '{"subscribe": [1]}', "[" * 5000,
        one(id=-1), one(id=2**32), one(id=True), one(id="1"), one(id=None), one(mission="apollo"),
        one(mission=["luna26"]), one(container=1), subscribe("A", "B").replace('"id": 2', '"id": 1'),
        subscribe(*["A"] * (MAX_SUBSCRIPTIONS + 1)),
    ],
)  # fmt: skip
async def test_what_is_no_subscription_is_refused_and_changes_nothing(viewer: Viewer, text: str) -> None:
    viewer.hear(subscribe("Power", first=7))
    with pytest.raises(BadRequestError):
        viewer.hear(text)
    viewer.offer(live(1))
    assert viewer.waiting == 1


keys = st.sampled_from(["subscribe", "id", "mission", "container"])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(keys, inner)
)


@given(message=anything)
def test_any_json_is_a_subscription_or_refused(message: Any) -> None:
    viewer = Viewer(MISSIONS)
    try:
        viewer.hear(json.dumps(message))
    except BadRequestError:
        return
    assert isinstance(message["subscribe"], list)
