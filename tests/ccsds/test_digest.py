"""The digest of packets: the same for ever, whatever lies beside them, and another for any change."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ground.ccsds.digest import digests, row_digests


def digest(*packets: bytes, before: bytes = b"", after: bytes = b"") -> list[int]:
    """The digests of packets that lie back to back between other octets."""
    length = np.array([len(p) for p in packets], np.int64)
    start = np.cumsum(length) - length + len(before)
    data = np.frombuffer(before + b"".join(packets) + after, np.uint8)
    found: list[int] = digests(data, start, length).tolist()
    return found


def one(octets: bytes) -> int:
    return digest(octets)[0]


def plain(octets: bytes) -> int:
    """The same by Python's own integers, word by word."""
    full = (1 << 64) - 1

    def mix(x: int) -> int:
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & full
        x = (x ^ x >> 27) * 0x94D049BB133111EB & full
        return x ^ x >> 31

    golden = 0x9E3779B97F4A7C15
    total = len(octets) * golden
    for number in range(max(1, -(-len(octets) // 8))):
        key = mix((number + 1) * golden & full)
        total += mix(int.from_bytes(octets[8 * number : 8 * number + 8], "little") + key & full)
    return int(np.array([mix(total & full)], np.uint64).view(np.int64)[0])


# Stored rows are told apart by these numbers: they must never change.
PINNED = {
    b"": 3_746_585_686_858_627_171,
    b"\x00": 6_235_967_106_033_911_276,
    b"1234567": -7_394_330_511_769_771_043,
    b"12345678": -6_045_473_113_358_970_009,
    bytes(range(100)): 5_803_820_318_833_871_094,
    bytes(range(256)) * 40: 5_251_313_266_990_532_515,
}


@pytest.mark.parametrize("octets", PINNED, ids=lambda octets: f"{len(octets)} octets")
def test_pinned(octets: bytes) -> None:
    assert one(octets) == PINNED[octets]


@given(st.lists(st.binary(max_size=70), max_size=20), st.binary(max_size=20), st.binary(max_size=20))
def test_as_computed_word_by_word_wherever_the_packets_lie(packets: list[bytes], before: bytes, after: bytes) -> None:
    assert digest(*packets, before=before, after=after) == [plain(p) for p in packets]


@given(st.binary(max_size=40), st.integers(1, 12), st.binary(max_size=20))
def test_packets_of_one_length_are_as_those_of_several(octets: bytes, n: int, other: bytes) -> None:
    assert digest(*[octets] * n) == digest(*[octets] * n, other)[:n] == [one(octets)] * n


def test_many_and_long_packets_are_cut_into_parts_and_equal_all_the_same() -> None:
    octets = np.random.default_rng(1).integers(0, 256, 400_000, np.uint8)
    start = np.arange(0, 300_000, 50, dtype=np.int64)
    equal = np.full(len(start), 100, np.int64)
    mixed = 1 + start % 137
    mixed[17], mixed[2000] = 65_542, 90_000  # the longest packet, and longer than any
    for length in (equal, mixed):
        each = [one(octets[s : s + n].tobytes()) for s, n in zip(start.tolist(), length.tolist(), strict=True)]
        assert digests(octets, start, length).tolist() == each


def test_data_that_cannot_be_written_or_lie_apart() -> None:
    octets = bytes(range(200))
    frozen = np.frombuffer(octets, np.uint8)
    apart = np.repeat(frozen, 2)[::2]
    rows = frozen.reshape(4, 50)
    assert row_digests(rows).tolist() == [one(row.tobytes()) for row in rows]
    assert digests(apart, np.array([3]), np.array([90])).tolist() == [one(octets[3:93])]
    assert row_digests(np.empty((0, 7), np.uint8)).tolist() == []


@pytest.mark.parametrize("octets", [bytes(40), b"\xff" * 40, bytes(range(1, 42))])
def test_every_single_and_double_bit_flip_is_seen(octets: bytes) -> None:
    bits = len(octets) * 8
    pairs = np.array([(i, i) for i in range(bits)] + list(itertools.combinations(range(bits), 2)))
    rows = np.tile(np.frombuffer(octets, np.uint8), (len(pairs) + 1, 1))
    for column in (pairs[:, 0], np.where(pairs[:, 0] == pairs[:, 1], -1, pairs[:, 1])):
        flipped = column >= 0
        rows[np.flatnonzero(flipped), column[flipped] // 8] ^= (1 << column[flipped] % 8).astype(np.uint8)
    found = row_digests(rows)
    assert len(np.unique(found)) == len(rows)
    # Nor do halves of it collide more often than chance has it: 51,000 of 32 bits give 0.3 pairs.
    for half in (found & 0xFFFFFFFF, found >> 32):
        assert len(rows) - len(np.unique(half)) < 6


@given(st.binary(min_size=16, max_size=64), st.data())
def test_swapped_words_and_appended_zeros_are_seen(octets: bytes, data: st.DataObject) -> None:
    words = len(octets) // 8
    i, j = data.draw(st.tuples(st.integers(0, words - 1), st.integers(0, words - 1)))
    swapped = bytearray(octets)
    swapped[8 * i : 8 * i + 8], swapped[8 * j : 8 * j + 8] = octets[8 * j : 8 * j + 8], octets[8 * i : 8 * i + 8]
    assert (one(bytes(swapped)) == one(octets)) == (bytes(swapped) == octets)
    longer = [octets + bytes(n) for n in range(20)]
    assert len(set(digest(*longer))) == len(longer)


def test_counters_in_two_places_never_meet() -> None:
    """Packets that differ in two small counters, as telemetry does: a sum without mixing takes many for one."""
    high, low = np.meshgrid(np.arange(1000, dtype=">u4"), np.arange(1000, dtype=">u4"))
    rows = np.zeros((1_000_000, 28), np.uint8)
    rows[:, 6:10] = high.reshape(-1, 1).view(np.uint8)
    rows[:, 22:26] = low.reshape(-1, 1).view(np.uint8)
    assert len(np.unique(row_digests(rows))) == len(rows)
