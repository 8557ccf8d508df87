"""Follows a recording: decode, check limits, show live, store. The checkpoint is a position together with the state
there.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from ground.notices import Notices
from ground.storing import Storing, read_block

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from ground.live import LiveStream, Publish
    from ground.mission import Mission
    from ground.recording.read import RecordedBlock, Recording
    from ground.stores import Checkpoint, Store
    from ground.xtce.plan import Plan

T = TypeVar("T")

_BLOCK_PERIOD: Final = 0.05
"""Seconds from one block to the next while the recording grows, as many as the live stream lets pass between two
publications. A block costs some ms however few messages it has; what comes meanwhile is decoded with the next one.
"""

_LONGEST_PERIOD: Final = 0.2
_PAUSE: Final = 5
"""Under load a block comes in a period of five times what one takes: its fixed costs stay a small part of the work."""

_LOOK_SECONDS: Final = 0.1


class Grows(Protocol):
    """Tells when more has been recorded."""

    async def grown(self, position: int) -> int:
        """Wait until the recording's committed end is beyond ``position``; returns that end."""
        ...


class Pipeline:
    """Wires the stages behind the recording. ``run`` ends when cancelled, or, without ``grows``, at the end."""

    def __init__(
        self,
        missions: Iterable[tuple[Mission, Plan]],
        recording: Recording,
        store: Store,
        *,
        live: LiveStream | None = None,
        publish: Publish | None = None,
        prefix: str = "",
    ) -> None:
        self._recording = recording
        self._live = live
        self._storing = Storing(missions, recording, store)
        self._notices = Notices(publish, self._newest_realtime, prefix=prefix) if publish else None
        self._ledgers: dict[str, dict[str, Any]] = {}
        self._advanced = asyncio.Event()

    @property
    def shown(self) -> int:
        """Position up to which the decoded output was handed on, to live and (when together) to the store."""
        return self._storing.taken

    @property
    def stored(self) -> Checkpoint:
        """The newest durable checkpoint."""
        return self._storing.stored

    @property
    def store_error(self) -> str | None:
        """Why the store refuses, while it does."""
        return self._storing.error

    @store_error.setter
    def store_error(self, reason: str | None) -> None:
        self._storing.error = reason

    async def start(self, position: int = 0) -> int:
        """Go to where the store's checkpoint says, in an empty store to ``position``; returns where that is.

        Raises :class:`~ground.errors.StoreError`.
        """
        await self._storing.start(position)
        self._ledgers = self._storing.head.ledgers()
        return self.shown

    async def run(self, grows: Grows | None = None) -> None:
        """Process what is recorded; with ``grows``, for ever, as it grows. All is stored when it returns by itself."""
        notices = asyncio.create_task(self._notices.run(), name="notices") if self._notices else None
        try:
            while True:
                begun, recorded = time.monotonic(), self._recording.committed()
                blocks = await asyncio.to_thread(read_block, self._recording, self.shown)
                for block in blocks:
                    await self._advance(block)
                if grows is not None:
                    period = min(max(_BLOCK_PERIOD, _PAUSE * (time.monotonic() - begun)), _LONGEST_PERIOD)
                    full = self.shown < recorded  # as many as are decoded in one go, and there were more
                    await self._until(grows.grown(self.shown), 0.0 if full else begun + period)
                elif not blocks:
                    break
            await self._storing.finish()
        finally:
            if notices:
                notices.cancel()
            await asyncio.shield(self._storing.drain())

    async def advanced(self, position: int) -> int:
        """Wait until :attr:`shown` is beyond ``position``; returns it."""
        while self.shown <= position:
            await self._advanced.wait()
        return self.shown

    async def _advance(self, block: RecordedBlock) -> None:
        head = self._storing.head
        step, stopped = await _to_its_end(asyncio.to_thread(head.process, block))
        self._ledgers = head.ledgers()
        if self._live is not None:
            for item in step.telemetry:
                if item.realtime:
                    self._live.add(item.rows.mission, item.rows.container, item.rows.batch)
        self._storing.take(step.telemetry)
        self._advanced.set()
        self._advanced.clear()
        if stopped is not None:
            raise stopped
        if self._notices is not None:
            self._notices.announce(step)
        await self._storing.offer()

    def _newest_realtime(self, mission: str) -> int:
        return self._storing.head.decoders[mission].ledger.newest_realtime

    async def _until(self, more: Awaitable[Any], earliest: float) -> None:
        """Wait for more to be recorded, and see to what still waits for the store meanwhile."""
        task = asyncio.ensure_future(more)
        try:
            while not task.done():
                await asyncio.wait([task], timeout=_LOOK_SECONDS)
                await self._storing.offer()
            await task
        finally:
            task.cancel()
        await asyncio.sleep(max(earliest - time.monotonic(), 0))

    def report(self) -> dict[str, Any]:
        """The ledger, JSON-ready: every stage's counts, and whether they balance."""
        storing = self._storing
        missions: dict[str, Any] = {}
        settled = storing.stored.position == self.shown
        balanced = True
        for name, ledger in self._ledgers.items():
            counts = [count for (mission, _), count in storing.counts.items() if mission == name]
            rows = {"stored": sum(c.stored for c in counts), "repeated": sum(c.repeated for c in counts)}
            if refused := sum(c.refused for c in counts):
                rows["refused"] = refused
            pending = ledger["packets"]["decoded"] - sum(rows.values())
            missions[name] = {**ledger, "rows": rows, "pending": pending}
            if nonfinite := sum(c.nonfinite for c in counts):
                missions[name]["nonfinite"] = nonfinite
            balanced = balanced and ledger["balanced"] and (pending == 0 if settled else pending >= 0)
        behind = max(0, storing.head.received - storing.received) if not settled else 0
        return {
            "position": {
                "recorded": self._recording.end(),
                "processed": self.shown,
                "stored": storing.stored.position,
            },
            "store": {"error": storing.error, "behind_s": round(behind / 1e9, 1)},
            "unrouted": dict(storing.head.unrouted),
            "damage": [str(damage) for damage in self._recording.damage.values()],
            "missions": missions,
            "balanced": balanced,
        }


async def _to_its_end(work: Awaitable[T]) -> tuple[T, asyncio.CancelledError | None]:
    """The outcome of ``work``, and the cancellation that came meanwhile: a processor must not be left half way."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task), None
    except asyncio.CancelledError as stopped:
        await asyncio.wait([task])
        return task.result(), stopped
