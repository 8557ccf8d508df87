"""Which types widen, and what becomes of a schema."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ground.stores.schemas import STORED, fitted, merged, wider


def extremes(kind: pa.DataType) -> list[Any]:
    if pa.types.is_integer(kind):
        integers = np.iinfo(np.dtype(str(kind)))
        return [int(integers.min), int(integers.max), int(integers.max) - 1]
    if pa.types.is_floating(kind):
        floats = np.finfo(np.float32) if kind == pa.float32() else np.finfo(np.float64)
        return [float(floats.max), float(floats.smallest_subnormal), 1 + float(floats.eps), 0.5]
    return []


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(STORED, 2)), ids=str)
def test_a_wider_type_holds_the_values_of_both_exactly(one: pa.DataType, other: pa.DataType) -> None:
    wide = wider(one, other)
    assert wide == wider(other, one)
    numbers = [kind for kind in (one, other) if extremes(kind)]
    exact = {kind for kind in (pa.int64(), pa.uint64()) if kind in (one, other)}
    if len(numbers) < 2 or (exact and not (pa.types.is_integer(one) and pa.types.is_integer(other))):
        assert wide is None
    elif wide is None:
        assert pa.uint64() in (one, other)
    else:
        for kind in (one, other):
            widened: pa.Array[Any] = pa.array(extremes(kind), kind).cast(wide)
            assert widened.to_pylist() == extremes(kind)


def test_metadata_is_that_of_the_newest_schema_that_fits() -> None:
    stored = pa.schema([pa.field("a", pa.uint16(), metadata={"v": "1"}), pa.field("b", pa.int8(), metadata={"v": "1"})])
    arriving = pa.schema([pa.field(name, kind, metadata={"v": "2"}) for name, kind in
                          [("b", pa.string()), ("a", pa.uint8()), ("c", pa.bool_())]], {"v": "2"})  # fmt: skip
    expected = pa.schema(
        [pa.field("a", pa.uint16(), metadata={"v": "2"}), stored.field("b"), arriving.field("c")], {"v": "2"}
    )
    assert merged(stored, arriving).equals(expected, check_metadata=True)


def test_values_of_another_type_are_unfit() -> None:
    assert fitted(pa.array([1], pa.int8()), pa.string()) is None
    assert fitted(pa.array([1], pa.int32()), pa.int8()) is None
    assert fitted(pa.array([1], pa.int8()), pa.float64()) == pa.array([1.0])
