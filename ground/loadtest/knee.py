"""The knee: the highest rate at which what is stored keeps up with what is due."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ground.errors import GroundError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from numpy.typing import NDArray

    from ground.loadtest.offer import Offer
    from ground.loadtest.watch import Watch

FIRST_RATE: Final = 2000.0
"""Packets/s to begin with where nothing else is asked for."""

LEAST_SECONDS: Final = 8.0
"""Of a step: storing goes by appends of about a second, and two of them don't tell a trend."""

_LOWEST_RATE: Final = 1.0
_BISECTIONS: Final = 3
_CLOSE: Final = 1.05
_LOOK_SECONDS: Final = 0.05
_SETTLING_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = 60

# A step is behind when its lag has grown by more than a twentieth of the time. A slow database's appends take seconds
# each, which is no growth.
_GROWTH: Final = 0.05
_GROWTH_SECONDS: Final = 0.4
_BEHIND_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Step:
    """One rate, packets/s, and what was stored of it. ``lag_s``: how far storing was behind towards its end.

    ``broken_by``: who couldn't keep the rate of offering, as in :class:`~ground.loadtest.offer.Kept`.
    """

    rate: float
    stored_per_s: float
    lag_s: float
    kept_up: bool
    broken_by: str | None


def knee(steps: list[Step]) -> Step | None:
    """The fastest step that kept up."""
    return max((step for step in steps if step.kept_up), key=lambda step: step.rate, default=None)


async def find_knee(
    offer: Offer, watch: Watch, rate: float, seconds: float, tell: Callable[[str], None] = lambda phase: None
) -> list[Step]:
    """The steps of a :func:`search` from ``rate`` on, each of so many ``seconds``; ``tell`` hears of each.

    Raises :class:`~ground.errors.GroundError` where storing stops, or not even the lowest rate is stored in time.
    """
    number = 0

    async def step(rate: float) -> Step:
        nonlocal number
        number += 1
        tell(f"step {number}: {rate:,.0f} packets/s")
        done = await _step(offer, rate, seconds)
        # What waits belongs to this step, not to the next.
        if not await watch.settled(offer.messages, _PATIENCE_SECONDS):
            raise GroundError(f"what was sent is not stored: nothing moves for {_PATIENCE_SECONDS} s")
        return done

    return await search(step, rate)


async def search(step: Callable[[float], Awaitable[Step]], rate: float) -> list[Step]:
    """Try ``rate``, then twice as much each time, until storing falls behind; then halve the distance to the last that
    kept up, three times. A rate that fails is tried once more, and again when all that is below it keeps up: a stall of
    the machine is no knee.
    """
    steps: list[Step] = []

    async def keeps_up(rate: float) -> bool:
        for _ in range(2):
            steps.append(await step(rate))
            if steps[-1].kept_up:
                return True
        return False

    low, high = 0.0, rate
    while high > _CLOSE * low:
        while await keeps_up(high):
            low, high = high, 2 * high
        while not low:
            if high / 2 < _LOWEST_RATE:
                raise GroundError(f"not even {high:.1f} packets/s are stored in time")
            low, high = (high / 2, high) if await keeps_up(high / 2) else (0.0, high / 2)
        failed = high
        for _ in range(_BISECTIONS):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if await keeps_up(middle) else (low, middle)
        if high < failed:
            break
    return steps


async def _step(offer: Offer, rate: float, seconds: float) -> Step:
    lags: list[tuple[float, float]] = []

    async def look() -> None:
        begun = time.monotonic()
        while True:
            lags.append((time.monotonic() - begun, offer.lag_s()))
            await asyncio.sleep(_LOOK_SECONDS)

    looking = asyncio.create_task(look())
    try:
        kept = await offer.run(rate, seconds=seconds)
    finally:
        looking.cancel()
    return judge(rate, np.array(lags), kept.broken_by)


def judge(rate: float, lags: NDArray[np.float64], broken_by: str | None) -> Step:
    """What ``lags`` say of a step. float64 (n, 2): seconds from its beginning on, and the lag then, in seconds.

    Storing goes by appends, between which the lag grows: what counts is how low it comes in the first and in the last
    third of the time from the first append on.
    """
    time_s, lag_s = lags.T
    stored = np.flatnonzero((time_s - lag_s > 0) & (time_s > _SETTLING_SECONDS))
    end = time_s[-1]
    first = time_s[stored[0]] if len(stored) else end
    if end - first < _SETTLING_SECONDS:
        return Step(rate, 0.0, float(lag_s[-1]), kept_up=False, broken_by=broken_by)
    early = np.flatnonzero((time_s >= first) & (time_s <= first + (end - first) / 3))
    late = np.flatnonzero(time_s >= end - (end - first) / 3)
    a, b = early[np.argmin(lag_s[early])], late[np.argmin(lag_s[late])]
    growth, between = float(lag_s[b] - lag_s[a]), float(time_s[b] - time_s[a])
    behind = growth > max(_GROWTH * between, _GROWTH_SECONDS) or lag_s[b] > _BEHIND_SECONDS
    stored_per_s = rate * (1 - max(growth, 0.0) / between)
    return Step(rate, stored_per_s, float(lag_s[b]), bool(not behind and broken_by is None), broken_by)
