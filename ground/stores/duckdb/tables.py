"""How a container becomes a DuckDB table: names, column types, columns that are added or widened, and its rows."""

# ruff: noqa: S608 (SQL is built from quoted identifiers and integers)
from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from ground.stores.longtable import TIME
from ground.stores.schemas import check, fitted, merged

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

Key: TypeAlias = tuple[str, str]
"""(mission, container)"""

OLDEST = int(np.iinfo(np.int64).min)

# Names that a mission's schema cannot have: DuckDB's own, and ours.
_RESERVED = ("ground", "main", "temp", "system", "information_schema", "pg_catalog")

# DuckDB's time zone types follow the session's zone in casts. TIMESTAMP_NS is 64-bit ns since 1970 without a zone: UTC
# by agreement, and exactly the bits that Arrow carries.
_TYPES = {
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.uint8(): "UTINYINT",
    pa.uint16(): "USMALLINT",
    pa.uint32(): "UINTEGER",
    pa.uint64(): "UBIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
    pa.binary(): "BLOB",
    TIME: "TIMESTAMP_NS",
}
_ZONELESS = pa.timestamp("ns")


def quoted(name: str) -> str:
    """``name`` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def unused(name: str, taken: Collection[str]) -> str:
    """``name``, numbered where it is taken: XTCE names that differ in case are distinct, DuckDB's are not.

    ``~`` is not in the alphabet of XTCE names. ``taken`` holds names as ``str.casefold`` gives them.
    """
    number, free = 1, name
    while free.casefold() in taken:
        number += 1
        free = f"{name}~{number}"
    return free


@dataclass(frozen=True, slots=True)
class Table:
    """The table of one container.

    ``home``, ``bare``: names of the DuckDB schema and table. ``schema``: the columns in the order of the table, with
    their metadata; it only ever grows at its end. ``newest``: the greatest time stored (ns), so that rows newer than
    that need no search for repeats. The rest is what :class:`~ground.stores.Count` says.
    """

    key: Key
    home: str
    bare: str
    schema: pa.Schema
    newest: int = OLDEST
    stored: int = 0
    repeated: int = 0
    alike: int = 0
    unfit: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The table's name in SQL."""
        return f"{quoted(self.home)}.{quoted(self.bare)}"

    @property
    def columns(self) -> dict[str, str]:
        """Field name to the bare name of its column; stable, because the schema only grows at its end."""
        columns: dict[str, str] = {}
        taken: set[str] = set()
        for name in self.schema.names:
            columns[name] = unused(name, taken)
            taken.add(columns[name].casefold())
        return columns

    def conform(self, batches: Sequence[pa.RecordBatch]) -> tuple[pa.Table, dict[str, NDArray[np.bool_]]]:
        """The batches as one table with this table's columns in their order and zoneless times, widened where needed.

        Also, by parameter, the rows (n,) whose value is unfit for its column and is null now.
        """
        n = sum(batch.num_rows for batch in batches)
        pieces: list[list[pa.Array[Any]]] = [[] for _ in self.schema]
        unfit: dict[str, NDArray[np.bool_]] = {}
        start = 0
        for batch in batches:
            there = {name: index for index, name in enumerate(batch.schema.names)}
            for column, piece in zip(self.schema, pieces, strict=True):
                index = there.get(column.name)
                values = None if index is None else fitted(batch.column(index), column.type)
                if index is not None and values is None:
                    lost = batch.column(index).is_valid().to_numpy(zero_copy_only=False)
                    unfit.setdefault(column.name, np.zeros(n, np.bool_))[start : start + len(lost)] = lost
                if values is None:
                    values = pa.nulls(batch.num_rows, column.type)
                piece.append(values.view(_ZONELESS) if column.type == TIME else values)
            start += batch.num_rows
        return pa.table([pa.chunked_array(piece) for piece in pieces], names=list(self.columns.values())), unfit

    def restore(self, selected: pa.Table) -> pa.Table:
        """Rows as ``SELECT *`` gives them, with this table's names, types and metadata."""
        return selected.rename_columns(self.schema.names).cast(self.schema)


def known_tables(connection: DuckDBPyConnection, mission: str | None = None) -> dict[Key, Table]:
    """The tables of all missions or of one, as the connection's snapshot has them, without their counts."""
    condition, values = ("true", []) if mission is None else ("mission = $1", [mission])
    found = connection.execute(f"SELECT * FROM ground.containers WHERE {condition}", values).fetchall()
    return {
        (of, container): Table(
            (of, container),
            home,
            bare,
            pa.ipc.read_schema(pa.py_buffer(schema)),
            repeated=repeated,
            alike=alike,
            unfit=json.loads(unfit),
        )
        for of, container, home, bare, schema, repeated, alike, unfit in found
    }


def counted(connection: DuckDBPyConnection, table: Table) -> Table:
    """The table with the number of its rows and its newest time."""
    held = connection.sql(f"SELECT max(time) AS time, count(*) AS n FROM {table.name}").to_arrow_table()
    stored: int = held["n"][0].as_py()
    return replace(table, stored=stored, newest=int(_times(held)[0])) if stored else table


def fit(
    connection: DuckDBPyConnection, tables: Mapping[Key, Table], key: Key, batches: Sequence[pa.RecordBatch]
) -> Table:
    """The container's table with room for the batches: new, or grown. Raises RefusedError for what cannot be stored."""
    table = tables.get(key)
    schema = pa.schema([]) if table is None else table.schema
    for batch in batches:
        if not batch.schema.equals(schema, check_metadata=True):
            check("/".join(key), batch.schema)
            schema = merged(schema, batch.schema)
    return _create(connection, tables.values(), key, schema) if table is None else _grow(connection, table, schema)


def _create(connection: DuckDBPyConnection, tables: Collection[Table], key: Key, schema: pa.Schema) -> Table:
    mission, container = key
    home = f"{mission}~" if mission.casefold() in _RESERVED else mission
    taken = {table.bare.casefold() for table in tables if table.home.casefold() == home.casefold()}
    table = Table(key, home, unused(container, taken), schema)
    columns = (f"{quoted(table.columns[column.name])} {_TYPES[column.type]}" for column in schema)
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(home)}")
    connection.execute(f"CREATE TABLE {table.name} ({', '.join(columns)})")
    connection.execute(
        "INSERT INTO ground.containers VALUES ($1, $2, $3, $4, $5, 0, 0, '{}')",
        [mission, container, home, table.bare, schema.serialize().to_pybytes()],
    )
    return table


def _grow(connection: DuckDBPyConnection, table: Table, schema: pa.Schema) -> Table:
    """The table with a schema that has more or wider columns, or other metadata. Older rows have null in new ones."""
    if schema.equals(table.schema, check_metadata=True):
        return table
    grown = replace(table, schema=schema)
    names = grown.columns
    for index, column in enumerate(schema):
        name = quoted(names[column.name])
        if index >= len(table.schema):
            connection.execute(f"ALTER TABLE {table.name} ADD COLUMN {name} {_TYPES[column.type]}")
        elif column.type != table.schema.field(index).type:
            connection.execute(f"ALTER TABLE {table.name} ALTER COLUMN {name} TYPE {_TYPES[column.type]}")
    connection.execute(
        "UPDATE ground.containers SET arrow_schema = $1 WHERE mission = $2 AND container = $3",
        [schema.serialize().to_pybytes(), *table.key],
    )
    return grown


def insert(
    connection: DuckDBPyConnection, table: Table, arriving: pa.Table, unfit: Mapping[str, NDArray[np.bool_]]
) -> Table:
    """Insert the rows of ``arriving`` that are new, and count them all. See :meth:`Table.conform`."""
    fresh, alike = _told_apart(connection, table, arriving)
    stored = int(fresh.sum())
    lost = {name: int((rows & fresh).sum()) for name, rows in unfit.items()}
    counted = replace(
        table,
        stored=table.stored + stored,
        repeated=table.repeated + len(fresh) - stored,
        alike=table.alike + int(alike.sum()),
        unfit={**table.unfit, **{name: table.unfit.get(name, 0) + n for name, n in lost.items() if n}},
    )
    if (counted.repeated, counted.alike, counted.unfit) != (table.repeated, table.alike, table.unfit):
        connection.execute(
            "UPDATE ground.containers SET repeated = $1, alike = $2, unfit = $3 WHERE mission = $4 AND container = $5",
            [counted.repeated, counted.alike, json.dumps(counted.unfit), *table.key],
        )
    if not stored:
        return counted
    if stored < len(fresh):
        arriving = arriving.filter(pa.array(fresh))
    # DuckDB reads the Arrow columns of the local variable by its name; registering it first would cost half as much
    # again, which tells when a few rows arrive for each of many containers.
    connection.execute(f"INSERT INTO {table.name} SELECT * FROM arriving")
    return replace(counted, newest=max(table.newest, int(_times(arriving).max())))


def _told_apart(
    connection: DuckDBPyConnection, table: Table, arriving: pa.Table
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows of ``arriving`` (n,) are neither stored nor a repetition of an earlier row in ``arriving``; and which
    of these share time and seq with one that is.

    In the usual case, times that rise and are newer than all that is stored, nothing is asked of the database.
    """
    time = _times(arriving)
    fresh, alike = np.ones(len(time), np.bool_), np.zeros(len(time), np.bool_)
    if not (time[1:] > time[:-1]).all():
        seq, digest = (arriving.column(name).to_numpy() for name in ("seq", "digest"))
        # Both sorts are stable: of equal rows the first to arrive stays first.
        fresh[_again(time, seq, digest)] = False
        alike[_again(time, seq)] = True
    overlap = np.flatnonzero(time <= table.newest)
    if len(overlap):
        candidates = arriving.select(["time", "seq", "digest"]).take(overlap).append_column("row", pa.array(overlap))
        row, same = _met(connection, table, candidates)
        fresh[row[same]] = False
        alike[row[~same]] = True
    return fresh, alike & fresh


def _met(
    connection: DuckDBPyConnection, table: Table, candidates: pa.Table
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The numbers of the candidates (``row``) that meet a stored row of their time and seq, and whether its digest too
    is theirs; (m,), once for each stored row.
    """
    # The join hands the range of the candidates' times to the scan of the table, which skips the row groups outside.
    found = f"candidates JOIN {table.name} AS stored USING (time, seq)"
    met = connection.execute(f"SELECT row, stored.digest = candidates.digest AS same FROM {found}").fetchnumpy()
    return met["row"].astype(np.int64), met["same"].astype(np.bool_)


def _again(*keys: NDArray[Any]) -> NDArray[np.int64]:
    """The rows whose keys (n,) are those of an earlier row."""
    order = np.lexsort(keys[::-1])
    equal = np.logical_and.reduce([key[order][1:] == key[order][:-1] for key in keys])
    return order[1:][equal]


def _times(arriving: pa.Table) -> NDArray[np.int64]:
    return arriving.column("time").to_numpy().view(np.int64)
