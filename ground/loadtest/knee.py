"""The knee: the highest rate at which what is stored keeps up with what is offered."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ground.loadtest.offer import Offer
    from ground.loadtest.watch import Watch

_STEP: Final = 1.25
_BEHIND_SECONDS: Final = 1.5
_PATIENCE_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Step:
    """One rate, packets/s, and what was stored meanwhile. ``lag_s``: how far storing was behind at its end."""

    rate: float
    stored_per_s: float
    lag_s: float
    kept_up: bool


async def find_knee(offer: Offer, watch: Watch, rate: float, seconds: float) -> list[Step]:
    """Offer ``rate`` for so many ``seconds``, then more by a quarter each time, until storing falls behind.

    The last step that kept up is the knee.
    """
    steps: list[Step] = []
    while not steps or steps[-1].kept_up:
        start, before, packets = time.monotonic(), watch.confirmed, offer.packets
        messages = offer.messages
        await offer.run(rate, seconds=seconds)
        lag = watch.lag(offer.messages)
        took = time.monotonic() - start
        stored = (watch.confirmed - before) * (offer.packets - packets) / max(offer.messages - messages, 1)
        behind = lag > _BEHIND_SECONDS or offer.late_ns > _BEHIND_SECONDS * 1e9
        steps.append(Step(rate, stored / took, lag, not behind))
        # What waits belongs to this step, not to the next.
        if not await watch.settled(offer.messages, _PATIENCE_SECONDS):
            break
        rate *= _STEP
    return steps
