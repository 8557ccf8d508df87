"""A store that need not be there yet: it is opened when it is first asked for something, and again until that succeeds.

A database that is damaged, locked by an analyst's connection or away when ingest starts costs recording nothing: every
call says why, as a database that refuses does, and the next one tries again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    import pyarrow as pa

    from ground.stores import Checkpoint, Count, Entry, History, Rows, Store


class LateStore:
    """The :class:`~ground.stores.Store` that ``opening`` gives; its StoreError is that of every call until it opens."""

    def __init__(self, opening: Callable[[], Awaitable[Store]]) -> None:
        self._opening = opening
        self._store: Store | None = None
        self._one_at_a_time = asyncio.Lock()

    async def opened(self) -> Store:
        """The store itself. Raises :class:`~ground.errors.StoreError` where it can't be opened now."""
        async with self._one_at_a_time:
            if self._store is None:
                self._store = await self._opening()
            return self._store

    async def append(
        self, mission: str, rows: Sequence[Rows], entries: Sequence[Entry], checkpoint: Checkpoint
    ) -> None:
        """See :meth:`ground.stores.Store.append`."""
        await (await self.opened()).append(mission, rows, entries, checkpoint)

    async def checkpoint(self, mission: str) -> Checkpoint | None:
        """See :meth:`ground.stores.Store.checkpoint`."""
        return await (await self.opened()).checkpoint(mission)

    async def counts(self, mission: str) -> Mapping[str, Count]:
        """See :meth:`ground.stores.Store.counts`."""
        return await (await self.opened()).counts(mission)

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
        store = await self.opened()
        return await store.entries(mission, kind, subject=subject, before=before, limit=limit)

    async def containers(self, mission: str) -> Mapping[str, pa.Schema]:
        """See :meth:`ground.stores.Store.containers`."""
        return await (await self.opened()).containers(mission)

    async def history(self, mission: str, parameters: Sequence[str], start: int, stop: int, buckets: int) -> History:
        """See :meth:`ground.stores.Store.history`."""
        return await (await self.opened()).history(mission, parameters, start, stop, buckets)

    async def last(self, mission: str, parameters: Sequence[str]) -> pa.Table:
        """See :meth:`ground.stores.Store.last`."""
        return await (await self.opened()).last(mission, parameters)

    async def rows(self, mission: str, container: str, start: int, stop: int) -> pa.Table:
        """See :meth:`ground.stores.Store.rows`."""
        return await (await self.opened()).rows(mission, container, start, stop)

    async def close(self) -> None:
        """See :meth:`ground.stores.Store.close`."""
        if self._store is not None:
            await self._store.close()
