from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright

from tests.e2e.screen import Screen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, ViewportSize

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

# A browser that nobody sees has nothing to update and nobody to tell.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

DESK: ViewportSize = {"width": 1440, "height": 900}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    if not CHROMIUM:
        pytest.skip("needs Chromium: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def screen(browser: Browser, url: str) -> AsyncIterator[Screen]:
    """A page of the module's stack (its fixture ``url``), not opened yet; held to good behaviour at the end."""
    screen = Screen(await browser.new_page(viewport=DESK), url)
    yield screen
    await screen.close()
    screen.assert_well_behaved()
