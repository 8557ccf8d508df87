"""Strings and binary blobs: columns of octets to Arrow, without an object per value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from ground.xtce.extract import take_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ground.blocks import Octets
    from ground.xtce.declarations import StringEncoding

_INT32: Final = np.iinfo(np.int32).max


def gather(data: Octets, start: NDArray[np.int64], size: NDArray[np.int64]) -> Octets:
    """The octets ``data[start[i] : start[i] + size[i]]`` of all i, one after the other."""
    if not len(start):
        return data[:0]
    if (size == size[0]).all():
        return take_rows(data, start, int(size[0])).reshape(-1) if size[0] else data[:0]
    edges = np.stack((start, start + size), axis=1).reshape(-1)
    if len(data) > _INT32 or not (edges[1:] >= edges[:-1]).all():
        end = np.cumsum(size)
        octets: Octets = data[np.arange(end[-1]) + np.repeat(start - (end - size), size)]
        return octets
    # The pieces that are wanted and those between them are an Arrow array as they lie; Arrow takes every other one,
    # many times faster than numpy takes every octet by its index.
    buffers = [None, pa.py_buffer(edges.astype(np.int32).data), pa.py_buffer(np.ascontiguousarray(data).data)]
    pieces = pa.Array.from_buffers(pa.binary(), len(edges) - 1, buffers, 0)
    taken = pieces.take(np.arange(0, len(edges), 2)).buffers()[2]
    return np.frombuffer(memoryview(taken or b""), np.uint8)


def binary_column(data: Octets, start: NDArray[np.int64], size: NDArray[np.int64]) -> pa.Array[Any]:
    """Arrow binary of ``data[start[i] : start[i] + size[i]]``."""
    return _array(pa.binary(), gather(data, start, size), size, None)


def string_column(
    data: Octets, start: NDArray[np.int64], size: NDArray[np.int64], encoding: StringEncoding
) -> pa.Array[Any]:
    """Arrow utf8 of the texts in the buffers ``data[start[i] : start[i] + size[i]]``.

    A buffer without its terminator is text to its end. A length prefix that cannot be (not whole octets, or beyond the
    buffer) gives null. Octets that are not in the character set become U+FFFD.
    """
    missing = None
    if encoding.leading:
        tag = encoding.leading // 8
        missing = size < tag
        # Where the buffer has no room for the tag any octets do: the value is null.
        octets = data[np.minimum(start[:, None] + np.arange(tag), len(data) - 1)].astype(np.int64)
        bits = (octets << np.arange(8 * (tag - 1), -1, -8)).sum(axis=1)
        missing |= (bits % 8 != 0) | (bits // 8 > size - tag)
        start, size = start + tag, np.where(missing, 0, bits // 8)
    octets = gather(data, start, size)
    if encoding.terminator is not None and len(octets):
        size = _up_to(encoding.terminator, octets, size)
        octets = gather(data, start, size)
    if not len(octets) or octets.max() < 0x80:
        return _array(pa.string(), octets, size, missing)
    if encoding.charset == "UTF-8":
        try:
            return _array(pa.binary(), octets, size, missing).cast(pa.string())
        except pa.ArrowInvalid:
            pass  # somewhere it is not UTF-8: find out where, value by value
    values = _array(pa.binary(), octets, size, missing).to_pylist()
    return pa.array([value and value.decode(encoding.charset, "replace") for value in values], pa.string())


def _up_to(terminator: int, octets: Octets, size: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sizes of the buffers that lie one after the other in ``octets``, cut before the first ``terminator``."""
    end = np.cumsum(size)
    begin = end - size
    found = np.append(np.flatnonzero(octets == terminator), len(octets))
    cut: NDArray[np.int64] = np.minimum(found[np.searchsorted(found, begin)], end) - begin
    return cut


def _array(
    kind: pa.DataType, octets: Octets, size: NDArray[np.int64], missing: NDArray[np.bool_] | None
) -> pa.Array[Any]:
    offsets = np.zeros(len(size) + 1, np.int32)
    np.cumsum(size, out=offsets[1:])
    valid = None
    if missing is not None and missing.any():
        valid = pa.py_buffer(np.packbits(~missing, bitorder="little").tobytes())
    buffers = [valid, pa.py_buffer(offsets.data), pa.py_buffer(np.ascontiguousarray(octets).data)]
    return pa.Array.from_buffers(kind, len(size), buffers)
