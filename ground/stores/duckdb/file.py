"""The file: opening it, its own tables, and what is said of one that cannot be used."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

import duckdb
import pyarrow as pa

from ground.errors import StoreError
from ground.stores import Checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from duckdb import DuckDBPyConnection

Settings: TypeAlias = dict[str, str | bool | int | float | list[str]]

FORMAT = 2
"""Number of this layout of the file. Format 1 had no number: one checkpoint for all missions, and rows of no digest."""

# ``appends`` numbers a mission's transactions, which tells after a broken COMMIT whether it took place. There are no
# primary keys: DuckDB keeps their indexes in memory, and the one writer knows what is there.
_OWN = """
CREATE SCHEMA ground;
CREATE TABLE ground.format (number INTEGER NOT NULL);
CREATE TABLE ground.checkpoint (
    mission VARCHAR NOT NULL, position UBIGINT NOT NULL, state BLOB NOT NULL, recording VARCHAR NOT NULL,
    appends UBIGINT NOT NULL
);
CREATE TABLE ground.containers (
    mission VARCHAR NOT NULL, container VARCHAR NOT NULL, table_schema VARCHAR NOT NULL, table_name VARCHAR NOT NULL,
    arrow_schema BLOB NOT NULL, repeated UBIGINT NOT NULL, alike UBIGINT NOT NULL, unfit VARCHAR NOT NULL
);
CREATE TABLE ground.journal (
    mission VARCHAR NOT NULL, kind VARCHAR NOT NULL, position UBIGINT NOT NULL, place BIGINT NOT NULL,
    time TIMESTAMP_NS NOT NULL, subject VARCHAR NOT NULL, "values" VARCHAR NOT NULL
);
"""

# What DuckDB says of values and names, which are the same the next time.
_PERMANENT = (
    duckdb.DataError,
    duckdb.IntegrityError,
    duckdb.NotSupportedError,
    duckdb.ProgrammingError,
    pa.ArrowException,
)


def connect(path: Path, settings: Settings) -> DuckDBPyConnection:
    """Open the file or create it. Raises StoreError naming the file and what is wrong with it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.stat().st_size:
            raise StoreError(f"{path} is empty (0 octets); delete it and run `ground rebuild`")
        root = duckdb.connect(path, config=settings)
    except (duckdb.Error, OSError) as error:
        raise StoreError(unusable(path, error)) from error
    try:
        _prepare(path, root)
    except (duckdb.Error, OSError) as error:
        root.close()
        raise StoreError(unusable(path, error)) from error
    except StoreError:
        root.close()
        raise
    return root


def _prepare(path: Path, root: DuckDBPyConnection) -> None:
    own = "FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = 'ground'"
    names = {name for (name,) in root.execute(f"SELECT table_name {own}").fetchall()}
    if not names:
        root.begin()
        root.execute(_OWN)
        root.execute("INSERT INTO ground.format VALUES ($1)", [FORMAT])
        root.commit()
        return
    found = root.execute("SELECT number FROM ground.format").fetchall()[0][0] if "format" in names else 1
    if found != FORMAT:
        raise StoreError(
            f"{path} has format {found}, and this version of Perilune Ground reads format {FORMAT}; "
            "run `ground rebuild`, which makes it anew from the recording"
        )


def unusable(path: Path, error: Exception) -> str:
    """Why the file cannot be opened or read, and what to do."""
    holder = re.search(r"Conflicting lock is held .*?\(PID (\d+)\)", str(error))
    if holder:
        return f"{path} is in use by process {holder[1]}; ground up runs ingest and dashboard in one process"
    advice = "" if isinstance(error, OSError) else "; where it is damaged, `ground rebuild` makes it anew"
    return f"{path}: {first_line(error)}{advice}"


def is_permanent(error: Exception) -> bool:
    """Whether the same statement with the same values would fail again."""
    return isinstance(error, _PERMANENT)


def checkpoint_of(cursor: DuckDBPyConnection, mission: str) -> Checkpoint | None:
    """A mission's checkpoint, as the connection's snapshot has it."""
    asked = "SELECT position, state, recording FROM ground.checkpoint WHERE mission = $1"
    found = cursor.execute(asked, [mission]).fetchall()
    return Checkpoint(*found[0]) if found else None


def first_line(error: Exception) -> str:
    """What DuckDB says, without its explanations."""
    return str(error).partition("\n")[0]
