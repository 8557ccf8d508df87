"""Windows of time from InfluxDB, reduced to what a plot or a table needs.

A window falls into sections, each read in the cheapest way that still gives what the contract says: roll-ups where
their minutes are clean and no wider than a bucket; samples that are reduced here, where they are few, and of booleans
and text, whose changes InfluxQL cannot count; buckets that the server reduces for everything else. In these, a sample
less than 65.5 microseconds before the edge of a bucket may be counted in the next one: a point's timestamp is time +
seq ns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ground.stores import History
from ground.stores.buckets import Buckets, Reduction, between
from ground.stores.influxdb.minutes import MINUTE
from ground.stores.influxdb.query import SEQ, Rows, columns_of, during, fields, stamps, values_of
from ground.stores.influxdb.records import FIRST
from ground.stores.influxdb.rolled import clean, parts_from, statement
from ground.stores.longtable import HISTORY, as_float, is_number, is_state, stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ground.stores.influxdb.container import Container
    from ground.stores.influxdb.query import Column
    from ground.stores.influxdb.server import Series, Server
    from ground.stores.longtable import Name, Values

RAW = 10_000
"""Rows of a container in a window up to which its samples are fetched and reduced here, exactly."""

_SECTIONS = 16
"""Runs of clean minutes that are used of a window, the longest ones."""


async def history(
    server: Server, mission: str, parameters: Sequence[str], start: int, stop: int, buckets: int, *, rollups: bool
) -> History:
    """See :meth:`ground.stores.Store.history`. ``rollups``: whether they may be used."""
    window = Buckets(start, stop, buckets)
    progress, wanted = await columns_of(server, mission, parameters)
    containers = {column.container.key: column.container for column in wanted}
    whole = Section(start, stop)
    split = {
        key: [*_sections(container, start, stop)] if rollups and window.width >= MINUTE else [whole]
        for key, container in containers.items()
    }
    asked = [(key, some) for key in containers for some in dict.fromkeys([whole, *split[key]]) if not some.rolled]
    counted = await server.query([_few(containers[key], section) for key, section in asked])
    many = {item for item, answer in zip(asked, counted, strict=True) if answer and answer[0].column("count")[0] > RAW}
    rolled = any(section.rolled for key in containers if (key, whole) in many for section in split[key])
    plan = _Plan(Buckets(start, stop, buckets, MINUTE) if rolled else window)
    for key, container in containers.items():
        members = [column for column in wanted if column.container is container]
        for section in split[key] if rolled and (key, whole) in many else [whole]:
            plan.read(container, members, section, many=(key, section) in many)
    parts = await plan.run(server)
    if plan.few:
        again = _Plan(plan.buckets)
        for column in wanted:
            if column.name in plan.few:
                again.sample(column)
        parts |= await again.run(server)
    table = stack((parts[column.name] for column in wanted if column.name in parts), HISTORY)
    return History(table, progress.position, plan.buckets.width, MINUTE if rolled else 0)


@dataclass(frozen=True, slots=True)
class Section:
    """Times [start, stop) in ns. ``rolled``: whole minutes, read from their roll-ups."""

    start: int
    stop: int
    rolled: bool = False


def _sections(container: Container, start: int, stop: int) -> Iterator[Section]:
    """The window in order of time."""
    longest = sorted(clean(container, start, stop), key=lambda run: run[1] - run[0])[-_SECTIONS:]
    for first, end in sorted(longest):
        if start < first * MINUTE:
            yield Section(start, first * MINUTE)
        start = end * MINUTE
        yield Section(first * MINUTE, start, rolled=True)
    if start < stop:
        yield Section(start, stop)


def _few(container: Container, section: Section) -> str:
    """The statement that counts the rows of a section, as far as :data:`RAW` + 1."""
    within = during(section.start, section.stop)
    some = f'SELECT "seq" {container.source} AND {within} LIMIT {RAW + 1}'
    return f'SELECT count("seq") FROM ({some}) WHERE {within}'  # noqa: S608 (quoted)


class _Plan:
    """Statements of one request, and what is made of their answers."""

    def __init__(self, buckets: Buckets) -> None:
        self.buckets = buckets
        self.few: set[Name] = set()
        self._statements: list[str] = []
        self._takers: list[Callable[[Series], None]] = []
        self._finishers: list[Callable[[], None]] = []
        self._reductions: dict[Name, Reduction] = {}

    def read(self, container: Container, columns: Sequence[Column], section: Section, *, many: bool) -> None:
        """Read a section of these parameters of a container. ``many``: it has more than :data:`RAW` rows."""
        # What lies in two fields, neither the server nor roll-ups reduce in one.
        changed = [column for column in columns if len(column.keys) > 1]
        if section.rolled:
            self._fetch(container, changed, section, during(section.start, section.stop))
            for column in columns:
                if column not in changed:
                    self._roll(column, section)
            return
        reduced = [c for c in columns if many and (pa.types.is_integer(c.field.type) or not is_state(c.field))]
        reduced = [column for column in reduced if column not in changed]
        fetched = [column for column in columns if column not in reduced]
        self._fetch(container, fetched, section, during(section.start, section.stop))
        if reduced:
            # By its timestamp, a row of the section may lie behind it, and one of those before the section in it.
            inside = Section(min(max(section.start, FIRST) + SEQ, section.stop), section.stop)
            self._fetch(container, reduced, section, stamps(section.start, inside.start))
            self._fetch(container, reduced, section, stamps(section.stop, section.stop + SEQ))
            for column in reduced:
                self._reduce(column, inside)

    def sample(self, column: Column) -> None:
        """Fetch the samples of one parameter that has no more than there are buckets."""
        limit, window = self.buckets.count + 1, during(self.buckets.start, self.buckets.stop)
        selection = f'sample({column.key}, {limit}) AS {column.key}, "seq", "digest"'
        whole = Section(self.buckets.start, self.buckets.stop)
        self._ask(f"SELECT {selection} {column.container.source} AND {window}", column.container, [column], whole)

    async def run(self, server: Server) -> dict[Name, pa.Table]:
        """Long tables by parameter. Those that are too few for buckets are left out and named in ``few``."""
        await server.each(self._statements, lambda number, series: self._takers[number](series))
        for finish in self._finishers:
            finish()
        self.few = {name for name, reduction in self._reductions.items() if reduction.few}
        return {name: each.finish() for name, each in self._reductions.items() if name not in self.few}

    def _roll(self, column: Column, section: Section) -> None:
        reduction, first = self._reduction(column), section.start // MINUTE
        self._statements.append(statement(column, first, section.stop // MINUTE, self.buckets))
        self._takers.append(lambda series: reduction.add_parts(parts_from(column, first, series)))

    def _fetch(self, container: Container, columns: Sequence[Column], section: Section, stamped: str) -> None:
        """Fetch the samples of a section with these timestamps, and reduce them here."""
        if columns:
            names = [column.name.parameter for column in columns]
            self._ask(
                f"SELECT {fields(container, names)} {container.source} AND {stamped}", container, columns, section
            )

    def _ask(self, asked: str, container: Container, columns: Sequence[Column], section: Section) -> None:
        reductions = [self._reduction(column) for column in columns]
        names = [column.name.parameter for column in columns]

        def take(series: Series) -> None:
            piece = Rows.of(series, container, names)
            inside = (piece.time >= section.start) & (piece.time < section.stop)
            time, seq, digest = piece.time[inside], piece.seq[inside], piece.digest[inside]
            for reduction in reductions:
                reduction.add(time, seq, digest, piece.columns[reduction.name.parameter].filter(pa.array(inside)))

        self._statements.append(asked)
        self._takers.append(take)

    def _reduce(self, column: Column, section: Section) -> None:
        """Let the server reduce the points of these timestamps."""
        if section.start >= section.stop:
            return
        state = is_state(column.field)
        calls = dict.fromkeys(["count", "first", "last"], column.key)
        if is_number(column.field.type):
            # The server adds 64-bit integers up in 64 bits, and lets them overflow.
            calls |= {"min": column.key, "sum": f"{column.key}::float", "max": column.key}
        selection = ", ".join(f"{call}({key}) AS {call}" for call, key in calls.items())
        stamped, width = stamps(section.start, section.stop), self.buckets.width
        group = f"GROUP BY time({width}ns, {self.buckets.first % width}ns) fill(none)"
        reduced: list[pa.Table] = []
        changes: dict[int, int] = {}
        self._statements.append(f"SELECT {selection} {column.container.source} AND {stamped} {group}")
        self._takers.append(lambda series: reduced.append(_parts(column, section, series)))
        if state:
            steps = f"SELECT difference({column.key}) AS step {column.container.source} AND {stamped}"
            self._statements.append(f"SELECT count(step) FROM ({steps}) WHERE step != 0 AND {stamped} {group}")  # noqa: S608 (quoted)
            self._takers.append(
                lambda series: changes.update(zip(series.column("time"), series.column("count"), strict=True))
            )
        reduction = self._reduction(column)

        def finish() -> None:
            if not reduced:
                return
            parts = pa.concat_tables(reduced)
            if state:
                # The server counts a change between two buckets in the second one; a part has those inside of it.
                bucket = self.buckets.first + self.buckets.of(parts["time"].to_numpy()) * width
                inside = np.array([changes.get(time, 0) for time in bucket.tolist()]) - between(parts)
                parts = parts.set_column(parts.schema.names.index("changes"), "changes", pa.array(inside))
            reduction.add_parts(parts)

        self._finishers.append(finish)

    def _reduction(self, column: Column) -> Reduction:
        return self._reductions.setdefault(column.name, Reduction(column.name, column.field, self.buckets))


def _parts(column: Column, section: Section, series: Series) -> pa.Table:
    """Parts from the server's buckets. A float32's own digits are turned back into that float32."""
    kept = column.field.type
    count = pa.array(series.column("count"), pa.int64())
    none = pa.array(np.zeros(len(count), np.int64))
    number = is_number(kept)

    def extreme(call: str) -> Values:
        return as_float(values_of(series.column(call), kept)) if number else none.cast(pa.float64())

    return pa.table(
        {
            "time": np.maximum(np.array(series.column("time"), np.int64), section.start),
            "count": count,
            "finite": count if number else none,
            "min": extreme("min"),
            "sum": values_of(series.column("sum"), pa.float64()) if number else none.cast(pa.float64()),
            "max": extreme("max"),
            "changes": none,
            "first": values_of(series.column("first"), kept),
            "last": values_of(series.column("last"), kept),
        }
    )
