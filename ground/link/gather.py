"""Deliveries of a busy link, gathered: reading, recording and acknowledging many messages together costs little more
than one, and brokers write message by message.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ground.link.delivery import Delivery
    from ground.link.mqtt import Client

_MANY: Final = 16
"""Messages of a delivery from which on more is waited for."""

_PAUSE: Final = 3
_PAUSE_SECONDS: Final = 0.02
"""How long: three times what recording and acknowledging a delivery took, so that it has a fourth of the time. What
comes later than it could with the next one is read in one go and recorded as one group.
"""

_HOLD_SECONDS: Final = 0.1
"""Reading goes on by itself after this: a disk that takes nothing must not keep the broker's answers from the others.
"""

_MOST_AT_ONCE: Final = 100
"""Deliveries, at most, that aren't waited for after one that nothing followed; each time twice as many as the last."""

_STEP_SECONDS: Final = 0.004
"""Shorter pauses of a busy broker say nothing."""


async def deliveries(client: Client) -> AsyncIterator[Delivery]:
    """What arrives, each to be acknowledged before the next; under load with what comes a little later as well."""
    at_once = skipped = 0
    while True:
        delivery = await client.receive()
        many = len(delivery.received) >= _MANY
        if many:
            client.hold(_HOLD_SECONDS)
        begun = time.monotonic()
        yield delivery
        if at_once:
            at_once -= 1
        elif many:
            more = await gather(client, min(_PAUSE * (time.monotonic() - begun), _PAUSE_SECONDS))
            # Without any it may have sent all that it may before it is acknowledged: then waiting only costs time.
            at_once = skipped = 0 if more else min(2 * skipped + 1, _MOST_AT_ONCE)


async def gather(client: Client, seconds: float) -> bool:
    """Let more arrive before the next :meth:`Client.receive`, as long as more does and ``seconds`` at most.

    Returns whether it still did then.
    """
    end = time.monotonic() + seconds
    step, before, more = _STEP_SECONDS, 0, True
    while more and (rest := end - time.monotonic()) > 0:
        client.hold(step + _STEP_SECONDS)
        await asyncio.sleep(min(step, rest))
        unread = client.unread
        more = unread > before
        before, step = unread, 2 * step
    return more
