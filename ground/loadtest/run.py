"""One load test against an ingest that runs: offer, watch, wait until all is stored, and say how it went."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ground.errors import GroundError
from ground.loadtest.knee import Step, find_knee
from ground.loadtest.latency import Latency, measure
from ground.loadtest.offer import Offer, Source
from ground.loadtest.publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from ground.link.address import Address
    from ground.loadtest.viewer import Viewer
    from ground.loadtest.watch import Watch
    from ground.loadtest.work import Work

_READY_SECONDS: Final = 30
_PATIENCE_SECONDS: Final = 30
_SHOW_SECONDS: Final = 0.25
_LATE_NS: Final = 500_000_000


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked for. ``rate``: packets/s, None is as fast as it is recorded. It ends after ``seconds`` or
    ``packets``, whichever is given; ``knee`` looks for the highest rate that the path keeps up with, from ``rate`` on,
    ``seconds`` at each.
    """

    rate: float | None = None
    seconds: float | None = 10.0
    packets: int | None = None
    frames_per_message: int = 1
    knee: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is, in packets, but ``lag_s``: by how much storing is behind offering; CPU of one core in percent."""

    offered: int
    recorded: int
    decoded: int
    stored: int
    lag_s: float
    cpu_percent: float
    rss_mb: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went, before anything is read back. ``sent``: good packets of each publisher. ``settled``: whether all
    that was sent is stored, by the ledger. ``seconds``: from the first message to the last confirmation."""

    sent: list[int]
    settled: bool
    kept_pace: bool
    seconds: float
    cpu_s: float
    peak_rss_mb: float
    latency: dict[str, Latency]
    ledger: dict[str, Any]
    steps: list[Step]


async def run_load(
    load: Load,
    work: Work,
    broker: Address,
    recording: Path,
    watch: Watch,
    viewer: Viewer,
    show: Callable[[Progress], None] = lambda progress: None,
) -> Outcome:
    """Run ``load``. Raises :class:`~ground.errors.GroundError` where the broker or the ingest goes away."""
    async with _in_background(watch.run(), viewer.run()):
        await _ready(watch)
        connections = [
            await Publisher.connect(broker, f"ground-load-{os.getpid()}-{k}") for k in range(work.publishers)
        ]
        sources = [Source(work, k, load.frames_per_message, one) for k, one in enumerate(connections)]
        offer = Offer(sources, watch)
        cpu, start = watch.cpu_seconds(), time.time_ns()
        async with _in_background(_show(offer, watch, show)):
            steps = []
            if load.knee:
                steps = await find_knee(offer, watch, load.rate or 5000.0, load.seconds or 10.0)
            else:
                await offer.run(load.rate, seconds=load.seconds, packets=load.packets)
            settled = await watch.settled(offer.messages, _PATIENCE_SECONDS)
        # The ledger that shows the last position as stored may have been followed by one that is balanced.
        cpu = watch.cpu_seconds() - cpu
        await asyncio.sleep(1)
        for connection in connections:
            connection.close()
        latency = await asyncio.to_thread(
            measure, recording, {"record": watch.recorded, "store": watch.stored, "live": viewer.seen}
        )
        return Outcome(
            sent=[source.stream.packets(source.sent) for source in sources],
            settled=settled,
            kept_pace=load.rate is None or load.knee or offer.late_ns < _LATE_NS,
            seconds=(watch.stored[-1][0] - start) / 1e9,
            cpu_s=cpu,
            peak_rss_mb=watch.rss_mb(peak=True),
            latency=latency,
            ledger=watch.ledger,
            steps=steps,
        )


async def _ready(watch: Watch) -> None:
    """Wait until the ingest says that its subscription is confirmed."""
    for _ in range(_READY_SECONDS * 20):
        if watch.ledger.get("link", {}).get("state") == "connected":
            return
        await asyncio.sleep(0.05)
    raise GroundError(f"the ingest is not ready after {_READY_SECONDS} s")


@asynccontextmanager
async def _in_background(*work: Any) -> AsyncIterator[None]:
    """Run ``work`` beside the body, and cancel it afterwards; what it raises ends the body."""
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(one) for one in work]
            yield
            for task in running:
                task.cancel()
    except* GroundError as errors:
        raise errors.exceptions[0] from None


async def _show(offer: Offer, watch: Watch, show: Callable[[Progress], None]) -> None:
    before, cpu = time.monotonic(), watch.cpu_seconds()
    while True:
        await asyncio.sleep(_SHOW_SECONDS)
        now, spent = time.monotonic(), watch.cpu_seconds()
        messages = max(offer.messages, 1)
        a_message = offer.packets / messages
        positions = (watch.position, watch.processed, watch.confirmed)
        recorded, decoded, stored = (round(position * a_message) for position in positions)
        percent = (spent - cpu) / (now - before) * 100
        show(Progress(offer.packets, recorded, decoded, stored, watch.lag(offer.messages), percent, watch.rss_mb()))
        before, cpu = now, spent
