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

from ground.stores.influxdb_records import FIRST, LAST, Container, Progress, containers
from ground.stores.influxdb_server import identifier
from ground.stores.longtable import by_container

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ground.stores.influxdb_server import Series, Server
    from ground.stores.longtable import Name, Values

SEQ = 65_535
"""The greatest packet sequence count: ns by which a timestamp may be after its time."""


def during(start: int, stop: int) -> str:
    """The condition on timestamps that holds for all rows of times in [start, stop), and for few others."""
    return f"time >= {max(start, FIRST)} AND time < {min(stop + SEQ, LAST + 1)}"


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
    columns: dict[str, Values]

    @classmethod
    def of(cls, series: Series, container: Container, names: Iterable[str]) -> Rows:
        """``names``: the columns wanted besides time and seq."""
        seq = np.array(series.column("seq"), np.uint16)
        time = np.array(series.column("time"), np.int64) - seq
        columns = {
            name: values_of(series.column(container.keys[name]), container.schema.field(name).type) for name in names
        }
        return cls(time, seq, columns)


def fields(container: Container, names: Iterable[str]) -> str:
    """Columns of a SELECT: ``seq`` and those of the parameters ``names``."""
    return ", ".join(identifier(container.keys[name]) for name in dict.fromkeys(["seq", *names]))


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


async def columns_of(
    server: Server, mission: str, parameters: Sequence[str], progress: Progress | None = None
) -> list[Column]:
    """The parameters of ``parameters`` that are stored, in their order, each once.

    With ``progress``, what is newer than the checkpoint is left out: rows of an append under way are no more in the
    answer than in the position that it gives. (Rows of it that are late, older than others, may be.)
    """
    groups = by_container(parameters)
    if not groups:
        return []
    (answer,) = await server.query([containers(mission, groups)])
    known = {container.key[1]: container for container in map(Container.parse, answer)}
    if progress:
        known = {
            name: replace(container, newest=LAST if tally.newest is None else tally.newest)
            for name, container in known.items()
            if (tally := progress.tallies.get(container.key))
        }
    return [
        Column(name, known[container])
        for container, names in groups.items()
        for name in names
        if container in known and name.parameter in known[container].keys
    ]
