"""Send at a rate by the clock, or as fast as it is recorded, and never further ahead of the recording than a window.

A message has a time at which it is due. When the path holds the generator up the message is late, and its latency is
still counted from when it was due: no coordinated omission.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ground.errors import GroundError
from ground.link import topics
from ground.loadtest.stream import GROUP, NEW, Stream
from ground.loadtest.wire import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ground.loadtest.publisher import Publisher
    from ground.loadtest.traffic import Traffic
    from ground.loadtest.watch import Watch

WINDOW: Final = 8192
"""Messages that may be on their way to the recording. Brokers acknowledge early and drop silently when a consumer lags,
so their PUBACKs say nothing of how much they can hold."""

_WINDOW_OCTETS: Final = 32 << 20
_CHUNK: Final = 251
_SECOND: Final = 1_000_000_000
_TICK: Final = 0.001
_PATIENCE_SECONDS: Final = 30
_LATE_SECONDS: Final = 0.5
_PACE_SECONDS: Final = 2


class Source:
    """One publisher and its stream. ``sent``: messages. ``waited``: seconds that the path held it up."""

    def __init__(self, traffic: Traffic, publisher: int, frames: int, connection: Publisher) -> None:
        self.stream = Stream(traffic, publisher, frames)
        self.sent = 0
        self.waited = 0.0
        topic = topics.telemetry(traffic.mission.name, f"load{publisher}", traffic.channels[publisher])
        self._connection = connection
        self._shape = Shape(topic, secrets.token_hex(4), frames * traffic.frame_length)
        self._group = self.stream.group(0)

    def room(self) -> int:
        """How many messages can be sent in one go."""
        return min(_CHUNK, GROUP - self.sent % GROUP)

    async def send(self, due: NDArray[np.int64]) -> None:
        """Send the next messages, at most :meth:`room`, that were due at these times (ns since 1970 UTC)."""
        payload, seq = self._group
        part = slice(self.sent % GROUP, self.sent % GROUP + len(due))
        packets = self._shape.packets(payload[part], seq[part], due, self._connection.packet_ids(len(due)))
        begun = time.monotonic()
        await self._connection.send(packets)
        self.waited += time.monotonic() - begun
        self.sent += len(due)
        if self.sent % GROUP == 0:
            self._group = self.stream.group(self.sent // GROUP)


@dataclass(frozen=True, slots=True)
class Kept:
    """How the rate of a run was kept. ``late_s``: what was due when it ended and not sent, as seconds of its rate.
    ``waited_s``: how long the path held the generator up."""

    late_s: float
    waited_s: float

    @property
    def broken_by(self) -> str | None:
        """``path`` where more was due than the path took, ``generator`` where this process couldn't make it in time,
        None where the rate was kept."""
        if self.late_s < _LATE_SECONDS:
            return None
        return "path" if self.waited_s > self.late_s / 2 else "generator"


class Offer:
    """Offers the telemetry of ``sources`` while ``watch`` sees what becomes of it."""

    def __init__(self, sources: list[Source], watch: Watch) -> None:
        self.sources = sources
        self._watch = watch
        stream = sources[0].stream
        # Of the messages of a group two carry nothing new.
        self._packets_per_message = stream.traffic.packets_per_frame * stream.frames * NEW / GROUP
        self._window = max(len(sources), min(WINDOW, _WINDOW_OCTETS // (stream.frames * stream.traffic.frame_length)))
        # Of the run that goes on: messages that are due a second (0 without rate), since when, and how many were sent
        # before.
        self._due_per_s = 0.0
        self._since = 0
        self._before = 0

    @property
    def messages(self) -> int:
        """How many were sent."""
        return sum(source.sent for source in self.sources)

    @property
    def packets(self) -> int:
        """How many different good packets they carry."""
        return sum(source.stream.packets(source.sent) for source in self.sources)

    def packets_of(self, messages: int) -> int:
        """About how many packets so many of the messages carry."""
        return round(messages * self._packets_per_message)

    def lag_s(self) -> float:
        """How far storing is behind what was due: in seconds of the rate, without one at the pace of the recording."""
        due = self.messages
        if self._due_per_s:
            due = self._before + int((time.time_ns() - self._since) / 1e9 * self._due_per_s)
        waiting = due - self._watch.stored.position
        pace = self._due_per_s or self._watch.recorded.pace(_PACE_SECONDS)
        return max(waiting, 0) / pace if pace else 0.0

    async def run(self, rate: float | None, *, seconds: float | None = None, packets: int | None = None) -> Kept:
        """Offer ``rate`` packets/s (None: what is recorded) for so many ``seconds``, or until ``packets`` are sent.

        Raises :class:`~ground.errors.GroundError` where nothing is recorded any more.
        """
        self._since, self._before = time.time_ns(), self.messages
        self._due_per_s = rate / self._packets_per_message if rate else 0.0
        waited = sum(source.waited for source in self.sources)
        try:
            async with asyncio.TaskGroup() as tasks:
                runs = [
                    tasks.create_task(self._send(source, seconds, self._share(number, packets)))
                    for number, source in enumerate(self.sources)
                ]
        except* GroundError as errors:
            raise errors.exceptions[0] from None
        finally:
            self._due_per_s = 0.0
        waited = (sum(source.waited for source in self.sources) - waited) / len(self.sources)
        return Kept(max(run.result() for run in runs), waited)

    def _share(self, number: int, packets: int | None) -> int | None:
        """How many messages a source is to have sent in all when the run ends."""
        if packets is None:
            return None
        share = packets // len(self.sources) + (number < packets % len(self.sources))
        return self.sources[number].stream.messages(share)

    async def _send(self, source: Source, seconds: float | None, total: int | None) -> float:
        """Returns how late it is at its end, in seconds."""
        start, first = self._since, source.sent
        interval = len(self.sources) * _SECOND / self._due_per_s if self._due_per_s else 0.0
        while True:
            now = time.time_ns()
            done = source.sent - first
            due = int((now - start) / interval) + 1 - done if interval else _CHUNK
            if seconds is not None and now - start >= seconds * _SECOND:
                return due * interval / _SECOND
            if total is not None and source.sent >= total:
                return (now - start - done * interval) / _SECOND if interval else 0.0
            left = due if total is None else min(due, total - source.sent)
            if left <= 0:
                await asyncio.sleep(max(_TICK, (start + done * interval - now) / _SECOND))
                continue
            n = min(left, source.room(), self._room())
            if n <= 0:
                await self._wait_for_room(source)
                continue
            times = start + ((done + np.arange(n)) * interval).astype(np.int64) if interval else np.full(n, now)
            await source.send(times)
            await asyncio.sleep(0)

    def _room(self) -> int:
        """How many messages a source may send before more is recorded."""
        return (self._watch.recorded.position + self._window - self.messages) // len(self.sources)

    async def _wait_for_room(self, source: Source) -> None:
        begun, recorded = time.monotonic(), self._watch.recorded.position
        while self._room() <= 0:
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await self._watch.progress.wait()
            except TimeoutError:
                pass
            if self._watch.recorded.position == recorded and time.monotonic() - begun > _PATIENCE_SECONDS:
                raise GroundError(
                    f"nothing was recorded for {_PATIENCE_SECONDS} s: of {self.messages:,} messages sent {recorded:,} "
                    "are recorded; the broker holds or has dropped the others"
                )
        source.waited += time.monotonic() - begun
