"""Whether the process lives (``/healthz``) and whether what it is there for works (``/readyz``)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from ground.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from dashboard.hub import Hub
    from ground.stores import Store

_PATIENCE: Final = 5.0


def health_router(
    hub: Hub, store: Store, ledger: Callable[[], Mapping[str, Any]], tasks: Collection[asyncio.Task[Any]]
) -> APIRouter:
    """``/healthz`` and ``/readyz``. ``tasks``: those that should run as long as the server does."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", responses={503: {"description": "It should be started again."}})
    async def healthz() -> JSONResponse:
        """Whether the server lives: 503 where one of its tasks has ended, which only a restart brings back."""
        dead = _ended(tasks)
        return JSONResponse({"status": "dead" if dead else "ok"} | ({"reasons": dead} if dead else {}), _status(dead))

    @router.get("/readyz", responses={503: {"description": "Something does not work; ``reasons`` says what."}})
    async def readyz() -> JSONResponse:
        """Whether telemetry is received, recorded, processed, stored and shown; 503 with the reasons where it isn't."""
        reasons = _ended(tasks)
        if not hub.connected:
            reasons.append("dashboard: there is no connection to the broker")
        try:
            async with asyncio.timeout(_PATIENCE):
                await store.checkpoint("ground")
        except StoreError as error:
            reasons.append(f"store: {error}")
        except TimeoutError:
            reasons.append(f"store: no answer within {_PATIENCE:.0f} s")
        reasons += _told(ledger())
        return JSONResponse({"ready": not reasons, "reasons": reasons}, _status(reasons))

    return router


def _status(reasons: list[str]) -> int:
    return 503 if reasons else 200


def _ended(tasks: Collection[asyncio.Task[Any]]) -> list[str]:
    return [f"{task.get_name()} has ended" for task in tasks if task.done()]


def _told(ledger: Mapping[str, Any]) -> Iterator[str]:
    """What the ledger says that does not work. A replay's ledger has no link, and no recording to write."""
    link, store = ledger.get("link", {}), ledger.get("store", {})
    if error := link.get("recording_error"):
        yield f"recording: {error}"
    if (state := link.get("state", "connected")) != "connected":
        yield f"ingest: {state}"
    if error := store.get("error"):
        yield f"store: {error}"
    for mission, counts in ledger.get("missions", {}).items():
        if counts.get("running", True) is not True:
            yield f"mission {mission} stands still: {counts.get('reason') or 'no reason given'}"
