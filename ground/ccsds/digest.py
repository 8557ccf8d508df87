"""A 64-bit digest of every packet's octets, computed by columns.

Two packets are the same when their octets are, so the digest is part of a stored row's identity: it must give the same
number for the same octets for ever, on every machine, whatever lies beside them. It finds accidents, not attacks: who
wants to make two packets of equal digest can.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ground.blocks import Octets

_WORD: Final = 8
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_WORDS_AT_A_TIME: Final = 1 << 14
"""So that what is worked on stays in the processor's cache."""

_USED: Final = np.array([(1 << 8 * n) - 1 for n in range(_WORD + 1)], np.uint64)
"""Masks of the first n octets of a little-endian word."""


def digests(data: Octets, start: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.int64]:
    """The digests, int64 (n,), of ``data[start[i] : start[i] + length[i]]``; ``start``, ``length``: int64 (n,).

    Each little-endian 64-bit word of a packet, the last filled up with zeros, is mixed with a constant of its number;
    the sum of these is mixed with the length. Any change within one word gives another digest for certain, any other
    one but for once in 2**64.
    """
    total = np.empty(len(start), np.uint64)
    if len(start):
        data = np.ascontiguousarray(data)
        alike = bool((length == length[0]).all())
        for part in _parts(length, alike=alike):
            of_part = data, start[part], length[part]
            total[part] = _sums_of_equal_lengths(*of_part) if alike else _sums(*of_part)
    return _mix(total + length.astype(np.uint64) * _GOLDEN).view(np.int64)


def row_digests(rows: Octets) -> NDArray[np.int64]:
    """The digests, int64 (n,), of ``rows``, uint8 (n, octets)."""
    n, octets = rows.shape
    start = np.arange(n, dtype=np.int64) * octets
    return digests(rows.reshape(-1), start, np.full(n, octets, np.int64))


def _parts(length: NDArray[np.int64], *, alike: bool) -> Iterator[slice]:
    """Slices of packets, each of about :data:`_WORDS_AT_A_TIME` words."""
    if alike:
        step = max(1, _WORDS_AT_A_TIME * _WORD // max(1, int(length[0])))
        for at in range(0, len(length), step):
            yield slice(at, at + step)
        return
    piece = np.cumsum(length) // (_WORDS_AT_A_TIME * _WORD)
    edges = [0, *(np.flatnonzero(piece[1:] != piece[:-1]) + 1).tolist(), len(length)]
    for a, b in pairwise(edges):
        yield slice(a, b)


def _sums_of_equal_lengths(data: Octets, start: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.uint64]:
    octets = int(length[0])
    words = max(1, -(-octets // _WORD))
    # Row i is data[i : i + octets]; numpy's sliding_window_view is that too, but takes 15 us to make.
    rows = np.ndarray((len(data) - octets + 1, octets), np.uint8, data, strides=(1, 1))[start]
    if octets != words * _WORD:
        # Row by row filled up; the octets beyond are zero.
        whole = np.zeros((len(start), words * _WORD), np.uint8)
        whole[:, :octets] = rows
        rows = whole
    word = rows.view("<u8").astype(np.uint64, copy=False)
    word += _keys(words)
    mixed: NDArray[np.uint64] = _mix(word).sum(axis=1, dtype=np.uint64)
    return mixed


def _sums(data: Octets, start: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.uint64]:
    if len(data) < _WORD:
        data = np.concatenate((data, np.zeros(_WORD, np.uint8)))
    words = np.maximum((length + (_WORD - 1)) // _WORD, 1)
    stop = np.cumsum(words)
    first, last = stop - words, stop - 1
    number = np.arange(stop[-1])
    at = np.repeat(start - first * _WORD, words) + number * _WORD
    number -= np.repeat(first, words)
    # The last word is read further ahead where the data end inside it.
    beyond = np.maximum(at[last] - (len(data) - _WORD), 0)
    at[last] -= beyond
    word = np.ndarray((len(data) - _WORD + 1,), "<u8", data, strides=(1,))[at].astype(np.uint64, copy=False)
    used = length - (words - 1) * _WORD
    word[last] = word[last] >> (beyond * 8).astype(np.uint64) & _USED[used]
    word += _keys(int(words.max()))[number]
    return np.add.reduceat(_mix(word), first)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Every bit of ``x`` onto every other, in place (a bijection: the last step of splitmix64)."""
    shifted = x >> np.uint64(30)
    x ^= shifted
    x *= _FIRST
    np.right_shift(x, np.uint64(27), out=shifted)
    x ^= shifted
    x *= _SECOND
    np.right_shift(x, np.uint64(31), out=shifted)
    x ^= shifted
    return x


def _splitmix(count: int) -> NDArray[np.uint64]:
    return _mix(np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN)


_KEYS: Final = _splitmix(-(-(0xFFFF + 7) // _WORD))
"""As many as the longest packet has words."""


def _keys(words: int) -> NDArray[np.uint64]:
    """The constants of the first ``words`` words, uint64 (words,)."""
    return _KEYS[:words] if words <= len(_KEYS) else _splitmix(words)
