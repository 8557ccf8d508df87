"""Roll-ups: each minute of each parameter reduced to one point, so that long windows need not read every sample.

The minute is one of the points' own time. Its roll-up is a point at its start, in the measurement
``perilune.minute.<container>``, with the tag mission and these fields of a parameter P: ``P|count`` and ``P|last``;
of a number ``P|min``, ``P|sum``, ``P|max``; of a state ``P|first`` and ``P|changes``, those inside of the minute. They
are parts of :mod:`ground.stores.buckets`: a history with them says what one without them says.

A minute is dirty from the append that put rows into it until its roll-up is confirmed; the dirty ones are part of the
progress record, and so durable in one instant with the checkpoint. What an append that broke off may have changed is
dirty when the next one begins (its announcement says where that lies). Readers use no roll-up of a dirty minute, so a
process or server that dies at any point costs nothing but making some again, which writes the same points over.

A minute's roll-up is made when the mission's newest time is past it and no append has touched it for :data:`QUIET`
seconds: stations overlap by some seconds, and a recorder is played back in one go. Rows that came in order of time
since the process started are reduced as they come. The others, late ones and those from before, are read again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ground.stores.buckets import by_time, joined, parts_of, runs
from ground.stores.influxdb.minutes import MINUTE, NONE, Minutes, among, both, minus, touched, union
from ground.stores.influxdb.progress import DIRTY
from ground.stores.influxdb.query import SEQ, Rows, during, fields
from ground.stores.influxdb.records import FIRST, LAST
from ground.stores.influxdb.rolled import Parts, lines_of
from ground.stores.longtable import IDENTITY, TIME, is_number, is_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ground.stores.influxdb.container import Container
    from ground.stores.influxdb.progress import Progress
    from ground.stores.influxdb.server import Series, Server

QUIET = 10.0

_HELD = 20_000
"""Rows held back before they are reduced: numpy's calls cost more than its work on fewer."""

_READ = 200_000
"""Values that are read again at a time: an append may have to wait for them."""

_DENSE = 1_000_000
"""ns that are read in one go where so many rows are of one time."""

_log = logging.getLogger(__name__)


class Rollups:
    """Makes the roll-ups of a mission; told of every append that has been completed, in their order."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._streams: dict[str, _Stream] = {}
        self._touched: list[tuple[float, str, Minutes]] = []
        self._refused: dict[str, Minutes] = {}

    def take(self, container: Container, rows: pa.Table, newest: int, *, all_stored: bool) -> None:
        """Rows that are stored now, in a container whose greatest timestamp was ``newest``."""
        minutes = touched(times_of(rows))
        name = container.key[1]
        self._touched.append((time.monotonic(), name, minutes))
        stream = self._stream(container)
        if stream is None:
            stream = self._streams[name] = _Stream(newest, newest // MINUTE + 1, container.schema)
        if all_stored:
            stream.take(rows, container.schema)
        else:
            stream.spoiled = union([*stream.spoiled, *minutes])

    def _stream(self, container: Container) -> _Stream | None:
        """What has come of a container; None where nothing has since a type was widened."""
        stream = self._streams.get(container.key[1])
        if stream is not None and not stream.fits(container.schema):
            del self._streams[container.key[1]]  # the rows are read again
            return None
        return stream

    def forget(self) -> None:
        """What is stored is no longer known here."""
        self._streams.clear()

    async def make(self, progress: Progress, containers: Mapping[str, Container], quiet: float) -> dict[str, Minutes]:
        """Make some that are due; returns what is dirty now in each container of which any was made.

        Nothing may be appended meanwhile. To be called again until there is none. Raises StoreError.
        """
        due = self._due(progress, quiet)
        dirty: dict[str, Minutes] = {}
        for key, minutes in due.items():
            if stream := self._stream(containers[key]):
                made, parts = stream.pop(minutes, containers[key].schema)
                await self._write(containers[key], parts, made)
                if made:
                    dirty[key] = minus(progress.tallies[key].dirty, made)
                    due[key] = minus(minutes, made)
        for key, minutes in due.items():
            if minutes:
                made, parts = await self._read(containers[key], minutes)
                await self._write(containers[key], parts, made)
                dirty[key] = minus(dirty.get(key, progress.tallies[key].dirty), made)
                break
        return {key: union([*minutes, *self._refused.get(key, NONE)]) for key, minutes in dirty.items()}

    def _due(self, progress: Progress, quiet: float) -> dict[str, Minutes]:
        """The minutes of each container that are dirty, past, and quiet."""
        now = time.monotonic()
        self._touched = [item for item in self._touched if now - item[0] < QUIET]
        newest = max((tally.newest for tally in progress.tallies.values() if tally.newest is not None), default=FIRST)
        due = {}
        for key, tally in progress.tallies.items():
            busy = [minutes for at, other, minutes in self._touched if other == key and now - at < quiet]
            current = (newest - SEQ) // MINUTE
            past = both(tally.dirty, ((FIRST // MINUTE, current),))
            left = minus(minus(past, union(m for some in busy for m in some)), self._refused.get(key, NONE))
            if left:
                due[key] = left
        return due

    async def _write(self, container: Container, parts: Parts, made: Minutes) -> None:
        """What the server refuses, as when it is older than the retention, stays dirty and is not tried again."""
        lines = lines_of(container, parts)
        for group in await self._server.write(lines) if len(lines) else ():
            self._refused[container.key[1]] = union([*self._refused.get(container.key[1], NONE), *made], DIRTY)
            _log.error("%s: roll-ups refused: %s: %s", self._server.address, group.reason, group.line)

    async def _read(self, container: Container, minutes: Minutes) -> tuple[Minutes, Parts]:
        """The first of ``minutes`` from the rows in the bucket, as many as are read at a time, and one at least."""
        first, end = minutes[0]
        at, stop = max(first * MINUTE, FIRST), min(end * MINUTE, LAST)
        found: dict[str, list[pa.Table]] = {}
        while at < stop and at // MINUTE <= first:
            limit = max(_READ // len(container.schema), 1)
            rows, until = await self._rows(container, at, stop, f" LIMIT {limit}"), stop
            if len(rows) == limit:
                until = int(times_of(rows)[-1]) - SEQ  # later rows may have times from here on
                if until <= at:
                    until = min(at + _DENSE, stop)
                    rows = await self._rows(container, at, until, "")
            time = times_of(rows)
            rows = _ordered(rows.filter(pa.array((time >= at) & (time < until))))
            for name, parts in (await asyncio.to_thread(_reduced, rows, container.schema)).items():
                found.setdefault(name, []).append(parts)
            at = until
        made = ((first, end if at >= stop else at // MINUTE),)
        return made, _joined(found, made)

    async def _rows(self, container: Container, start: int, stop: int, limit: str) -> pa.Table:
        """Rows, of which those of times in [start, stop) are all there, or the first ones."""
        names = [name for name in container.schema.names if name not in IDENTITY.names]
        found = [pa.table({name: pa.array([], IDENTITY.field(name).type) for name in ("time", "seq", "digest")})]

        def take(_: int, series: Series) -> None:
            piece = Rows.of(series, container, names)
            identity = {"time": pa.array(piece.time).cast(TIME), "seq": piece.seq, "digest": piece.digest}
            found.append(pa.table({**identity, **piece.columns}))

        asked = f"SELECT {fields(container, names)} {container.source} AND {during(start, stop)}{limit}"
        await self._server.each([asked], take)
        return pa.concat_tables(found, promote_options="default")


@dataclass
class _Stream:
    """Rows of one container that come in order of time.

    ``newest``: the greatest time so far. ``first``: the minute from which on all rows have come this way, except for
    the ``spoiled`` ones.
    """

    newest: int
    first: int
    schema: pa.Schema
    spoiled: Minutes = NONE
    held: list[pa.Table] = field(default_factory=list)
    parts: dict[str, list[pa.Table]] = field(default_factory=dict)

    def fits(self, schema: pa.Schema) -> bool:
        """Whether all columns have the types that they had so far."""
        if self.schema is not schema:
            if any(schema.field(known.name).type != known.type for known in self.schema):
                return False
            self.schema = schema
        return True

    def take(self, rows: pa.Table, schema: pa.Schema) -> None:
        at = times_of(rows)
        late = at <= self.newest
        if late.any():
            self.spoiled = union([*self.spoiled, *touched(at[late])])
            rows, at = rows.filter(pa.array(~late)), at[~late]
        if len(rows):
            self.held.append(_ordered(rows))
            self.newest = int(at.max())
        if sum(map(len, self.held)) >= _HELD:
            self.reduce(schema)

    def reduce(self, schema: pa.Schema) -> None:
        if self.held:
            for name, parts in _reduced(pa.concat_tables(self.held, promote_options="default"), schema).items():
                self.parts.setdefault(name, []).append(parts)
            self.held.clear()

    def pop(self, minutes: Minutes, schema: pa.Schema) -> tuple[Minutes, Parts]:
        """Those of ``minutes`` that all rows of have come this way, and their parts."""
        self.reduce(schema)
        made = minus(both(minutes, ((self.first, self.newest // MINUTE + 1),)), self.spoiled)
        self.first = max(self.first, minutes[-1][1])  # what comes for one of these from now on isn't all of it
        self.spoiled = both(self.spoiled, ((self.first, LAST // MINUTE + 1),))
        whole = _joined(self.parts, made)
        later = ((self.first, LAST // MINUTE + 1),)
        self.parts = {name: [parts] for name, parts in _joined(self.parts, later).items()}
        return made, whole


def times_of(rows: pa.Table) -> NDArray[np.int64]:
    """The column ``time`` in ns."""
    return rows["time"].to_numpy().view(np.int64)


def _ordered(rows: pa.Table) -> pa.Table:
    at = times_of(rows)
    if (at[1:] > at[:-1]).all():
        return rows
    return rows.take(np.lexsort((rows["digest"].to_numpy(), rows["seq"].to_numpy(), at)))


def _reduced(rows: pa.Table, schema: pa.Schema) -> Parts:
    """The minutes of rows in order of time, without what InfluxDB has no value for."""
    at = times_of(rows)
    minute = at // MINUTE
    reduced = {}
    for name in rows.schema.names:
        if name in IDENTITY.names and name != "seq":
            continue
        column = schema.field(name)
        values = rows[name].combine_chunks()
        if pa.types.is_floating(column.type) and not pc.all(finite := pc.is_finite(values), skip_nulls=False).as_py():
            values = pc.if_else(finite, values, pa.scalar(None, column.type))
        there = values.is_valid().to_numpy(zero_copy_only=False) if values.null_count else slice(None)
        if values := values.drop_null():
            first, number, state = runs(minute[there]), is_number(column.type), is_state(column)
            reduced[name] = parts_of(first, at[there], values, number=number, state=state)
    return reduced


def _joined(parts: Mapping[str, list[pa.Table]], minutes: Minutes) -> Parts:
    """Of these parts, one for each of ``minutes`` that has any."""
    whole = {}
    for name, pieces in parts.items():
        together = by_time(pieces)
        minute = together["time"].to_numpy() // MINUTE
        if (chosen := among(minute, minutes)).any():
            whole[name] = joined(together.filter(pa.array(chosen)), minute[chosen])
    return whole
