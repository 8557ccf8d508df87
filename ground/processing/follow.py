"""Follows a recording: a router reads it once and hands every mission its part; each is shown and stored by itself."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from ground.processing.keeping import Keeping, read_block
from ground.processing.notices import Notices
from ground.processing.partition import Partition
from ground.processing.router import GROUND, Unrouted, route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from ground.live import LiveStream, Publish
    from ground.mission import Mission
    from ground.processing.step import Step
    from ground.recording.read import RecordedBlock, Recording
    from ground.stores import Checkpoint, Store
    from ground.xtce.plan import Plan

_BLOCK_PERIOD: Final = 0.05
"""Seconds from one block to the next while the recording grows, as many as the live stream lets pass between two
publications. A block costs some ms however few messages it has; what comes meanwhile is decoded with the next one.
"""

_LONGEST_PERIOD: Final = 0.2
_PAUSE: Final = 5
"""Under load a block comes in a period of five times what one takes: its fixed costs stay a small part of the work."""

_LOOK_SECONDS: Final = 0.1

_DAMAGE_TOLD: Final = 20
"""Damaged places of the recording that a report names; it counts them all."""


class Grows(Protocol):
    """Tells when more has been recorded."""

    async def grown(self, position: int) -> int:
        """Wait until the recording's committed end is beyond ``position``; returns that end."""
        ...


class Follower:
    """``run`` ends when cancelled, or, without ``grows``, at the end. ``position``: how far the router is."""

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
        self.position = 0
        self.lock = asyncio.Lock()
        self._recording = recording
        self._live = live
        self._notices = Notices(publish, prefix=prefix) if publish else None
        self._received = 0
        self._advanced = asyncio.Event()
        loaded = {mission.name: (mission, plan) for mission, plan in missions}
        self._missions = [*loaded]

        def made(name: str, checkpoint: Checkpoint) -> Partition:
            mission, plan = loaded[name]
            return Partition(mission, plan, position=checkpoint.position, state=checkpoint.state)

        self._keepings = {
            name: Keeping(name, self._missions, lambda at, name=name: made(name, at), recording, store, self)  # type: ignore[misc]
            for name in self._missions
        }
        self._ground = Keeping(
            GROUND, self._missions, lambda at: Unrouted(at.position, at.state), recording, store, self
        )
        self._all = [*self._keepings.values(), self._ground]

    @property
    def stored(self) -> int:
        """Position up to which all missions' output is durable in the store."""
        return min(self.position if one.settled else one.stored.position for one in self._all)

    async def start(self, first: int = 0, at: int | None = None) -> int:
        """Find out where the store stands; where it is empty, ``first`` is the position to begin at.

        The router goes on from there, or from ``at``: what lies before that is stored, but neither shown nor announced.
        Returns where the router begins.
        """
        positions = [await one.start(first) for one in self._all]
        self.position = max(positions) if at is None else at
        for one in self._all:
            one.begin()
        return self.position

    async def run(self, grows: Grows | None = None) -> None:
        """Process what is recorded; with ``grows``, for ever, as it grows. All is stored when it returns by itself."""
        notices = asyncio.create_task(self._notices.run(), name="notices") if self._notices else None
        try:
            while True:
                begun, recorded = time.monotonic(), self._recording.committed()
                blocks = await asyncio.to_thread(read_block, self._recording, self.position)
                for block in blocks:
                    await self._advance(block)
                if grows is not None:
                    period = min(max(_BLOCK_PERIOD, _PAUSE * (time.monotonic() - begun)), _LONGEST_PERIOD)
                    full = self.position < recorded  # as many as are decoded in one go, and there were more
                    await self._until(grows.grown(self.position), 0.0 if full else begun + period)
                elif not blocks:
                    break
            while not all(one.settled for one in self._all):
                for one in self._all:
                    await one.offer(all_of_it=True)
                await asyncio.sleep(0.01)
        finally:
            if notices:
                notices.cancel()
            await asyncio.shield(asyncio.gather(*(one.drain() for one in self._all)))

    async def advanced(self, position: int) -> int:
        """Wait until :attr:`position` is beyond ``position``; returns it."""
        while self.position <= position:
            await self._advanced.wait()
        return self.position

    async def _advance(self, block: RecordedBlock) -> None:
        async with self.lock:
            parts = await asyncio.to_thread(route, block, self._missions)
            for one in self._all:
                self._hand_on(one, await one.advance(block, parts.get(one.name)))
            self.position = block.end
            if len(block):
                self._received = int(block.received[-1])
        self._advanced.set()
        self._advanced.clear()

    def _hand_on(self, one: Keeping, step: Step) -> None:
        if self._live is not None:
            for item in step.telemetry:
                if item.realtime:
                    self._live.add(item.rows.mission, item.rows.container, item.rows.batch)
        if self._notices is not None:
            self._notices.announce(one.name, step)

    async def _until(self, more: Awaitable[Any], earliest: float) -> None:
        """Wait for more to be recorded, and see to what still waits for the store meanwhile."""
        task = asyncio.ensure_future(more)
        try:
            while not task.done():
                await asyncio.wait([task], timeout=_LOOK_SECONDS)
                for one in self._all:
                    await one.offer()
                self._look_for_joined()
            await task
        finally:
            task.cancel()
        await asyncio.sleep(max(earliest - time.monotonic(), 0))

    def announce_standing(self) -> None:
        """Tell the broker how every alarm stands: it may have been started anew, or have missed a change."""
        for name, partition in self.partitions().items():
            if self._notices is not None and not self._keepings[name].provisional:
                for alarm in partition.alarms():
                    self._notices.stand(name, alarm)

    def _look_for_joined(self) -> None:
        for one in self._keepings.values():
            if one.joined:
                one.joined = False
                self.announce_standing()

    def partitions(self) -> dict[str, Partition]:
        """The partition at the head of each mission that is processed."""
        return {name: one.head for name, one in self._keepings.items() if isinstance(one.head, Partition)}

    def report(self, now: int | None = None) -> dict[str, Any]:
        """The ledger, JSON-ready: every stage's counts, and whether they balance. ``now``: ns since 1970 UTC; what
        isn't stored is that much behind (in a replay, behind what was read last).
        """
        missions: dict[str, Any] = {}
        for name, one in self._keepings.items():
            if isinstance(one.head, Partition) and (one.head.ledger.frames_in or one.counts):
                missions[name] = self._mission(one, one.head)
            elif one.stands is not None:
                missions[name] = {"rows": one.report(), "balanced": False}
            if name in missions:
                missions[name] |= {
                    "running": one.stands is None,
                    "reason": one.stands,
                    "behind_s": self._behind(one, now),
                }
        damage = [*self._recording.damage.values()]
        ground = self._ground.head
        return {
            "position": {
                "recorded": self._recording.end(),
                "processed": self.position,
                "stored": self.stored,
            },
            "store": {
                "error": next((one.error for one in self._all if one.error is not None), None),
                "behind_s": max(self._behind(one, now) for one in self._all),
            },
            "unrouted": dict(ground.counts) if isinstance(ground, Unrouted) else {},
            "damage": [str(one) for one in damage[:_DAMAGE_TOLD]],
            "damaged": len(damage),
            "missions": missions,
            "balanced": all(mission["balanced"] for mission in missions.values()),
        }

    def _mission(self, one: Keeping, head: Partition) -> dict[str, Any]:
        ledger = head.ledger.report()
        rows = one.report()
        pending = (
            ledger["packets"]["decoded"]
            + head.before
            - sum(rows.get(what, 0) for what in ("stored", "repeated", "refused"))
        )
        counts = [*one.counts.values()]
        ledger |= {"rows": rows, "pending": pending}
        if nonfinite := sum(count.nonfinite for count in counts):
            ledger["nonfinite"] = nonfinite
        unfit = {f"{c}/{p}": n for c, count in one.counts.items() for p, n in count.unfit.items()}
        if unfit:
            ledger["unfit"] = unfit
        if not one.provisional:
            ledger["balanced"] = ledger["balanced"] and (pending == 0 if one.settled else pending >= 0)
        return ledger

    def _behind(self, one: Keeping, now: int | None) -> float:
        since = one.waiting_since()
        if since is None or self.position == self._recording.first():
            return 0.0
        return round(max(0, (self._received if now is None else now) - (since or self._received)) / 1e9, 1)
