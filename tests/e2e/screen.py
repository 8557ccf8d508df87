"""The page in a browser, read as its user reads it, and what it must never do."""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import httpx
from playwright.async_api import expect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from playwright.async_api import Locator, Page

T = TypeVar("T")

expect.set_options(timeout=30_000)

VIOLATIONS = "addEventListener('securitypolicyviolation', (e) => console.error(`CSP: ${e.violatedDirective}`))"


class Cell(NamedTuple):
    """A value in the table: ns since 1970, the value in full, and as it reads."""

    time: int
    exact: str
    text: str


class Screen:
    """One open page. ``problems``: console errors, exceptions, policy violations; ``hosts``: whom it asked."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.problems: list[str] = []
        self.hosts: set[str | None] = set()
        self.batches = 0
        page.on("console", lambda said: self.problems.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self._asked(request.url))
        page.on("websocket", self._listens)
        self.http = httpx.AsyncClient(base_url=url, headers={"accept": "application/json"})

    def _asked(self, url: str) -> None:
        if not url.startswith(("blob:", "data:")):
            self.hosts.add(urlsplit(url).hostname)

    def _listens(self, socket: Any) -> None:
        self._asked(socket.url)
        socket.on("framereceived", self._heard)

    def _heard(self, payload: str | bytes) -> None:
        self.batches += isinstance(payload, bytes)

    async def open(self, view: str = "") -> None:
        """Open the page at a view (its address after the #) and wait until it is connected."""
        await self.page.add_init_script(VIOLATIONS)
        await self.page.goto(f"{self.url}/{view}")
        await self.is_connected()

    async def is_connected(self, state: str = "connected") -> None:
        await expect(self.page.get_by_test_id("conn-state")).to_have_attribute("data-state", state)

    async def view(self) -> str:
        """The view in the address."""
        return str(await self.page.evaluate("decodeURIComponent(location.hash)"))

    async def window(self, mission: str) -> tuple[int, int] | None:
        """The fixed range of a mission in the address, ns since 1970; None while the page follows the clock."""
        found = re.search(rf"range=(?:[^&]*;)?{mission}:([^/&]+)/([^;&]+)", await self.view())
        return (nanoseconds(found[1]), nanoseconds(found[2])) if found else None

    async def fixed(self, mission: str, unlike: tuple[int, int] | None = None) -> tuple[int, int]:
        """Wait for a fixed range that is another one than before."""
        window = await self.until(lambda: self.window(mission), lambda now: now not in (None, unlike))
        assert window
        return window

    def plot(self, parameter: str) -> Locator:
        """The plots that show a parameter among others."""
        return self.page.locator(f'[data-testid=plot][data-parameters*="{parameter}"]')

    async def points(self, plot: Locator) -> int:
        return int(await plot.locator(".plot-body").get_attribute("data-points") or 0)

    async def grows(self, plot: Locator, by: int = 1) -> None:
        """Wait until so many samples more are drawn."""
        await expect(plot.locator(".plot-body")).to_have_attribute("data-points", re.compile(r"\d"))
        before = await self.points(plot)
        await self.until(lambda: self.points(plot), lambda now: now >= before + by)

    async def samples(self, plot: Locator) -> dict[str, list[tuple[int, float]]]:
        """What the plot shows, by parameter: (ns since 1970, value), out of the file that it saves."""
        return read_samples(await self.saved(plot, "save"))

    async def saved(self, plot: Locator, how: str) -> Path:
        """The file that an entry of the plot's menu gives."""
        await plot.get_by_test_id("save-menu").click()
        async with self.page.expect_download() as download:
            await plot.get_by_test_id(how).click()
        return await (await download.value).path()

    def cell(self, mission: str, parameter: str) -> Locator:
        return self.page.locator(f'[data-testid="value-{parameter}"][data-mission="{mission}"]')

    async def value(self, mission: str, parameter: str) -> Cell:
        """What the table says, all of it at one instant."""
        time, exact, text = await self.cell(mission, parameter).evaluate(
            "cell => [cell.dataset.time, cell.dataset.value, cell.innerText]"
        )
        return Cell(int(time or 0), exact, " ".join(text.split()))

    async def count(self, name: str) -> int:
        """A number of the ledger."""
        text = await self.page.get_by_test_id(f"ledger-{name}").inner_text()
        return int(re.sub(r"\D", "", text))

    async def history(
        self, mission: str, parameters: Sequence[str], start: int, stop: int
    ) -> dict[str, list[tuple[int, float]]]:
        """The store's samples in [start, stop), as they are."""
        asked = {"parameter": [*parameters], "start": str(start), "stop": str(stop), "buckets": "20000"}
        answer = (await self.http.get(f"/api/missions/{mission}/history", params=asked)).raise_for_status().json()
        found = defaultdict(list)
        for row in answer["rows"]:
            assert row["count"] == 1
            found[row["parameter"]].append((int(row["time"]), row["last"]))
        return dict(found)

    async def until(self, look: Callable[[], Awaitable[T]], enough: Callable[[T], bool]) -> T:
        """Look again until it is enough; fails with what was seen last."""
        for _ in range(300):
            seen = await look()
            if enough(seen):
                return seen
            await self.page.wait_for_timeout(100)
        raise AssertionError(f"it stayed at {seen!r}")

    async def close(self) -> None:
        await self.http.aclose()
        await self.page.close()

    def assert_well_behaved(self) -> None:
        assert not self.problems, self.problems
        assert self.hosts == {"127.0.0.1"}


def read_samples(file: Path) -> dict[str, list[tuple[int, float]]]:
    """The file that a plot saves, by parameter; its two columns of time must agree."""
    found = defaultdict(list)
    for line in csv.DictReader(file.read_text("utf-8").splitlines()):
        assert nanoseconds(line["time"]) == int(line["ns"])
        found[line["parameter"]].append((int(line["ns"]), float(line["value"])))
    return dict(found)


def nanoseconds(iso: str) -> int:
    """ISO 8601 in UTC with up to nine decimals, exactly."""
    whole, _, fraction = iso.rstrip("Z").partition(".")
    return int(datetime.fromisoformat(f"{whole}+00:00").timestamp()) * 10**9 + int(fraction.ljust(9, "0") or 0)


def comparable(ledger: dict[str, Any]) -> str:
    """A ledger as text, without what moves by itself."""
    return json.dumps({**ledger, "store": None}, sort_keys=True)
