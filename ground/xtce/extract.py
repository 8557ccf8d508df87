"""Numbers out of octets: whole columns of integers of any width and place, and of IEEE 754 floats.

``octets`` is always uint8 (n, width), a row per packet, of any strides so long as a row is contiguous.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ground.xtce.declarations import FloatEncoding, IntegerEncoding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ground.blocks import Octets

Numbers: TypeAlias = "NDArray[Any]"


def read_number(octets: Octets, bit: int, encoding: IntegerEncoding | FloatEncoding) -> Numbers:
    """The raw values (n,) at ``bit``, counted from the most significant bit of a row's first octet.

    Integers come in the smallest dtype that holds ``encoding.bits``, signed or unsigned; floats as float64, or float32
    where the encoding has 16 or 32 bits. A float's bits are kept, those of NaN too.
    """
    if isinstance(encoding, IntegerEncoding):
        return _read_integer(octets, bit, encoding)
    unsigned = _read_integer(octets, bit, IntegerEncoding(encoding.bits, little_endian=encoding.little_endian))
    values = unsigned.view(f"f{encoding.bits // 8}")
    return values.astype(np.float32) if encoding.bits == 16 else values


def _read_integer(octets: Octets, bit: int, encoding: IntegerEncoding) -> Numbers:
    first, skip = divmod(bit, 8)
    bits, signed = encoding.bits, encoding.signed == "twosComplement"
    width = next(width for width in (8, 16, 32, 64) if bits <= width)
    native = np.dtype(f"{'i' if signed else 'u'}{width // 8}")
    if skip == 0 and bits == width:
        stored = native.newbyteorder("<" if encoding.little_endian else ">")
        return octets[:, first : first + width // 8].view(stored)[:, 0].astype(native)
    value = _unsigned(octets, first, skip, bits)
    spare = np.uint64(64 - bits)
    if encoding.little_endian:
        value = value.byteswap() >> spare
    if signed:
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
