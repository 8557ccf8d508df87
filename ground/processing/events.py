"""Events: what an operator should read about. A flood of equal ones is one, with a count.

Equal events (severity, source, text) in the same minute of receipt are one line of the journal; its amount is the sum
of theirs. A line grows until an event of another minute follows it in the recording, and a minute has at most
:data:`_OPEN` lines, then one more for all others: both by the order of the recording alone, so that the outcome doesn't
depend on how blocks were cut.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import astuple, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from ground.stores import Entry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ground.blocks import Nanoseconds

_Key: TypeAlias = tuple[str, str, str]
"""Severity, source, text."""

_MINUTE: Final = 60 * 10**9
_OPEN: Final = 256
"""Lines a minute; sources are named by senders, so their number needs a bound."""
_OTHERS: Final = ("warning", "other sources", "{amount} more events of other sources and kinds in the same minute")
_LONGEST: Final = 200
"""Characters of a source that are shown; a topic may have 65,535."""


@dataclass(slots=True)
class _Line:
    position: int
    place: int
    time: int
    count: int = 0
    amount: int = 0
    last: int = 0


class Events:
    """The events of one mission. ``time`` of an entry is the earth receive time of its first one, ns since 1970 UTC."""

    def __init__(self, mission: str) -> None:
        self.mission = mission
        self._minute = 0
        self._open: dict[_Key, _Line] = {}
        self._added: defaultdict[_Key, list[NDArray[np.int64]]] = defaultdict(list)

    def add(
        self,
        severity: str,
        source: str,
        text: str,
        position: NDArray[np.int64],
        received: Nanoseconds,
        ert: Nanoseconds,
        amount: NDArray[np.int64] | None = None,
    ) -> None:
        """Note events at ``position``, int64 (n,), received at ``received`` (n,) by the recorder's clock and ``ert``
        (n,) by the station's. ``{amount}`` in ``text`` stands for the sum of ``amount`` (n,), of ones where it isn't
        given.
        """
        if len(source) > _LONGEST:
            source = f"{source[: _LONGEST - 3]}..."
        amounts = np.ones(len(position), np.int64) if amount is None else amount
        self._added[severity, source, text].append(np.stack((position, received, ert, amounts)))

    def take(self) -> list[Entry]:
        """The lines that are new or have grown since the last call."""
        if not self._added:
            return []
        keys = sorted(self._added)
        pieces = [np.concatenate(self._added[key], axis=1) for key in keys]
        self._added.clear()
        kind = np.repeat(np.arange(len(keys)), [piece.shape[1] for piece in pieces])
        values = np.concatenate(pieces, axis=1)
        order = np.lexsort((kind, values[0]))
        kind, values = kind[order], values[:, order]
        minutes = values[1] // _MINUTE
        changed: dict[tuple[int, int], tuple[_Key, _Line]] = {}
        places: Counter[int] = Counter()
        edges = [0, *(np.flatnonzero(np.diff(minutes)) + 1).tolist(), len(minutes)]
        for a, b in pairwise(edges):
            if a < b and minutes[a] != self._minute:
                self._minute = int(minutes[a])
                self._open = {}
            found, first = np.unique(kind[a:b], return_index=True)
            for one in found[np.argsort(first)].tolist():
                key, rows = self._grow(keys[one], values[:, a:b][:, kind[a:b] == one], places)
                changed[rows.position, rows.place] = (key, rows)
        return [self._entry(key, line) for key, line in changed.values()]

    def _grow(self, key: _Key, events: NDArray[np.int64], places: Counter[int]) -> tuple[_Key, _Line]:
        """The line that ``events``, int64 (4, n) as in :meth:`add`, belong to, grown by them."""
        position, received, ert, amount = events
        if key not in self._open and len(self._open) >= _OPEN:
            key, amount = _OTHERS, np.ones_like(amount)
        line = self._open.get(key)
        if line is None:
            first = int(position[0])
            line = self._open[key] = _Line(first, places[first], int(ert[0]))
            places[first] += 1
        line.count += len(position)
        line.amount += int(amount.sum())
        line.last = max(line.last, int(received.max()))
        return key, line

    @staticmethod
    def _entry(key: _Key, line: _Line) -> Entry:
        severity, source, text = key
        values = {
            "severity": severity,
            "source": source,
            "text": text.replace("{amount}", str(line.amount)),
            "count": line.count,
            "last": str(line.last),
        }
        return Entry("event", line.position, line.place, line.time, source, values)

    def state(self) -> list[Any]:
        """What may still grow, JSON-ready: the minute, then the lines."""
        return [self._minute, [[*key, *astuple(line)] for key, line in sorted(self._open.items())]]

    def restore(self, state: list[Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self._minute, lines = state
        self._open = {(severity, source, text): _Line(*numbers) for severity, source, text, *numbers in lines}
