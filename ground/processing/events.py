"""Events: what an operator should read about. A flood of equal ones is one, with a count.

Equal events (severity, source, text) in the same minute of receipt are one line of the journal; its amount is the sum
of theirs. The minute is the clock's, not the line's own, so that the outcome doesn't depend on how blocks were cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ground.stores import Entry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ground.blocks import Nanoseconds

_MINUTE: Final = 60 * 10**9
_OPEN: Final = 256
"""Lines that may still grow; sources are named by senders, so their number needs a bound."""


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
        self._open: dict[tuple[int, str, str, str], _Line] = {}
        self._changed: dict[tuple[int, str, str, str], _Line] = {}
        self._places: dict[int, int] = {}

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
        """Note events at ``position``, int64 (n,) ascending, received at ``received`` (n,) by the recorder's clock and
        ``ert`` (n,) by the station's. ``{amount}`` in ``text`` stands for the sum of ``amount`` (n,), of ones where it
        isn't given.
        """
        minutes = received // _MINUTE
        for minute in np.unique(minutes).tolist():
            rows = np.flatnonzero(minutes == minute)
            key = (minute, severity, source, text)
            line = self._open.pop(key, None)
            if line is None:
                first = int(position[rows[0]])
                line = _Line(first, self._places.setdefault(first, 0), int(ert[rows[0]]))
                self._places[first] += 1
            line.count += len(rows)
            line.amount += len(rows) if amount is None else int(amount[rows].sum())
            line.last = max(line.last, int(received[rows].max()))
            self._open[key] = self._changed[key] = line
        while len(self._open) > _OPEN:
            del self._open[next(iter(self._open))]

    def take(self, received: int) -> list[Entry]:
        """What is new or has grown since the last call; ``received``: how far the mission has come."""
        changed, self._changed = self._changed, {}
        self._places.clear()
        for key in [key for key in self._open if key[0] < received // _MINUTE - 1]:
            del self._open[key]
        return [self._entry(key, line) for key, line in changed.items()]

    def _entry(self, key: tuple[int, str, str, str], line: _Line) -> Entry:
        _, severity, source, text = key
        values = {
            "severity": severity,
            "source": source,
            "text": text.replace("{amount}", str(line.amount)),
            "count": line.count,
            "last": str(line.last),
        }
        return Entry("event", line.position, line.place, line.time, source, values)

    def state(self) -> list[Any]:
        """What may still grow, JSON-ready."""
        return [
            [*key, line.position, line.place, line.time, line.count, line.amount, line.last]
            for key, line in sorted(self._open.items(), key=lambda one: (one[1].last, one[0]))
        ]

    def restore(self, state: list[Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self._open = {
            (minute, severity, source, text): _Line(*numbers) for minute, severity, source, text, *numbers in state
        }
