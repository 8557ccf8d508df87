"""Arrow record batches as InfluxDB line protocol, a column at a time.

Format: "Line protocol", InfluxDB OSS v2 reference. One line is::

    measurement,tag=value field=value[,field=value...] timestamp

A float has no suffix, an integer the suffix ``i``, an unsigned integer ``u``; a boolean is ``true`` or ``false``; text
stands in double quotes. There is no null (the field is left out), no NaN and no infinity.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ground.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Strings: TypeAlias = "pa.Array[Any]"


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines ready to be sent, each ending in a newline.

    ``text``: Arrow strings (n,), of which the octets lie one after another in one buffer. ``nonfinite``: NaNs and
    infinities that became nulls.
    """

    text: Strings
    nonfinite: int

    def __len__(self) -> int:
        return len(self.text)


def octets(strings: Strings) -> bytes:
    """The strings one after another: in Arrow's layout they lie so already."""
    if not len(strings):
        return b""
    _, ends, data = strings.buffers()
    assert ends is not None
    assert data is not None
    offsets = np.frombuffer(memoryview(ends), np.int32)[strings.offset : strings.offset + len(strings) + 1]
    return memoryview(data)[offsets[0] : offsets[-1]].tobytes()


def key(name: str) -> str:
    """A measurement, tag key, tag value or field key. Raises StoreError for what line protocol has no escape for."""
    if not name or "\n" in name or name.endswith("\\"):
        raise StoreError(f"{name!r} cannot be a name in InfluxDB: empty, with a line break, or with \\ at its end")
    for special in ", =":
        name = name.replace(special, f"\\{special}")
    return name


def prefix(measurement: str, tags: Mapping[str, str]) -> str:
    """What stands before the fields."""
    # An equals sign needs no escape in a measurement, and InfluxDB would keep the backslash.
    return ",".join(
        [key(measurement).replace("\\=", "="), *(f"{key(tag)}={key(value)}" for tag, value in tags.items())]
    )


def encode(start: str, fields: Sequence[tuple[str, pa.Array[Any]]], timestamps: NDArray[np.int64]) -> Lines:
    """Lines of n points.

    ``start``: from :func:`prefix`. ``fields``: field key and Arrow column (n,); the first has no nulls. ``timestamps``:
    int64 (n,), ns since 1970 UTC.
    """
    nonfinite = 0
    pieces: list[str | Strings] = []
    literal = start
    for number, (name, values) in enumerate(fields):
        lead = f"{',' if number else ' '}{key(name)}"
        text, before, suffix, dropped = _text(values)
        nonfinite += dropped
        lead += before
        if text.null_count:
            present: Strings = _join(lead, text, suffix)
            pieces += [literal, present.fill_null("")]
            literal = ""
        else:
            pieces += [literal + lead, text]
            literal = suffix
    pieces += [f"{literal} ", pa.array(timestamps).cast(pa.string()), "\n"]
    return Lines(_join(*pieces), nonfinite)


def _join(*pieces: str | Strings) -> Strings:
    """Pieces, some the same for each line, joined to lines (n,); null where one of them is null."""
    join: Any = pc.binary_join_element_wise
    return join(*pieces, "")  # type: ignore[no-any-return]


def _text(values: pa.Array[Any]) -> tuple[Strings, str, str, int]:
    """Values as text (n,), what stands between the key and each, what behind it, and how many were not finite."""
    kind = values.type
    if pa.types.is_floating(kind):
        finite = pc.is_finite(values)
        if pc.all(finite, skip_nulls=False).as_py():
            return _floats(values), "", "", 0
        known = pc.if_else(finite, values, pa.scalar(None, kind))
        return _floats(known), "", "", known.null_count - values.null_count
    if pa.types.is_timestamp(kind):
        return values.view(pa.int64()).cast(pa.string()), "=", "i", 0
    if pa.types.is_uint64(kind):
        return values.cast(pa.string()), "=", "u", 0
    if pa.types.is_integer(kind):
        return values.cast(pa.string()), "=", "i", 0
    if pa.types.is_boolean(kind):
        return values.cast(pa.string()), "=", "", 0
    if pa.types.is_string(kind):
        escaped = pc.replace_substring(values, "\\", "\\\\")
        return pc.replace_substring(escaped, '"', '\\"'), '="', '"', 0
    if pa.types.is_binary(kind):
        return base64_of(values), '="', '"', 0
    raise StoreError(f"the type {kind} is not stored in InfluxDB")


def _floats(values: pa.Array[Any]) -> Strings:
    """``=`` and the shortest digits that give the same float32 or float64 again, for each finite value (n,).

    orjson writes them four times as fast as Arrow does: as one JSON array, in which every value stands behind one
    character, a bracket or a comma. That character becomes the ``=``.
    """
    if not len(values):
        return pa.array([], pa.string())
    numbers = np.ascontiguousarray(values.fill_null(0).to_numpy(zero_copy_only=False))
    digits = np.frombuffer(orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY), np.uint8).copy()
    offsets = np.empty(len(numbers) + 1, np.int32)
    offsets[0], offsets[-1] = 0, len(digits) - 1
    offsets[1:-1] = np.flatnonzero(digits == ord(","))
    digits[offsets[:-1]] = ord("=")
    buffers = [None, pa.py_buffer(offsets.data), pa.py_buffer(digits.data)]
    text: Strings = pa.Array.from_buffers(pa.string(), len(numbers), buffers)
    return pc.if_else(values.is_valid(), text, pa.scalar(None, pa.string())) if values.null_count else text


def base64_of(values: pa.Array[Any]) -> Strings:
    """Binary values as base64 text (RFC 4648, section 4)."""
    items: list[bytes | None] = values.to_pylist()
    return pa.array([None if item is None else base64.b64encode(item).decode() for item in items], pa.string())
