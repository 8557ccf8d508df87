"""Parameters in InfluxQL statements, and the answers' columns as Arrow.

A point's timestamp is time + seq ns, so a window of times is asked for 65,535 ns longer, and what comes back is sorted
out by its own time.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ground.stores.influxdb.container import Container, containers
from ground.stores.influxdb.progress import Progress, progress_of
from ground.stores.influxdb.records import FIRST, LAST, fetch
from ground.stores.influxdb.server import Series, identifier
from ground.stores.longtable import by_container

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ground.stores.influxdb.server import Server
    from ground.stores.longtable import Name, Values

SEQ = 65_535
"""The greatest packet sequence count: ns by which a timestamp may be after its time."""


def during(start: int, stop: int) -> str:
    """The condition on timestamps that holds for all rows of times in [start, stop), and for few others."""
    return stamps(start, stop + SEQ)


def stamps(first: int, end: int) -> str:
    """The condition that holds for the timestamps in [first, end)."""
    return f"time >= {max(first, FIRST)} AND time < {min(end, LAST + 1)}"


def values_of(raw: Sequence[Any], column: pa.DataType) -> Values:
    """Values as JSON has them, as an Arrow array (n,) of the type that they were stored from."""
    if pa.types.is_floating(column):
        # By way of float64: the digits of a float32 lie nowhere near the middle between two of them.
        return pa.array([None if item is None else float(item) for item in raw], pa.float64()).cast(column, safe=False)
    if pa.types.is_timestamp(column):
        return pa.array(raw, pa.int64()).cast(column)
    if pa.types.is_binary(column):
        return pa.array([None if item is None else base64.b64decode(item) for item in raw], column)
    return pa.array(raw, column)


@dataclass(frozen=True, slots=True)
class Rows:
    """Columns (n,) of one piece of an answer, with the timestamp taken apart."""

    time: NDArray[np.int64]
    seq: NDArray[np.uint16]
    digest: NDArray[np.int64]
    columns: dict[str, Values]

    @classmethod
    def of(cls, series: Series, container: Container, names: Iterable[str]) -> Rows:
        """``names``: the columns wanted besides time, seq and digest."""
        for name in ("seq", "digest"):
            if None in series.column(name):  # rows of which the server has taken in some fields and not yet others
                index = series.columns.index(name)
                series = Series(series.tags, series.columns, [row for row in series.values if row[index] is not None])
        seq = np.array(series.column("seq"), np.uint16)
        digest = np.array(series.column("digest"), np.int64)
        time = np.array(series.column("time"), np.int64) - seq
        columns = {}
        for name in names:
            keys, kept = container.all_keys(name), container.schema.field(name).type
            columns[name] = pc.coalesce(*(values_of(series.column(key), kept) for key in keys))
        return cls(time, seq, digest, columns)


def fields(container: Container, names: Iterable[str]) -> str:
    """Columns of a SELECT: ``seq``, ``digest`` and those of the parameters ``names``."""
    wanted = dict.fromkeys(["seq", "digest", *names])
    return ", ".join(identifier(key) for name in wanted for key in container.all_keys(name))


@dataclass(frozen=True, slots=True)
class Column:
    """A parameter in a query."""

    name: Name
    container: Container

    @property
    def field(self) -> pa.Field[Any]:
        """Its Arrow field."""
        return self.container.schema.field(self.name.parameter)

    @property
    def key(self) -> str:
        """Its field key as an InfluxQL identifier."""
        return identifier(self.container.keys[self.name.parameter])

    @property
    def keys(self) -> list[str]:
        """Its field keys as InfluxQL identifiers, with those from before its type was widened."""
        return [identifier(key) for key in self.container.all_keys(self.name.parameter)]


async def covered(server: Server, mission: str, names: Iterable[str]) -> tuple[Progress, dict[str, Container]]:
    """The containers of a mission with these names, as far as the checkpoint covers them; and that.

    Queries look no further than the newest row of the last completed append. What is newer belongs to an append under
    way: rows of it may be there and others not, even fields of a row. (Rows of it that are late, older than others, are
    seen as they come.)
    """
    completed, found = await fetch(server, progress_of(mission), containers(mission, names))
    progress = Progress.of(mission, completed, server.address)
    known = {}
    for container in map(Container.parse, found):
        if tally := progress.tallies.get(container.key[1]):
            newest = LAST if tally.newest is None else tally.newest
            known[container.key[1]] = replace(container, newest=newest, dirty=tally.dirty)
    return progress, known


async def columns_of(server: Server, mission: str, parameters: Sequence[str]) -> tuple[Progress, list[Column]]:
    """The progress, and the parameters of ``parameters`` that it covers, in their order, each once."""
    groups = by_container(parameters)
    progress, known = await covered(server, mission, groups)
    return progress, [
        Column(name, known[container])
        for container, names in groups.items()
        for name in names
        if container in known and name.parameter in known[container].keys
    ]
