"""InfluxDB 2 as the store: a bucket with a measurement for each container and a field for each parameter.

The mission is a tag. InfluxDB has no transactions, so the checkpoint is written when the server has confirmed all rows
before it; rows of an append that failed may be stored already, and are found again when it is repeated. It has no NaN
and no infinity (both are stored as nulls, and counted) and fewer types than Arrow: see
:mod:`ground.stores.influxdb_container`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from ground.errors import ConfigError
from ground.stores import Checkpoint, Count, History
from ground.stores import influxdb_history as reading
from ground.stores.influxdb_append import Appender
from ground.stores.influxdb_container import Container, containers
from ground.stores.influxdb_progress import PROGRESS, STATE, Progress, checkpoint_of
from ground.stores.influxdb_records import Key, fetch
from ground.stores.influxdb_server import Address, Server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from ground.stores import Rows


def token_from(environment: Mapping[str, str]) -> str:
    """The token from INFLUXDB_TOKEN, or from the file that INFLUXDB_TOKEN_FILE names. ConfigError without either."""
    if token := environment.get("INFLUXDB_TOKEN", "").strip():
        return token
    if path := environment.get("INFLUXDB_TOKEN_FILE", ""):
        try:
            token = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"INFLUXDB_TOKEN_FILE={path}: {error}") from error
        if token:
            return token
        raise ConfigError(f"INFLUXDB_TOKEN_FILE={path}: the file is empty")
    raise ConfigError("InfluxDB needs a token: set INFLUXDB_TOKEN, or INFLUXDB_TOKEN_FILE to a file that holds it")


class InfluxdbStore:
    """A :class:`~ground.stores.Store` in an InfluxDB 2 bucket; one process at a time appends, any number reads."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._appender = Appender(server)

    @classmethod
    async def open(
        cls, address: str, token: str, *, gzip: bool = False, patience: float = 30.0, time_limit: float = 30.0
    ) -> Self:
        """Connect to ``influxdb://HOST:PORT/ORG/BUCKET``.

        A write is tried again for ``patience`` seconds, a request may take ``time_limit`` seconds. Raises
        ConfigError for an address that isn't one, StoreError where the server is out of reach or refuses.
        """
        server = Server(Address.parse(address), token, gzip=gzip, patience=patience, time_limit=time_limit)
        store = cls(server)
        try:
            await store.checkpoint()
        except BaseException:
            await server.close()
            raise
        return store

    async def append(self, rows: Sequence[Rows], checkpoint: Checkpoint) -> None:
        """See :meth:`ground.stores.Store.append`.

        A row counts as repeated when a row of the same time and seq was handed over before or is found in the bucket;
        the bucket is asked only about times no newer than the newest stored. The first one stays.
        """
        await self._appender.append(rows, checkpoint)

    @property
    def losses(self) -> Mapping[tuple[str, str, str], int]:
        """What was handed over since the store was opened and cannot be stored, by (mission, container, reason).

        The reasons: ``refused`` rows, ``no timestamp`` rows (beyond the years 1677 to 2262) and ``not finite`` values.
        """
        return self._appender.losses

    async def checkpoint(self) -> Checkpoint | None:
        """See :meth:`ground.stores.Store.checkpoint`."""
        (state,) = await fetch(self._server, STATE)
        return checkpoint_of(state)

    async def counts(self) -> Mapping[Key, Count]:
        """See :meth:`ground.stores.Store.counts`."""
        (completed,) = await fetch(self._server, PROGRESS)
        tallies = Progress.parse(completed).tallies
        return {key: Count(tally.stored, tally.repeated) for key, tally in tallies.items()}

    async def containers(self, mission: str) -> Mapping[str, pa.Schema]:
        """See :meth:`ground.stores.Store.containers`."""
        (found,) = await fetch(self._server, containers(mission))
        return {container.key[1]: container.schema for container in map(Container.parse, found)}

    async def history(self, mission: str, parameters: Sequence[str], start: int, stop: int, buckets: int) -> History:
        """See :meth:`ground.stores.Store.history`. A change is counted against the value before it in the window."""
        return await reading.history(self._server, mission, parameters, start, stop, buckets)

    async def last(self, mission: str, parameters: Sequence[str]) -> pa.Table:
        """See :meth:`ground.stores.Store.last`."""
        return await reading.last(self._server, mission, parameters)

    async def rows(self, mission: str, container: str, start: int, stop: int) -> pa.Table:
        """See :meth:`ground.stores.Store.rows`."""
        return await reading.rows(self._server, mission, container, start, stop)

    async def close(self) -> None:
        """See :meth:`ground.stores.Store.close`."""
        await self._server.close()
