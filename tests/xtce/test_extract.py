from __future__ import annotations

import math
import struct

import numpy as np
import pytest

from ground.xtce.declarations import FloatEncoding, IntegerEncoding
from ground.xtce.extract import read_numbers, shift_octets, take_rows

RANDOM = np.random.default_rng(7).integers(0, 256, (9, 17), dtype=np.uint8)
ROWS = [int.from_bytes(row.tobytes(), "big") for row in RANDOM]


def unsigned(row: int, bit: int, bits: int) -> int:
    return row >> (17 * 8 - bit - bits) & ((1 << bits) - 1)


@pytest.mark.parametrize("bits", range(1, 65))
def test_integers_of_every_width_at_every_bit(bits: int) -> None:
    for bit in range(24):
        expected = [unsigned(row, bit, bits) for row in ROWS]
        [found] = read_numbers(RANDOM, bit, IntegerEncoding(bits))
        assert found.tolist() == expected
        assert found.dtype == f"u{next(n for n in (1, 2, 4, 8) if bits <= 8 * n)}"
        [found] = read_numbers(RANDOM, bit, IntegerEncoding(bits, "twosComplement"))
        assert found.tolist() == [value - (value >> (bits - 1) << bits) for value in expected]
        assert found.dtype == f"i{next(n for n in (1, 2, 4, 8) if bits <= 8 * n)}"


@pytest.mark.parametrize("octets", range(1, 9))
def test_little_endian_integers_at_every_bit(octets: int) -> None:
    for bit in range(16):
        lie = [unsigned(row, bit, 8 * octets).to_bytes(octets, "big") for row in ROWS]
        [found] = read_numbers(RANDOM, bit, IntegerEncoding(8 * octets, little_endian=True))
        assert found.tolist() == [int.from_bytes(value, "little") for value in lie]
        [found] = read_numbers(RANDOM, bit, IntegerEncoding(8 * octets, "twosComplement", little_endian=True))
        assert found.tolist() == [int.from_bytes(value, "little", signed=True) for value in lie]


@pytest.mark.parametrize("bit", [0, 8, 3])
@pytest.mark.parametrize("count", [1, 2])
def test_numbers_side_by_side(bit: int, count: int) -> None:
    found = read_numbers(RANDOM, bit, FloatEncoding(32), count)
    assert found.dtype == np.float32
    for i, column in enumerate(found):
        for row, value in zip(ROWS, column.tolist(), strict=True):
            [expected] = struct.unpack(">f", unsigned(row, bit + 32 * i, 32).to_bytes(4, "big"))
            assert value == expected or (math.isnan(value) and math.isnan(expected))


@pytest.mark.parametrize("bit", [0, 5])
def test_the_payload_of_nan_is_kept(bit: int) -> None:
    nan = 0x7FF4_0000_DEAD_BEEF  # signalling
    octets = np.frombuffer((nan << (24 - bit)).to_bytes(11, "big"), np.uint8)[None, :]
    [found] = read_numbers(octets, bit, FloatEncoding(64))
    assert found.view(np.uint64).tolist() == [nan]


def test_rows_at_equal_distances_are_a_view_and_others_a_copy() -> None:
    data = np.arange(40, dtype=np.uint8)
    regular = take_rows(data, np.array([3, 10, 17]), 5)
    assert np.shares_memory(regular, data)
    assert regular.tolist() == [list(range(start, start + 5)) for start in (3, 10, 17)]
    for starts in ([3, 10, 18], [17, 10, 3], [4, 4], [35]):
        assert take_rows(data, np.array(starts), 5).tolist() == [list(range(start, start + 5)) for start in starts]


@pytest.mark.parametrize("bit", range(17))
def test_octets_at_every_bit(bit: int) -> None:
    found = shift_octets(RANDOM, bit, 5)
    assert [row.tobytes() for row in found] == [unsigned(row, bit, 40).to_bytes(5, "big") for row in ROWS]
