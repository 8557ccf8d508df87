"""When which position was reached, in 16 octets each: a soak sees millions."""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Seen:
    """Times, ns since 1970 UTC by this machine's clock, and the positions up to which (exclusive) it had come by then.

    Begins with position 0 now; neither ever decreases.
    """

    def __init__(self) -> None:
        self._times = array("q", [time.time_ns()])
        self._positions = array("q", [0])

    def add(self, now: int, position: int) -> None:
        """Note ``position`` at the time ``now``."""
        self._times.append(now)
        self._positions.append(position)

    @property
    def position(self) -> int:
        """The newest."""
        return self._positions[-1]

    @property
    def time(self) -> int:
        """When the newest was noted."""
        return self._times[-1]

    def pace(self, seconds: float) -> float:
        """Positions a second, over the last so many ``seconds`` and up to now."""
        now = time.time_ns()
        since = min(bisect_left(self._times, now - int(seconds * 1e9)), len(self._times) - 1)
        return (self.position - self._positions[since]) * 1e9 / max(now - self._times[since], 1)

    def columns(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Times and positions, int64 (n,) each."""
        return np.array(self._times, np.int64), np.array(self._positions, np.int64)
