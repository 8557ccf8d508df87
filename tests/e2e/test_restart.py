"""``ground up`` goes away and comes back with the same data, before the eyes of whoever watches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import DESK
from tests.e2e.screen import Screen
from tests.e2e.stack import Up
from tests.integration.service import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHARGE = "Power/battery_charge"


async def test_the_page_goes_on_after_a_restart(browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    up = Up(tmp_path, port=port)
    try:
        screen = Screen(await browser.new_page(viewport=DESK), await up.url())
        await screen.open(f"#mission=luna26&values=Power&range=300&plot=luna26:{CHARGE}")
        plot = screen.plot(CHARGE)
        await screen.grows(plot, by=4)
        screen.assert_well_behaved()
        up.stop()
        await screen.is_connected("lost")
        before = (await screen.samples(plot))[CHARGE]

        up = Up(tmp_path, port=port)
        await up.url()
        await screen.is_connected()
        await screen.until(lambda: screen.value("luna26", CHARGE), lambda cell: cell.time > before[-1][0] + 3 * 10**9)
        clock = screen.page.get_by_test_id("clock-luna26").locator("b")
        await expect(clock).not_to_have_text(await clock.inner_text())

        drawn = (await screen.samples(plot))[CHARGE]
        assert drawn[: len(before)] == before
        assert len(drawn) > len(before)
        start, stop = drawn[0][0], drawn[-1][0] + 1
        stored = await screen.until(
            lambda: screen.history("luna26", [CHARGE], start, stop), lambda now: now[CHARGE][-1][0] == stop - 1
        )
        assert drawn == stored[CHARGE]
        assert await screen.page.locator(".banner-problem").count() == 0
        await screen.close()
        up.stop()
    finally:
        up.end()
