"""Batches for the tests of stores, and a comparison that knows NaN from NaN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ground.stores.longtable import TIME

if TYPE_CHECKING:
    from collections.abc import Sequence

T0 = 1_606_176_000_000_000_000  # 2020-11-24
MS = 1_000_000

_FIELDS: list[pa.Field[Any]] = [
    pa.field("time", TIME),
    pa.field("ert", TIME),
    pa.field("seq", pa.uint16()),
    pa.field("digest", pa.int64()),
    pa.field("voltage", pa.float32(), metadata={"unit": "V", "kind": "float"}),
    pa.field("angle", pa.float64(), metadata={"unit": "deg"}),
    pa.field("i8", pa.int8()),
    pa.field("i16", pa.int16()),
    pa.field("i32", pa.int32()),
    pa.field("i64", pa.int64()),
    pa.field("u8", pa.uint8()),
    pa.field("u16", pa.uint16()),
    pa.field("u32", pa.uint32()),
    pa.field("u64", pa.uint64()),
    pa.field("heater", pa.bool_(), metadata={"kind": "boolean"}),
    pa.field("mode", pa.uint8(), metadata={"kind": "enumeration", "labels": '{"0": "OFF", "1": "ON"}'}),
    pa.field("text", pa.string()),
    pa.field("blob", pa.binary()),
    pa.field("clock", TIME, metadata={"kind": "time"}),
]
SCHEMA = pa.schema(_FIELDS, metadata={"container": "Power"})


def times(values: Sequence[int | None]) -> pa.Array[Any]:
    return pa.array(values, pa.int64()).cast(TIME)


def digests(time: Sequence[int], seq: Sequence[int]) -> pa.Array[Any]:
    """A digest that follows from time and seq; any 64 bits."""
    return pa.array([hash((t, s)) for t, s in zip(time, seq, strict=True)], pa.int64())


def batch(
    time: Sequence[int], seq: Sequence[int], schema: pa.Schema | None = None, /, **columns: pa.Array[Any]
) -> pa.RecordBatch:
    """Rows at these times (ns); without ``schema`` it is that of the columns.

    ERT is SCET + 1 s; the digest follows from time and seq, unless it is among the columns.
    """
    identity = {
        "time": times(time),
        "ert": times([t + 1000 * MS for t in time]),
        "seq": pa.array([s % 65536 for s in seq], pa.uint16()),
        "digest": digests(time, [s % 65536 for s in seq]),
    }
    return pa.RecordBatch.from_pydict({**identity, **columns}, schema=schema)


def random_batch(rows: int, seed: int, start: int = T0) -> pa.RecordBatch:
    """``rows`` rows of every type, a tenth of them null, 1 ms apart."""
    rng = np.random.default_rng(seed)
    time = start + np.arange(rows) * MS
    seq = time // MS % 16384
    columns: dict[str, pa.Array[Any]] = {
        "time": pa.array(time).cast(TIME),
        "ert": pa.array(time + MS).cast(TIME),
        "seq": pa.array(seq.astype(np.uint16)),
        "digest": digests(time.tolist(), seq.tolist()),
    }
    for field in SCHEMA:
        if field.name in columns:
            continue
        octets = rng.bytes(8 * rows)
        if pa.types.is_boolean(field.type):
            values: Any = np.frombuffer(octets, np.uint8)[:rows] > 127
        elif pa.types.is_string(field.type):
            values = [f"µ{i}" for i in rng.integers(9, size=rows)]
        elif pa.types.is_binary(field.type):
            values = [octets[i : i + i % 9] for i in range(rows)]
        elif pa.types.is_timestamp(field.type):
            values = rng.integers(-(2**62), 2**62, rows).view("M8[ns]")
        else:
            kind = np.dtype(field.type.to_pandas_dtype())
            values = np.frombuffer(octets[: rows * kind.itemsize], kind)
        columns[field.name] = pa.array(values, mask=rng.random(rows) < 0.1)
    return pa.RecordBatch.from_pydict(columns, schema=SCHEMA)


def finite(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The rows with nulls for NaN and infinities."""
    columns: list[pa.Array[Any]] = [
        pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))
        if pa.types.is_floating(column.type)
        else column
        for column in rows.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=rows.schema)


def same(left: pa.Table | pa.RecordBatch, right: pa.Table | pa.RecordBatch) -> bool:
    """Equal schemas, metadata included, and equal values, bit for bit where they are floats."""
    return left.schema.equals(right.schema, check_metadata=True) and all(
        _bits(left.column(name)).equals(_bits(right.column(name))) for name in left.schema.names
    )


def _bits(values: pa.Array[Any] | pa.ChunkedArray[Any]) -> pa.Array[Any]:
    whole: pa.Array[Any] = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if pa.types.is_floating(whole.type):
        whole = whole.view(pa.int32() if whole.type == pa.float32() else pa.int64())
    bits: pa.Array[Any] = pc.if_else(whole.is_valid(), whole, pa.scalar(None, whole.type))
    return bits
