"""Mission time against wall time: how fast a simulation may go."""

from __future__ import annotations

import asyncio
import math
import time

from simulators.ephemeris import SECOND

_BEHIND = 2.0
"""Seconds of wall time that are caught up; after a longer stop (a broker away, a laptop asleep) mission time slips."""


class Pace:
    """Lets mission time run at ``rate`` times wall time from now on; ``math.inf`` never waits."""

    def __init__(self, mission: int, rate: float) -> None:
        self._rate = rate
        self._anchor = (mission, time.monotonic())

    async def reach(self, mission: int, stop: asyncio.Event) -> None:
        """Wait until mission time ``mission`` (ns since 1970 UTC) has come, or ``stop`` is set."""
        if math.isinf(self._rate):
            await asyncio.sleep(0)
            return
        began, wall = self._anchor
        wait = wall + (mission - began) / SECOND / self._rate - time.monotonic()
        if wait < -_BEHIND:
            self._anchor = (mission, time.monotonic())
        try:
            async with asyncio.timeout(max(wait, 0)):
                await stop.wait()
        except TimeoutError:
            pass
