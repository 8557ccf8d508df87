"""Lines are read back here by the grammar of the line protocol reference, written down a second time."""

from __future__ import annotations

import base64
import math
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ground.errors import StoreError
from ground.stores.influxdb.lineprotocol import encode, octets, prefix
from tests.stores.telemetry import SCHEMA, T0, random_batch

_KEY = r"(?:\\[, =]|\\(?![, =])|[^, =\\\n])+"
_VALUE = r'(?:"(?:\\["\\]|[^"\\])*"|[-+0-9.e]+[iu]?|true|false)'
_FIELD = re.compile(rf"({_KEY})=({_VALUE})(?:,|(?= ))")
_LINE = re.compile(rf"((?:{_KEY},)*{_KEY}(?:={_KEY})?) ((?:{_KEY}={_VALUE},?)+) (-?\d+)\n")


def plain(key: str) -> str:
    return re.sub(r"\\([, =])", r"\1", key)


def value(text: str) -> Any:
    if text.startswith('"'):
        return re.sub(r'\\(["\\])', r"\1", text[1:-1])
    if text in ("true", "false"):
        return text == "true"
    return int(text[:-1]) if text[-1] in "iu" else float(text)


def parse(text: str) -> list[tuple[str, dict[str, Any], int]]:
    """(measurement and tags, fields, timestamp) of each line; fails where something is left over."""
    found = []
    at = 0
    while at < len(text):
        line = _LINE.match(text, at)
        assert line, text[at : at + 100]
        at = line.end()
        fields = {plain(name): value(item) for name, item in _FIELD.findall(line[2] + " ")}
        found.append((line[1], fields, int(line[3])))
    return found


def lines(fields: list[tuple[str, pa.Array[Any]]], start: str = "M,mission=luna26") -> list[dict[str, Any]]:
    n = len(fields[0][1])
    encoded = encode(start, fields, np.arange(T0, T0 + n))
    parsed = parse(octets(encoded.text).tobytes().decode())
    assert [stamp for _, _, stamp in parsed] == list(range(T0, T0 + n))
    assert all(head == start for head, _, _ in parsed)
    assert parse("".join(map(str, encoded.text.to_pylist()))) == parsed
    return [values for _, values, _ in parsed]


def expected(column: pa.Array[Any]) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        return column.view(pa.int64()).to_pylist()
    items = column.to_pylist()
    if pa.types.is_floating(column.type):
        return [item if item is not None and math.isfinite(item) else None for item in items]
    return [base64.b64encode(item).decode() if isinstance(item, bytes) else item for item in items]


@pytest.mark.parametrize(("start", "length"), [(0, 500), (123, 77), (499, 1), (250, 0)])
def test_every_type_with_nulls_in_whole_batches_and_slices(start: int, length: int) -> None:
    rows = random_batch(500, seed=3).slice(start, length)
    fields = [(name, rows.column(name)) for name in ["seq", *SCHEMA.names[3:]]]
    columns = {name: expected(column) for name, column in fields}
    encoded = lines(fields)
    assert len(encoded) == length
    for name, items in columns.items():
        found = [line.get(name) for line in encoded]
        if name == "voltage":  # the shortest digits of a float32 are not those of the float64 next to it
            found = [None if item is None else float(np.float32(item)) for item in found]
        assert found == items, name


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_text_of_any_kind(items: list[str]) -> None:
    assert [line["s"] for line in lines([("s", pa.array(items, pa.string()))])] == items


@given(st.lists(st.floats(width=32), min_size=1))
def test_float32_comes_back_from_its_digits(items: list[float]) -> None:
    column = pa.array(items, pa.float32())
    encoded = lines([("seq", pa.array([0] * len(items))), ("f", column)])
    for line, item in zip(encoded, items, strict=True):
        if math.isfinite(item):
            assert np.float32(line["f"]).tobytes() == np.float32(item).tobytes()
        else:
            assert "f" not in line


def test_nonfinite_values_are_left_out_and_counted() -> None:
    column = pa.array([1.0, math.nan, math.inf, -math.inf, None])
    encoded = encode("M", [("seq", pa.array([0] * 5)), ("f", column)], np.arange(5))
    assert encoded.nonfinite == 3
    assert octets(encoded.text).tobytes() == b"M seq=0i,f=1.0 0\nM seq=0i 1\nM seq=0i 2\nM seq=0i 3\nM seq=0i 4\n"


def test_names_are_escaped() -> None:
    start = prefix("a b,c=d", {"t, =": "v, ="})
    assert start == r"a\ b\,c=d,t\,\ \==v\,\ \="
    assert lines([("f, =", pa.array([1]))], r"M,t=v")[0] == {"f, =": 1}


@pytest.mark.parametrize("name", ["", "two\nlines", "end\\"])
def test_names_that_have_no_escape(name: str) -> None:
    with pytest.raises(StoreError, match="cannot be a name"):
        prefix(name, {})


def test_a_type_that_is_not_stored() -> None:
    with pytest.raises(StoreError, match=r"list<item: int64> is not stored"):
        encode("M", [("f", pa.array([[1]]))], np.arange(1))
