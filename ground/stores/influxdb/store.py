"""The store contract on an InfluxDB 2 bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from ground.stores.influxdb import journal, samples
from ground.stores.influxdb.address import Address
from ground.stores.influxdb.append import Appender
from ground.stores.influxdb.container import Container, containers
from ground.stores.influxdb.history import history
from ground.stores.influxdb.progress import PROGRESSES, Progress, checkpoint_from, progress_of, state_of
from ground.stores.influxdb.records import fetch
from ground.stores.influxdb.server import Server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from ground.stores import Checkpoint, Count, Entry, History, Rows


class InfluxdbStore:
    """A :class:`~ground.stores.Store` in an InfluxDB 2 bucket; one process at a time appends, any number reads."""

    def __init__(self, server: Server, *, rollups: bool = True) -> None:
        self._server = server
        self._rollups = rollups
        self._appender = Appender(server, roll_up=rollups)

    @classmethod
    async def open(
        cls,
        address: str,
        token: str,
        *,
        gzip: bool = False,
        patience: float = 30.0,
        time_limit: float = 30.0,
        rollups: bool = True,
    ) -> Self:
        """Connect to ``influxdb://HOST:PORT/ORG/BUCKET``.

        A write is tried again for ``patience`` seconds, a request may take ``time_limit`` seconds. ``rollups``: whether
        they are made and used. Raises ConfigError for an address that isn't one, StoreError where the server is out of
        reach or refuses.
        """
        server = Server(Address.parse(address), token, gzip=gzip, patience=patience, time_limit=time_limit)
        store = cls(server, rollups=rollups)
        try:
            (records,) = await fetch(server, PROGRESSES)
            for record in records:
                Progress.parse(record, server.address)
        except BaseException:
            await server.close()
            raise
        return store

    async def append(
        self, mission: str, rows: Sequence[Rows], entries: Sequence[Entry], checkpoint: Checkpoint
    ) -> None:
        """See :meth:`ground.stores.Store.append`. Appends of different missions go on at the same time.

        A row counts as repeated when it was handed over before or is found in the bucket, which is asked only about
        times no newer than the newest stored. The first one stays.
        """
        await self._appender.append(mission, rows, entries, checkpoint)

    async def checkpoint(self, mission: str) -> Checkpoint | None:
        """See :meth:`ground.stores.Store.checkpoint`. StoreError for a bucket of the older format."""
        state, completed = await fetch(self._server, state_of(mission), progress_of(mission))
        Progress.of(mission, completed, self._server.address)
        return checkpoint_from(state)

    async def counts(self, mission: str) -> Mapping[str, Count]:
        """See :meth:`ground.stores.Store.counts`.

        Refused are rows beyond the years 1677 to 2262, beyond the bucket's retention, and of texts too long for the
        server.
        """
        (completed,) = await fetch(self._server, progress_of(mission))
        progress = Progress.of(mission, completed, self._server.address)
        return {container: tally.count for container, tally in progress.tallies.items()}

    async def entries(
        self,
        mission: str,
        kind: str,
        *,
        subject: str | None = None,
        before: tuple[int, int] | None = None,
        limit: int = 500,
    ) -> Sequence[Entry]:
        """See :meth:`ground.stores.Store.entries`."""
        return await journal.page(self._server, mission, kind, subject, before, limit)

    async def containers(self, mission: str) -> Mapping[str, pa.Schema]:
        """See :meth:`ground.stores.Store.containers`."""
        (found,) = await fetch(self._server, containers(mission))
        return {container.key[1]: container.schema for container in map(Container.parse, found)}

    async def history(self, mission: str, parameters: Sequence[str], start: int, stop: int, buckets: int) -> History:
        """See :meth:`ground.stores.Store.history`. A change is counted against the value before it in the window."""
        return await history(self._server, mission, parameters, start, stop, buckets, rollups=self._rollups)

    async def last(self, mission: str, parameters: Sequence[str]) -> pa.Table:
        """See :meth:`ground.stores.Store.last`."""
        return await samples.last(self._server, mission, parameters)

    async def rows(self, mission: str, container: str, start: int, stop: int) -> pa.Table:
        """See :meth:`ground.stores.Store.rows`."""
        return await samples.rows(self._server, mission, container, start, stop)

    async def roll_up(self, quiet: float = 0.0) -> None:
        """Make the roll-ups that are due, of minutes that no append has touched for ``quiet`` seconds.

        The appending process does it by itself, when they have been quiet for a while. Raises StoreError.
        """
        await self._appender.roll_up(quiet)

    async def spoil_rollups(self) -> None:
        """Have all roll-ups made anew, by the process that appends; meanwhile none is used. Raises StoreError."""
        await self._appender.spoil()

    async def close(self) -> None:
        """See :meth:`ground.stores.Store.close`."""
        await self._appender.close()
        await self._server.close()
