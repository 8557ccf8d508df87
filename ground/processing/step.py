"""What comes out of a partition for a part of the recording."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ground.stores import Entry, Rows


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Rows of one container in the order of the log, and whether they came in real time (or in playback).

    ``position``, ``place``: int64 (n,), of the message in which each packet ended, and the packet's place in it.
    """

    rows: Rows
    realtime: bool
    position: NDArray[np.int64]
    place: NDArray[np.int64]


@dataclass(slots=True)
class Step:
    """Rows to store, of which the real-time ones are shown live; lines of the journal, new and grown."""

    telemetry: list[Telemetry] = field(default_factory=list)
    alarms: list[Entry] = field(default_factory=list)
    events: list[Entry] = field(default_factory=list)
