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

from ground.errors import RefusedError

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


def octets(strings: Strings) -> memoryview:
    """The strings one after another: in Arrow's layout they lie so already."""
    if not len(strings):
        return memoryview(b"")
    _, ends, data = strings.buffers()
    assert ends is not None
    assert data is not None
    offsets = np.frombuffer(memoryview(ends), np.int32)[strings.offset : strings.offset + len(strings) + 1]
    return memoryview(data)[offsets[0] : offsets[-1]]


def key(name: str) -> str:
    """A measurement, tag key, tag value or field key. Raises RefusedError for what line protocol has no escape for."""
    if not name or "\n" in name or name.endswith("\\"):
        raise RefusedError(f"{name!r} cannot be a name in InfluxDB: empty, with a line break, or with \\ at its end")
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
        lead = f"{',' if number else ' '}{key(name)}="
        if pa.types.is_floating(values.type):
            text, dropped = _floats(literal + lead, values)
            nonfinite += dropped
            pieces += [text] if not text.null_count else [text.fill_null(literal)]
            literal = ""
            continue
        text, quote, suffix = _text(values)
        lead += quote
        suffix += quote
        if text.null_count:
            present: Strings = _join(lead, text, suffix)
            pieces += [literal, present.fill_null("")]
            literal = ""
        else:
            pieces += [literal + lead, text]
            literal = suffix
    pieces += [f"{literal} ", pa.array(timestamps).cast(pa.string()), "\n"]
    return Lines(_join(*pieces), nonfinite)


def nonfinite(rows: pa.Table) -> int:
    """How many values become nulls in lines."""
    floats = [column for column in rows.columns if pa.types.is_floating(column.type)]
    return sum(pc.is_finite(column).to_pylist().count(False) for column in floats)


def _join(*pieces: str | Strings) -> Strings:
    """Pieces, some the same for each line, joined to lines (n,); null where one of them is null."""
    join: Any = pc.binary_join_element_wise
    return join(*pieces, "")  # type: ignore[no-any-return]


def _text(values: pa.Array[Any]) -> tuple[Strings, str, str]:
    """Values as text (n,), what stands on both sides of each, and behind it."""
    kind = values.type
    if pa.types.is_timestamp(kind):
        return values.view(pa.int64()).cast(pa.string()), "", "i"
    if pa.types.is_uint64(kind):
        return values.cast(pa.string()), "", "u"
    if pa.types.is_integer(kind):
        return values.cast(pa.string()), "", "i"
    if pa.types.is_boolean(kind):
        return values.cast(pa.string()), "", ""
    if pa.types.is_string(kind):
        escaped = pc.replace_substring(values, "\\", "\\\\")
        return pc.replace_substring(escaped, '"', '\\"'), '"', ""
    if pa.types.is_binary(kind):
        return base64_of(values), '"', ""
    raise RefusedError(f"the type {kind} is not stored in InfluxDB")


def _floats(lead: str, values: pa.Array[Any]) -> tuple[Strings, int]:
    """``lead`` and the shortest digits that give the same float32 or float64 again, for each value (n,); null for those
    that are null or not finite, and how many were not finite.

    orjson writes digits four times as fast as Arrow does: as one JSON array, in which a comma stands before every value
    but the first. The lead takes its place.
    """
    numbers = values.fill_null(0).to_numpy(zero_copy_only=False) if values.null_count else values.to_numpy()
    finite = np.isfinite(numbers)
    nonfinite = len(numbers) - int(np.count_nonzero(finite))
    if nonfinite:
        numbers = np.where(finite, numbers, 0).astype(numbers.dtype)
    digits = orjson.dumps(np.ascontiguousarray(numbers), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
    before = lead.encode()
    commas = np.flatnonzero(np.frombuffer(digits, np.uint8) == ord(","))
    text = before + digits.replace(b",", before) if len(numbers) else b""
    offsets = np.zeros(len(numbers) + 1, np.int32)
    offsets[1:-1] = commas + len(before) + np.arange(len(commas)) * (len(before) - 1)
    offsets[-1] = len(text)
    strings: Strings = pa.Array.from_buffers(
        pa.string(), len(numbers), [None, pa.py_buffer(offsets.data), pa.py_buffer(text)]
    )
    if not nonfinite and not values.null_count:
        return strings, 0
    known = pc.and_(values.is_valid(), pa.array(finite))
    return pc.if_else(known, strings, pa.scalar(None, pa.string())), nonfinite


def base64_of(values: pa.Array[Any]) -> Strings:
    """Binary values as base64 text (RFC 4648, section 4)."""
    items: list[bytes | None] = values.to_pylist()
    return pa.array([None if item is None else base64.b64encode(item).decode() for item in items], pa.string())
