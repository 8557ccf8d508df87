"""Frames that arrive again: by the station's running numbers, and by the frames themselves."""

from __future__ import annotations

import base64
import itertools
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ground.ccsds.digest import row_digests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ground.blocks import Octets

WINDOW: Final = 1024
"""How many frames of a station's virtual channel a frame is compared with, and how many messages of a run."""

PLAUSIBLE: Final = 1_000_000
"""Frames further from all that were received are believed when the message after goes on from there."""

_LONGEST_LOSS: Final = 1 << 32
"""Frames. Beyond it a publisher counts anew; nothing was lost."""

_HOLES: Final = 64
_FIRST_MESSAGES: Final = 64


@dataclass(frozen=True, slots=True)
class Taken:
    """What :meth:`RunningNumbers.take` says of m messages.

    ``new``: bool (m,), not received before. ``implausible``: bool (m,), those new ones whose number isn't believed
    (yet), so that it says nothing of duplicates or of loss. ``restarts``: how often the publisher began its numbers
    again, under the same name.
    """

    new: NDArray[np.bool_]
    implausible: NDArray[np.bool_]
    restarts: int


def checksums(data: Octets, start: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.uint32]:
    """The CRC-32 of each message's payload ``data[start : start + length]``, uint32 (m,)."""
    octets, crc = memoryview(data), zlib.crc32  # type: ignore[arg-type]
    ends = zip(start.tolist(), (start + length).tolist(), strict=True)
    return np.fromiter((crc(octets[a:b]) for a, b in ends), np.uint32, len(start))


class RunningNumbers:
    """Which of one publisher's running frame numbers were received: spans [start, stop), ascending, apart.

    Normally one span. A hole is what the broker lost, until a late message fills it; the oldest of more than 64 holes
    is given up (counted as missing for good).

    A number received before doesn't make a duplicate when the octets are others than those remembered: then the
    publisher began again. Remembered are the checksums of the run's last :data:`WINDOW` messages, which are what a
    broker may send twice, and of its first 64, to which a publisher that begins again comes back.
    """

    def __init__(self, spans: Sequence[Sequence[int]] = (), given_up: int = 0) -> None:
        self.spans = [(int(start), int(stop)) for start, stop in spans]
        self.given_up = given_up
        self._doubtful: tuple[int, int, int] | None = None
        self._first = np.empty(0, np.int64)
        self._sum = np.empty(0, np.uint32)

    @property
    def missing(self) -> int:
        """Frame numbers between the first and the last received that were never received."""
        holes = sum(after[0] - before[1] for before, after in zip(self.spans, self.spans[1:], strict=False))
        return holes + self.given_up

    def take(self, first: NDArray[np.int64], frames: NDArray[np.int64], checksum: NDArray[np.uint32]) -> Taken:
        """Note messages whose frames are numbered from ``first``, each (m,); ``checksum``: see :func:`checksums`.

        A message is a duplicate when its first number was received before, and its checksum then, if it is still
        remembered, was the same.
        """
        new, implausible = np.ones(len(first), np.bool_), np.zeros(len(first), np.bool_)
        restarts = 0
        # Stretches that are numbered without a break.
        edges = [0, *(np.flatnonzero(first[1:] != (first + frames)[:-1]) + 1).tolist(), len(first)]
        for a, b in itertools.pairwise(edges):
            if a < b and (not self.spans or 0 <= int(first[a]) - self.spans[-1][1] <= PLAUSIBLE):
                self._doubtful = None
                self._add(int(first[a]), int(first[b - 1]) + int(frames[b - 1]))
                self._remember(first[a:b], checksum[a:b])
                continue
            for i in range(a, b):
                start = int(first[i])
                new[i], implausible[i], again = self._take(start, start + int(frames[i]), int(checksum[i]))
                restarts += again
        return Taken(new, implausible, restarts)

    def _take(self, start: int, stop: int, checksum: int) -> tuple[bool, bool, bool]:
        """Whether one message is new, has a number that isn't believed, and shows that the publisher began again."""
        again = False
        if any(a <= start < b for a, b in reversed(self.spans)):
            known = self._sum[self._first == start]
            if not len(known) or (known == checksum).any():
                return False, False, False
            again = True
            self._begin_again()
        elif self.spans and not self.spans[0][0] - PLAUSIBLE <= start <= self.spans[-1][1] + PLAUSIBLE:
            before = self._doubtful
            if before == (start, stop, checksum):
                return False, False, False
            if before is None or not 0 <= start - before[1] <= PLAUSIBLE:
                self._doubtful = start, stop, checksum
                return True, True, False
            again = not 0 < before[0] - self.spans[-1][1] <= _LONGEST_LOSS
            if again:
                self._begin_again()
            self._note(*before)
        self._doubtful = None
        self._note(start, stop, checksum)
        return True, False, again

    def _note(self, start: int, stop: int, checksum: int) -> None:
        self._add(start, stop)
        self._remember(np.array([start], np.int64), np.array([checksum], np.uint32))

    def _begin_again(self) -> None:
        self.given_up = self.missing
        self.spans = []
        self._first, self._sum = self._first[:0], self._sum[:0]

    def _remember(self, first: NDArray[np.int64], checksum: NDArray[np.uint32]) -> None:
        self._first, self._sum = np.concatenate((self._first, first)), np.concatenate((self._sum, checksum))
        if len(self._first) > _FIRST_MESSAGES + WINDOW:
            kept = np.r_[:_FIRST_MESSAGES, len(self._first) - WINDOW : len(self._first)]
            self._first, self._sum = self._first[kept], self._sum[kept]

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

    def state(self) -> dict[str, Any]:
        """Everything that is remembered, JSON-ready: about 6 kB."""
        # Numbers that grow by the same step shrink to almost nothing.
        steps = np.diff(self._first, prepend=np.int64(0)).astype("<i8").tobytes()
        return {
            "spans": self.spans,
            "given_up": self.given_up,
            "doubtful": self._doubtful,
            "first": base64.b64encode(zlib.compress(steps, 1)).decode(),
            "sum": base64.b64encode(self._sum.astype("<u4").tobytes()).decode(),
        }

    @classmethod
    def restored(cls, state: dict[str, Any]) -> RunningNumbers:
        """The inverse of :meth:`state`."""
        numbers = cls(state["spans"], state["given_up"])
        if state["doubtful"] is not None:
            start, stop, checksum = state["doubtful"]
            numbers._doubtful = start, stop, checksum
        steps = zlib.decompress(base64.b64decode(state["first"]))
        numbers._first = np.cumsum(np.frombuffer(steps, "<i8"), dtype=np.int64)
        numbers._sum = np.frombuffer(base64.b64decode(state["sum"]), "<u4").astype(np.uint32)
        return numbers


class RecentFrames:
    """The last :data:`WINDOW` frames of one virtual channel of one station.

    ``last``: the count of the newest, None before the first.
    """

    def __init__(self, keys: NDArray[np.int64] | None = None, last: int | None = None) -> None:
        self._keys = np.empty(0, np.int64) if keys is None else keys
        self._waiting: list[Octets] = []
        self.last = last

    @property
    def keys(self) -> NDArray[np.int64]:
        """The frames' digests, int64, at most :data:`WINDOW`, the oldest first."""
        if self._waiting:
            digests = [row_digests(raw) for raw in self._waiting]
            self._keys, self._waiting = np.concatenate((self._keys, *digests))[-WINDOW:], []
        return self._keys

    def _note(self, raw: Octets) -> None:
        """Keep ``raw`` as it is: a digest costs more than a copy, and most frames are past before one is asked for."""
        self._waiting.append(raw[-WINDOW:].copy())
        n = sum(map(len, self._waiting))
        while n - len(self._waiting[0]) >= WINDOW:
            n -= len(self._waiting.pop(0))

    def take(self, raw: Octets, vcfc: NDArray[np.int64], modulus: int, idle: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which of the frames ``raw``, uint8 (n, length), are new, bool (n,); they are noted.

        ``vcfc``: their counts, int64 (n,), which start again at ``modulus``. ``idle``: bool (n,), only idle data.

        A frame is a repeat when it breaks the count and is equal, octet for octet, to one of the last. One that goes on
        with the count is new whatever it holds: in a TM channel that has nothing to say every 256th frame is the same.
        For that reason too an idle frame that is nearer ahead of the count than behind it follows a gap.
        """
        if not len(raw):
            return np.ones(0, np.bool_)
        before = np.concatenate(([vcfc[0] - 1 if self.last is None else self.last], vcfc[:-1]))
        breaks = (vcfc - before) % modulus != 1
        if breaks.any():
            keys = row_digests(raw)
            doubted = np.unique(keys[breaks])
            # Each of them is there once at least: as itself.
            if np.isin(np.concatenate((self.keys, keys)), doubted).sum() > len(doubted):
                return self._take_one_by_one(keys, vcfc, modulus, idle)
        self._note(raw)
        self.last = int(vcfc[-1])
        return np.ones(len(raw), np.bool_)

    def _take_one_by_one(
        self, keys: NDArray[np.int64], vcfc: NDArray[np.int64], modulus: int, idle: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        new = np.ones(len(keys), np.bool_)
        kept = self.keys.tolist()
        place = {key: i for i, key in enumerate(kept)}
        last = self.last
        for i, (key, count, is_idle) in enumerate(zip(keys.tolist(), vcfc.tolist(), idle.tolist(), strict=True)):
            ahead = 1 if last is None else (count - last) % modulus
            gap = is_idle and 0 < ahead <= modulus // 2
            if ahead != 1 and not gap and place.get(key, -1) >= max(0, len(kept) - WINDOW):
                new[i] = False
                continue
            place[key] = len(kept)
            kept.append(key)
            last = count
        self._keys, self.last = np.array(kept[-WINDOW:], np.int64), last
        return new

    def state(self) -> list[Any]:
        """Everything that is remembered, JSON-ready: at most 11 kB."""
        return [base64.b64encode(self.keys.astype("<i8").tobytes()).decode(), self.last]

    @classmethod
    def restored(cls, state: Sequence[Any]) -> RecentFrames:
        """The inverse of :meth:`state`."""
        keys, last = state
        return cls(np.frombuffer(base64.b64decode(keys), "<i8").astype(np.int64), last)
