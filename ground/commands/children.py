"""Processes that belong to this one: they end with it, however it ends."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ground.errors import GroundError, LinkError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ground.link.broker import EmbeddedBroker
    from ground.link.gate import Gate

log = logging.getLogger("ground.up")

_PARENT: Final = "GROUND_ENDS_WITH_STDIN"
_RESTART_SECONDS: Final = 2
_PATIENCE_SECONDS: Final = 5
_WATCH_SECONDS: Final = 0.1
_BACK_OFF: Final = (0.2, 1.0, 2.0, 4.0, 8.0)
_STEADY_SECONDS: Final = 60.0
"""A broker that has lived for so long has started well."""


async def keep_running(*arguments: str) -> None:
    """Run ``ground ARGUMENTS`` in a process of its own, again when it fails, until it ends by itself or on cancel."""
    while True:
        process = await start(*arguments)
        try:
            status = await process.wait()
        except asyncio.CancelledError:
            await asyncio.shield(stop(process))
            raise
        if status == 0:
            return
        log.error("ground %s ended with status %d; again in %d s", " ".join(arguments[:2]), status, _RESTART_SECONDS)
        await asyncio.sleep(_RESTART_SECONDS)


async def keep_broker(
    broker: EmbeddedBroker, gate: Gate, subscribed: Callable[[], Awaitable[None]], back_off: Sequence[float] = _BACK_OFF
) -> None:
    """Open ``gate`` when ``subscribed`` returns. Where the broker ends, shut it, start the broker again, and so on.

    ``back_off``: seconds before each try. Raises :class:`~ground.errors.LinkError` when all of them have failed: the
    broker did not start, or did not live for as long as a minute.
    """
    tries = iter(back_off)
    reason = "it ended each time, its messages above may say why"
    while True:
        started = time.monotonic()
        opening = asyncio.ensure_future(_open_when(gate, subscribed))
        try:
            while broker.running:  # noqa: ASYNC110 - a process that isn't asyncio's tells nobody of its end
                await asyncio.sleep(_WATCH_SECONDS)
        finally:
            opening.cancel()
        gate.shut()
        if time.monotonic() - started > _STEADY_SECONDS:
            tries = iter(back_off)
        wait = next(tries, None)
        if wait is None:
            raise LinkError(f"the embedded broker was started again {len(back_off)} times in vain: {reason}")
        log.error("the embedded broker has ended; what it had not delivered is lost; again in %g s", wait)
        await asyncio.sleep(wait)
        try:
            # Meanwhile the subscriber sees that its connection has ended.
            await asyncio.to_thread(broker.start)
        except GroundError as error:
            log.error("%s", error)
            reason = str(error)


async def _open_when(gate: Gate, subscribed: Callable[[], Awaitable[None]]) -> None:
    await subscribed()
    gate.open()


async def start(*arguments: str, stdout: int | None = None, **environment: str) -> asyncio.subprocess.Process:
    """``ground ARGUMENTS`` in a process of its own, with these environment variables besides ours.

    ``stdout``: as of :mod:`subprocess`, ours by default.
    """
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ground",
        *arguments,
        # The child waits for the end of its standard input: that comes even when this process is killed.
        stdin=asyncio.subprocess.PIPE,
        stdout=stdout,
        env={**os.environ, **environment, _PARENT: "1"},
        start_new_session=True,
    )


async def stop(process: asyncio.subprocess.Process) -> None:
    """End it with SIGTERM, after a while with SIGKILL."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def end_with_parent() -> None:
    """In a child of :func:`start`: stop, as on SIGTERM, when the parent is gone."""
    if os.environ.get(_PARENT) != "1":
        return

    def watch() -> None:
        with suppress(OSError):
            while os.read(0, 4096):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
