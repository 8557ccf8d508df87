"""Numbers out of octets: whole columns of integers of any width and place, and of IEEE 754 floats.

``octets`` is always uint8 (n, width), a row per packet, of any strides so long as a row is contiguous.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ground.xtce.declarations import FloatEncoding, IntegerEncoding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ground.blocks import Octets

Numbers: TypeAlias = "NDArray[Any]"


def take_rows(data: Octets, start: NDArray[np.int64], width: int) -> Octets:
    """``data[start[i] : start[i] + width]`` as row i, uint8 (n, width); a view where the rows lie at equal distances.

    n and ``width`` are at least 1; ``data`` is contiguous.
    """
    step = int(start[1] - start[0]) if len(start) > 1 else 1
    if step > 0 and (start[1:] - start[:-1] == step).all():
        return np.ndarray((len(start), width), np.uint8, data, int(start[0]), (step, 1))
    everywhere: Octets = np.ndarray((len(data) - width + 1, width), np.uint8, data, 0, (1, 1))
    return everywhere[start]


def read_numbers(octets: Octets, bit: int, encoding: IntegerEncoding | FloatEncoding, count: int = 1) -> Numbers:
    """The raw values of ``count`` numbers, one behind the other from ``bit`` on: (count, n), a number in each row.

    ``bit`` counts from the most significant bit of an octet row's beginning. Integers come in the smallest dtype that
    holds ``encoding.bits``, signed or unsigned; floats as float64, or float32 where the encoding has 16 or 32 bits. A
    float's bits are kept, those of NaN too.
    """
    first, skip = divmod(bit, 8)
    stored, native = _dtypes(encoding)
    if skip == 0 and stored is not None:
        numbers = np.empty((count, len(octets)), native)
        numbers[:] = octets[:, first : first + count * stored.itemsize].view(stored).T
        return numbers
    return np.stack([_read_bits(octets, bit + i * encoding.bits, encoding) for i in range(count)])


@cache
def _dtypes(encoding: IntegerEncoding | FloatEncoding) -> tuple[np.dtype[Any] | None, np.dtype[Any]]:
    """The dtype that an encoding has in octets, None where numpy has none, and that of its raw values."""
    width = next(width for width in (8, 16, 32, 64) if encoding.bits <= width)
    if isinstance(encoding, FloatEncoding):
        letter, native = "f", np.dtype(f"f{max(width // 8, 4)}")
    else:
        letter = "i" if encoding.signed == "twosComplement" else "u"
        native = np.dtype(f"{letter}{width // 8}")
    order = "<" if encoding.little_endian else ">"
    return np.dtype(f"{order}{letter}{width // 8}") if encoding.bits == width else None, native


def _read_bits(octets: Octets, bit: int, encoding: IntegerEncoding | FloatEncoding) -> Numbers:
    value = _unsigned(octets, *divmod(bit, 8), encoding.bits)
    _, native = _dtypes(encoding)
    spare = np.uint64(64 - encoding.bits)
    if encoding.little_endian:
        value = value.byteswap() >> spare
    if isinstance(encoding, FloatEncoding):
        return value.astype(f"u{encoding.bits // 8}").view(f"f{encoding.bits // 8}").astype(native)
    if encoding.signed == "twosComplement":
        return ((value << spare).view(np.int64) >> np.int64(spare)).astype(native)
    return value.astype(native)


def _unsigned(octets: Octets, first: int, skip: int, bits: int) -> NDArray[np.uint64]:
    """The ``bits`` that follow ``skip`` bits of octet ``first``, as a big-endian integer, uint64 (n,)."""
    width = (skip + bits + 7) // 8
    below = width * 8 - skip - bits
    if width <= 8:
        padded = np.zeros((len(octets), 8), np.uint8)
        padded[:, 8 - width :] = octets[:, first : first + width]
        value = padded.view(">u8")[:, 0].astype(np.uint64) >> np.uint64(below)
    else:  # 58 to 64 bits can reach into a ninth octet
        head = octets[:, first : first + 8].view(">u8")[:, 0].astype(np.uint64)
        tail = octets[:, first + 8].astype(np.uint64)
        value = (head << np.uint64(8 - below)) | (tail >> np.uint64(below))
    return value & np.uint64(2**bits - 1)


def shift_octets(octets: Octets, bit: int, width: int) -> Octets:
    """``width`` octets from ``bit`` on, uint8 (n, width), contiguous; ``bit`` need not be a multiple of 8."""
    first, skip = divmod(bit, 8)
    head = octets[:, first : first + width]
    if skip == 0:
        return np.ascontiguousarray(head)
    return (head << np.uint8(skip)) | (octets[:, first + 1 : first + 1 + width] >> np.uint8(8 - skip))
