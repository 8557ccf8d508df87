"""Where the stages of a partition say what they left out and why: the ledger counts it, an event tells of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ground.blocks import NO_TIME
from ground.processing.events import Events
from ground.processing.ledger import MissionLedger

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ground.blocks import Nanoseconds
    from ground.processing.messages import Part

_WHY: Final = {
    "length": "the message is not a whole number of frames",
    "fecf": "the frame error control field does not fit (damaged on the way)",
    "version": "another transfer frame version (a false decode, or the wrong mission)",
    "spacecraft": "another spacecraft identifier (a false decode, or the wrong mission)",
    "station": "more stations than are remembered that mission.toml doesn't list",
}


class Account:
    """The ledger and the events of one mission. :meth:`begin` says of which part the following speaks."""

    def __init__(self, mission: str) -> None:
        self.ledger = MissionLedger()
        self.events = Events(mission)
        self._start = 0
        self._received: Nanoseconds = np.empty(0, np.int64)
        self._ert: Nanoseconds = np.empty(0, np.int64)

    def begin(self, part: Part) -> None:
        """What follows came of ``part``."""
        self._start, self._received, self._ert = part.start, part.received, part.ert

    def event(
        self,
        severity: str,
        source: str,
        text: str,
        position: NDArray[np.int64],
        amount: NDArray[np.int64] | None = None,
    ) -> None:
        """An event at each of ``position``, int64 (n,) ascending; see :meth:`~ground.processing.events.Events.add`."""
        if len(position):
            rows = position - self._start
            self.events.add(severity, source, text, position, self._received[rows], self._ert[rows], amount)

    def frames_in(self, n: int) -> None:
        """So many frames came."""
        self.ledger.frames_in += n

    def duplicate(self, n: int) -> None:
        """So many frames had come before."""
        self.ledger.duplicate += n

    def reject(self, station: str, reason: str, position: NDArray[np.int64]) -> None:
        """Frames that came with the messages at ``position`` (n,) are of no use."""
        if len(position):
            self.ledger.rejected[reason] += len(position)
            self.event("warning", station, "{amount} frames rejected: " + _WHY[reason], position)

    def numbered(self, missing: int, implausible: int, restarts: int) -> None:
        """What a station's running numbers say: so many more frames (less: negative) that did not come; messages whose
        number isn't believed; publishers that began again.
        """
        self.ledger.missing += missing
        self.ledger.implausible += implausible
        self.ledger.restarts += restarts

    def undecoded(self, source: str, reason: str, position: NDArray[np.int64]) -> None:
        """Packets that ended in the messages at ``position`` (n,) were not decoded."""
        if len(position):
            self.ledger.undecoded[reason] += len(position)
            self.event("warning", source, "{amount} packets not decoded: " + reason, np.sort(position))

    def saw_times(self, time: Nanoseconds) -> None:
        """Onboard times, int64 (n,) ns since 1970 UTC or NO_TIME, were received."""
        known = time[time != NO_TIME]
        if len(known):
            self.ledger.saw_times(int(known.min()), int(known.max()))

    def gaps(self, station: str, vcid: int, position: NDArray[np.int64], lost: NDArray[np.int64]) -> None:
        """The frame count of a channel breaks before frames of the messages at ``position`` (n,)."""
        self.event("warning", station, f"VC{vcid}: gaps in the frame count, {{amount}} frames lost", position, lost)
