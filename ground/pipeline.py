"""Follows a recording: decode, check limits, show live, store. The checkpoint is a position together with the state
there.

One processor serves both the live stream and the store. When the database refuses for so long that what waits for it
would fill the memory, the two part: live goes on at the head, and the store catches up from its checkpoint later,
reading the recording again. A dead database costs disk, not memory and not data.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from ground.blocks import NO_TIME
from ground.errors import StoreError
from ground.processor import Processor, Step
from ground.recording.read import Recording
from ground.stores import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Mapping

    from ground.live import LiveStream, Publish
    from ground.mission import Mission
    from ground.recording.read import RecordedBlock
    from ground.stores import Count, Rows, Store
    from ground.xtce.plan import Plan

log = logging.getLogger("ground.pipeline")

T = TypeVar("T")

BLOCK: Final = 16_384
"""Messages decoded in one go, at most."""

WAITING: Final = 96 << 20
"""Octets of decoded rows that may wait for the store before live and store part."""

NOTICES: Final = 10_000
"""Alarms and events that may wait for the broker; more are dropped and counted. They can be had again from the
recording.
"""

_APPEND_ROWS: Final = 5_000
_APPEND_PERIOD: Final = 0.25
_DRAIN_SECONDS: Final = 10
_RETRY: Final = (0.5, 1, 2, 5)


class Grows(Protocol):
    """Tells when more has been recorded."""

    async def grown(self, position: int) -> int:
        """Wait until the recording's committed end is beyond ``position``; returns that end."""
        ...


@dataclass(slots=True)
class _Waiting:
    """Rows on their way to the store, and the checkpoint that belongs to them."""

    rows: list[Rows]
    octets: int = 0
    since: float = 0.0


class Pipeline:
    """Wires the stages behind the recording. ``run`` ends when cancelled, or, with ``until_end``, at the end."""

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
        self._missions = [*missions]
        self._recording = recording
        self._store = store
        self._live = live
        self._publish = publish
        self._prefix = prefix
        self.head = Processor(self._missions)
        self.shown = 0
        """Position up to which the head's output was handed on, to live and (when together) to the store."""
        self.stored = Checkpoint(0, b"")
        self.stored_received = 0
        self.counts: Mapping[tuple[str, str], Count] = {}
        self.store_error: str | None = None
        self._together = True
        self._waiting = _Waiting([])
        self._append: asyncio.Task[None] | None = None
        self._ledgers: dict[str, dict[str, Any]] = {}
        self._notices: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(NOTICES)
        self.notices_dropped = 0

    async def start(self, position: int = 0) -> int:
        """Go to where the store's checkpoint says, in an empty store to ``position``; returns where that is.

        Raises :class:`~ground.errors.StoreError`.
        """
        checkpoint = await self._store.checkpoint()
        self.stored = checkpoint or Checkpoint(position, b"")
        self.head = Processor(self._missions, position=self.stored.position, state=self.stored.state or None)
        self.stored_received = self.head.received
        self.counts = await self._store.counts()
        self.shown = self.head.position
        self._ledgers = self.head.ledgers()
        return self.shown

    async def run(self, grows: Grows | None = None) -> None:
        """Process what is recorded; with ``grows``, for ever, as it grows. All is stored when it returns by itself."""
        notices = asyncio.create_task(self._send_notices(), name="notices")
        try:
            while True:
                blocks = await asyncio.to_thread(_read_block, self._recording, self.head.position, BLOCK)
                for block in blocks:
                    await self._advance(block)
                if blocks:
                    continue
                if grows is None:
                    break
                await self._until(grows.grown(self.head.position))
            await self._store_rest()
        finally:
            notices.cancel()
            await asyncio.shield(self._drain())

    async def _drain(self) -> None:
        """Store what is decoded, before a stop. A store that refuses has its rows from the recording next time."""
        if self._append is not None:
            await asyncio.wait([self._append], timeout=_DRAIN_SECONDS)
            if not self._append.done():
                self._append.cancel()
                return
            self._append.result()
        if self._together and self._waiting.since:
            waiting, self._waiting = self._waiting, _Waiting([])
            with suppress(StoreError):
                await self._store.append(waiting.rows, Checkpoint(self.head.position, self.head.state()))

    async def _advance(self, block: RecordedBlock) -> None:
        step, stopped = await _to_its_end(asyncio.to_thread(self.head.process, block))
        self.shown = self.head.position
        self._ledgers = self.head.ledgers()
        if self._live is not None:
            for item in step.telemetry:
                if item.realtime:
                    self._live.add(item.rows.mission, item.rows.container, item.rows.batch)
        if self._together:
            for item in step.telemetry:
                self._waiting.rows.append(item.rows)
                self._waiting.octets += item.rows.batch.nbytes
            self._waiting.since = self._waiting.since or time.monotonic()
        if stopped is not None:
            raise stopped
        self._announce(step)
        await self._offer()

    def _announce(self, step: Step) -> None:
        if self._publish is None:
            return
        for alarm in step.alarms:
            self._post(f"alarm/{alarm.mission}", alarm.to_json())
        for event in step.events:
            newest = self.head.decoders[event.mission].ledger.newest_realtime if event.mission else NO_TIME
            at = newest if newest != NO_TIME else time.time_ns()
            values = {"time": str(at), "severity": event.severity, "source": event.source, "text": event.text}
            self._post(f"event/{event.mission or 'ground'}", values)

    def _post(self, topic: str, values: dict[str, Any]) -> None:
        try:
            self._notices.put_nowait((self._prefix + topic, json.dumps(values).encode()))
        except asyncio.QueueFull:
            self.notices_dropped += 1

    async def _send_notices(self) -> None:
        """A broker that is away holds up the notices, never the decoding."""
        while self._publish is not None:
            topic, payload = await self._notices.get()
            await self._publish(topic, payload, qos=1)
            self._notices.task_done()

    async def _offer(self) -> None:
        """Hand what waits to the store when it is free and it is enough; wait, or part, when it is too much."""
        idle = self._append is None or self._append.done()
        if idle and self._append is not None:
            self._append.result()
        rows = sum(rows.batch.num_rows for rows in self._waiting.rows)
        late = time.monotonic() - self._waiting.since >= _APPEND_PERIOD
        if idle and self._waiting.since and (rows >= _APPEND_ROWS or late or self._waiting.octets > WAITING):
            checkpoint = Checkpoint(self.head.position, self.head.state())
            waiting, self._waiting = self._waiting, _Waiting([])
            received = self.head.received
            self._append = asyncio.create_task(
                self._append_until_stored(waiting.rows, checkpoint, received), name="store"
            )
        while self._together and self._waiting.octets > WAITING and self._append is not None:
            if self.store_error is not None:
                self._together = False
                self._waiting = _Waiting([])
                log.warning("the store is behind: live goes on, the store catches up from the recording")
                break
            await asyncio.wait([self._append], timeout=0.5)
            if self._append.done():
                await self._offer()

    async def _append_until_stored(self, rows: list[Rows], checkpoint: Checkpoint, received: int) -> None:
        await self._append_once(rows, checkpoint, received)
        while not self._together:
            await self._catch_up()

    async def _append_once(self, rows: list[Rows], checkpoint: Checkpoint, received: int) -> None:
        """Append, again and again until the store takes it."""
        attempt = 0
        while True:
            try:
                await self._store.append(rows, checkpoint)
                self.counts = await self._store.counts()
                self.store_error = None
                break
            except StoreError as error:
                if self.store_error != str(error):
                    log.warning("the store refuses: %s", error)
                self.store_error = str(error)
                await asyncio.sleep(_RETRY[min(attempt, len(_RETRY) - 1)])
                attempt += 1
        self.stored = checkpoint
        self.stored_received = received

    async def _catch_up(self) -> None:
        """Store from the checkpoint on what live has passed already, then go together again."""
        behind = Processor(self._missions, position=self.stored.position, state=self.stored.state or None)
        reader = Recording(self._recording.folder, self._recording.committed)
        while behind.position < self.shown:
            # Never beyond what live has passed: at the same position the two have the same state.
            limit = min(BLOCK, self.shown - behind.position)
            for block in await asyncio.to_thread(_read_block, reader, behind.position, limit):
                step = await asyncio.to_thread(behind.process, block)
                rows = [item.rows for item in step.telemetry]
                await self._append_once(rows, Checkpoint(behind.position, behind.state()), behind.received)
        self._together = True

    async def _until(self, more: Any) -> None:
        """Wait for more to be recorded, and see to what still waits for the store meanwhile."""
        task = asyncio.ensure_future(more)
        try:
            while not task.done():
                await asyncio.wait([task], timeout=_APPEND_PERIOD / 2)
                await self._offer()
            await task
        finally:
            task.cancel()

    async def _store_rest(self) -> None:
        while self._waiting.since or (self._append is not None and not self._append.done()) or not self._together:
            await self._offer()
            if self._append is not None:
                await asyncio.wait([self._append], timeout=_APPEND_PERIOD)
        if self._append is not None:
            await self._append

    def report(self) -> dict[str, Any]:
        """The ledger, JSON-ready: every stage's counts, and whether they balance."""
        missions: dict[str, Any] = {}
        settled = self.stored.position == self.shown
        balanced = True
        for name, ledger in self._ledgers.items():
            counts = [count for (mission, _), count in self.counts.items() if mission == name]
            stored, repeated = sum(c.stored for c in counts), sum(c.repeated for c in counts)
            pending = ledger["packets"]["decoded"] - stored - repeated
            missions[name] = {**ledger, "rows": {"stored": stored, "repeated": repeated}, "pending": pending}
            balanced = balanced and ledger["balanced"] and (pending == 0 if settled else pending >= 0)
        behind = max(0, self.head.received - self.stored_received) if not settled else 0
        return {
            "position": {
                "recorded": self._recording.end(),
                "processed": self.shown,
                "stored": self.stored.position,
            },
            "store": {"error": self.store_error, "behind_s": round(behind / 1e9, 1)},
            "unrouted": dict(self.head.unrouted),
            "damage": [str(damage) for damage in self._recording.damage.values()],
            "missions": missions,
            "balanced": balanced,
        }


def _read_block(recording: Recording, position: int, limit: int) -> list[RecordedBlock]:
    """The next block or none, of at most ``limit`` messages; run in a thread."""
    return [*islice(recording.read(position, limit), 1)]


async def _to_its_end(work: Awaitable[T]) -> tuple[T, asyncio.CancelledError | None]:
    """The outcome of ``work``, and the cancellation that came meanwhile: a processor must not be left half way."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task), None
    except asyncio.CancelledError as stopped:
        await asyncio.wait([task])
        return task.result(), stopped
