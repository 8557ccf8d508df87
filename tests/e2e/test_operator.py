"""What an operator has to see: faults and alarms, also on a page opened later; silence and why; the data as files."""

from __future__ import annotations

import asyncio
import csv
import json
import re
import time
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet
import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.dashboard.conftest import publisher
from tests.e2e.conftest import DESK
from tests.e2e.screen import Screen, nanoseconds
from tests.e2e.stack import Up, running
from tests.e2e.test_live import too_wide

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser, WebSocketRoute

    from tests.dashboard.conftest import Publisher

pytestmark = pytest.mark.asyncio(loop_scope="module")

SENSOR = "Wheels/wheel_1_speed"
VIEW = "#mission=luna26&values=Power&range=60&plot=luna26:Power/bus_voltage,Computer/uptime"
S = 10**9


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def up(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Up]:
    async with running(tmp_path_factory.mktemp("operator")) as up:
        yield up


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(up: Up) -> str:
    return await up.url()


async def test_a_fault_and_its_alarm_are_seen_now_and_on_a_page_opened_later(
    screen: Screen, up: Up, browser: Browser
) -> None:
    """Of a container that neither page looks at."""
    await screen.open(VIEW)
    await screen.grows(screen.plot("Power/bus_voltage"))
    async with publisher(await up.broker()) as publish:
        await publish("command/luna26/fault", json.dumps({"kind": "drifting-sensor", "target": SENSOR, "value": 1e9}))
        await publish("command/luna26/fault", json.dumps({"kind": "no such fault"}))
    later = Screen(await browser.new_page(viewport=DESK), screen.url)
    for page in (screen, later):
        if page is later:
            await later.open(VIEW)
        events = page.page.get_by_test_id("events")
        await expect(events).to_contain_text(f"fault on request: drifting-sensor ({SENSOR})")
        await expect(events).to_contain_text("fault refused: there is no fault no such fault")
        await expect(page.page.get_by_test_id(f"alarm-luna26-{SENSOR}")).to_contain_text("warning")
        await expect(page.page.get_by_test_id("alarms-luna26")).to_contain_text("▲ 1 alarm, 1 unacknowledged")
        await expect(page.page.get_by_test_id("alarms-tianwen1")).to_have_count(0)
    await later.page.get_by_test_id("alarms-luna26").click()
    row = later.page.locator("tr", has=later.cell("luna26", SENSOR))
    await expect(row.locator(".state")).to_have_text("▲ warning")
    # Acknowledged on one page, it is so on the other, in the API, and in the store.
    await later.page.get_by_test_id(f"alarm-luna26-{SENSOR}").get_by_role("button", name="Acknowledge").click()
    for page in (screen, later):
        await expect(page.page.get_by_test_id("alarms-luna26")).to_contain_text("▲ 1 alarm")
        await expect(page.page.get_by_test_id("alarms-luna26")).not_to_contain_text("unacknowledged")
        await expect(page.page.get_by_test_id(f"alarm-luna26-{SENSOR}")).to_have_attribute("data-state", "acknowledged")
    alarms = await (await later.page.request.get(f"{screen.url}/api/missions/luna26/alarms?state=acknowledged")).json()
    assert [alarm["parameter"] for alarm in alarms] == [SENSOR]
    await later.close()
    later.assert_well_behaved()


@pytest.mark.xfail(strict=False, reason="one pan to the left may end before the first sample; not understood yet")
async def test_every_sample_of_a_plot_can_be_had_as_a_file(screen: Screen) -> None:
    await screen.open(VIEW)
    plot = screen.plot("Power/bus_voltage")
    await screen.grows(plot, by=4)
    await plot.focus()
    await screen.page.keyboard.press("ArrowLeft")
    start, stop = await screen.fixed("luna26")
    names = ["Power/bus_voltage"]
    stored = await screen.until(lambda: screen.history("luna26", names, start, stop), lambda now: len(now) == 1)
    await plot.get_by_role("button", name="Remove Computer/uptime from the plot").click()
    lines = list(csv.DictReader((await screen.saved(plot, "save-csv")).read_text("utf-8").splitlines()))
    assert [(nanoseconds(line["time"]), float(line["bus_voltage"])) for line in lines] == stored[names[0]]
    table = pa.parquet.read_table(await screen.saved(plot, "save-parquet"))
    samples = zip(table["time"].cast(pa.int64()).to_pylist(), table["bus_voltage"].to_pylist(), strict=True)
    assert list(samples) == stored[names[0]]


async def test_what_the_database_cannot_hold_is_in_the_ledger_with_its_cause(screen: Screen) -> None:
    """DuckDB holds everything, so the server's words are changed on the way."""

    def change(text: str | bytes) -> str | bytes:
        message = json.loads(text) if isinstance(text, str) else {}
        if message.get("type") != "ledger" or "luna26" not in message["data"]["missions"]:
            return text
        mission = message["data"]["missions"]["luna26"]
        mission["rows"]["refused"], mission["nonfinite"] = 21, 34
        return json.dumps(message)

    def relay(page: WebSocketRoute) -> None:
        server = page.connect_to_server()
        server.on_message(lambda text: page.send(change(text)))

    await screen.page.route_web_socket("**/ws", relay)
    await screen.open(VIEW)
    ledger = screen.page.get_by_test_id("ledger-luna26")
    await expect(screen.page.get_by_test_id("ledger-luna26-refused")).to_have_text("21")
    await expect(ledger).to_contain_text("▲ Refused: 21 have a time or a value that the database has no room for")
    await expect(ledger).to_contain_text("34 values are NaN or infinite, which the database cannot hold")


def report(now: int, station: str, reason: str, event: str, at: int) -> dict[str, Any]:
    numbers = ("elevation_deg", "range_km", "light_time_s", "doppler_hz", "eb_n0_db")
    return {
        **dict.fromkeys(numbers),
        "time": str(now),
        "station": station,
        "in_view": reason == "in view",
        "reason": reason,
        "frames_sent": 0,
        "next": {"event": event, "time": str(at)},
    }


async def tick(publish: Publisher, now: int) -> None:
    """A mission clock that started now."""
    began = time.monotonic_ns()
    while True:
        at = now + time.monotonic_ns() - began
        clock = {"time": str(at), "rate": 1.0, "wall": str(time.time_ns()), "epoch": str(now)}
        await publish("clock/luna26", json.dumps(clock), retain=True)
        await asyncio.sleep(0.5)


async def test_three_silences_are_three_things(browser: Browser, tmp_path: Path) -> None:
    now = 1_852_422_000 * S
    up = Up(tmp_path, "--no-simulators")
    try:
        screen = Screen(await browser.new_page(viewport=DESK), await up.url())
        async with publisher(await up.broker()) as publish:
            clock = asyncio.create_task(tick(publish, now))
            await screen.open()
            card = screen.page.get_by_test_id("mission-card-luna26")
            no_contact = screen.page.get_by_test_id("no-contact-luna26")

            async def tell(*reports: dict[str, Any]) -> None:
                for name, one in zip(("bear-lakes", "ussuriysk"), reports, strict=True):
                    await publish(f"station/luna26/{name}", json.dumps(one), retain=True)

            await tell(
                report(now, "Bear Lakes", "occulted by the Moon", "AOS", now + 1800 * S),
                report(now, "Ussuriysk", "below the horizon", "AOS", now + 7200 * S),
            )
            await expect(no_contact).to_contain_text("No contact: occulted by the Moon, below the horizon.")
            await expect(no_contact).to_contain_text(re.compile(r"Next AOS \d\d:\d\d:\d\d Bear Lakes, in 00:\d\d:\d\d"))
            await expect(no_contact).to_contain_text("comes by playback")

            await tell(
                report(now, "Bear Lakes", "below the horizon", "AOS", now + 7200 * S),
                report(now, "Ussuriysk", "below the horizon", "AOS", now + 9000 * S),
            )
            await expect(no_contact).to_contain_text("No contact: below the horizon.")

            await tell(
                report(now, "Bear Lakes", "in view", "LOS", now + 7200 * S),
                report(now, "Ussuriysk", "below the horizon", "AOS", now + 9000 * S),
            )
            await expect(no_contact).to_have_count(0)
            await expect(card).to_contain_text("no data during a pass: look into it")
            await expect(card).to_contain_text(re.compile(r"LOS in 0[12]:\d\d:\d\d"))
            await expect(card).to_contain_text(re.compile(r"AOS in 02:\d\d:\d\d"))
            await screen.page.set_viewport_size({"width": 390, "height": 844})
            assert await too_wide(screen) == []
            await expect(card.get_by_text("Bear Lakes")).to_be_visible()  # not squeezed to nothing
            clock.cancel()
            await expect(card).to_contain_text("No data: the simulator has stopped")
        await screen.close()
        screen.assert_well_behaved()
        up.stop()
    finally:
        up.end()
