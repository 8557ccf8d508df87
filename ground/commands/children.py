"""Processes that belong to this one: they end with it, however it ends."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import Final

log = logging.getLogger("ground.up")

_PARENT: Final = "GROUND_ENDS_WITH_STDIN"
_RESTART_SECONDS: Final = 2
_PATIENCE_SECONDS: Final = 5


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
