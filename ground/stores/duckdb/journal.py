"""The journal: alarms and events as rows of one table for all missions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ground.stores import Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

_COLUMNS: list[pa.Field[Any]] = [
    pa.field("mission", pa.string()),
    pa.field("kind", pa.string()),
    pa.field("position", pa.uint64()),
    pa.field("place", pa.int64()),
    pa.field("time", pa.timestamp("ns")),
    pa.field("subject", pa.string()),
    pa.field("values", pa.string()),
]
_SCHEMA = pa.schema(_COLUMNS)


def put(connection: DuckDBPyConnection, mission: str, entries: Sequence[Entry]) -> None:
    """Write the entries, in the place of those with their identity; of equal ones the last."""
    if not entries:
        return
    newest = list({(entry.kind, entry.position, entry.place): entry for entry in entries}.values())
    columns = [
        pa.repeat(mission, len(newest)),
        pa.array([entry.kind for entry in newest], pa.string()),
        pa.array([entry.position for entry in newest], pa.uint64()),
        pa.array([entry.place for entry in newest], pa.int64()),
        pa.array([entry.time for entry in newest], pa.int64()).view(pa.timestamp("ns")),
        pa.array([entry.subject for entry in newest], pa.string()),
        pa.array([json.dumps(entry.values) for entry in newest], pa.string()),
    ]
    arriving = pa.table(columns, schema=_SCHEMA)  # noqa: F841 (DuckDB reads it by its name)
    positions = [entry.position for entry in newest]
    # The range lets DuckDB skip what lies outside: the usual entries are newer than all others.
    connection.execute(
        "DELETE FROM ground.journal AS old USING arriving AS new WHERE old.position BETWEEN $1 AND $2 AND "
        "(old.mission, old.kind, old.position, old.place) = (new.mission, new.kind, new.position, new.place)",
        [min(positions), max(positions)],
    )
    connection.execute("INSERT INTO ground.journal SELECT * FROM arriving")


def page(
    cursor: DuckDBPyConnection, mission: str, kind: str, subject: str | None, before: tuple[int, int] | None, limit: int
) -> list[Entry]:
    """See :meth:`ground.stores.Store.entries`."""
    conditions, values = ["mission = $1", "kind = $2"], [mission, kind, limit]
    if subject is not None:
        values.append(subject)
        conditions.append(f"subject = ${len(values)}")
    if before is not None:
        values += before
        position, place = f"${len(values) - 1}", f"${len(values)}"
        conditions.append(f"position <= {position} AND (position < {position} OR place < {place})")
    found = cursor.sql(
        f'SELECT kind, position, place, time, subject, "values" FROM ground.journal WHERE {" AND ".join(conditions)} '  # noqa: S608 (parameters only)
        "ORDER BY position DESC, place DESC LIMIT $3",
        params=values,
    ).to_arrow_table()
    # Times by their bits: to DuckDB the ends of int64 are infinite.
    time = pa.array(found["time"].to_numpy().view(np.int64))
    fields = found.set_column(3, "time", time).to_pylist()
    return [Entry(**{**each, "values": json.loads(each["values"])}) for each in fields]
