"""Alarms and events over HTTP: what stands, what was, and what operators do about it.

The page keeps no truth of its own: an action is published, recorded like telemetry, takes effect in the processing, and
comes back as the alarm's new state to every page.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Query
from pydantic import BaseModel, Field

from ground.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from dashboard.hub import Hub
    from ground.stores import Entry, Store


class Said(BaseModel):
    """What an operator says with an action. ``until``: ns since 1970 UTC as a decimal string, for shelving."""

    user: str = Field("", max_length=200)
    comment: str = Field("", max_length=1000)
    until: str = Field("", pattern=r"^\d{0,19}$")


NOTHING = Said(user="", comment="", until="")


def alarms_router(hub: Hub, store: Store, missions: Collection[str]) -> APIRouter:
    """The routes under ``/api/missions/{mission}/alarms`` and ``/events``."""
    router = APIRouter(prefix="/api/missions/{mission}")

    async def entries(
        mission: str, kind: str, subject: str | None, before: str | None, limit: int
    ) -> list[dict[str, Any]]:
        _known(mission, missions)
        try:
            position, _, place = (before or "").partition(".")
            until = (int(position), int(place or 0)) if before else None
        except ValueError as error:
            raise HTTPException(
                422, f"before = {before!r} should be POSITION.PLACE, as the last entry has it"
            ) from error
        try:
            found = await store.entries(mission, kind, subject=subject, before=until, limit=limit)
        except StoreError as error:
            raise HTTPException(503, str(error)) from error
        return _listed(found)

    @router.get("/alarms")
    async def list_alarms(mission: str, state: str | None = None) -> list[dict[str, Any]]:
        """The alarms that aren't normal, the worst first; of one ``state`` or of all."""
        _known(mission, missions)
        return [alarm for alarm in hub.alarms(mission) if state is None or alarm["state"] == state]

    @router.get("/alarms/{container}/{parameter}/history")
    async def alarm_history(
        mission: str,
        container: str,
        parameter: str,
        before: str | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> list[dict[str, Any]]:
        """Every change of one alarm, newest first; ``before``: the ``at`` of the last one of the page before."""
        return await entries(mission, "alarm", f"{container}/{parameter}", before, limit)

    @router.get("/events")
    async def list_events(
        mission: str, before: str | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> list[dict[str, Any]]:
        """Events, newest first; ``before``: the ``at`` of the last one of the page before."""
        return await entries(mission, "event", None, before, limit)

    @router.post("/alarms/acknowledge", status_code=202)
    async def acknowledge_all(mission: str, said: Annotated[Said, Body()] = NOTHING) -> dict[str, str]:
        """Acknowledge every alarm of a mission."""
        return await act(mission, "acknowledge", "", said)

    @router.post("/alarms/{container}/{parameter}/{action}", status_code=202)
    async def act_on_one(
        mission: str, container: str, parameter: str, action: str, said: Annotated[Said, Body()] = NOTHING
    ) -> dict[str, str]:
        """``acknowledge``, ``shelve``, ``unshelve`` or ``comment`` one alarm."""
        if action not in {"acknowledge", "shelve", "unshelve", "comment"}:
            raise HTTPException(404, f"there is no action {action!r}: acknowledge, shelve, unshelve, comment")
        return await act(mission, action, f"{container}/{parameter}", said)

    async def act(mission: str, action: str, parameter: str, said: Said) -> dict[str, str]:
        _known(mission, missions)
        number = secrets.token_hex(8)
        values = {"action": action, "parameter": parameter, "id": number, "time": str(time.time_ns())}
        if not await hub.operate(mission, {**values, **said.model_dump()}):
            raise HTTPException(503, "there is no connection to the broker: nothing was done")
        return {"id": number}

    return router


def _known(mission: str, missions: Collection[str]) -> None:
    if mission not in missions:
        raise HTTPException(404, f"there is no mission {mission!r}")


def _listed(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    return [
        {**values.pop("values"), **values, "time": str(entry.time), "position": str(entry.position), "at": at}
        for entry in entries
        for values in [asdict(entry)]
        for at in [f"{entry.position}.{entry.place}"]
    ]
