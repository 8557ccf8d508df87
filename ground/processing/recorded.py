"""The stage that finds excursions which only playback has: the spacecraft was out of sight when they happened.

Each is one line of the journal, which grows until the value is back; no alarm is raised or cleared by it. Two stations
may bring the same playback, and a spacecraft may send it again: what was looked at lately is not looked at once more.
"""

from __future__ import annotations

import base64
import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from ground.blocks import NO_TIME
from ground.processing.alarms import number_to_json
from ground.processing.levels import SEVERITIES
from ground.processing.order import Recent, keys_of
from ground.processing.step import Telemetry
from ground.stores import Entry, Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ground.processing.limits import Change, Limits

WINDOW: Final = 8_192
"""Packets of playback that are remembered, of containers with alarms."""
TEXT: Final = "recorded on board, seen at AOS"


@dataclass(slots=True)
class _Excursion:
    """An excursion that has its line at ``position``, ``place``; the worst severity and the value that had it first."""

    position: int
    place: int
    begin: int
    severity: str = "normal"
    value: float = math.nan
    label: str = ""
    low: float | None = None
    high: float | None = None


class Recorded:
    """The excursions of one mission's playback. ``limits``: its own, of which real time knows nothing."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._recent = Recent(WINDOW)
        self._open: dict[str, _Excursion] = {}
        self._live: dict[str, tuple[int, int | None]] = {}
        """When each parameter was out of limits last in real time, SCET: from and to; None is still."""

    def process(self, playback: Sequence[Telemetry], live: Sequence[Change], entries: Sequence[Entry]) -> list[Entry]:
        """Lines that are new or have grown. ``live``: the changes of severity in real time, ``entries``: the lines of
        the journal that they made, which have the first places.
        """
        found = [change for item in self._new(playback) for change in self._limits.check(item)]
        ordered = [
            (c.position, c.place, c.parameter, recorded, c)
            for of, recorded in ((live, False), (found, True))
            for c in of
        ]
        places = Counter(entry.position for entry in entries)
        lines: dict[tuple[int, int], Entry] = {}
        for *_, recorded, change in sorted(ordered, key=lambda one: one[:3]):
            if not recorded:
                self._saw(change)
            elif (line := self._grow(change, places)) is not None:
                lines[line.position, line.place] = line
        return [*lines.values()]

    def _new(self, playback: Sequence[Telemetry]) -> list[Telemetry]:
        """The rows that have alarms and weren't looked at lately."""
        watched = [item for item in playback if len(item.position) and self._limits.watches(item.rows.container)]
        if not watched:
            return []
        order = np.lexsort([np.concatenate([getattr(item, of) for item in watched]) for of in ("place", "position")])
        keys = np.concatenate([keys_of(_integers(item, "time"), _integers(item, "digest")) for item in watched])
        new = np.empty(len(keys), np.bool_)
        new[order] = self._recent.new(keys[order])
        if new.all():
            return watched
        chosen, start = [], 0
        for item in watched:
            mask = new[start : start + len(item.position)]
            start += len(mask)
            batch = item.rows.batch.filter(pa.array(mask))
            rows = Rows(item.rows.mission, item.rows.container, batch)
            chosen.append(Telemetry(rows, item.realtime, item.position[mask], item.place[mask]))
        return chosen

    def _saw(self, change: Change) -> None:
        if change.previous == "normal":
            self._live[change.parameter] = (change.time, None)
        elif change.severity == "normal" and change.parameter in self._live:
            self._live[change.parameter] = (self._live[change.parameter][0], change.time)

    def _grow(self, change: Change, places: Counter[int]) -> Entry | None:
        if change.previous == "normal":
            begin, end = self._live.get(change.parameter, (change.time + 1, None))
            if begin <= change.time and (end is None or change.time < end):
                return None  # real time had it
            place = places[change.position]
            places[change.position] += 1
            self._open[change.parameter] = _Excursion(change.position, place, change.time)
        excursion = self._open.get(change.parameter)
        if excursion is None:
            return None
        if SEVERITIES.index(change.severity) > SEVERITIES.index(excursion.severity):
            excursion.severity, excursion.value, excursion.label = change.severity, change.value, change.label
            excursion.low, excursion.high = (change.limit.low, change.limit.high) if change.limit else (None, None)
        ended = change.severity == "normal"
        if ended:
            del self._open[change.parameter]
        return _entry(change.parameter, excursion, str(change.time) if ended else "")

    def state(self) -> dict[str, Any]:
        """All that is remembered, JSON-ready."""
        return {
            "limits": self._limits.state(),
            "recent": base64.b64encode(self._recent.state()).decode(),
            "open": {parameter: asdict(excursion) for parameter, excursion in sorted(self._open.items())},
            "live": {parameter: [*span] for parameter, span in sorted(self._live.items())},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self._limits.restore(state["limits"])
        self._recent.restore(base64.b64decode(state["recent"]))
        self._open = {parameter: _Excursion(**values) for parameter, values in state["open"].items()}
        self._live = {parameter: (begin, end) for parameter, (begin, end) in state["live"].items()}


def _integers(item: Telemetry, column: str) -> np.ndarray:
    """A column as int64 (n,), NO_TIME for null."""
    values = item.rows.batch.column(column).cast(pa.int64()).fill_null(NO_TIME)
    return np.ascontiguousarray(values.to_numpy(zero_copy_only=False))


def _entry(parameter: str, excursion: _Excursion, end: str) -> Entry:
    values = {
        "parameter": parameter,
        "state": "recorded",
        "severity": excursion.severity,
        "value": number_to_json(excursion.value),
        "label": excursion.label,
        "low": excursion.low,
        "high": excursion.high,
        "raised": str(excursion.begin),
        "end": end,
        "text": TEXT,
        "position": str(excursion.position),
    }
    return Entry("alarm", excursion.position, excursion.place, excursion.begin, parameter, values)
