"""A real pass, published as a station would, is on screen; its replay is somewhere else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.e2e.screen import Screen, comparable
from tests.e2e.stack import Stack, Up, running
from tests.integration.service import ground
from tests.real_data import recording, requires_real_data

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser

pytestmark = [pytest.mark.asyncio(loop_scope="module"), requires_real_data]

# The published table of the pass: one frame of 3075 is another spacecraft's.
COUNTS = {
    "frames-in": 3075,
    "frames-good": 3074,
    "duplicate": 0,
    "rejected": 1,
    "packets": 21282,
    "decoded": 21282,
    "undecoded": 0,
    "rows": 21282,
    "repeated": 0,
    "pending": 0,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def up(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Up]:
    async with running(tmp_path_factory.mktemp("pass"), "--no-simulators") as up:
        yield up


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(up: Up) -> str:
    return await up.url()


async def shows_the_pass(screen: Screen) -> None:
    ledger = screen.page.get_by_test_id("ledger-change5")
    await expect(ledger).to_be_visible()

    async def counts() -> dict[str, int]:
        return {name: await screen.count(f"change5-{name}") for name in COUNTS}

    await screen.until(counts, lambda now: now == COUNTS)
    await expect(ledger).to_contain_text("Rejected: 1 another frame version")
    await expect(screen.page.get_by_test_id("ledger")).to_have_attribute("data-balanced", "true")
    await expect(screen.page.get_by_test_id("mission-card-change5")).to_be_visible()


async def test_a_real_pass_is_on_screen(screen: Screen, up: Up) -> None:
    await screen.open()
    card = screen.page.get_by_test_id("mission-card-change5")
    await expect(screen.page.get_by_test_id("mission-card-luna26")).to_contain_text("no simulator of this mission")
    await expect(card).to_have_count(0)
    broker = await up.broker()
    sent = ["--mission", "change5", "--speed", "max", "--broker", broker]
    await asyncio.to_thread(ground, "publish", str(recording("change5")), *sent)
    await shows_the_pass(screen)

    await card.get_by_role("button").click()
    await screen.page.get_by_label("Values of").select_option("Packet_40")
    latest = await screen.http.get("/api/missions/change5/latest", params={"parameter": "Packet_40/payload"})
    [row] = latest.json()["rows"]
    newest = int(row["time"]), row["text"]
    await screen.until(
        lambda: screen.value("change5", "Packet_40/payload"), lambda cell: (cell.time, cell.exact) == newest
    )


async def test_a_replay_is_marked_and_touches_nothing_live(
    screen: Screen, up: Up, browser: Browser, tmp_path: Path
) -> None:
    await screen.open("#mission=change5&values=Packet_40")
    await shows_the_pass(screen)
    before = comparable((await screen.http.get("/api/ledger")).json())
    received = screen.batches

    replay = Stack(tmp_path / "replay.log", "replay", str(up.data / "recording"), "--speed", "max", "--port", "0")
    try:
        again = Screen(await browser.new_page(), await replay.url())
        await again.open("#mission=change5&values=Packet_40")
        await expect(again.page.get_by_test_id("banner")).to_contain_text("REPLAY")
        await shows_the_pass(again)
        await replay.said("the end of the recording")
        await again.until(lambda: again.value("change5", "Packet_40/payload"), lambda cell: cell.time > 0)
        await expect(again.page.get_by_test_id("mission-card-luna26")).to_have_count(0)
        await again.close()
        again.assert_well_behaved()
        replay.stop()
    finally:
        replay.end()

    await expect(screen.page.get_by_test_id("banner")).to_have_count(0)
    assert comparable((await screen.http.get("/api/ledger")).json()) == before
    assert screen.batches == received
