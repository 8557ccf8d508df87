"""The stage that puts a mission's packets into the order of the log and drops repeats, before anything looks at them.

Two packets are the same where their octets and their times are: what a second station heard as well, what was sent
again. The last :data:`WINDOW` packets of real-time channels, repeats included, are remembered; what repeats after that,
and what playback repeats, is known to the store, and changes nothing that is live.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ground.blocks import Nanoseconds, Packets

WINDOW: Final = 32_768


@dataclass(frozen=True, slots=True)
class Stream:
    """Packets of one virtual channel of one station, in the order in which they ended. ``source``: whose, in words."""

    source: str
    realtime: bool
    packets: Packets


class Recent:
    """The last ``window`` of a sequence of numbers, uint64. What is forgotten doesn't depend on how it is cut."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._recent = np.empty(0, np.uint64)

    def new(self, key: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which of ``key`` (n,), the next in the sequence, weren't among the ``window`` before them: bool (n,)."""
        everything = np.concatenate((self._recent, key))
        # One sort tells whether anything is there twice, which is rare.
        by_key = np.sort(everything)
        again = np.zeros(len(everything), np.bool_)
        if (by_key[1:] == by_key[:-1]).any():
            rank = np.argsort(everything, kind="stable")
            near = np.diff(rank) <= self._window
            again[rank[1:]] = near & (everything[rank[1:]] == everything[rank[:-1]])
        known = len(self._recent)
        self._recent = everything[-self._window :]
        return ~again[known:]

    def state(self) -> bytes:
        """The numbers that are remembered, oldest first: 8 octets each, little-endian."""
        return self._recent.astype("<u8").tobytes()

    def restore(self, state: bytes) -> None:
        """Go on from what :meth:`state` gave."""
        self._recent = np.frombuffer(state, "<u8").astype(np.uint64)


class OrderStage:
    """Streams in, the same without repeats out. ``repeated`` counts what was dropped."""

    def __init__(self) -> None:
        self.repeated = 0
        self._recent = Recent(WINDOW)

    def process(self, streams: Sequence[Stream]) -> list[Stream]:
        """Drop every packet of a real-time stream that was there before, in the order of the log."""
        live = [stream for stream in streams if stream.realtime and len(stream.packets)]
        if not live:
            return [*streams]
        keys = [keys_of(stream.packets.time, stream.packets.digest) for stream in live]
        new = self._new(keys[0] if len(keys) == 1 else np.concatenate(keys), live)
        edges = np.cumsum([0, *map(len, keys)])
        kept = {
            id(stream): replace(stream, packets=stream.packets.select(new[a:b]))
            for stream, a, b in zip(live, edges[:-1], edges[1:], strict=True)
        }
        return [kept.get(id(stream), stream) for stream in streams] if not new.all() else [*streams]

    def _new(self, key: NDArray[np.uint64], live: Sequence[Stream]) -> NDArray[np.bool_]:
        order: NDArray[np.intp] | slice = slice(None)
        if len(live) > 1:
            position = np.concatenate([stream.packets.position for stream in live])
            place = np.concatenate([stream.packets.place for stream in live])
            order = np.lexsort((place, position))
        new = np.empty(len(key), np.bool_)
        new[order] = fresh = self._recent.new(key[order])
        self.repeated += int(len(fresh) - np.count_nonzero(fresh))
        return new

    def state(self) -> bytes:
        """The packets that are remembered, oldest first: 8 octets each, little-endian."""
        return self._recent.state()

    def restore(self, state: bytes) -> None:
        """Go on from what :meth:`state` gave."""
        self._recent.restore(state)


def keys_of(time: Nanoseconds, digest: NDArray[np.int64]) -> NDArray[np.uint64]:
    """One number for time and octets of each packet, uint64 (n,)."""
    mixed = time.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return digest.view(np.uint64) ^ (mixed ^ mixed >> np.uint64(29))
