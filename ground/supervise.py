"""Tasks that may fail without taking anything else with them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from ground.errors import GroundError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

log = logging.getLogger("ground")

_BACK_OFF: Final = (0.5, 1, 2, 5, 15)


async def keep_going(name: str, work: Callable[[], Awaitable[None]], troubles: MutableMapping[str, str]) -> None:
    """Do ``work`` until it returns or this is cancelled; when it fails, say so and do it again a while later.

    ``troubles`` has the reason under ``name`` from then until it is at work again without failing for a while.
    """
    attempt = 0
    while True:
        task = asyncio.ensure_future(work())
        try:
            done, _ = await asyncio.wait([task], timeout=_BACK_OFF[-1] if name in troubles else None)
            if not done:
                del troubles[name]
                attempt = 0
                await asyncio.wait([task])
            task.result()
        except Exception as error:
            reason = str(error) if isinstance(error, GroundError) else f"{type(error).__name__}: {error}"
            if troubles.get(name) != reason:
                log.error("%s failed and is begun again: %s", name, reason, exc_info=log.isEnabledFor(logging.DEBUG))
            troubles[name] = reason
        else:
            return
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
        await asyncio.sleep(_BACK_OFF[min(attempt, len(_BACK_OFF) - 1)])
        attempt += 1
