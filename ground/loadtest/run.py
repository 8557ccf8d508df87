"""One load test against an ingest that runs: offer, watch, wait until all is stored, and say how it went."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ground.errors import GroundError
from ground.loadtest.knee import FIRST_RATE, Step, find_knee, knee
from ground.loadtest.latency import Latency, measure
from ground.loadtest.offer import Kept, Offer, Source
from ground.loadtest.progress import Looking, Progress
from ground.loadtest.publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from ground.link.address import Address
    from ground.loadtest.traffic import Traffic
    from ground.loadtest.viewer import Viewer
    from ground.loadtest.watch import Watch

AT_KNEE: Final = 0.7
"""Part of the knee at which latencies are measured."""

_READY_SECONDS: Final = 30
_PATIENCE_SECONDS: Final = 60
_LOOK_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked for. ``rate``: packets/s, None is as fast as it is recorded. It ends after ``seconds`` or
    ``packets``, whichever is given; ``knee`` looks for the highest rate that the path keeps up with, from ``rate`` on,
    ``seconds`` at each, and then offers 70 % of that.
    """

    rate: float | None = None
    seconds: float | None = 10.0
    packets: int | None = None
    frames_per_message: int = 1
    knee: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went, before anything is read back. ``sent``: good packets of each publisher. ``packets``, ``seconds``,
    ``cpu_s``: of the last run, from its first message to the last confirmation of the store; ``latency``: of its
    messages. ``settled``: whether all that was sent is stored, by the ledger. ``steps``: of a search for the knee,
    which goes before.
    """

    sent: list[int]
    settled: bool
    kept: Kept
    rate: float | None
    packets: int
    seconds: float
    cpu_s: float
    peak_rss_mb: float
    latency: dict[str, Latency]
    ledger: dict[str, Any]
    steps: list[Step]


async def run_load(
    load: Load,
    traffic: Traffic,
    broker: Address,
    recording: Path,
    watch: Watch,
    viewer: Viewer,
    show: Callable[[Progress], None] = lambda progress: None,
) -> Outcome:
    """Run ``load``. Raises :class:`~ground.errors.GroundError` where the broker or the ingest goes away."""
    async with _beside(watch.run(), viewer.run()):
        await _ready(watch)
        connections = [
            await Publisher.connect(broker, f"ground-load-{os.getpid()}-{k}") for k in range(traffic.publishers)
        ]
        sources = [Source(traffic, k, load.frames_per_message, one) for k, one in enumerate(connections)]
        offer = Offer(sources, watch)
        looking = Looking(offer, watch)
        async with _beside(_look(looking, show)):
            steps: list[Step] = []
            rate, packets = load.rate, load.packets
            if load.knee:

                def tell(phase: str) -> None:
                    looking.phase = phase

                steps = await find_knee(offer, watch, load.rate or FIRST_RATE, load.seconds or 10.0, tell)
                highest = knee(steps)
                assert highest, "find_knee() raises where there is none"
                rate = AT_KNEE * highest.rate
            looking.phase = "offering" if rate is None else f"offering {rate:,.0f} packets/s"
            looking.phase += f" for {load.seconds:g} s" if load.seconds is not None else ""
            first, before, cpu = offer.messages, offer.packets, watch.cpu_seconds()
            begun = time.time_ns()
            kept = await offer.run(rate, seconds=load.seconds, packets=packets)
            looking.phase = "waiting until all is stored"
            settled = await watch.settled(offer.messages, _PATIENCE_SECONDS)
            cpu = watch.cpu_seconds() - cpu
            # The ledger that shows the last position as stored may be followed by one that is balanced, and live
            # batches are on their way.
            await asyncio.sleep(1)
        for connection in connections:
            connection.close()
        seen = {"record": watch.recorded, "store": watch.stored, "live": viewer.seen}
        latency = await asyncio.to_thread(measure, recording, seen, first)
        return Outcome(
            sent=[source.stream.packets(source.sent) for source in sources],
            settled=settled,
            kept=kept,
            rate=rate,
            packets=offer.packets - before,
            seconds=(watch.stored.time - begun) / 1e9,
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
async def _beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run ``work`` beside the body, and cancel it afterwards; what it raises ends the body."""
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(one) for one in work]
            yield
            for task in running:
                task.cancel()
    except* GroundError as errors:
        raise _first(errors) from None


def _first(errors: BaseExceptionGroup[GroundError]) -> GroundError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, GroundError)
    return error


async def _look(looking: Looking, show: Callable[[Progress], None]) -> None:
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        show(looking.look())
