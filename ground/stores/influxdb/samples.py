"""Whole rows and newest samples from InfluxDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ground.stores.influxdb.query import SEQ, Column, Rows, columns_of, covered, during, fields
from ground.stores.influxdb.records import FIRST, LAST
from ground.stores.longtable import IDENTITY, LATEST, TIME, as_float, as_text, stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ground.stores.influxdb.server import Series, Server
    from ground.stores.longtable import Name


async def rows(server: Server, mission: str, name: str, start: int, stop: int) -> pa.Table:
    """Every row of a container in [start, stop), ordered by time, seq, digest."""
    _, known = await covered(server, mission, [name])
    container = known.get(name)
    if container is None:
        return IDENTITY.empty_table()
    names = [name for name in container.schema.names if name not in ("time", "seq", "digest")]
    found: list[pa.Table] = []

    def take(_: int, series: Series) -> None:
        piece = Rows.of(series, container, names)
        columns = {"time": pa.array(piece.time).cast(TIME), "seq": pa.array(piece.seq), **piece.columns}
        columns["digest"] = pa.array(piece.digest)
        table = pa.table([columns[name] for name in container.schema.names], schema=container.schema)
        found.append(table.filter(pa.array((piece.time >= start) & (piece.time < stop))))

    await server.each([f"SELECT {fields(container, names)} {container.source} AND {during(start, stop)}"], take)
    return stack(found, container.schema).sort_by([(name, "ascending") for name in ("time", "seq", "digest")])


async def last(server: Server, mission: str, parameters: Sequence[str]) -> pa.Table:
    """The newest sample of each parameter, in the order asked for."""
    _, wanted = await columns_of(server, mission, parameters)
    span = f"time >= {FIRST} AND time <= {LAST}"
    asked = [(column, key) for column in wanted for key in column.keys]
    answers = await server.query([f"SELECT last({key}) {column.container.source} AND {span}" for column, key in asked])
    # The newest timestamp is that of the newest row, or of one less than 65,536 ns from it: look at these.
    places: dict[tuple[str, int], list[Column]] = {}
    found: dict[Name, int] = {}
    for (column, _), answer in zip(asked, answers, strict=True):
        if answer:
            found[column.name] = max(answer[0].column("time")[0], found.get(column.name, FIRST))
    for column in wanted:
        if column.name in found:
            places.setdefault((column.name.container, found[column.name]), []).append(column)
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


def _newest(column: Column, answer: list[Series]) -> pa.Table:
    """The greatest by time, seq, digest."""
    parameter = column.name.parameter
    newest: tuple[int, int, int] | None = None
    table = LATEST.empty_table()
    for series in answer:
        piece = Rows.of(series, column.container, ["ert", parameter])
        there = np.flatnonzero(piece.columns[parameter].is_valid().to_numpy(zero_copy_only=False))
        at = there[np.lexsort((piece.digest[there], piece.seq[there], piece.time[there]))][-1:]
        identity = tuple(zip(piece.time[at].tolist(), piece.seq[at].tolist(), piece.digest[at].tolist(), strict=True))
        if identity and (newest is None or identity[0] > newest):
            newest = identity[0]
            value = piece.columns[parameter].take(at)
            time, ert = pa.array(piece.time[at]).cast(TIME), piece.columns["ert"].take(at)
            table = pa.table([[str(column.name)], time, ert, as_float(value), as_text(value)], schema=LATEST)
    return table
