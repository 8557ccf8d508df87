"""REST: the past, from the store. Arrow IPC streams, or JSON for who asks for it."""

from __future__ import annotations

import asyncio
import json
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, HTTPException, Query, Request, Response

from ground.errors import StoreError
from ground.stores.longtable import IDENTITY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dashboard.catalogue import Catalogue
    from dashboard.hub import Hub
    from ground.stores import Store

ARROW = "application/vnd.apache.arrow.stream"

MAX_ROWS = 1_000_000
"""The longest answer: what a page of plots needs many times over, and what memory bears."""

_ORDER = ("time", "seq")

_INSTANT = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?:[T ](?P<clock>\d\d:\d\d(?::\d\d)?)(?:\.(?P<fraction>\d{1,9}))?"
    r"(?P<zone>Z|[+-]\d\d:\d\d)?)?",
    re.ASCII,
)
_FORMS = (
    "a time is written as ns since 1970 UTC (1606179723456000000), as a date (2020-11-24), or as date and time "
    "(2020-11-24T01:02:03.456Z), in UTC unless it ends in another zone (+08:00)"
)


def parse_instant(text: str) -> int:
    """ns since 1970 UTC: a decimal number, or ISO 8601 with up to nine decimals of a second (UTC without a zone).

    A date alone is its beginning. Raises ValueError, whose text says what would do, for anything else, and for what is
    outside of 64 bits (the years 1677 to 2262).
    """
    if re.fullmatch(r"-?\d{1,19}", text, re.ASCII):
        ns = int(text)
    else:
        found = _INSTANT.fullmatch(text)
        if not found:
            raise _no_time(text)
        try:
            instant = datetime.fromisoformat(f"{found['day']}T{found['clock'] or '00:00'}{found['zone'] or 'Z'}")
        except ValueError:  # such as the thirteenth month
            raise _no_time(text) from None
        whole = instant - datetime(1970, 1, 1, tzinfo=UTC)
        ns = (whole.days * 86_400 + whole.seconds) * 10**9 + int((found["fraction"] or "").ljust(9, "0"))
    if not -(2**63) < ns < 2**63:
        raise ValueError(f"{text!r} is outside of the years 1677 to 2262")
    return ns


def _no_time(text: str) -> ValueError:
    return ValueError(f"{text[:40]!r} is no time: {_FORMS}")


def parse_window(start: str, stop: str) -> tuple[int, int]:
    """Both ends of a request's window as :func:`parse_instant` reads them. Raises HTTPException 422, naming the end."""
    ends = []
    for name, text in (("start", start), ("stop", stop)):
        try:
            ends.append(parse_instant(text))
        except ValueError as error:
            raise HTTPException(422, f"{name}: {error}") from error
    return ends[0], ends[1]


def wants_json(request: Request) -> bool:
    """Arrow unless ``Accept`` names JSON and not Arrow."""
    accept = request.headers.get("accept", "")
    return "application/json" in accept and ARROW not in accept


async def as_response(request: Request, table: pa.Table, **envelope: int) -> Response:
    """The table as an Arrow IPC stream with ``envelope`` in its schema's metadata, or as ``{**envelope, "rows": []}``.

    In JSON, times and what is in the envelope are decimal strings; numbers that JSON lacks are "NaN", "Infinity" and
    "-Infinity".
    """
    render = _json if wants_json(request) else _arrow
    content = await asyncio.to_thread(render, table, {key: str(value) for key, value in envelope.items()})
    media_type = "application/json" if render is _json else ARROW
    return Response(content, media_type=media_type, headers={"vary": "accept"})


def _arrow(table: pa.Table, envelope: dict[str, str]) -> bytes:
    table = table.replace_schema_metadata(envelope)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _json(table: pa.Table, envelope: dict[str, str]) -> bytes:
    columns: dict[str, list[Any]] = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        if pa.types.is_timestamp(field.type):
            columns[field.name] = column.cast(pa.int64()).cast(pa.string()).to_pylist()
        elif pa.types.is_floating(field.type):
            columns[field.name] = [_number(value) for value in column.to_pylist()]
        else:
            columns[field.name] = column.to_pylist()
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return json.dumps({**envelope, "rows": rows}, allow_nan=False).encode()


def _number(value: float | None) -> float | str | None:
    if value is None or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def history_router(store: Store, catalogues: Mapping[str, Catalogue], hub: Hub) -> APIRouter:
    """``/api/missions/{mission}/history`` and ``.../latest``. ``catalogues``: of every mission."""
    router = APIRouter(prefix="/api/missions/{mission}", tags=["telemetry"])

    def known(mission: str) -> None:
        if mission not in catalogues:
            raise HTTPException(404, f"there is no mission {mission!r}")

    async def refuse_unknown(mission: str, names: list[str]) -> None:
        if names:
            seen = {**hub.containers(mission), **await store.containers(mission)}
            if unknown := [name for name in names if not catalogues[mission].knows(name, seen)]:
                raise HTTPException(404, f"{mission} has no parameters {', '.join(unknown)}")

    @router.get("/history", response_class=Response, responses=_RESPONSES)
    async def history(
        request: Request,
        mission: str,
        parameter: Annotated[list[str], Query(min_length=1, max_length=500, description="container/parameter")],
        start: Annotated[str, Query(description="first time: ns since 1970 UTC, or ISO 8601")],
        stop: Annotated[str, Query(description="the time after the last")],
        buckets: Annotated[int, Query(ge=1, le=20_000)] = 1000,
    ) -> Response:
        """Samples in [start, stop), or minimum, mean, maximum and last in equal buckets where there are more."""
        known(mission)
        if len(parameter) * buckets > MAX_ROWS:
            raise HTTPException(400, f"parameters times buckets should be at most {MAX_ROWS}")
        if columns := [name for name in parameter if name.partition("/")[2] in _ORDER]:
            raise HTTPException(
                422,
                f"{', '.join(columns)}: time and seq are what samples are ordered by, not parameters; rows/ has them",
            )
        window = parse_window(start, stop)
        try:
            found = await store.history(mission, parameter, *window, buckets)
            came = set(pc.unique(found.table["parameter"]).to_pylist())
            await refuse_unknown(mission, [name for name in dict.fromkeys(parameter) if name not in came])
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
        except StoreError as error:
            raise HTTPException(503, str(error)) from error
        return await as_response(request, found.table, through=found.through, width=found.width, rollup=found.rollup)

    @router.get("/latest", response_class=Response, responses=_RESPONSES)
    async def latest(
        request: Request,
        mission: str,
        parameter: Annotated[
            list[str] | None, Query(max_length=5000, description="container/parameter; all when there is none")
        ] = None,
    ) -> Response:
        """The newest sample of each parameter: what came last in real time, else the last one by onboard time."""
        known(mission)
        try:
            if parameter is None:
                stored = await store.containers(mission)
                parameter = [
                    f"{name}/{column}"
                    for name, schema in stored.items()
                    for column in schema.names
                    if column not in IDENTITY.names
                ]
            found = await hub.newest.last(store, mission, parameter)
        except StoreError as error:
            raise HTTPException(503, str(error)) from error
        return await as_response(request, found)

    return router


_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A long table, one row a parameter and bucket: an Arrow IPC stream, or JSON if asked for.",
        "content": {ARROW: {}, "application/json": {}},
    },
    400: {"description": "A window that cannot be divided."},
    404: {"description": "No such mission or parameter."},
    503: {"description": "The store does not answer."},
}
