"""Writing to InfluxDB so that repeating it does no harm and the counts stay right, without transactions.

An append goes through four steps, each confirmed by the server before the next: the schemas of its containers; an
announcement, which says where its rows will lie and how many rows lie there already; the rows; the checkpoint. Where a
process or a server dies between the last two, the announcement tells the next append how many of the rows had arrived.
They are found in the bucket when they are handed over again, and count as stored then, not as repeated.

Roll-ups (see :mod:`ground.stores.influxdb.rollups`) are made between appends.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pyarrow as pa

from ground.errors import StoreError
from ground.stores.influxdb.container import Container, containers, unseen
from ground.stores.influxdb.insert import insert
from ground.stores.influxdb.minutes import EVERY, MINUTE, Minutes, touched, union
from ground.stores.influxdb.points import Points
from ground.stores.influxdb.progress import (
    ANNOUNCEMENT,
    DIRTY,
    PROGRESS,
    Announcement,
    Progress,
    Span,
    Tally,
    state_line,
)
from ground.stores.influxdb.query import SEQ
from ground.stores.influxdb.records import FIRST, LAST, Key, fetch
from ground.stores.influxdb.rollups import QUIET, Rollups, times_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from numpy.typing import NDArray

    from ground.stores import Checkpoint, Rows
    from ground.stores.influxdb.lineprotocol import Strings
    from ground.stores.influxdb.server import Server

Known: TypeAlias = "tuple[NDArray[np.int64], NDArray[np.uint16]]"

_log = logging.getLogger(__name__)

_NOTHING: Known = (np.empty(0, np.int64), np.empty(0, np.uint16))

_LOOK_SECONDS, _PAUSE_SECONDS = 5.0, 60.0
"""How often roll-ups are made, and when again after that failed."""

_SETTLING = 0.3
"""Seconds without a new point after which an append that broke off is taken to have ended in the server, too."""


@dataclass(frozen=True, slots=True)
class _Arrival:
    """New rows of one container, plain ones and twins, and its tally once they are stored.

    ``newest``: the greatest timestamp before.
    """

    container: Container
    plain: Points
    twins: Points
    spans: Sequence[Span]
    tally: Tally
    newest: int

    @property
    def rows(self) -> pa.Table:
        """All the new ones."""
        return pa.concat_tables([self.plain.rows, self.twins.rows]) if len(self.twins) else self.plain.rows


class Appender:
    """The one writer of a bucket. ``roll_up``: whether it makes roll-ups by itself once it has appended."""

    def __init__(self, server: Server, *, roll_up: bool) -> None:
        self._server = server
        self._roll_up = roll_up
        self._keeper: asyncio.Task[None] | None = None
        self._rollups = Rollups(server)
        self._appending = asyncio.Lock()
        self._containers: dict[Key, Container] = {}
        self._progress: Progress | None = None

    async def append(self, rows: Sequence[Rows], checkpoint: Checkpoint) -> None:
        """See :meth:`ground.stores.Store.append`."""
        async with self._alone():
            await self._append(rows, checkpoint)
        if self._roll_up and (self._keeper is None or self._keeper.done()):
            self._keeper = asyncio.create_task(self._keep_rolling(), name="influxdb-roll-ups")

    async def roll_up(self, quiet: float) -> None:
        """Make the roll-ups of all minutes that are past and that no append has touched for ``quiet`` seconds."""
        more = True
        while more:
            async with self._alone():  # for a piece of the work, so that an append need not wait for long
                progress = self._progress or await self._resume()
                dirty = await self._rollups.make(progress, self._containers, quiet)
                if more := bool(dirty):
                    progress = progress.with_dirty(dirty)
                    await self._record(progress.line())
                self._progress = progress

    async def spoil(self) -> None:
        """Make all roll-ups anew."""
        async with self._alone():
            progress = self._progress or await self._resume()
            progress = progress.with_dirty(dict.fromkeys(progress.tallies, EVERY))
            self._rollups.forget()
            await self._record(progress.line())
            self._progress = progress

    async def close(self) -> None:
        """Make no more roll-ups: those that are due are made by the next appender of this bucket."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Nobody else changes the bucket meanwhile."""
        async with self._appending:
            try:
                yield
            except BaseException:
                self._progress = None  # only the server knows what is stored now
                self._rollups.forget()
                raise

    async def _keep_rolling(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                if self._progress is not None:
                    await self.roll_up(QUIET)
            except StoreError as error:
                _log.info("roll-ups are made later: %s", error)
                await asyncio.sleep(_PAUSE_SECONDS)
            except Exception:  # storing must not end for them: the minutes stay dirty, and are read as samples
                _log.exception("roll-ups failed")
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _append(self, rows: Sequence[Rows], checkpoint: Checkpoint) -> None:
        progress = self._progress or await self._resume()
        arriving: dict[Key, list[pa.RecordBatch]] = {}
        for item in rows:
            if item.batch.num_rows:
                arriving.setdefault((item.mission, item.container), []).append(item.batch)
        await self._make_room({key: [batch.schema for batch in batches] for key, batches in arriving.items()})
        arrivals = [
            await self._sort_out(self._containers[key], batches, progress.tallies.get(key, Tally()))
            for key, batches in arriving.items()
        ]
        if spans := [(arrival.container.key, span) for arrival in arrivals for span in arrival.spans]:
            await self._record(Announcement(progress.appends + 1, spans, progress.found).line())
        tallies = dict(progress.tallies)
        for arrival in arrivals:
            refused, nonfinite = await insert(self._server, arrival.container, arrival.plain, arrival.twins)
            tallies[arrival.container.key] = arrival.tally.inserted(refused, nonfinite)
        done = Progress(checkpoint.position, progress.appends + 1, tallies)
        # In one request, so in one entry of the server's log.
        await self._record(pa.concat_arrays([state_line(checkpoint), done.line()]))
        self._progress = done
        for arrival in arrivals:
            if self._roll_up and (len(arrival.plain) or len(arrival.twins)):
                all_stored = tallies[arrival.container.key].refused == arrival.tally.refused
                take = self._rollups.take
                await asyncio.to_thread(take, arrival.container, arrival.rows, arrival.newest, all_stored=all_stored)

    async def _resume(self) -> Progress:
        """What the bucket holds, where this process doesn't know."""
        known, completed, announcement = await fetch(self._server, containers(), PROGRESS, ANNOUNCEMENT)
        self._containers = {container.key: container for container in map(Container.parse, known)}
        progress, announced = Progress.parse(completed), Announcement.parse(announcement)
        if announced.append <= progress.appends:
            return progress
        # The append that was announced has not been completed.
        found = Counter(announced.found)
        dirty: dict[Key, Minutes] = {}
        for (key, span), points in zip(announced.spans, await self._settled(announced), strict=True):
            found[key] += points - span.before
            dirty[key] = (*dirty.get(key, ()), ((span.first - SEQ) // MINUTE, span.last // MINUTE + 1))
        return progress.with_found(found, dirty)

    async def _settled(self, announced: Announcement) -> list[int]:
        """How many points lie in each span; requests that were given up may be under way in the server for a while."""
        counts = [
            f'SELECT count("seq") {self._containers[key].source} AND time >= {span.first} AND time <= {span.last}'
            for key, span in announced.spans
        ]
        before: list[int] = []
        while True:
            answers = await self._server.query(counts)
            points = [answer[0].column("count")[0] if answer else 0 for answer in answers]
            if points == before:
                return points
            before = points
            await asyncio.sleep(_SETTLING)

    async def _make_room(self, arriving: Mapping[Key, Sequence[pa.Schema]]) -> None:
        """Put all these columns on record before the first row that has them. StoreError where one cannot be stored."""
        wider = dict(self._containers)
        for key, schemas in arriving.items():
            others = [other for other in wider.values() if other.key[1] == key[1] and other.key != key]
            for schema in schemas:
                wider[key] = wider.get(key, unseen(key)).grown(schema, others)
        for key in arriving:
            known = self._containers.get(key, unseen(key))
            if not wider[key].schema.equals(known.schema, check_metadata=True):
                await self._record(wider[key].line())
                self._containers[key] = wider[key]

    async def _record(self, lines: Strings) -> None:
        for refused in await self._server.write(lines):
            raise StoreError(f"{self._server.address}: {refused.reason}: {refused.line}")

    async def _sort_out(self, container: Container, batches: Sequence[pa.RecordBatch], tally: Tally) -> _Arrival:
        """Which of the rows are new."""
        table = pa.concat_tables((pa.Table.from_batches([batch]) for batch in batches), promote_options="default")
        points, impossible = Points.of(table)
        if impossible:
            _log.error("%s: %d rows of %s have no timestamp", self._server.address, impossible, "/".join(container.key))
        newest = await self._newest(container) if tally.newest is None else tally.newest
        overlap = points.stamps[points.stamps <= newest]
        known = _NOTHING
        spans = []
        if len(overlap):
            first, last = int(overlap.min()), int(overlap.max())
            known = await self._known(container, first, last)
            spans.append(Span(first, last, len(known[0])))
        after = int(points.stamps.max(initial=newest))
        if after > newest:
            spans.append(Span(newest + 1, after, 0))
        plain, twins, found = points.new(*known)
        new = len(plain) + len(twins)
        ours = min(found, tally.found)
        dirty = [*tally.dirty, *touched(times_of(plain.rows)), *touched(times_of(twins.rows))]
        return _Arrival(
            container,
            plain,
            twins,
            spans if new else (),
            replace(
                tally,
                stored=tally.stored + new + ours,
                repeated=tally.repeated + len(points) - new - ours,
                found=tally.found - ours,
                newest=after,
                refused=tally.refused + impossible,
                dirty=union(dirty, DIRTY),
            ),
            newest,
        )

    async def _newest(self, container: Container) -> int:
        """The greatest timestamp of a container in the bucket; less than any where it has none."""
        (answer,) = await self._server.query(
            [f'SELECT last("seq") {container.source} AND time >= {FIRST} AND time <= {LAST}']
        )
        return int(answer[0].column("time")[0]) if answer else FIRST - 1

    async def _known(self, container: Container, first: int, last: int) -> Known:
        """Timestamps and seq of the points in [first, last]."""
        found = [_NOTHING]
        await self._server.each(
            [f'SELECT "seq" {container.source} AND time >= {first} AND time <= {last}'],
            lambda _, series: found.append(
                (np.array(series.column("time"), np.int64), np.array(series.column("seq"), np.uint16))
            ),
        )
        stamps, seq = zip(*found, strict=True)
        return np.concatenate(stamps), np.concatenate(seq)
