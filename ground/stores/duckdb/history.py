"""Windows of time reduced to what a plot or a table needs, in one pass for all parameters of a container.

Rows mostly lie in the table in their order. Then they are reduced here as DuckDB reads them, which takes a third of
what its GROUP BY does; where late rows lie behind newer ones, it is SQL that reduces them.

Bucket b of a window holds the times in [start + b width, start + (b + 1) width), in integer ns.
"""

# ruff: noqa: S608 (SQL is built from quoted identifiers and integers)
from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ground.stores.buckets import Buckets, Reduction, parts_of
from ground.stores.duckdb.tables import Table, quoted
from ground.stores.longtable import HISTORY, LATEST, TIME, as_float, as_text, is_number, is_state, raw_samples, stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

    from ground.stores.longtable import Name, Values

# The ends of int64 are special: the least is Arrow's missing time, the next and the greatest are infinite for DuckDB.
_FIRST, _INFINITE = -(2**63) + 2, 2**63 - 1
_ENDS = {"infinity": _INFINITE, "-infinity": -_INFINITE}

_PIECE = 262_144

# Orders rows by time, seq and digest: a HUGEINT has room for 63 bits of ns since the window's start, 16 of packet
# sequence count, and the first 47 of the digest.
_ORDER = '((epoch_ns("time") - {start})::HUGEINT * 65536 + "seq") * 140737488355328 + ("digest" >> 17)'


@dataclass(frozen=True, slots=True)
class Window:
    """[start, stop) in ns since 1970 UTC."""

    start: int
    stop: int

    def buckets(self, count: int) -> int:
        """Width in ns of ``count`` equal buckets that cover the window. ValueError for what cannot be divided."""
        if not 0 < self.stop - self.start < 2**63:
            raise ValueError(
                f"the window from {self.start} to {self.stop} ns should be between 1 ns and 292 years long"
            )
        if count < 1:
            raise ValueError(f"{count} buckets: there should be one at least")
        return -(-(self.stop - self.start) // count)

    @property
    def condition(self) -> str:
        """The window as an SQL condition that DuckDB's zone maps understand."""
        start = min(max(self.start, _FIRST), _INFINITE - 1)
        stop = max(self.stop, _FIRST)
        end = "'infinity'::TIMESTAMP_NS" if stop >= _INFINITE else f"make_timestamp_ns({stop})"
        return f'"time" >= make_timestamp_ns({start}) AND "time" < {end}'


@dataclass(frozen=True, slots=True)
class _Column:
    """A parameter in a query: its field and its SQL name."""

    name: Name
    field: pa.Field[Any]
    sql: str

    @property
    def finite(self) -> str:
        """The value as a finite number, or NULL."""
        if pa.types.is_floating(self.field.type):
            return f"CASE WHEN isfinite({self.sql}) THEN {self.sql} END"
        if pa.types.is_timestamp(self.field.type):
            # To DuckDB the first and the last of all times are infinite, and epoch_ns() of them is NULL.
            ends = " ".join(f"WHEN '{end}'::TIMESTAMP_NS THEN {ns}" for end, ns in _ENDS.items())
            return f"CASE {self.sql} {ends} ELSE epoch_ns({self.sql}) END"
        return f"{self.sql}::UTINYINT" if pa.types.is_boolean(self.field.type) else self.sql


def history(
    connection: DuckDBPyConnection, table: Table, names: Sequence[Name], window: Window, count: int
) -> pa.Table:
    """The long table of the parameters ``names`` of one container, in their order.

    A parameter with no more than ``count`` samples comes sample by sample, the others in ``count`` buckets.
    """
    columns = _columns(table, names)
    if not columns:
        return HISTORY.empty_table()
    source = f"FROM {table.name} WHERE {window.condition}"
    counts = [n[0].as_py() for n in _select(connection, [f"count({column.sql})" for column in columns], source)]
    few = [column for column, n in zip(columns, counts, strict=True) if 0 < n <= count]
    many = [column for column, n in zip(columns, counts, strict=True) if n > count]
    parts = _raw(connection, few, source) | _reduced(connection, many, source, window, count)
    return stack((parts[name] for name in names if name in parts), HISTORY)


def last(connection: DuckDBPyConnection, table: Table, names: Sequence[Name]) -> pa.Table:
    """The newest sample of each parameter of ``names``, in their order."""
    columns = _columns(table, names)
    parts = _newest(connection, table, columns, "true")
    for column in columns:
        if column.name not in parts:  # null in the newest row: look further back
            parts |= _newest(connection, table, [column], f"{column.sql} IS NOT NULL")
    return stack((parts[name] for name in names if name in parts), LATEST)


def rows(connection: DuckDBPyConnection, table: Table, window: Window) -> pa.Table:
    """All rows of a container in the window, ordered by time, seq and digest, with the columns known to ``table``."""
    columns = ", ".join(quoted(column) for column in table.columns.values())
    # Sorted here: DuckDB's sort needs memory in proportion to the octets of the rows, and rows are mostly in order.
    found = connection.sql(f"SELECT {columns} FROM {table.name} WHERE {window.condition}")
    with closing(found.to_arrow_reader(_PIECE)) as reader:
        read = table.restore(reader.read_all())
    time = read["time"].to_numpy().view(np.int64)
    # Compared, not subtracted: int64 doesn't hold the difference of times that are 300 years apart.
    return (
        read
        if (time[1:] > time[:-1]).all()
        else read.sort_by([(key, "ascending") for key in ("time", "seq", "digest")])
    )


def _columns(table: Table, names: Sequence[Name]) -> list[_Column]:
    known = table.columns
    return [
        _Column(name, table.schema.field(name.parameter), quoted(known[name.parameter]))
        for name in names
        if name.parameter in known
    ]


def _select(connection: DuckDBPyConnection, expressions: Sequence[str], rest: str) -> list[Values]:
    """The columns of a query, in the order of its expressions."""
    named = ", ".join(f"{expression} AS c{i}" for i, expression in enumerate(expressions))
    found = connection.sql(f"SELECT {named} {rest}").to_arrow_table().combine_chunks()
    return [column.chunk(0) if column.num_chunks else pa.nulls(0, column.type) for column in found.columns]


def _newest(
    connection: DuckDBPyConnection, table: Table, columns: Sequence[_Column], condition: str
) -> dict[Name, pa.Table]:
    rest = f"FROM {table.name} WHERE {condition} ORDER BY time DESC, seq DESC, digest DESC LIMIT 1"
    time, ert, *values = _select(connection, ["time", "ert", *(column.sql for column in columns)], rest)
    return {
        column.name: pa.table(
            [[str(column.name)], time.cast(TIME), ert.cast(TIME), as_float(value), as_text(value)], schema=LATEST
        )
        for column, value in zip(columns, values, strict=True)
        if len(value) and value.null_count == 0
    }


def _raw(connection: DuckDBPyConnection, columns: Sequence[_Column], source: str) -> dict[Name, pa.Table]:
    """Sample by sample."""
    if not columns:
        return {}
    some = " OR ".join(f"{column.sql} IS NOT NULL" for column in columns)
    expressions = ["time", *(column.sql for column in columns)]
    time, *values = _select(connection, expressions, f"{source} AND ({some}) ORDER BY time, seq, digest")
    return {
        column.name: raw_samples(column.name, column.field, time.cast(TIME).filter(value.is_valid()), value.drop_null())
        for column, value in zip(columns, values, strict=True)
    }


def _reduced(
    connection: DuckDBPyConnection, columns: Sequence[_Column], source: str, window: Window, count: int
) -> dict[Name, pa.Table]:
    """In buckets."""
    if not columns:
        return {}
    if (parts := _reduced_in_order(connection, columns, source, Buckets(window.start, window.stop, count))) is not None:
        return parts
    width = window.buckets(count)
    bucket = f'(epoch_ns("time") - {window.start}) // {width}'
    inner = [f"{bucket} AS b", f"{_ORDER.format(start=window.start)} AS k"]
    outer = ["b"]
    for i, column in enumerate(columns):
        number = column.finite if is_number(column.field.type) else "NULL::DOUBLE"
        inner += [f"{column.sql} AS v{i}", f"{number} AS f{i}"]
        outer += [f"count(v{i})", f"min(f{i})", f"avg(f{i})", f"max(f{i})", f"arg_max(v{i}, k)"]
    rest = f"FROM (SELECT {', '.join(inner)} {source}) GROUP BY b ORDER BY b"
    index, *reduced = _select(connection, outer, rest)
    changes = _changes(connection, columns, source, bucket)
    time = pa.array(window.start + width * index.to_numpy(), TIME)
    parts = {}
    for i, column in enumerate(columns):
        samples, least, mean, most, final = reduced[5 * i : 5 * i + 5]
        parts[column.name] = pa.table(
            [
                pa.repeat(str(column.name), len(time)),
                time,
                samples,
                as_float(least),
                as_float(mean),
                as_float(most),
                as_float(final),
                as_text(final),
                changes.get(column.name, pa.nulls(len(time), pa.int64())),
                pa.repeat(False, len(time)),
            ],
            schema=HISTORY,
        ).filter(pc.greater(samples, pa.scalar(0)))
    return parts


def _reduced_in_order(
    connection: DuckDBPyConnection, columns: Sequence[_Column], source: str, buckets: Buckets
) -> dict[Name, pa.Table] | None:
    """In buckets; None where the rows aren't in order, or two are of one time and seq."""
    reductions = [Reduction(column.name, column.field, buckets) for column in columns]
    selection = ", ".join(column.sql for column in columns)
    newest = (_FIRST, -1)
    with closing(connection.sql(f"SELECT time, seq, {selection} {source}").to_arrow_reader(_PIECE)) as reader:
        for piece in reader:
            time, seq = (piece.column(name).to_numpy(zero_copy_only=False) for name in ("time", "seq"))
            time = time.view(np.int64)
            rising = time[1:] > time[:-1]
            if not rising.all() and not (rising | (time[1:] == time[:-1]) & (seq[1:] > seq[:-1])).all():
                return None
            if (time[0], seq[0]) <= newest:
                return None
            newest = (time[-1], seq[-1])
            for column, reduction, values in zip(columns, reductions, piece.columns[2:], strict=True):
                kind = column.field.type
                values = values.view(kind) if pa.types.is_timestamp(kind) else values.cast(kind)
                there = values.is_valid().to_numpy(zero_copy_only=False) if values.null_count else slice(None)
                if len(values := values.drop_null()):
                    at, number, state = time[there], is_number(kind), is_state(column.field)
                    reduction.add_parts(parts_of(buckets.runs(at), at, values, number=number, state=state))
    return {reduction.name: reduction.finish() for reduction in reductions}


def _changes(
    connection: DuckDBPyConnection, columns: Sequence[_Column], source: str, bucket: str
) -> dict[Name, Values]:
    """For each state parameter and bucket, how often the value differs from the one before it in the window."""
    states = [column for column in columns if is_state(column.field)]
    if not states:
        return {}
    inner = [f"{bucket} AS b"]
    outer = ["b"]
    for i, column in enumerate(states):
        inner += [f"{column.sql} AS v{i}", f"lag({column.sql} IGNORE NULLS) OVER (ORDER BY time, seq, digest) AS p{i}"]
        outer.append(f"count(*) FILTER (v{i} <> p{i})")
    rest = f"FROM (SELECT {', '.join(inner)} {source}) GROUP BY b ORDER BY b"
    _, *changes = _select(connection, outer, rest)
    return {column.name: values for column, values in zip(states, changes, strict=True)}
