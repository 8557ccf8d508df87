"""Send at a rate by the clock, or as fast as it is recorded, and never further ahead of the recording than a window.

A message has a time at which it is due. When the path holds the generator up the message is late, and its latency is
still counted from when it was due: no coordinated omission.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Final

import numpy as np

from ground.link import topics
from ground.loadtest.stream import GROUP, Stream
from ground.loadtest.wire import Shape
from ground.loadtest.work import MISSION

if TYPE_CHECKING:
    from ground.loadtest.publisher import Publisher
    from ground.loadtest.watch import Watch
    from ground.loadtest.work import Work

WINDOW: Final = 8192
"""Messages that may be on their way to the recording. Brokers acknowledge early and drop silently when a consumer lags,
so their PUBACKs say nothing of how much they can hold."""

_WINDOW_OCTETS: Final = 32 << 20
_CHUNK: Final = 251
_SECOND: Final = 1_000_000_000
_TICK: Final = 0.001


class Source:
    """One publisher and its stream. ``sent``: messages."""

    def __init__(self, work: Work, publisher: int, frames: int, connection: Publisher) -> None:
        self.stream = Stream(work, publisher, frames)
        self.sent = 0
        self.run = secrets.token_hex(4)
        self._connection = connection
        self._shape = Shape(topics.telemetry(MISSION, f"load{publisher}", 0), self.run, frames * work.frame_length)
        self._group = self.stream.group(0)

    def room(self) -> int:
        """How many messages can be sent in one go."""
        return min(_CHUNK, GROUP - self.sent % GROUP)

    async def send(self, due: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        """Send the next messages, at most :meth:`room`, that were due at these times (ns since 1970 UTC)."""
        payload, seq = self._group
        part = slice(self.sent % GROUP, self.sent % GROUP + len(due))
        packets = self._shape.packets(payload[part], seq[part], due, self._connection.packet_ids(len(due)))
        await self._connection.send(packets)
        self.sent += len(due)
        if self.sent % GROUP == 0:
            self._group = self.stream.group(self.sent // GROUP)


class Offer:
    """Offers the telemetry of ``sources`` while ``watch`` sees what becomes of it.

    ``late_ns``: by how much the latest message of the last :meth:`run` was sent after it was due.
    """

    def __init__(self, sources: list[Source], watch: Watch) -> None:
        self.sources = sources
        self.late_ns = 0
        self._watch = watch
        stream = sources[0].stream
        self._frames = stream.frames
        self._window = max(len(sources), min(WINDOW, _WINDOW_OCTETS // (stream.frames * stream.work.frame_length)))

    @property
    def messages(self) -> int:
        """How many were sent."""
        return sum(source.sent for source in self.sources)

    @property
    def packets(self) -> int:
        """How many different good packets they carry."""
        return sum(source.stream.packets(source.sent) for source in self.sources)

    async def run(self, rate: float | None, *, seconds: float | None = None, packets: int | None = None) -> None:
        """Offer ``rate`` packets/s (None: what is recorded) for so many ``seconds``, or until ``packets`` are sent."""
        self.late_ns = 0
        async with asyncio.TaskGroup() as tasks:
            for number, source in enumerate(self.sources):
                total = None
                if packets is not None:
                    share = packets // len(self.sources) + (number < packets % len(self.sources))
                    total = source.stream.messages(share)
                tasks.create_task(self._send(source, rate and rate / len(self.sources), seconds, total))

    async def _send(self, source: Source, rate: float | None, seconds: float | None, total: int | None) -> None:
        start, first = time.time_ns(), source.sent
        interval = self._frames * _SECOND / rate if rate else 0.0
        while True:
            now = time.time_ns()
            if seconds is not None and now - start >= seconds * _SECOND:
                return
            done = source.sent - first
            due = int((now - start) / interval) + 1 - done if interval else _CHUNK
            left = due if total is None else min(due, total - source.sent)
            if left <= 0:
                if total is not None and source.sent >= total:
                    return
                await asyncio.sleep(max(_TICK, (start + done * interval - now) / _SECOND))
                continue
            room = (self._watch.position + self._window - self.messages) // len(self.sources)
            n = min(left, source.room(), max(room, 0))
            if not n:
                # Asleep until more is recorded; how long that takes shows in the latencies.
                await self._watch.progress.wait()
                continue
            times = start + ((done + np.arange(n)) * interval).astype(np.int64) if interval else np.full(n, now)
            await source.send(times)
            self.late_ns = max(self.late_ns, time.time_ns() - int(times[0])) if interval else 0
            await asyncio.sleep(0)
