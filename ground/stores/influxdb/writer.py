"""Writing a mission to InfluxDB so that repeating it does no harm and the counts stay right, without transactions.

An append goes through these steps, each confirmed by the server before the next: the schemas of its containers; an
announcement, which says where its rows will lie and how many rows lie there already; the rows; the entries of the
journal; the checkpoint. Where a process or a server dies between the announcement and the checkpoint, the announcement
tells the next append how many of the rows had arrived. They are found in the bucket when they are handed over again,
and count as stored then, not as repeated. Where the answer to the checkpoint got lost, the server is asked whether it
holds it; when it cannot be asked, that is found out by the next append.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ground.errors import StoreError
from ground.stores.influxdb import journal
from ground.stores.influxdb.identity import Known, told_apart
from ground.stores.influxdb.insert import insert
from ground.stores.influxdb.lineprotocol import nonfinite
from ground.stores.influxdb.minutes import EVERY, MINUTE, Minutes, touched, union
from ground.stores.influxdb.points import Points
from ground.stores.influxdb.progress import (
    DIRTY,
    Announcement,
    Progress,
    Span,
    Tally,
    announcement_of,
    progress_of,
    state_line,
)
from ground.stores.influxdb.query import SEQ
from ground.stores.influxdb.records import FIRST, LAST, fetch, store
from ground.stores.influxdb.rollups import Rollups, times_of
from ground.stores.schemas import check

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from numpy.typing import NDArray

    from ground.stores import Checkpoint, Entry, Rows
    from ground.stores.influxdb.container import Container
    from ground.stores.influxdb.registry import Registry
    from ground.stores.influxdb.server import Series, Server

_log = logging.getLogger(__name__)

_SETTLING = 0.3
"""Seconds without a new point after which an append that broke off is taken to have ended in the server, too."""


@dataclass(frozen=True, slots=True)
class _Arrival:
    """New rows of one container, the ordinals of twins among them, and its tally once they are stored.

    ``handed``: how many rows came, new or not. ``newest``: the greatest timestamp before.
    """

    container: Container
    points: Points
    twin: NDArray[np.int64]
    spans: Sequence[Span]
    tally: Tally
    handed: int
    newest: int


@dataclass(frozen=True, slots=True)
class _Unanswered:
    """An append whose checkpoint was sent and whose answer was not received; ``handed``: its rows by container."""

    checkpoint: Checkpoint
    handed: Mapping[str, int]


class Writer:
    """The one writer of a mission; others of the same bucket go on meanwhile. ``roll_up``: whether rows are reduced."""

    def __init__(self, server: Server, registry: Registry, mission: str, *, roll_up: bool) -> None:
        self._server = server
        self._registry = registry
        self._mission = mission
        self._roll_up = roll_up
        self._rollups = Rollups(server)
        self._writing = asyncio.Lock()
        self._progress: Progress | None = None
        self._unanswered: dict[int, _Unanswered] = {}

    @property
    def ready(self) -> bool:
        """Whether it knows what is stored."""
        return self._progress is not None

    async def append(self, rows: Sequence[Rows], entries: Sequence[Entry], checkpoint: Checkpoint) -> None:
        """See :meth:`ground.stores.Store.append`."""
        arriving: dict[str, list[pa.RecordBatch]] = {}
        known = self._registry.of(self._mission)
        for item in rows:
            if item.batch.num_rows:
                if item.container not in known or not item.batch.schema.equals(known[item.container].schema):
                    check(f"{self._mission}/{item.container}", item.batch.schema)
                arriving.setdefault(item.container, []).append(item.batch)
        async with self._alone():
            await self._append(arriving, entries, checkpoint)

    async def roll_up(self, quiet: float) -> None:
        """Make the roll-ups of all minutes that are past and that no append has touched for ``quiet`` seconds."""
        more = True
        while more:
            async with self._alone():  # for a piece of the work, so that an append need not wait for long
                progress = self._progress or await self._resume()
                dirty = await self._rollups.make(progress, self._registry.of(self._mission), quiet)
                if more := bool(dirty):
                    progress = progress.with_dirty(dirty)
                    await store(self._server, progress.line())
                self._progress = progress

    async def spoil(self) -> None:
        """Make all roll-ups anew."""
        async with self._alone():
            progress = self._progress or await self._resume()
            progress = progress.with_dirty(dict.fromkeys(progress.tallies, EVERY))
            self._rollups.forget()
            await store(self._server, progress.line())
            self._progress = progress

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Nobody else writes to the mission meanwhile."""
        async with self._writing:
            try:
                yield
            except BaseException:
                self._progress = None  # only the server knows what is stored now
                self._rollups.forget()
                raise

    async def _append(
        self, arriving: Mapping[str, Sequence[pa.RecordBatch]], entries: Sequence[Entry], checkpoint: Checkpoint
    ) -> None:
        progress = self._progress or await self._resume()
        handed = {name: sum(map(len, batches)) for name, batches in arriving.items()}
        asked = self._unanswered.get(progress.appends)  # stored, and whoever handed it over doesn't know
        if asked is not None and (asked.checkpoint, asked.handed) == (checkpoint, handed):
            self._progress = progress
            self._unanswered.clear()
            return
        schemas = {name: [batch.schema for batch in batches] for name, batches in arriving.items()}
        containers = await self._registry.make_room(self._mission, schemas)
        arrivals = {
            name: await self._sort_out(containers[name], batches, progress.tallies.get(name, Tally()))
            for name, batches in arriving.items()
        }
        if spans := [(name, span) for name, arrival in arrivals.items() for span in arrival.spans]:
            await store(self._server, Announcement(self._mission, progress.appends + 1, spans, progress.found).line())
        tallies = dict(progress.tallies)
        again: dict[str, int] = {}
        for name, arrival in arrivals.items():
            refused, dropped = await insert(self._server, arrival.container, arrival.points, arrival.twin)
            tally, before = arrival.tally, tallies.get(name, Tally())
            if asked is not None:
                again[name] = min(asked.handed.get(name, 0), tally.repeated - before.repeated)
                tally = replace(tally, repeated=tally.repeated - again[name])
            tallies[name] = tally.inserted(refused, dropped)
        await journal.write(self._server, self._mission, entries)
        done = Progress(self._mission, checkpoint.position, progress.appends + 1, tallies)
        self._unanswered[done.appends] = _Unanswered(checkpoint, handed)
        await self._complete(checkpoint, done)
        self._progress = done
        self._unanswered.clear()
        if asked is not None and checkpoint.position < asked.checkpoint.position:  # the rest comes in further appends
            left = {name: n - again.get(name, 0) for name, n in asked.handed.items()}
            self._unanswered[done.appends] = replace(asked, handed=left)
        for name, arrival in arrivals.items():
            if self._roll_up and len(arrival.points):
                all_stored = tallies[name].refused == arrival.tally.refused
                take = self._rollups.take
                await asyncio.to_thread(
                    take, arrival.container, arrival.points.rows, arrival.newest, all_stored=all_stored
                )

    async def _complete(self, checkpoint: Checkpoint, done: Progress) -> None:
        """Write the checkpoint and the counts: in one request, so in one entry of the server's log."""
        try:
            await store(self._server, pa.concat_arrays([state_line(self._mission, checkpoint), done.line()]))
        except StoreError:
            with suppress(StoreError):
                (records,) = await fetch(self._server, progress_of(self._mission))
                if Progress.of(self._mission, records, self._server.address).appends == done.appends:
                    return  # stored, and the answer got lost
            raise

    async def _resume(self) -> Progress:
        """What the bucket holds, where this process doesn't know."""
        await self._registry.load()
        completed, announcement = await fetch(self._server, progress_of(self._mission), announcement_of(self._mission))
        progress = Progress.of(self._mission, completed, self._server.address)
        announced = Announcement.of(self._mission, announcement)
        if announced.append <= progress.appends:
            return progress
        # The append that was announced has not been completed.
        found = Counter(announced.found)
        dirty: dict[str, Minutes] = {}
        for (name, span), points in zip(announced.spans, await self._settled(announced), strict=True):
            found[name] += points - span.before
            dirty[name] = (*dirty.get(name, ()), ((span.first - SEQ) // MINUTE, span.last // MINUTE + 1))
        return progress.with_found(found, dirty)

    async def _settled(self, announced: Announcement) -> list[int]:
        """How many points lie in each span; requests that were given up may be under way in the server for a while."""
        containers = self._registry.of(self._mission)
        counts = [
            f'SELECT count("seq") {containers[name].source} AND time >= {span.first} AND time <= {span.last}'
            for name, span in announced.spans
        ]
        before: list[int] = []
        while True:
            answers = await self._server.query(counts)
            points = [answer[0].column("count")[0] if answer else 0 for answer in answers]
            if points == before:
                return points
            before = points
            await asyncio.sleep(_SETTLING)

    async def _sort_out(self, container: Container, batches: Sequence[pa.RecordBatch], tally: Tally) -> _Arrival:
        """Which of the rows are new."""
        table, unfit = container.conform(batches)
        points, possible = Points.of(table)
        impossible = len(table) - len(points)
        if impossible:
            _log.error("%s: %d rows of %s have no timestamp", self._server.address, impossible, "/".join(container.key))
        newest = await self._newest(container) if tally.newest is None else tally.newest
        overlap = points.stamps[points.stamps <= newest]
        known = Known.of([])
        spans = []
        if len(overlap):
            first, last = int(overlap.min()), int(overlap.max())
            known = await self._known(container, first, last)
            spans.append(Span(first, last, len(known)))
        after = int(points.stamps.max(initial=newest))
        if after > newest:
            spans.append(Span(newest + 1, after, 0))
        told = told_apart(points, known, tally.found)
        fresh, found = points.take(told.fresh), int(np.count_nonzero(told.found))
        counted = told.fresh | told.found
        lost = {name: int(np.count_nonzero(rows[possible] & counted)) for name, rows in unfit.items()}
        return _Arrival(
            container,
            fresh,
            told.twin[told.fresh],
            spans if len(fresh) else (),
            replace(
                tally,
                stored=tally.stored + len(fresh) + found,
                repeated=tally.repeated + len(points) - len(fresh) - found,
                found=tally.found - found,
                newest=after,
                refused=tally.refused + impossible,
                nonfinite=tally.nonfinite + (nonfinite(points.take(told.found).rows) if found else 0),
                alike=tally.alike + told.alike,
                unfit={**tally.unfit, **{name: tally.unfit.get(name, 0) + n for name, n in lost.items() if n}},
                dirty=union([*tally.dirty, *touched(times_of(fresh.rows))], DIRTY),
            ),
            len(table),
            newest,
        )

    async def _newest(self, container: Container) -> int:
        """The greatest timestamp of a container in the bucket; less than any where it has none."""
        (answer,) = await self._server.query(
            [f'SELECT last("seq") {container.source} AND time >= {FIRST} AND time <= {LAST}']
        )
        return int(answer[0].column("time")[0]) if answer else FIRST - 1

    async def _known(self, container: Container, first: int, last: int) -> Known:
        """The points in [first, last]."""
        found: list[Known] = []

        def take(_: int, series: Series) -> None:
            time, seq, digest = (np.array(series.column(name)) for name in ("time", "seq", "digest"))
            twin = np.full(len(time), int(series.tags.get("twin") or 0))
            found.append(Known(time.astype(np.int64), seq.astype(np.uint16), digest.astype(np.int64), twin))

        await self._server.each(
            [f'SELECT "seq", "digest" {container.source} AND time >= {first} AND time <= {last} GROUP BY twin'], take
        )
        return Known.of(found)
