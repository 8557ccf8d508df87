"""Liveness says whether a restart is due, readiness whether telemetry comes through, and why not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from dashboard import health
from tests.dashboard.conftest import LEDGER, Setup

if TYPE_CHECKING:
    from ground.stores import Store
    from tests.conftest import Mosquitto
    from tests.dashboard.conftest import Dashboard


async def reasons(dashboard: Dashboard) -> list[str]:
    answer = await dashboard.client.get("/readyz")
    said: dict[str, Any] = answer.json()
    assert answer.status_code == (503 if said["reasons"] else 200)
    assert said["ready"] == (not said["reasons"])
    found: list[str] = said["reasons"]
    return found


def task_named(name: str) -> asyncio.Task[Any]:
    return next(task for task in asyncio.all_tasks() if task.get_name() == name)


async def test_all_is_well(dashboard: Dashboard) -> None:
    assert await reasons(dashboard) == []
    assert (await dashboard.client.get("/healthz")).status_code == 200


@pytest.mark.parametrize("name", ["dashboard hub", "dashboard ledger", "dashboard heartbeat", "dashboard journal"])
async def test_a_task_that_has_ended_is_dead_and_not_ready(dashboard: Dashboard, name: str) -> None:
    task = task_named(name)
    task.cancel()
    await asyncio.wait([task])
    answer = await dashboard.client.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (503, "dead")
    assert f"{name} has ended" in await reasons(dashboard)


async def test_without_a_broker_it_lives_and_is_not_ready(mosquitto_process: Mosquitto, store: Store) -> None:
    async with Setup(mosquitto_process.url, store).dashboard() as dashboard:
        assert await reasons(dashboard) == []
        mosquitto_process.stop()
        async with asyncio.timeout(20):
            while await reasons(dashboard) != ["dashboard: there is no connection to the broker"]:
                await asyncio.sleep(0.01)
        assert (await dashboard.client.get("/healthz")).status_code == 200
        mosquitto_process.start()
        async with asyncio.timeout(20):
            while await reasons(dashboard):
                await asyncio.sleep(0.01)


async def test_a_store_that_does_not_answer(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(mission: str) -> None:
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(dashboard.store, "checkpoint", hang)
        patch.setattr(health, "_PATIENCE", 0.01)
        [said] = await reasons(dashboard)
        assert said.startswith("store: no answer within")
    await dashboard.store.close()
    [said] = await reasons(dashboard)
    assert "not open" in said


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"link": {"state": "connected", "recording_error": "no space"}}, ["recording: no space"]),
        ({"link": {"state": "connection refused"}}, ["ingest: connection refused"]),
        ({"store": {"error": "locked"}}, ["store: locked"]),
        ({"missions": {"a": {"running": True}, "b": {}, "c": {"running": False, "reason": "no such frame"}}},
         ["mission c stands still: no such frame"]),
        ({"link": {"state": "connected"}, "store": {"error": None}, "missions": {"luna26": {}}}, []),
    ],
)  # fmt: skip
async def test_what_the_ledger_says(setup: Setup, told: dict[str, Any], said: list[str]) -> None:
    async with setup.dashboard(ledger=lambda: {**LEDGER, **told}) as dashboard:
        assert await reasons(dashboard) == said
        assert (await dashboard.client.get("/healthz")).status_code == 200
