"""The store contract on one DuckDB file."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

import duckdb

from ground.errors import RefusedError, StoreError
from ground.stores import Count, History
from ground.stores.duckdb import history as reduce
from ground.stores.duckdb import journal
from ground.stores.duckdb.file import Settings, checkpoint_of, connect, first_line, is_permanent, unusable
from ground.stores.duckdb.tables import Key, Table, counted, fit, insert, known_tables
from ground.stores.longtable import HISTORY, IDENTITY, LATEST, by_container, stack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from ground.stores import Checkpoint, Entry, Rows

T = TypeVar("T")

FILE = "telemetry.duckdb"


class DuckdbStore:
    """A :class:`~ground.stores.Store` in one DuckDB file: a schema for each mission, a table for each container.

    Writing has a thread and a connection of its own; every query has another connection and a snapshot, so that
    neither waits for the other.
    """

    _in_use: ClassVar[set[Path]] = set()

    def __init__(self, path: Path, settings: Settings, time_limit: float) -> None:
        self._path = path
        self._settings = settings
        self._time_limit = time_limit
        self._writing = ThreadPoolExecutor(1, "duckdb-writer")
        self._reading = asyncio.Semaphore(2)
        self._root: DuckDBPyConnection | None = None
        self._tables: Mapping[Key, Table] = {}
        self._appends: dict[str, int] = {}

    @classmethod
    async def open(
        cls, folder: Path, *, memory_limit: str = "128MB", threads: int = 2, time_limit: float = 30.0
    ) -> Self:
        """Open the store in ``folder``, or create it.

        A query that takes longer than ``time_limit`` seconds is given up. ``memory_limit`` and ``threads`` are
        DuckDB's. Raises StoreError where the file is in use by another process, isn't a DuckDB file, is damaged, of
        another format, or cannot be written.
        """
        path = await asyncio.to_thread(folder.resolve) / FILE
        if path in cls._in_use:
            raise StoreError(f"{path} is open in this process already")
        settings: Settings = {
            "memory_limit": memory_limit,
            "threads": threads,
            "autoinstall_known_extensions": False,  # a ground station has no business fetching code from the network
            "autoload_known_extensions": False,
        }
        store = cls(path, settings, time_limit)
        await store._write(store._connect)
        cls._in_use.add(path)
        return store

    async def append(
        self, mission: str, rows: Sequence[Rows], entries: Sequence[Entry], checkpoint: Checkpoint
    ) -> None:
        """See :meth:`ground.stores.Store.append`."""
        await self._write(lambda: self._append(mission, rows, entries, checkpoint))

    async def checkpoint(self, mission: str) -> Checkpoint | None:
        """See :meth:`ground.stores.Store.checkpoint`."""
        return await self._read(lambda cursor: checkpoint_of(cursor, mission))

    async def counts(self, mission: str) -> Mapping[str, Count]:
        """See :meth:`ground.stores.Store.counts`."""
        return {
            container: Count(table.stored, table.repeated, table.alike, unfit=dict(table.unfit))
            for (of, container), table in self._tables.items()
            if of == mission
        }

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
        return await self._read(lambda cursor: journal.page(cursor, mission, kind, subject, before, limit))

    async def containers(self, mission: str) -> Mapping[str, pa.Schema]:
        """See :meth:`ground.stores.Store.containers`."""
        return {container: table.schema for (of, container), table in self._tables.items() if of == mission}

    async def history(self, mission: str, parameters: Sequence[str], start: int, stop: int, buckets: int) -> History:
        """See :meth:`ground.stores.Store.history`. A change is counted against the value before it in the window."""
        window = reduce.Window(start, stop)
        width = window.buckets(buckets)

        def query(cursor: DuckDBPyConnection) -> History:
            tables = known_tables(cursor, mission)
            reached = checkpoint_of(cursor, mission)
            parts = [
                reduce.history(cursor, tables[mission, container], names, window, buckets)
                for container, names in by_container(parameters).items()
                if (mission, container) in tables
            ]
            return History(stack(parts, HISTORY), reached.position if reached else 0, width)

        return await self._read(query)

    async def last(self, mission: str, parameters: Sequence[str]) -> pa.Table:
        """See :meth:`ground.stores.Store.last`."""

        def query(cursor: DuckDBPyConnection) -> pa.Table:
            tables = known_tables(cursor, mission)
            parts = [
                reduce.last(cursor, tables[mission, container], names)
                for container, names in by_container(parameters).items()
                if (mission, container) in tables
            ]
            return stack(parts, LATEST)

        return await self._read(query)

    async def rows(self, mission: str, container: str, start: int, stop: int) -> pa.Table:
        """See :meth:`ground.stores.Store.rows`."""

        def query(cursor: DuckDBPyConnection) -> pa.Table:
            table = known_tables(cursor, mission).get((mission, container))
            return IDENTITY.empty_table() if table is None else reduce.rows(cursor, table, reduce.Window(start, stop))

        return await self._read(query)

    async def close(self) -> None:
        """See :meth:`ground.stores.Store.close`. The write-ahead log is folded into the file."""
        with suppress(RuntimeError):  # closed before
            await asyncio.get_running_loop().run_in_executor(self._writing, self._disconnect)
        self._writing.shutdown()
        self._in_use.discard(self._path)

    async def _write(self, work: Callable[[], None]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._writing, work)
        except RuntimeError as error:  # the executor was shut down
            raise StoreError(f"{self._path} is not open") from error

    async def _read(self, query: Callable[[DuckDBPyConnection], T]) -> T:
        """Run a query on a connection of its own in a thread; interrupt it when cancelled or out of time."""
        async with self._reading:
            if self._root is None:
                raise StoreError(f"{self._path} is not open")
            cursor = self._root.cursor()
            work = asyncio.ensure_future(asyncio.to_thread(_run, query, cursor))
            try:
                await asyncio.wait({work}, timeout=self._time_limit)
                if work.done():
                    return work.result()
                raise StoreError(f"{self._path}: no answer within {self._time_limit:g} s; ask for a shorter window")
            except duckdb.Error as error:
                raise StoreError(f"{self._path}: {first_line(error)}") from error
            finally:
                while not work.done():  # an interrupt before the query begins has no effect, so repeat it
                    with suppress(duckdb.Error):
                        cursor.interrupt()
                    await asyncio.wait({work}, timeout=0.02)
                if not work.cancelled():
                    work.exception()

    def _connect(self) -> None:
        """Open the file and learn what it holds."""
        root = connect(self._path, self._settings)
        try:
            writer = root.cursor()
            tables = {key: counted(writer, table) for key, table in known_tables(writer).items()}
            appends = dict(writer.execute("SELECT mission, appends FROM ground.checkpoint").fetchall())
        except (duckdb.Error, OSError, ValueError) as error:
            root.close()
            raise StoreError(unusable(self._path, error)) from error
        self._root, self._writer, self._tables, self._appends = root, writer, tables, appends

    def _disconnect(self) -> None:
        if self._root is not None:
            self._writer.close()
            self._root.close()
            self._root = None

    def _append(self, mission: str, rows: Sequence[Rows], entries: Sequence[Entry], checkpoint: Checkpoint) -> None:
        if self._root is None:
            self._connect()
        before = self._appends.get(mission, 0)
        try:
            self._transact(mission, rows, entries, checkpoint)
        except duckdb.FatalException as error:
            # DuckDB gave up the database, as after a full disk while it folded the log, but what it committed is
            # durable: open the file anew and see whether this transaction is in it.
            self._disconnect()
            self._connect()
            if self._appends.get(mission, 0) == before:
                raise StoreError(f"{self._path}: {first_line(error)}") from error
        except Exception as error:
            with suppress(duckdb.Error):  # a COMMIT that failed has rolled back already
                self._writer.rollback()
            if is_permanent(error):
                raise RefusedError(f"{self._path}: {first_line(error)}") from error
            if isinstance(error, duckdb.Error):
                raise StoreError(f"{self._path}: {first_line(error)}") from error
            raise

    def _transact(self, mission: str, rows: Sequence[Rows], entries: Sequence[Entry], checkpoint: Checkpoint) -> None:
        arriving: dict[Key, list[pa.RecordBatch]] = {}
        for item in rows:
            if item.batch.num_rows:
                arriving.setdefault((mission, item.container), []).append(item.batch)
        tables = dict(self._tables)
        self._writer.begin()
        for key, batches in arriving.items():
            table = fit(self._writer, tables, key, batches)
            tables[key] = insert(self._writer, table, *table.conform(batches))
        journal.put(self._writer, mission, entries)
        appends = self._appends.get(mission, 0) + 1
        values = [mission, checkpoint.position, checkpoint.state, checkpoint.recording, appends]
        if appends > 1:
            self._writer.execute(
                "UPDATE ground.checkpoint SET position = $2, state = $3, recording = $4, appends = $5 "
                "WHERE mission = $1",
                values,
            )
        else:
            self._writer.execute("INSERT INTO ground.checkpoint VALUES ($1, $2, $3, $4, $5)", values)
        self._writer.commit()
        self._tables = tables
        self._appends[mission] = appends


def _run(query: Callable[[DuckDBPyConnection], T], cursor: DuckDBPyConnection) -> T:
    with closing(cursor):
        cursor.begin()  # one snapshot, taken at the first SELECT, for all that the query asks
        return query(cursor)
