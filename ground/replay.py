"""Replay: a second follower that reads a recording by itself, at its own pace, into a scratch store.

Nothing of it reaches the live topics or the live store: it has a broker, a store and a topic prefix of its own.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ground.blocks import NO_TIME
from ground.errors import ConfigError
from ground.live import PERIOD, LiveStream
from ground.processing.follow import Follower
from ground.recording.read import Recording

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ground.blocks import Nanoseconds
    from ground.link.mqtt import Client
    from ground.mission import Mission
    from ground.stores import Store
    from ground.xtce.plan import Plan

PREFIX: Final = "replay/"
"""Topics of a replay begin with this."""

_STEP_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Span:
    """The part of a recording that is replayed: positions [start, stop) and when each message was received on earth.

    ``ert``: int64 (stop - start,), ns since 1970 UTC, never decreasing.
    """

    start: int
    stop: int
    ert: Nanoseconds


def choose_span(folder: Path, since: int | None, until: int | None) -> Span:
    """The messages whose earth receive time lies in [since, until), ns since 1970 UTC; None is an open end.

    The earth receive time is the station's, or, where it sent none, this machine's. Raises
    :class:`~ground.errors.ConfigError` where there is no recording or nothing in the span.
    """
    if not any(folder.glob("*.arrows")):
        raise ConfigError(f"{folder}: no recording here (a folder with *.arrows segments)")
    recording = Recording(folder)
    blocks = [
        (block.position, np.where(block.ert == NO_TIME, block.received, block.ert))
        for block in recording.read(recording.first())
        if len(block)
    ]
    lowest, highest = NO_TIME if since is None else since, np.iinfo(np.int64).max if until is None else until
    hits = [
        (position + int(rows[0]), position + int(rows[-1]))
        for position, ert in blocks
        if len(rows := np.flatnonzero((ert >= lowest) & (ert < highest)))
    ]
    if not hits:
        raise ConfigError(f"{folder}: nothing was received in the time that was asked for")
    start, stop = hits[0][0], hits[-1][1] + 1
    ert = np.zeros(stop - start, np.int64)
    for position, times in blocks:
        a, b = max(position, start), min(position + len(times), stop)
        if a < b:
            ert[a - start : b - start] = times[a - position : b - position]
    return Span(start, stop, np.maximum.accumulate(ert))


class Pace:
    """Lets a follower see the span as it was received, ``speed`` times as fast; None is as fast as it goes.

    It is the ``committed`` of the replayed :class:`~ground.recording.read.Recording`, and tells when that grows.
    """

    def __init__(self, span: Span, speed: float | None) -> None:
        self.span = span
        self.position = span.start if speed else span.stop
        self._speed = speed
        self._grown = asyncio.Event()

    async def run(self) -> None:
        """Move on until all of the span may be seen."""
        begun = time.monotonic()
        while self.position < self.span.stop:
            assert self._speed is not None
            reached = self.span.ert[0] + round((time.monotonic() - begun) * self._speed * 1e9)
            self.position = self.span.start + int(np.searchsorted(self.span.ert, reached, side="right"))
            self._grown.set()
            self._grown.clear()
            await asyncio.sleep(_STEP_SECONDS)

    async def grown(self, position: int) -> int:
        """See :class:`ground.processing.follow.Grows`."""
        while self.position <= position:
            await self._grown.wait()
        return self.position


class Replay:
    """One replay of a span of the recording in ``folder`` into ``store``, shown by way of ``client``'s broker."""

    def __init__(
        self,
        missions: Iterable[tuple[Mission, Plan]],
        folder: Path,
        span: Span,
        speed: float | None,
        store: Store,
        client: Client,
    ) -> None:
        self.span = span
        self._pace = Pace(span, speed)
        self._live = LiveStream(client.publish, prefix=PREFIX)
        recording = Recording(folder, lambda: self._pace.position)
        self._follower = Follower(missions, recording, store, live=self._live, publish=client.publish, prefix=PREFIX)

    async def run(self) -> None:
        """Replay until all of the span is stored and shown."""
        self._live.begin(await self._follower.start(self.span.start, self.span.start))
        tasks = [
            asyncio.create_task(self._follower.run(self._pace), name="replay follow"),
            asyncio.create_task(self._pace.run(), name="replay pace"),
        ]
        try:
            while self._follower.stored < self.span.stop:
                await asyncio.wait(tasks, timeout=PERIOD, return_when=asyncio.FIRST_EXCEPTION)
                for task in tasks:
                    if task.done():
                        task.result()
                await self._live.flush(self._follower.position)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def report(self) -> dict[str, Any]:
        """The ledger of the replay, JSON-ready."""
        return self._follower.report()
