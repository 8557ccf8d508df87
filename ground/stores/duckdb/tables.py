"""How a container becomes a DuckDB table: names, column types, new columns, and which rows are there already."""

# ruff: noqa: S608 (SQL is built from quoted identifiers and integers)
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from ground.errors import StoreError
from ground.stores.longtable import IDENTITY, TIME

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

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
    that need no search for repeats.
    """

    key: Key
    home: str
    bare: str
    schema: pa.Schema
    newest: int = OLDEST
    stored: int = 0
    repeated: int = 0

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

    def conform(self, batches: Sequence[pa.RecordBatch]) -> pa.Table:
        """The batches as one table with this table's columns in their order and zoneless times; no copy of values."""
        columns = [pa.chunked_array([_column(batch, field) for batch in batches]) for field in self.schema]
        return pa.table(columns, names=list(self.columns.values()))

    def restore(self, selected: pa.Table) -> pa.Table:
        """Rows as ``SELECT *`` gives them, with this table's names, types and metadata."""
        return selected.rename_columns(self.schema.names).cast(self.schema)


def _column(batch: pa.RecordBatch, field: pa.Field[Any]) -> pa.Array[Any]:
    kind = _ZONELESS if field.type == TIME else field.type
    if field.name not in batch.schema.names:
        return pa.nulls(batch.num_rows, kind)
    values = batch.column(field.name)
    return values.view(kind) if field.type == TIME else values


def check(key: Key, schema: pa.Schema) -> None:
    """Raise StoreError where a schema lacks the identity columns, or has a column twice or of a type not stored."""
    where = "/".join(key)
    for needed in IDENTITY:
        if needed.name not in schema.names or schema.field(needed.name).type != needed.type:
            raise StoreError(f"{where}: column {needed.name} should be there as {needed.type}")
    for field in schema:
        if schema.names.count(field.name) > 1:
            raise StoreError(f"{where}: column {field.name} is there twice")
        if field.type not in _TYPES:
            raise StoreError(f"{where}: column {field.name} has the type {field.type}, which is not stored")


def known_tables(connection: DuckDBPyConnection, mission: str | None = None) -> dict[Key, Table]:
    """The tables of all missions or of one, as the connection's snapshot has them, without their counts."""
    condition, values = ("true", []) if mission is None else ("mission = $1", [mission])
    found = connection.execute(f"SELECT * FROM ground.containers WHERE {condition}", values).fetchall()
    return {
        (of, container): Table((of, container), home, bare, pa.ipc.read_schema(pa.py_buffer(schema)), repeated=repeated)
        for of, container, home, bare, schema, repeated in found
    }


def counted(connection: DuckDBPyConnection, table: Table) -> Table:
    """The table with the number of its rows and its newest time."""
    held = connection.sql(f"SELECT max(time) AS time, count(*) AS n FROM {table.name}").to_arrow_table()
    stored: int = held["n"][0].as_py()
    return replace(table, stored=stored, newest=int(_times(held)[0])) if stored else table


def create(connection: DuckDBPyConnection, tables: Collection[Table], key: Key, schema: pa.Schema) -> Table:
    """A new table for a container. Raises StoreError where the schema cannot be stored."""
    check(key, schema)
    mission, container = key
    home = f"{mission}~" if mission.casefold() in _RESERVED else mission
    taken = {table.bare.casefold() for table in tables if table.home.casefold() == home.casefold()}
    table = Table(key, home, unused(container, taken), schema)
    columns = (f"{quoted(table.columns[field.name])} {_TYPES[field.type]}" for field in schema)
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(home)}")
    connection.execute(f"CREATE TABLE {table.name} ({', '.join(columns)})")
    connection.execute(
        "INSERT INTO ground.containers VALUES ($1, $2, $3, $4, $5, 0)",
        [mission, container, home, table.bare, schema.serialize().to_pybytes()],
    )
    return table


def grow(connection: DuckDBPyConnection, table: Table, schema: pa.Schema) -> Table:
    """The table with room for ``schema``'s columns (older rows have null there) and with its metadata.

    Raises StoreError naming the column whose type changed.
    """
    if schema.equals(table.schema, check_metadata=True):
        return table
    check(table.key, schema)
    fields = {field.name: field for field in table.schema}
    for field in schema:
        known = fields.get(field.name, field)
        if known.type != field.type:
            raise StoreError(
                f"{'/'.join(table.key)}: column {field.name} is stored as {known.type} and arrived as {field.type}; "
                "a parameter keeps its type: give the new one another name, or start a new store"
            )
        fields[field.name] = field
    wider = replace(table, schema=pa.schema(list(fields.values())).with_metadata(schema.metadata))
    for field in list(fields.values())[len(table.schema) :]:
        column = quoted(wider.columns[field.name])
        connection.execute(f"ALTER TABLE {table.name} ADD COLUMN {column} {_TYPES[field.type]}")
    if not wider.schema.equals(table.schema, check_metadata=True):
        connection.execute(
            "UPDATE ground.containers SET arrow_schema = $1 WHERE mission = $2 AND container = $3",
            [wider.schema.serialize().to_pybytes(), *table.key],
        )
    return wider


def insert(connection: DuckDBPyConnection, table: Table, arriving: pa.Table) -> Table:
    """Insert the rows of ``arriving`` (see :meth:`Table.conform`) that are new, and count the others."""
    fresh = new_rows(connection, table, arriving)
    stored = int(fresh.sum())
    repeated = len(fresh) - stored
    if repeated:
        arriving = arriving.filter(pa.array(fresh))
        connection.execute(
            "UPDATE ground.containers SET repeated = repeated + $1 WHERE mission = $2 AND container = $3",
            [repeated, *table.key],
        )
    if not stored:
        return replace(table, repeated=table.repeated + repeated)
    # DuckDB reads the Arrow columns of the local variable by its name; registering it first would cost half as much
    # again, which tells when a few rows arrive for each of many containers.
    connection.execute(f"INSERT INTO {table.name} SELECT * FROM arriving")
    newest = max(table.newest, int(_times(arriving).max()))
    return replace(table, newest=newest, stored=table.stored + stored, repeated=table.repeated + repeated)


def new_rows(connection: DuckDBPyConnection, table: Table, arriving: pa.Table) -> NDArray[np.bool_]:
    """Which rows of ``arriving`` (n,) are neither stored nor a repetition of an earlier row in ``arriving``.

    In the usual case, times that rise and are newer than all that is stored, nothing is asked of the database.
    """
    time = _times(arriving)
    seq = arriving.column("seq").to_numpy()
    fresh = np.ones(len(time), np.bool_)
    if not (time[1:] > time[:-1]).all():
        order = np.lexsort((seq, time))  # stable: of equal rows the first to arrive stays first
        again = (np.diff(time[order]) == 0) & (np.diff(seq[order]) == 0)
        fresh[order[1:][again]] = False
    overlap = np.flatnonzero(time <= table.newest)
    if len(overlap):
        candidates = pa.table({"row": overlap, "time": arriving.column("time").take(overlap), "seq": seq[overlap]})
        fresh[_known(connection, table, candidates)] = False
    return fresh


def _times(arriving: pa.Table) -> NDArray[np.int64]:
    return arriving.column("time").to_numpy().view(np.int64)


def _known(connection: DuckDBPyConnection, table: Table, candidates: pa.Table) -> NDArray[np.int64]:
    # The join hands the range of the candidates' times to the scan of the table, which skips the row groups outside.
    found = connection.execute(f"SELECT row FROM candidates SEMI JOIN {table.name} USING (time, seq)")
    return found.fetchnumpy()["row"].astype(np.int64)
