"""History, newest samples and whole rows from InfluxDB.

Where the server reduces a window itself (numbers, in more rows than :data:`RAW`), a sample less than 65.5 microseconds
before the edge of a bucket may be counted in the next one: a point's timestamp is time + seq ns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ground.stores import History
from ground.stores.buckets import Reduction, width_of
from ground.stores.influxdb.query import SEQ, Column, Rows, columns_of, covered, during, fields, values_of
from ground.stores.influxdb.records import FIRST, LAST
from ground.stores.longtable import (
    HISTORY,
    IDENTITY,
    LATEST,
    TIME,
    as_float,
    as_text,
    is_number,
    is_state,
    stack,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ground.stores.influxdb.container import Container
    from ground.stores.influxdb.server import Series, Server
    from ground.stores.longtable import Name, Values

RAW = 10_000
"""Rows of a container in a window up to which its samples are fetched and reduced here, exactly."""


async def rows(server: Server, mission: str, name: str, start: int, stop: int) -> pa.Table:
    """Every row of a container in [start, stop), ordered by time, then seq."""
    _, known = await covered(server, mission, [name])
    container = known.get(name)
    if container is None:
        return IDENTITY.empty_table()
    names = [name for name in container.schema.names if name not in ("time", "seq")]
    found: list[pa.Table] = []

    def take(_: int, series: Series) -> None:
        piece = Rows.of(series, container, names)
        columns = {"time": pa.array(piece.time).cast(TIME), "seq": pa.array(piece.seq), **piece.columns}
        table = pa.table([columns[name] for name in container.schema.names], schema=container.schema)
        found.append(table.filter(pa.array((piece.time >= start) & (piece.time < stop))))

    await server.each([f"SELECT {fields(container, names)} {container.source} AND {during(start, stop)}"], take)
    return stack(found, container.schema).sort_by([("time", "ascending"), ("seq", "ascending")])


async def last(server: Server, mission: str, parameters: Sequence[str]) -> pa.Table:
    """The newest sample of each parameter, in the order asked for."""
    _, wanted = await columns_of(server, mission, parameters)
    span = f"time >= {FIRST} AND time <= {LAST}"
    answers = await server.query([f"SELECT last({c.key}) {c.container.source} AND {span}" for c in wanted])
    # The newest timestamp is that of the newest row, or of one less than 65,536 ns from it: look at these.
    places: dict[tuple[str, int], list[Column]] = {}
    for column, answer in zip(wanted, answers, strict=True):
        if answer:
            places.setdefault((column.name.container, answer[0].column("time")[0]), []).append(column)
    newest: dict[Name, pa.Table] = {}
    near = [
        f"SELECT {fields(group[0].container, ['ert', *(c.name.parameter for c in group)])} {group[0].container.source}"
        f" AND time >= {max(at - SEQ, FIRST)} AND time <= {at}"
        for (_, at), group in places.items()
    ]
    for group, answer in zip(places.values(), await server.query(near), strict=True):
        for column in group:
            newest[column.name] = _newest(column, answer)
    return stack((newest[column.name] for column in wanted if column.name in newest), LATEST)


async def history(
    server: Server, mission: str, parameters: Sequence[str], start: int, stop: int, buckets: int
) -> History:
    """See :meth:`ground.stores.Store.history`.

    Containers with few rows in the window come whole and are reduced here. Of the others, InfluxQL reduces numbers and
    enumerations; of booleans and text, whose changes it cannot count, every sample is read.
    """
    width = width_of(start, stop, buckets)
    progress, wanted = await columns_of(server, mission, parameters)
    grouped = {column.container.key: column.container for column in wanted}
    counted = await server.query(
        [
            f'SELECT count("seq") FROM (SELECT "seq" {container.source} AND {during(start, stop)} LIMIT {RAW + 1})'  # noqa: S608 (quoted)
            f" WHERE {during(start, stop)}"
            for container in grouped.values()
        ]
    )
    many = {key for key, answer in zip(grouped, counted, strict=True) if answer and answer[0].column("count")[0] > RAW}
    plan = _Plan(start, stop, buckets)
    for container in grouped.values():
        members = [column for column in wanted if column.container is container]
        reduced = [
            c for c in members if container.key in many and (pa.types.is_integer(c.field.type) or not is_state(c.field))
        ]
        plan.read(container, [column for column in members if column not in reduced])
        for column in reduced:
            plan.reduce(column, width)
    parts = await plan.run(server)
    few = [column for column in wanted if column.name in plan.few]
    if few:
        again = _Plan(start, stop, buckets)
        for column in few:
            again.sample(column)
        parts |= await again.run(server)
    table = stack((parts[column.name] for column in wanted if column.name in parts), HISTORY)
    return History(table, progress.position, width)


def _newest(column: Column, answer: list[Series]) -> pa.Table:
    """The greatest by time, then seq."""
    parameter = column.name.parameter
    newest: tuple[int, int] | None = None
    table = LATEST.empty_table()
    for series in answer:
        piece = Rows.of(series, column.container, ["ert", parameter])
        there = np.flatnonzero(piece.columns[parameter].is_valid().to_numpy(zero_copy_only=False))
        at = there[np.lexsort((piece.seq[there], piece.time[there]))][-1:]
        identity = tuple(zip(piece.time[at].tolist(), piece.seq[at].tolist(), strict=True))
        if identity and (newest is None or identity[0] > newest):
            newest = identity[0]
            value = piece.columns[parameter].take(at)
            time, ert = pa.array(piece.time[at]).cast(TIME), piece.columns["ert"].take(at)
            table = pa.table([[str(column.name)], time, ert, as_float(value), as_text(value)], schema=LATEST)
    return table


class _Plan:
    """Statements of one request, and what is made of their answers."""

    def __init__(self, start: int, stop: int, buckets: int) -> None:
        self._window = (start, stop, buckets)
        self._during = during(start, stop)
        self._statements: list[str] = []
        self._takers: list[Callable[[Series], None]] = []
        self._reductions: list[Reduction] = []
        self._tables: dict[Name, list[pa.Table]] = {}
        self._changes: dict[Name, dict[int, int]] = {}
        self.few: set[Name] = set()

    def read(self, container: Container, columns: Sequence[Column]) -> None:
        """Fetch samples and reduce them here."""
        if not columns:
            return
        names = [column.name.parameter for column in columns]
        self._ask(f"SELECT {fields(container, names)} {container.source} AND {self._during}", container, columns)

    def sample(self, column: Column) -> None:
        """Fetch the samples of one parameter that has no more than there are buckets."""
        selection = f'sample({column.key}, {self._window[2] + 1}) AS {column.key}, "seq"'
        self._ask(f"SELECT {selection} {column.container.source} AND {self._during}", column.container, [column])

    def reduce(self, column: Column, width: int) -> None:
        """Let the server reduce one parameter."""
        start, stop, _ = self._window
        calls = dict.fromkeys(["count", "last"], column.key)
        if is_number(column.field.type):
            # The server adds 64-bit integers up in 64 bits, and lets them overflow.
            calls |= {"min": column.key, "mean": f"{column.key}::float", "max": column.key}
        selection = ", ".join(f"{call}({key}) AS {call}" for call, key in calls.items())
        window = f"time >= {max(start, FIRST)} AND time < {min(stop, LAST + 1)}"
        group = f"GROUP BY time({width}ns, {start % width}ns) fill(none)"
        tables = self._tables.setdefault(column.name, [])
        self._statements.append(f"SELECT {selection} {column.container.source} AND {window} {group}")
        self._takers.append(lambda series: tables.append(_buckets(column, series)))
        if is_state(column.field):
            steps = f"SELECT difference({column.key}) AS step {column.container.source} AND {window}"
            self._statements.append(f"SELECT count(step) FROM ({steps}) WHERE step != 0 AND {window} {group}")  # noqa: S608 (quoted)
            changes = self._changes.setdefault(column.name, {})
            self._takers.append(
                lambda series: changes.update(zip(series.column("time"), series.column("count"), strict=True))
            )

    async def run(self, server: Server) -> dict[Name, pa.Table]:
        """Long tables by parameter. Those that are too few for buckets are left out and named in ``few``."""
        await server.each(self._statements, lambda number, series: self._takers[number](series))
        parts = {reduction.name: reduction.finish() for reduction in self._reductions}
        for name, tables in self._tables.items():
            table = stack(tables, HISTORY)
            if name in self._changes:
                times: list[Any] = table["time"].cast(pa.int64()).to_pylist()
                changes = pa.array([self._changes[name].get(time, 0) for time in times], pa.int64())
                table = table.set_column(HISTORY.names.index("changes"), HISTORY.field("changes"), changes)
            if table["count"].to_numpy().sum() > self._window[2]:
                parts[name] = table
            elif len(table):
                self.few.add(name)
        return parts

    def _ask(self, statement: str, container: Container, columns: Sequence[Column]) -> None:
        reductions = [Reduction(column.name, column.field, *self._window) for column in columns]
        self._reductions += reductions
        names = [column.name.parameter for column in columns]

        def take(series: Series) -> None:
            piece = Rows.of(series, container, names)
            for reduction in reductions:
                reduction.add(piece.time, piece.seq, piece.columns[reduction.name.parameter])

        self._statements.append(statement)
        self._takers.append(take)


def _buckets(column: Column, series: Series) -> pa.Table:
    """Rows of the long table from the server's buckets. A float32's own digits are turned back into that float32."""
    kept = column.field.type
    n = len(series.values)
    last = values_of(series.column("last"), kept)
    number = is_number(kept)

    def extreme(call: str) -> Values:
        return as_float(values_of(series.column(call), kept)) if number else pa.nulls(n, pa.float64())

    return pa.table(
        [
            pa.repeat(str(column.name), n),
            pa.array(series.column("time"), pa.int64()).cast(TIME),
            pa.array(series.column("count"), pa.int64()),
            extreme("min"),
            values_of(series.column("mean"), pa.float64()) if number else pa.nulls(n, pa.float64()),
            extreme("max"),
            as_float(last),
            as_text(last),
            pa.nulls(n, pa.int64()),
            pa.repeat(False, n),
        ],
        schema=HISTORY,
    )
