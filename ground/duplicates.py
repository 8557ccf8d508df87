"""Frames that arrive again: by the station's running numbers, and where it sends none, by the frame itself."""

from __future__ import annotations

import itertools
import zlib
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ground.blocks import Octets

WINDOW: Final = 1024
"""How many frames of a station's virtual channel a frame without a running number is compared with."""

_HOLES: Final = 64


class RunningNumbers:
    """Which of one publisher's running frame numbers were received: spans [start, stop), ascending, apart.

    Normally one span. A hole is what the broker lost, until a late message fills it; the oldest of more than 64 holes
    is given up (counted as missing for good).
    """

    def __init__(self, spans: Sequence[Sequence[int]] = (), given_up: int = 0) -> None:
        self.spans = [(int(start), int(stop)) for start, stop in spans]
        self.given_up = given_up

    @property
    def missing(self) -> int:
        """Frame numbers between the first and the last received that were never received."""
        holes = sum(after[0] - before[1] for before, after in zip(self.spans, self.spans[1:], strict=False))
        return holes + self.given_up

    def take(self, first: NDArray[np.int64], frames: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Note messages whose frames are numbered from ``first`` (m,); returns which of them are new, bool (m,).

        A message is a duplicate when its first number was received before.
        """
        stop = first + frames
        new = np.ones(len(first), np.bool_)
        # Stretches that are numbered without a break.
        edges = [0, *(np.flatnonzero(first[1:] != stop[:-1]) + 1).tolist(), len(first)]
        for a, b in itertools.pairwise(edges):
            if a < b and (not self.spans or first[a] >= self.spans[-1][1]):
                self._add(int(first[a]), int(stop[b - 1]))
            else:
                for i in range(a, b):
                    new[i] = self._take(int(first[i]), int(stop[i]))
        return new

    def _take(self, start: int, stop: int) -> bool:
        if any(a <= start < b for a, b in reversed(self.spans)):
            return False
        self._add(start, stop)
        return True

    def _add(self, start: int, stop: int) -> None:
        if self.spans and start == self.spans[-1][1]:
            self.spans[-1] = (self.spans[-1][0], stop)
            return
        merged: list[tuple[int, int]] = []
        for a, b in sorted([*self.spans, (start, stop)]):
            if merged and a <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(b, merged[-1][1]))
            else:
                merged.append((a, b))
        while len(merged) > _HOLES:
            (a, b), (c, d) = merged[0], merged[1]
            self.given_up += c - b
            merged[:2] = [(a, d)]
        self.spans = merged


class RecentFrames:
    """The last :data:`WINDOW` frames of one virtual channel of one station, each as its count and its CRC-32."""

    def __init__(self, keys: NDArray[np.uint64] | None = None) -> None:
        self.keys = np.empty(0, np.uint64) if keys is None else keys

    def take(self, raw: Octets, vcfc: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the frames ``raw``, uint8 (n, length), with the counts ``vcfc`` (n,), are new; they are noted."""
        crc = zlib.crc32
        checks = np.fromiter((crc(frame) for frame in np.ascontiguousarray(raw)), np.uint64, len(raw))
        keys = vcfc.astype(np.uint64) << np.uint64(32) | checks
        everything = np.concatenate((self.keys, keys))
        if len(np.unique(everything)) == len(everything):
            self.keys = everything[-WINDOW:].copy()
            return np.ones(len(keys), np.bool_)
        new = np.ones(len(keys), np.bool_)
        recent = dict.fromkeys(self.keys.tolist())
        for i, key in enumerate(keys.tolist()):
            if key in recent:
                new[i] = False
                continue
            recent[key] = None
            if len(recent) > WINDOW:
                del recent[next(iter(recent))]
        self.keys = np.fromiter(recent, np.uint64, len(recent))
        return new
