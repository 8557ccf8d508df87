"""Roll-ups as points: their lines, and the statements that find them again. What they are is said in ``rollups``."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pyarrow as pa

from ground.stores.influxdb.lineprotocol import encode, prefix
from ground.stores.influxdb.minutes import MINUTE, NONE, minus
from ground.stores.influxdb.query import stamps, values_of
from ground.stores.influxdb.server import identifier, literal
from ground.stores.longtable import is_number, is_state

if TYPE_CHECKING:
    from ground.stores.buckets import Buckets
    from ground.stores.influxdb.container import Container
    from ground.stores.influxdb.lineprotocol import Strings
    from ground.stores.influxdb.minutes import Minutes
    from ground.stores.influxdb.query import Column
    from ground.stores.influxdb.server import Series
    from ground.stores.longtable import Values

Parts: TypeAlias = "dict[str, pa.Table]"
"""Parts (see :func:`ground.stores.buckets.parts_of`) by column, one for each minute that has any."""

_MEASUREMENT = "perilune.minute."


def lines_of(container: Container, parts: Parts) -> Strings:
    """The points of these minutes: one each, because every row has a ``seq``."""
    if "seq" not in parts:
        return pa.array([], pa.string())
    minutes = parts["seq"]["time"].to_numpy() // MINUTE
    columns: list[tuple[str, Values]] = []
    for name in ["seq", *(name for name in parts if name != "seq")]:
        kind = container.schema.field(name)
        figures = (
            ["count", *(("min", "sum", "max") if is_number(kind.type) else ()), "last"] if name != "seq" else ["count"]
        )
        figures += ["first", "changes"] if is_state(kind) else []
        place = np.searchsorted(minutes, parts[name]["time"].to_numpy() // MINUTE)
        index = np.zeros(len(minutes), np.int64)
        index[place] = np.arange(len(place))
        absent = np.ones(len(minutes), np.bool_)
        absent[place] = False
        places: Values = pa.array(index, mask=absent)
        aligned = parts[name].take(places)
        columns += [(f"{container.keys[name]}|{figure}", aligned[figure].combine_chunks()) for figure in figures]
    start = prefix(_MEASUREMENT + container.key[1], {"mission": container.key[0]})
    return encode(start, columns, minutes * MINUTE).text


def clean(container: Container, start: int, stop: int) -> Minutes:
    """The whole minutes in [start, stop) ns whose roll-ups may be used."""
    end = min(stop, container.newest + 1) // MINUTE
    within = ((-(-start // MINUTE), end),) if -(-start // MINUTE) < end else NONE
    return minus(within, container.dirty)


def statement(column: Column, first: int, end: int, buckets: Buckets) -> str:
    """The statement for a parameter's roll-ups of the minutes [first, end), already joined where that can be done."""
    container, key = column.container, column.container.keys[column.name.parameter]
    source = (
        f"FROM {identifier(_MEASUREMENT + container.key[1])} WHERE mission = {literal(container.key[0])}"
        f" AND {stamps(first * MINUTE, end * MINUTE)}"
    )
    calls = {"count": "sum", "last": "last"}
    if is_number(column.field.type):
        calls |= {"min": "min", "sum": "sum", "max": "max"}
    if is_state(column.field):  # changes from one minute to the next are seen in the minutes only
        names = [*calls, "first", "changes"]
        selection = ", ".join(f"{identifier(key + '|' + name)} AS {name}" for name in names)
        return f"SELECT {selection} {source}"
    selection = ", ".join(f"{call}({identifier(key + '|' + name)}) AS {name}" for name, call in calls.items())
    group = f"GROUP BY time({buckets.width}ns, {buckets.first % buckets.width}ns) fill(none)"
    return f"SELECT {selection} {source} {group}"


def parts_from(column: Column, first: int, series: Series) -> pa.Table:
    """Parts from the answer to :func:`statement`."""
    number, state = is_number(column.field.type), is_state(column.field)
    count = pa.array(series.column("count"), pa.int64())
    none = pa.array(np.zeros(len(count)))
    last = values_of(series.column("last"), column.field.type)

    def figure(name: str) -> Values:
        return values_of(series.column(name), pa.float64()).fill_null(np.nan) if number else none

    return pa.table(
        {
            "time": np.maximum(np.array(series.column("time"), np.int64), first * MINUTE),
            "count": count,
            "finite": count if number else none.cast(pa.int64()),
            "min": figure("min"),
            "sum": figure("sum"),
            "max": figure("max"),
            "changes": pa.array(series.column("changes"), pa.int64()).fill_null(0) if state else none.cast(pa.int64()),
            "first": values_of(series.column("first"), column.field.type) if state else last,
            "last": last,
        }
    )
