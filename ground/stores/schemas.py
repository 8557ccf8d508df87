"""What becomes of a container's columns when its schema changes; every store shares these rules.

A type is widened where the wider one holds every value of both exactly. Then history and new rows share the column. Any
other change leaves the column as it is, and the parameter's new values are unfit for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ground.errors import RefusedError
from ground.stores.longtable import IDENTITY, TIME

if TYPE_CHECKING:
    from ground.stores.longtable import Values

_SIGNED = (pa.int8(), pa.int16(), pa.int32(), pa.int64())
_UNSIGNED = (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())

STORED = (pa.bool_(), *_SIGNED, *_UNSIGNED, pa.float32(), pa.float64(), pa.string(), pa.binary(), TIME)
"""The types of columns that stores keep."""

# Bits of the integers that a float holds exactly.
_FLOATS: dict[pa.DataType, int] = {pa.float32(): 24, pa.float64(): 53}


def check(where: str, schema: pa.Schema) -> None:
    """Raise RefusedError where a schema lacks the identity's columns, or has a column twice or of a type not stored.

    ``where``: ``mission/container``, for the message.
    """
    for needed in IDENTITY:
        if needed.name not in schema.names or schema.field(schema.names.index(needed.name)).type != needed.type:
            raise RefusedError(f"{where}: column {needed.name} should be there as {needed.type}")
    for field in schema:
        if schema.names.count(field.name) > 1:
            raise RefusedError(f"{where}: column {field.name} is there twice")
        if field.type not in STORED:
            raise RefusedError(f"{where}: column {field.name} has the type {field.type}, which is not stored")


def wider(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The narrowest type that holds all values of both exactly; None where there is none."""
    if one == other:
        return one
    if pa.types.is_integer(one) and pa.types.is_integer(other):
        unsigned = pa.types.is_unsigned_integer(one) and pa.types.is_unsigned_integer(other)
        # The sign takes a bit beside those of an unsigned integer.
        bits = max(kind.bit_width + (not unsigned and pa.types.is_unsigned_integer(kind)) for kind in (one, other))
        return next((kind for kind in (_UNSIGNED if unsigned else _SIGNED) if kind.bit_width >= bits), None)
    if one in _FLOATS or other in _FLOATS:
        return next((kind for kind in _FLOATS if _holds(kind, one) and _holds(kind, other)), None)
    return None


def _holds(number: pa.DataType, kind: pa.DataType) -> bool:
    if kind in _FLOATS:
        return _FLOATS[kind] <= _FLOATS[number]
    return pa.types.is_integer(kind) and kind.bit_width <= _FLOATS[number]


def merged(stored: pa.Schema, arriving: pa.Schema) -> pa.Schema:
    """``stored`` with the new columns of ``arriving`` at its end, and with types widened where they can be.

    Metadata is that of ``arriving``, but for the columns that its values don't fit.
    """
    fields: dict[str, pa.Field[Any]] = {field.name: field for field in stored}
    for field in arriving:
        kind = wider(fields.get(field.name, field).type, field.type)
        if kind is not None:
            fields[field.name] = field.with_type(kind)
    return pa.schema(list(fields.values())).with_metadata(arriving.metadata)


def fitted(values: Values, kind: pa.DataType) -> Values | None:
    """Values (n,) in a column's type; None where they are unfit for it."""
    if values.type == kind:
        return values
    return values.cast(kind) if wider(kind, values.type) == kind else None
