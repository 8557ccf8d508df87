"""Rows on their way to the store, and what happens when it refuses.

One processor serves both the live stream and the store. When the database refuses for so long that what waits for it
would fill the memory, the two part: live goes on at the head, and the store catches up from its checkpoint later,
reading the recording again. A dead database costs disk, not memory and not data.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from ground.errors import StoreError
from ground.processor import Processor
from ground.recording.read import Recording
from ground.stores import Checkpoint, Rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ground.decoder import Telemetry
    from ground.mission import Mission
    from ground.recording.read import RecordedBlock
    from ground.stores import Count, Store
    from ground.xtce.plan import Plan

log = logging.getLogger("ground.storing")

BLOCK: Final = 16_384
"""Messages decoded in one go, at most."""

WAITING: Final = 16 << 20
"""Octets of decoded rows that may wait for the store before live and store part."""

# An append costs several ms for each container however few rows it has: these decide how much of a core that is.
_APPEND_ROWS: Final = 20_000
_APPEND_PERIOD: Final = 1.0

_LOOK_SECONDS: Final = 0.1
_DRAIN_SECONDS: Final = 10
_RETRY: Final = (0.5, 1, 2, 5)


@dataclass(slots=True)
class _Waiting:
    """Rows that the store hasn't been handed. ``since``: when the first block of them came, 0 before that."""

    rows: list[Rows] = field(default_factory=list)
    number: int = 0
    octets: int = 0
    since: float = 0.0


class Storing:
    """Takes what ``head`` decodes to ``store``. ``stored`` is the newest durable checkpoint, ``error`` why it refuses.

    ``received``: when the newest stored message was received, ns since 1970 UTC.
    """

    def __init__(self, missions: Iterable[tuple[Mission, Plan]], recording: Recording, store: Store) -> None:
        self.head = Processor(missions)
        self.stored = Checkpoint(0, b"")
        self.received = 0
        self.counts: Mapping[tuple[str, str], Count] = {}
        self.error: str | None = None
        self.taken = 0
        """Position up to which :meth:`take` has seen what ``head`` decoded."""
        self._missions = self.head.missions
        self._recording = recording
        self._store = store
        self._together = True
        self._waiting = _Waiting()
        self._append: asyncio.Task[None] | None = None

    async def start(self, position: int) -> None:
        """Put ``head`` where the store's checkpoint says, in an empty store to ``position``. Raises StoreError."""
        checkpoint = await self._store.checkpoint()
        self.stored = checkpoint or Checkpoint(position, b"")
        self.head = self._processor_at(self.stored)
        self.taken = self.head.position
        self.received = self.head.received
        self.counts = await self._store.counts()

    def take(self, telemetry: Sequence[Telemetry]) -> None:
        """What came out of the block that ``head`` has just processed; nothing is stored here."""
        self.taken = self.head.position
        if not self._together:
            return
        waiting = self._waiting
        for item in telemetry:
            waiting.rows.append(item.rows)
            waiting.number += item.rows.batch.num_rows
            waiting.octets += pa.ipc.get_record_batch_size(item.rows.batch)
        waiting.since = waiting.since or time.monotonic()

    async def offer(self, *, all_of_it: bool = False) -> None:
        """Hand what waits to the store when that is free and it is enough; wait, or part, when it is too much."""
        idle = self._append is None or self._append.done()
        if idle and self._append is not None:
            self._append.result()
        waiting = self._waiting
        late = all_of_it or time.monotonic() - waiting.since >= _APPEND_PERIOD
        if idle and waiting.since and (late or waiting.number >= _APPEND_ROWS or waiting.octets > WAITING):
            self._waiting = _Waiting()
            checkpoint = Checkpoint(self.head.position, self.head.state())
            work = self._append_until_stored(waiting, checkpoint, self.head.received)
            self._append = asyncio.create_task(work, name="store")
        while self._together and self._waiting.octets > WAITING and self._append is not None:
            if self.error is not None:
                self._together = False
                self._waiting = _Waiting()
                log.warning("the store is behind: live goes on, the store catches up from the recording")
                break
            await asyncio.wait([self._append], timeout=0.5)
            if self._append.done():
                await self.offer()

    async def finish(self) -> None:
        """Store everything that was taken."""
        while self._waiting.since or (self._append is not None and not self._append.done()) or not self._together:
            await self.offer(all_of_it=True)
            if self._append is not None:
                await asyncio.wait([self._append], timeout=_LOOK_SECONDS)
        if self._append is not None:
            await self._append

    async def drain(self) -> None:
        """Store what is decoded, before a stop. A store that refuses has its rows from the recording next time."""
        if self._append is not None:
            await asyncio.wait([self._append], timeout=_DRAIN_SECONDS)
            if not self._append.done():
                self._append.cancel()
                return
            self._append.result()
        if self._together and self._waiting.since:
            waiting, self._waiting = self._waiting, _Waiting()
            with suppress(StoreError):
                await self._store.append(_joined(waiting.rows), Checkpoint(self.head.position, self.head.state()))

    async def _append_until_stored(self, waiting: _Waiting, checkpoint: Checkpoint, received: int) -> None:
        await self._append_once(waiting.rows, checkpoint, received)
        while not self._together:
            await self._catch_up()

    async def _append_once(self, rows: list[Rows], checkpoint: Checkpoint, received: int) -> None:
        """Append, again and again until the store takes it. ``rows`` is emptied: it is much memory."""
        joined = await asyncio.to_thread(_joined, rows)
        rows.clear()
        attempt = 0
        while True:
            try:
                await self._store.append(joined, checkpoint)
                self.counts = await self._store.counts()
                self.error = None
                break
            except StoreError as error:
                if self.error != str(error):
                    log.warning("the store refuses: %s", error)
                self.error = str(error)
                await asyncio.sleep(_RETRY[min(attempt, len(_RETRY) - 1)])
                attempt += 1
        self.stored = checkpoint
        self.received = received

    async def _catch_up(self) -> None:
        """Store from the checkpoint on what live has passed already, then go together again."""
        behind = self._processor_at(self.stored)
        reader = Recording(self._recording.folder, self._recording.committed)
        while behind.position < self.taken:
            # Never beyond what live has passed: at the same position the two have the same state.
            for block in await asyncio.to_thread(read_block, reader, behind.position, self.taken - behind.position):
                step = await asyncio.to_thread(behind.process, block)
                rows = [item.rows for item in step.telemetry]
                await self._append_once(rows, Checkpoint(behind.position, behind.state()), behind.received)
        self._together = True

    def _processor_at(self, checkpoint: Checkpoint) -> Processor:
        return Processor(self._missions, position=checkpoint.position, state=checkpoint.state or None)


def read_block(recording: Recording, position: int, limit: int = BLOCK) -> list[RecordedBlock]:
    """The next block or none, of at most ``limit`` and :data:`BLOCK` messages; to be run in a thread."""
    return [*islice(recording.read(position, min(limit, BLOCK)), 1)]


def _joined(rows: Sequence[Rows]) -> list[Rows]:
    """The same rows with one batch a container: what a store does for each batch costs much more than the copy."""
    batches: dict[tuple[str, str], list[pa.RecordBatch]] = {}
    for item in rows:
        batches.setdefault((item.mission, item.container), []).append(item.batch)
    return [
        Rows(mission, container, parts[0] if len(parts) == 1 else pa.concat_batches(parts))  # type: ignore[attr-defined]
        for (mission, container), parts in batches.items()
    ]
