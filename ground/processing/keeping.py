"""One mission between the recording and its store: the head that live sees, and what is stored of it.

Usually both are one partition, whose rows wait a second at most and go to the store together with its checkpoint. They
part when the store refuses or is slow until too much waits, when it doesn't say yet where it stands, or when the
mission's processing failed: then the store catches up from its checkpoint by reading the recording again, and they
are one again where it reaches the head. A dead database costs disk, not memory and not data.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import pyarrow as pa

from ground.errors import GroundError, StoreError
from ground.processing.router import route
from ground.processing.step import Step
from ground.recording.read import Recording
from ground.stores import Checkpoint, Rows

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from ground.processing.messages import Part
    from ground.recording.read import RecordedBlock
    from ground.stores import Count, Entry, Store

T = TypeVar("T")

log = logging.getLogger("ground.processing")

BLOCK: Final = 16_384
"""Messages processed in one go, at most."""

WAITING: Final = 16 << 20
"""Octets of decoded rows that may wait for the store before live and store part."""

APPEND_SECONDS: Final = 15.0
"""What takes longer than this the store has not done."""

# An append costs several ms for each container however few rows it has: these decide how much of a core that is.
_APPEND_ROWS: Final = 20_000
_APPEND_PERIOD: Final = 1.0
_IDLE_PERIOD: Final = 10.0
"""How often the position of a mission of which nothing comes is noted."""

_PATIENCE: Final = 1.0
"""Seconds that live waits for a slow store, once too much waits for it."""

_LOOK_SECONDS: Final = 0.1
_DRAIN_SECONDS: Final = 10
_RETRY: Final = (0.5, 1, 2, 5)
_STAND: Final = (1, 2, 5, 15, 60)


class Processes(Protocol):
    """A partition, or the account of what belongs to no mission."""

    position: int
    received: int
    before: int

    def process(self, part: Part) -> Step:
        """Move on to the end of ``part``."""
        ...

    def state(self) -> bytes:
        """All that has to be remembered at ``position``."""
        ...


class Head(Protocol):
    """How far the router is. ``lock`` is held while it hands out a block."""

    position: int
    lock: asyncio.Lock


@dataclass(slots=True)
class _Waiting:
    """What the store hasn't been handed. ``since``: when the first of it came, 0 before that; ``received``: when that
    was received, ns since 1970 UTC.
    """

    rows: list[Rows] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    number: int = 0
    octets: int = 0
    since: float = 0.0
    received: int = 0


class Keeping:
    """``name``'s partition, made by ``make`` from a checkpoint or, where there is none, from a position.

    ``head``: what live sees, None while the mission stands still. ``provisional``: it began without its past;
    ``joined``: it has it since somebody looked. ``stored``: the newest durable checkpoint. ``error``: why the store
    refuses; ``stands``: why nothing is processed.
    """

    def __init__(
        self,
        name: str,
        missions: Collection[str],
        make: Callable[[Checkpoint], Processes],
        recording: Recording,
        store: Store,
        at: Head,
    ) -> None:
        self.name = name
        self.head: Processes | None = None
        self.provisional = True
        self.joined = False
        self.stored = Checkpoint(0, b"")
        self.stored_received = 0
        self.counts: Mapping[str, Count] = {}
        self.error: str | None = None
        self.stands: str | None = None
        self._missions = missions
        self._make = make
        self._recording = recording
        self._store = store
        self._at = at
        self._together = False
        self._waiting = _Waiting()
        self._task: asyncio.Task[None] | None = None
        self._noted = time.monotonic()
        self._first = 0
        self._found: Processes | None = None

    @property
    def settled(self) -> bool:
        """Whether everything that the head has processed is stored."""
        return self._together and not self._waiting.since and (self._task is None or self._task.done())

    def waiting_since(self) -> int | None:
        """When the oldest message that isn't stored was received at the earliest, ns since 1970 UTC; None where all is
        stored.
        """
        if self.settled:
            return None
        return self.stored_received if not self._together else (self._waiting.received or self.stored_received)

    async def start(self, first: int) -> int:
        """Ask the store where it stands, or begin at ``first`` where it is empty; returns that position."""
        self._first = first
        try:
            async with asyncio.timeout(APPEND_SECONDS):
                self._found = await self._from_store()
        except (StoreError, TimeoutError) as error:
            self.error = str(error) or "no answer"
            log.warning("%s: the store does not say where it stands: %s", self.name, self.error)
            return first
        except Exception as error:  # such as a state that this version can't read
            self._stand(error)
            return first
        return self._found.position

    def begin(self) -> None:
        """The router begins now: go with it where nothing has to be caught up first."""
        if self._found is not None and self._found.position == self._at.position:
            self._join(self._found)
        self._found = None

    async def advance(self, block: RecordedBlock, part: Part | None) -> Step:
        """Let the head process its part of a block; empty where it has none, or stands still."""
        head = self.head
        if head is None and not self._together and self.stands is None:
            head = self.head = self._make(Checkpoint(block.position, b""))
        if head is None or head.position > block.position:
            return Step()
        if part is None:
            head.position = block.end
            await self.offer()
            return Step()
        try:
            step, stopped = await _to_its_end(asyncio.to_thread(head.process, part))
        except Exception as error:  # whatever is wrong with this mission, the others go on
            self._stand(error)
            await self.offer()
            return Step()
        if self._together:
            self._take(step, part)
        if stopped is not None:
            raise stopped
        await self.offer()
        return Step(telemetry=step.telemetry) if self.provisional else step

    async def offer(self, *, all_of_it: bool = False) -> None:
        """Hand what waits to the store when that is free and it is enough; part when it is too much."""
        if self._task is not None and self._task.done():
            self._task.result()
            self._task = None
        if self._task is None:
            if not self._together:
                self._task = asyncio.create_task(self._catch_up(), name=f"catch up {self.name}")
                return
            self._hand_over(all_of_it=all_of_it)
        if self._together and self._waiting.octets > WAITING and self._task is not None:
            await asyncio.wait([self._task], timeout=_PATIENCE)
            if self._task.done():
                await self.offer()
            else:
                self._part()

    def _hand_over(self, *, all_of_it: bool) -> None:
        waiting, head = self._waiting, self.head
        assert head is not None
        period = _APPEND_PERIOD if waiting.since else _IDLE_PERIOD
        late = all_of_it or time.monotonic() - (waiting.since or self._noted) >= period
        enough = late or waiting.number >= _APPEND_ROWS or waiting.octets > WAITING
        if enough and (waiting.since or head.position != self.stored.position):
            self._waiting = _Waiting()
            checkpoint = Checkpoint(head.position, head.state(), self._recording.identity)
            work = self._append(waiting.rows, waiting.entries, checkpoint, head.received)
            self._task = asyncio.create_task(work, name=f"store {self.name}")

    async def drain(self) -> None:
        """Store what is decoded, before a stop. A store that refuses has its rows from the recording next time."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_DRAIN_SECONDS if self._together else 0)
            if not self._task.done():
                self._task.cancel()
                await asyncio.wait([self._task])
                return
        self._task = None
        if self._together:
            self._hand_over(all_of_it=True)
            for task in self._tasks():
                await asyncio.wait([task], timeout=_DRAIN_SECONDS)
                task.cancel()

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [] if self._task is None else [self._task]

    def _take(self, step: Step, part: Part) -> None:
        waiting = self._waiting
        for item in step.telemetry:
            waiting.rows.append(item.rows)
            waiting.number += item.rows.batch.num_rows
            waiting.octets += pa.ipc.get_record_batch_size(item.rows.batch)
        waiting.entries += [*step.alarms, *step.events]
        waiting.received = waiting.received or int(part.received[0])
        waiting.since = waiting.since or time.monotonic()

    def _part(self) -> None:
        log.warning("%s: the store is behind: live goes on, the store catches up from the recording", self.name)
        self._together = False
        self._waiting = _Waiting()

    def _stand(self, error: Exception) -> None:
        self.stands = str(error) if isinstance(error, GroundError) else f"{type(error).__name__}: {error}"
        log.error("%s stands still: %s", self.name, self.stands, exc_info=log.isEnabledFor(logging.DEBUG))
        self.head, self._together, self._waiting = None, False, _Waiting()

    def _join(self, partition: Processes) -> None:
        self.head, self._together, self.provisional, self.stands = partition, True, False, None
        self.joined = True

    async def _from_store(self) -> Processes:
        checkpoint = await self._store.checkpoint(self.name)
        identity = self._recording.identity
        foreign = checkpoint is not None and (
            checkpoint.recording != identity or checkpoint.position > self._recording.end()
        )
        if checkpoint is None or foreign:
            if foreign:
                text = "%s: the store was filled from another recording; this one is stored from its start"
                log.warning(text, self.name)
            checkpoint = Checkpoint(self._first, b"", identity)
        partition = self._make(checkpoint)
        self.stored, self.stored_received = checkpoint, partition.received
        self.counts = await self._store.counts(self.name)
        if foreign:
            partition.before = sum(one.stored + one.repeated + one.refused for one in self.counts.values())
        self.error = None
        return partition

    async def _catch_up(self) -> None:
        """Store from the checkpoint on what the head has passed already, then be one with it again."""
        attempt = 0
        while True:
            try:
                if await self._caught_up(await self._from_store()):
                    return
            except StoreError as error:
                self.error = str(error)
                await asyncio.sleep(_RETRY[min(attempt, len(_RETRY) - 1)])
            except Exception as error:  # a defect in this mission's processing: the others go on
                self._stand(error)
                await asyncio.sleep(_STAND[min(attempt, len(_STAND) - 1)])
            attempt += 1

    async def _caught_up(self, behind: Processes) -> bool:
        reader = Recording(self._recording.folder, self._recording.committed)
        while True:
            async with self._at.lock:
                if behind.position >= self._at.position:
                    self._join(behind)
                    return True
                limit = self._at.position - behind.position
            blocks = await asyncio.to_thread(read_block, reader, behind.position, limit)
            for block in blocks:
                part = route(block, self._missions).get(self.name)
                step = await asyncio.to_thread(behind.process, part) if part else Step()
                behind.position = block.end
                rows = [item.rows for item in step.telemetry]
                entries = [*step.alarms, *step.events]
                if rows or entries:
                    checkpoint = Checkpoint(behind.position, behind.state(), self._recording.identity)
                    await self._append(rows, entries, checkpoint, behind.received)
            if not blocks:
                return False

    async def _append(self, rows: list[Rows], entries: Sequence[Entry], checkpoint: Checkpoint, received: int) -> None:
        """Append, again and again until the store takes it. ``rows`` is emptied: it is much memory."""
        joined = await asyncio.to_thread(_joined, rows)
        rows.clear()
        attempt = 0
        while True:
            try:
                async with asyncio.timeout(APPEND_SECONDS):
                    await self._store.append(self.name, joined, entries, checkpoint)
                    self.counts = await self._store.counts(self.name)
                break
            except (StoreError, TimeoutError) as error:
                reason = str(error) or f"the store has not answered within {APPEND_SECONDS:g} s"
                if self.error != reason:
                    log.warning("%s: the store refuses: %s", self.name, reason)
                self.error = reason
                pause = getattr(error, "retry_after", None) or _RETRY[min(attempt, len(_RETRY) - 1)]
                await asyncio.sleep(pause)
                attempt += 1
        self.error = None
        self.stored, self.stored_received = checkpoint, received
        self._noted = time.monotonic()

    def report(self) -> dict[str, Any]:
        """What became of the rows, JSON-ready."""
        counts = [*self.counts.values()]
        rows = {"stored": sum(c.stored for c in counts), "repeated": sum(c.repeated for c in counts)}
        for name in ("alike", "refused"):
            if number := sum(getattr(c, name) for c in counts):
                rows[name] = number
        return rows


async def _to_its_end(work: Awaitable[T]) -> tuple[T, asyncio.CancelledError | None]:
    """The outcome of ``work``, and the cancellation that came meanwhile: a partition must not be left half way."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task), None
    except asyncio.CancelledError as stopped:
        await asyncio.wait([task])
        return task.result(), stopped


def read_block(recording: Recording, position: int, limit: int = BLOCK) -> list[RecordedBlock]:
    """The next block or none, of at most ``limit`` and :data:`BLOCK` messages; to be run in a thread."""
    return [*islice(recording.read(position, min(limit, BLOCK)), 1)]


def _joined(rows: Sequence[Rows]) -> list[Rows]:
    """The same rows with one batch a container: what a store does for each batch costs much more than the copy."""
    batches: dict[str, list[pa.RecordBatch]] = {}
    for item in rows:
        batches.setdefault(item.container, []).append(item.batch)
    return [
        Rows(rows[0].mission, container, parts[0] if len(parts) == 1 else pa.concat_batches(parts))  # type: ignore[attr-defined]
        for container, parts in batches.items()
    ]
