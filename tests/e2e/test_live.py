"""Both simulated spacecraft live on the page, with their past behind them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.e2e.conftest import DESK
from tests.e2e.screen import Screen
from tests.e2e.stack import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Locator

pytestmark = pytest.mark.asyncio(loop_scope="module")

MISSIONS = ("luna26", "tianwen1")
VOLTAGE = "Power/bus_voltage"
FIRST_LOOK = 8  # power, counts, temperatures and radio of either mission
ONE_PLOT = f"#mission=luna26&values=Power&range=60&plot=luna26:{VOLTAGE}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with running(tmp_path_factory.mktemp("live")) as up:
        yield await up.url()


async def test_the_page_opens_and_everything_moves(screen: Screen) -> None:
    await screen.open()
    for mission in MISSIONS:
        card = screen.page.get_by_test_id(f"mission-card-{mission}")
        await expect(card).to_contain_text("receiving")
        await expect(card).to_contain_text("Light time")
        clock = screen.page.get_by_test_id(f"clock-{mission}").locator("b")
        await expect(clock).not_to_have_text(await clock.inner_text())
        plot = screen.page.locator(f"[data-testid=plot][data-mission={mission}]").first
        await screen.grows(plot)
        drawn = await ink(plot)
        await screen.until(lambda plot=plot: ink(plot), lambda now, drawn=drawn: now != drawn)  # type: ignore[misc]
    await expect(screen.page.get_by_test_id("ledger")).to_have_attribute("data-balanced", "true")


async def ink(plot: Locator) -> bytes:
    return await plot.locator("canvas").screenshot()


async def test_a_value_on_screen_is_the_value_in_the_store(screen: Screen) -> None:
    names = {"V": VOLTAGE, "s": "Computer/uptime", "": "Power/battery_state"}
    plots = [f"plot={mission}:{','.join(names.values())}" for mission in MISSIONS]
    await screen.open(f"#{'&'.join(plots)}")
    labels = {
        (mission, entry["name"]): entry["labels"]
        for mission in MISSIONS
        for entry in (await screen.http.get(f"/api/missions/{mission}/parameters")).json()
    }
    for mission in MISSIONS:
        for unit, name in names.items():
            await expect(screen.cell(mission, name)).to_have_attribute("data-time", re.compile(r"\d"))
            first = await screen.value(mission, name)
            shown = await screen.until(
                lambda m=mission, n=name: screen.value(m, n),  # type: ignore[misc]
                lambda now, first=first: now.time > first.time,  # type: ignore[misc]
            )
            stored = await screen.until(
                lambda m=mission, n=name, t=shown.time: screen.history(m, [n], t, t + 1),  # type: ignore[misc]
                bool,
            )
            assert stored == {name: [(shown.time, float(shown.exact))]}
            if label := labels[mission, name]:
                assert shown.text == label[shown.exact]
            else:
                number, said = shown.text.rsplit(" ", 1)
                assert said == unit
                assert float(re.sub(r"[^\d.]", "", number)) == pytest.approx(float(shown.exact), rel=1e-5)


async def test_history_and_live_stream_meet_without_a_seam(screen: Screen) -> None:
    await screen.open(ONE_PLOT)
    plot = screen.plot(VOLTAGE)
    await screen.grows(plot, by=4)
    drawn = (await screen.samples(plot))[VOLTAGE]
    start, stop = drawn[0][0], drawn[-1][0] + 1
    stored = await screen.until(
        lambda: screen.history("luna26", [VOLTAGE], start, stop), lambda now: now[VOLTAGE][-1][0] == stop - 1
    )
    assert drawn == stored[VOLTAGE]
    assert len({time for time, _ in drawn}) == len(drawn) > 4


async def test_the_past_is_there_by_keyboard_and_wheel(screen: Screen) -> None:
    await screen.open(ONE_PLOT)
    plot = screen.plot(VOLTAGE)
    await screen.grows(plot, by=6)
    over = plot.locator(".u-over")
    box = await over.bounding_box()
    assert box
    newest = box["x"] + box["width"] - 10, box["y"] + box["height"] / 2
    await screen.page.mouse.move(newest[0], newest[1])
    await screen.page.mouse.wheel(0, -120)
    wheeled = await screen.fixed("luna26")
    assert wheeled[1] - wheeled[0] < 60 * 10**9
    await plot.focus()
    await screen.page.keyboard.press("+")
    zoomed = await screen.fixed("luna26", unlike=wheeled)
    await screen.page.keyboard.press("ArrowRight")
    start, stop = await screen.fixed("luna26", unlike=zoomed)
    assert wheeled[0] < zoomed[0] < start < zoomed[1] < stop < wheeled[1]

    stored = await screen.until(lambda: screen.history("luna26", [VOLTAGE], start, stop), bool)
    shown = await screen.until(lambda: screen.samples(plot), lambda now: now == stored)
    await screen.page.mouse.move(newest[0] - 1, newest[1])
    await expect(plot.locator(".at")).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
    legend = float(await plot.locator(".series b").inner_text())
    assert any(legend == pytest.approx(value, rel=1e-5) for _, value in shown[VOLTAGE])

    await screen.page.get_by_test_id("back-to-live").click()
    await expect(screen.page.get_by_test_id("back-to-live")).to_be_disabled()
    await screen.grows(plot)
    times = [time for time, _ in (await screen.samples(plot))[VOLTAGE]]
    assert times == sorted(set(times))
    assert times[-1] > stop


async def test_the_address_is_the_view(screen: Screen) -> None:
    await screen.open()
    page = screen.page
    await expect(page.get_by_test_id("plot")).to_have_count(FIRST_LOOK)
    await page.get_by_test_id("mission-card-tianwen1").get_by_role("button", name="Tianwen-1").click()
    await page.get_by_role("button", name="1 min", exact=True).click()
    await page.get_by_test_id(f"tree-{VOLTAGE}").click()
    await screen.until(screen.view, lambda view: VOLTAGE in view)
    for turn in (None, "ArrowLeft"):
        if turn:
            await screen.grows(screen.plot(VOLTAGE))
            await screen.plot(VOLTAGE).focus()
            await page.keyboard.press(turn)
            await screen.fixed("tianwen1")
        view = await screen.view()
        plots = await open_plots(screen)
        assert [VOLTAGE in plot for plot in plots].count(True) == 1
        await page.reload()
        await screen.is_connected()
        await screen.until(lambda: open_plots(screen), lambda now, plots=plots: now == plots)  # type: ignore[misc]
        assert await screen.view() == view
        await expect(page.get_by_test_id("mission-card-tianwen1")).to_have_class(re.compile("active"))
        pressed = page.get_by_role("button", name="1 min", exact=True)
        await expect(pressed).to_have_attribute("aria-pressed", str(turn is None).lower())


async def open_plots(screen: Screen) -> list[str]:
    plots = await screen.page.get_by_test_id("plot").all()
    return [await plot.get_attribute("data-parameters") or "" for plot in plots]


async def test_the_tree_answers_to_keyboard_and_mouse(screen: Screen) -> None:
    await screen.open(ONE_PLOT)
    page = screen.page
    await expect(screen.plot(VOLTAGE)).to_be_visible()
    await page.keyboard.press("/")
    await expect(page.get_by_test_id("search")).to_be_focused()
    await page.keyboard.type("battery_charge")
    await expect(page.locator(".tree .leaf")).to_have_count(1)
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_test_id("tree-Power/battery_charge")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(screen.plot(f"{VOLTAGE},Power/battery_charge")).to_be_visible()
    await page.keyboard.press("Shift+Enter")
    await expect(page.get_by_test_id("plot")).to_have_count(2)
    await screen.grows(page.get_by_test_id("plot").nth(1))

    await page.get_by_test_id("search").fill("no such parameter")
    await expect(page.get_by_test_id("tree")).to_contain_text("No parameter has")
    await page.get_by_test_id("search").press("Escape")
    await page.get_by_test_id("tree-Power/array_power").click()
    await expect(screen.plot("Power/battery_charge,Power/array_power")).to_be_visible()
    await page.get_by_test_id("tree-Power/array_power").click()
    await expect(screen.plot("Power/array_power")).to_have_count(0)


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_it_fits_screen_and_theme(browser: Browser, url: str, theme: str) -> None:
    page = await browser.new_page(viewport=DESK, color_scheme="dark" if theme == "dark" else "light")
    screen = Screen(page, url)
    await screen.open()
    await expect(page.locator("html")).to_have_attribute("data-theme", theme)
    await expect(page.get_by_test_id("plot")).to_have_count(FIRST_LOOK)
    await expect(screen.cell("luna26", VOLTAGE)).to_have_attribute("data-time", re.compile(r"\d"))
    tree = page.get_by_test_id("tree")
    opener = page.get_by_role("button", name="☰ Parameters")
    await expect(tree).to_be_visible()
    await expect(opener).to_be_hidden()
    assert await too_wide(screen) == []

    for width in (1024, 390):
        await page.set_viewport_size({"width": width, "height": 844})
        await expect(tree).to_be_hidden()
        assert await too_wide(screen) == []
        await opener.click()
        await expect(tree).to_be_visible()
        assert await too_wide(screen) == []
        await page.keyboard.press("Escape")
        await expect(tree).to_be_hidden()
        await opener.click()
        await page.locator(".scrim").click(position={"x": width - 10, "y": 400})
        await expect(tree).to_be_hidden()

    await page.get_by_test_id("theme").click()
    await expect(page.locator("html")).not_to_have_attribute("data-theme", theme)
    await screen.close()
    screen.assert_well_behaved()


async def too_wide(screen: Screen) -> list[str]:
    """Whatever can be scrolled sideways."""
    found: list[str] = await screen.page.evaluate(
        "[...document.querySelectorAll('html, body, .scroll, .cards, .card, .tree > ul')]"
        ".filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => `${e.tagName} ${e.className}`)"
    )
    return found
