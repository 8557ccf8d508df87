"""The long table of :class:`~ground.stores.History`, built from columns; every store shares these definitions.

Nothing here makes an object per stored sample: the arrays are at most as long as a plot has buckets.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Values: TypeAlias = "pa.Array[Any]"

TIME = pa.timestamp("ns", "UTC")


def _schema(columns: dict[str, pa.DataType]) -> pa.Schema:
    return pa.schema(columns)


IDENTITY = _schema({"time": TIME, "ert": TIME, "seq": pa.uint16(), "digest": pa.int64()})
"""The columns that every container has."""

_KEYS = ("time", "seq", "digest")

HISTORY = _schema(
    {
        "parameter": pa.string(),
        "time": TIME,
        "count": pa.int64(),
        "min": pa.float64(),
        "mean": pa.float64(),
        "max": pa.float64(),
        "last": pa.float64(),
        "text": pa.string(),
        "changes": pa.int64(),
        "raw": pa.bool_(),
    }
)
"""Columns of :attr:`ground.stores.History.table`."""

LATEST = _schema({"parameter": pa.string(), "time": TIME, "ert": TIME, "last": pa.float64(), "text": pa.string()})
"""Columns of :meth:`ground.stores.Store.last`."""


@dataclass(frozen=True, slots=True)
class Name:
    """A qualified parameter name, ``container/parameter``."""

    container: str
    parameter: str

    def __str__(self) -> str:
        return f"{self.container}/{self.parameter}"


def by_container(parameters: Sequence[str]) -> dict[str, list[Name]]:
    """The parameters asked for, each once, grouped by container.

    Left out are what isn't a qualified name, and what makes a row's identity: that is no parameter. The earth receive
    time, which every row has, can be asked for like one.
    """
    groups: dict[str, list[Name]] = {}
    for qualified in dict.fromkeys(parameters):
        container, slash, parameter = qualified.partition("/")
        if slash and parameter not in _KEYS:
            groups.setdefault(container, []).append(Name(container, parameter))
    return groups


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this type has a minimum, a mean and a maximum (booleans and times do)."""
    return not (pa.types.is_string(kind) or pa.types.is_binary(kind))


def is_state(field: pa.Field[Any]) -> bool:
    """Whether a plot shows the field's changes: enumerations (integers by type, so by metadata), booleans and text."""
    enumeration = (field.metadata or {}).get(b"kind") == b"enumeration"
    return enumeration or pa.types.is_boolean(field.type) or pa.types.is_string(field.type)


def as_float(values: Values) -> Values:
    """Values as float64, rounded where they are beyond 2**53; times as ns since 1970 UTC; null for text and binary."""
    if not is_number(values.type):
        return pa.nulls(len(values), pa.float64())
    if pa.types.is_timestamp(values.type):
        values = values.view(pa.int64())
    elif pa.types.is_boolean(values.type):
        values = values.cast(pa.uint8())
    return values.cast(pa.float64(), safe=False)


def as_text(values: Values) -> Values:
    """Values exactly, for what float64 cannot carry: text, 64-bit integers and times (ns), base64 of binary."""
    kind = values.type
    if pa.types.is_string(kind):
        return values
    if pa.types.is_timestamp(kind):
        values = values.view(pa.int64())
    if values.type in (pa.int64(), pa.uint64()):
        return values.cast(pa.string())
    if pa.types.is_binary(kind):
        octets: list[bytes | None] = values.to_pylist()
        return pa.array([None if item is None else base64.b64encode(item).decode() for item in octets], pa.string())
    return pa.nulls(len(values), pa.string())


def changes_of(values: Values) -> Values:
    """1 where a value differs from the one before it, else 0, as int64."""
    if len(values) < 2:
        return pa.array([0] * len(values), pa.int64())
    differs = pc.not_equal(values.slice(1), values.slice(0, len(values) - 1)).cast(pa.int64())
    return pa.concat_arrays([pa.array([0], pa.int64()), differs])


def raw_samples(name: Name, field: pa.Field[Any], time: Values, values: Values) -> pa.Table:
    """Rows of the long table, one for each sample; ``values`` has no nulls and is ordered as ``time`` is."""
    n = len(values)
    number = as_float(values)
    finite = pc.if_else(pc.is_finite(number), number, pa.scalar(None, pa.float64()))
    return pa.table(
        [
            pa.repeat(str(name), n),
            time,
            pa.repeat(pa.scalar(1, pa.int64()), n),
            finite,
            finite,
            finite,
            number,
            as_text(values),
            changes_of(values) if is_state(field) else pa.nulls(n, pa.int64()),
            pa.repeat(True, n),
        ],
        schema=HISTORY,
    )


def stack(tables: Iterable[pa.Table], schema: pa.Schema) -> pa.Table:
    """The tables under one another; an empty table of ``schema`` where there are none."""
    return pa.concat_tables([schema.empty_table(), *tables]).combine_chunks()
