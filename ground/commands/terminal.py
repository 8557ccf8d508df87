"""What all commands share of the terminal: where results and messages go, times as arguments, stopping on a signal."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def utc_time(text: str) -> int:
    """An argument that is a time: ISO 8601, UTC unless it says otherwise; ns since 1970 UTC."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} should be a date and time like 2020-11-28T10:09:01Z") from error
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time
    whole = round((time.replace(microsecond=0) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    return whole * 1_000_000_000 + time.microsecond * 1000


def speed(text: str) -> float | None:
    """An argument that is a speed: a factor of real time, or ``max`` (None)."""
    if text == "max":
        return None
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} should be a factor above 0, or max")
    return factor


def port(text: str) -> int:
    """An argument that is a TCP port to listen on; 0 takes a free one."""
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} should be a port from 1 to 65535, or 0 for a free one")
    return int(text)


def run_until_stopped(work: Coroutine[Any, Any, T], duration: float | None = None) -> T | None:
    """Run ``work`` to its end, or cancel it on Ctrl-C, SIGTERM, or after ``duration`` seconds (then None)."""

    async def main() -> T | None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        if duration is not None:
            loop.call_later(duration, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            return None

    return asyncio.run(main())


def log_to_terminal() -> None:
    """Warnings and what a service says of itself go to standard error, a line each."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for chatty in ("uvicorn", "iotcore", "mqtt", "aiomqtt"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
