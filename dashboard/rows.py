"""Every sample as it was stored: a container's rows of a window, in pages, as Arrow, CSV or Parquet."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, get_args
from urllib.parse import quote

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import StreamingResponse

from dashboard.history import ARROW, parse_window
from ground.decode import readable
from ground.errors import StoreError
from ground.stores.longtable import IDENTITY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Sequence

    from ground.stores import Store

Format: TypeAlias = Literal["arrow", "csv", "parquet"]

FIRST: Final = -(2**63) + 2
END: Final = 2**63 - 1
"""The window that holds all times that 64 bits of ns can name (the years 1677 to 2262)."""

PAGE: Final = 100_000
"""Rows that are in memory together."""

_BUCKETS: Final = 1000
_COUNTED: Final = "ert"
"""The column by which rows are counted: every row has an earth receive time, any parameter may be null throughout."""

_MEDIA_TYPES: Final = {"arrow": ARROW, "csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


async def read_rows(
    store: Store,
    mission: str,
    container: str,
    start: int = FIRST,
    stop: int = END,
    parameters: Sequence[str] = (),
    page: int = PAGE,
) -> AsyncIterator[pa.Table]:
    """All rows of a container in [start, stop), ns since 1970 UTC, ordered by time, then seq, some ``page`` at a time.

    Columns: time, ert, seq and ``parameters`` (all without any), of one schema in all pages. The first page comes even
    where there are no rows. Raises ValueError for a container or parameter of which nothing is stored, and
    :class:`~ground.errors.StoreError`.
    """
    schema = (await store.containers(mission)).get(container)
    if schema is None:
        raise ValueError(f"nothing is stored of {mission}'s container {container!r}")
    unknown = sorted(set(parameters) - set(schema.names))
    if unknown:
        raise ValueError(f"nothing is stored of {container}'s parameters {', '.join(unknown)}")
    names = [*IDENTITY.names, *(parameters or [name for name in schema.names if name not in IDENTITY.names])]
    first = schema.empty_table().select([*dict.fromkeys(names)])
    wanted = first.schema
    yield first
    # Two halves: a window may not be longer than 64 bits of ns.
    for begin, end in ((start, min(stop, 0)), (max(start, 0), stop)):
        if begin >= end:
            continue
        async for a, b in _pages(store, mission, f"{container}/{_COUNTED}", begin, end, page):
            table = await store.rows(mission, container, a, b)
            if table.num_rows:
                yield _shaped(table, wanted)


def _shaped(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns of ``schema``; a parameter that came into the definition after these rows is null in them."""
    known = set(table.schema.names)
    columns = [
        table[field.name].cast(field.type) if field.name in known else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


async def _pages(
    store: Store, mission: str, counted: str, start: int, stop: int, page: int
) -> AsyncIterator[tuple[int, int]]:
    """Cut [start, stop) so that each piece has ``page`` samples of ``counted`` at most, or is of one instant."""
    history = await store.history(mission, [counted], start, stop, _BUCKETS)
    begin, n = start, 0
    times, counts = (history.table[name].cast(pa.int64()).to_numpy().tolist() for name in ("time", "count"))
    for time, count, after in zip(times, counts, [*times[1:], stop], strict=False):
        if n and n + count > page and begin < time:
            yield begin, time
            begin, n = time, 0
        if count > page and history.width > 1:
            end = min(time + history.width, after)
            if begin < time:
                yield begin, time  # nothing was counted there, but what comes late may have arrived meanwhile
            async for piece in _pages(store, mission, counted, time, end, page):
                yield piece
            begin = end
        else:
            n += count
    if begin < stop:
        yield begin, stop


def rows_router(store: Store, missions: Collection[str]) -> APIRouter:
    """``/api/missions/{mission}/rows/{container}``."""
    router = APIRouter(prefix="/api/missions/{mission}", tags=["telemetry"])

    @router.get("/rows/{container}", response_class=StreamingResponse, responses=_RESPONSES)
    async def rows(
        mission: str,
        container: str,
        start: Annotated[str, Query(description="first time: ns since 1970 UTC, or ISO 8601")] = str(FIRST),
        stop: Annotated[str, Query(description="the time after the last")] = str(END),
        parameter: Annotated[
            list[str] | None, Query(max_length=5000, description="of the container; all when there is none")
        ] = None,
        format: Annotated[Format, Query(description="arrow: an IPC stream")] = "arrow",  # noqa: A002 - as in the query
    ) -> StreamingResponse:
        """All samples in [start, stop) exactly as stored, however many: time, ert, seq and the parameters."""
        if mission not in missions:
            raise HTTPException(404, f"there is no mission {mission!r}")
        window = parse_window(start, stop)
        pages = read_rows(store, mission, container, *window, parameter or ())
        try:
            empty, first = await anext(pages), await anext(pages, None)
        except ValueError as error:
            raise HTTPException(404, str(error)) from error
        except StoreError as error:
            raise HTTPException(503, str(error)) from error
        return StreamingResponse(
            _encoded(first, pages, empty.schema, format),
            media_type=_MEDIA_TYPES[format],
            headers={"content-disposition": _attachment(f"{mission}-{container}.{format}")},
        )

    return router


def _attachment(name: str) -> str:
    """As RFC 6266: a header's text is ASCII, a mission's name need not be."""
    encoded = quote(name, safe="")
    return f'attachment; filename="{name}"' if encoded == name else f"attachment; filename*=UTF-8''{encoded}"


class _Sink(io.RawIOBase):
    """A file that keeps what is written only until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        octets = bytes(data)
        self._parts.append(octets)
        self._position += len(octets)
        return len(octets)

    def tell(self) -> int:
        return self._position

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


async def _encoded(
    first: pa.Table | None, others: AsyncIterator[pa.Table], schema: pa.Schema, form: Format
) -> AsyncIterator[bytes]:
    """The pages as a file, piece by piece. An error ends it early, which the unfinished transfer tells the client."""
    sink = _Sink()
    writer = _WRITERS[form](sink, schema)

    def write(table: pa.Table) -> bytes:
        for batch in table.combine_chunks().to_batches():
            writer.write_batch(readable(batch) if form == "csv" else batch)
        return sink.take()

    if first is not None:
        yield await asyncio.to_thread(write, first)
        async for table in others:
            yield await asyncio.to_thread(write, table)
    writer.close()
    yield sink.take()


_WRITERS: Final[dict[str, Callable[[Any, pa.Schema], Any]]] = {
    "arrow": pa.ipc.new_stream,
    "csv": lambda sink, schema: pa.csv.CSVWriter(sink, readable(pa.RecordBatch.from_pylist([], schema)).schema),
    "parquet": pa.parquet.ParquetWriter,
}
assert set(_WRITERS) == set(get_args(Format))

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One row a packet. CSV has times in ISO 8601, labels for enumerations, base64 for binary.",
        "content": {media_type: {} for media_type in _MEDIA_TYPES.values()},
    },
    404: {"description": "No such mission, or nothing stored of the container or parameter."},
    422: {"description": "A time or format that cannot be read."},
    503: {"description": "The store does not answer."},
}
