"""One open page: what it has subscribed to, and what waits to be sent to it.

Nothing here grows with the time that a viewer takes: of a report only the newest waits, of a container's batches the
newest few, of alarms and events the newest hundreds. A batch that made room for a newer one is counted; the page sees
from the positions of the next that something is missing and asks for history.
"""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

Kind: TypeAlias = Literal["raw", "summary"]

HEADER = struct.Struct("<IIQQ")
"""uint32 subscription, uint32 kind (0 raw, 1 summary), uint64 from, uint64 to, little-endian; Arrow follows."""

BATCHES = 8
"""Batches of a subscription that wait: 0.4 s of the busiest container."""

REPORTS = 500
"""Alarms and events that wait."""

MAX_SUBSCRIPTIONS = 1000


@dataclass(frozen=True, slots=True)
class LiveBatch:
    """A message of ``live/<mission>/<container>``: ``payload`` is the bare record batch message, ``schema`` the schema
    message that goes with it. ``start``, ``stop``: recording positions, half open."""

    mission: str
    container: str
    kind: Kind
    schema: bytes
    start: int
    stop: int
    payload: bytes


class Socket(Protocol):
    """The sending half of a WebSocket; a call returns when the connection takes more."""

    async def send_text(self, data: str) -> None:
        """Send a text message."""
        ...

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message."""
        ...


@dataclass(slots=True)
class _Subscription:
    id: int
    waiting: deque[LiveBatch] = field(default_factory=lambda: deque(maxlen=BATCHES))
    announced: dict[Kind, bytes] = field(default_factory=dict)
    dropped: int = 0


class BadRequestError(ValueError):
    """What a page sent is not a subscription; the text says why."""


class Viewer:
    """The buffers of one page. All methods run in the event loop."""

    def __init__(self, missions: Collection[str]) -> None:
        self._missions = missions
        self._subscriptions: dict[tuple[str, str], list[_Subscription]] = {}
        self._newest: dict[str, str] = {}
        self._reports: deque[str] = deque(maxlen=REPORTS)
        self._wake = asyncio.Event()
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Batches and reports that made room for newer ones."""
        return self._dropped + sum(one.dropped for several in self._subscriptions.values() for one in several)

    @property
    def waiting(self) -> int:
        """Messages that wait to be sent."""
        batches = sum(len(one.waiting) for several in self._subscriptions.values() for one in several)
        return batches + len(self._newest) + len(self._reports)

    def hear(self, text: str) -> None:
        """Take a message of the page: ``{"subscribe": [{"id", "mission", "container"}]}`` replaces all subscriptions.

        Raises BadRequestError and changes nothing where it is something else.
        """
        wanted: dict[tuple[str, str], list[_Subscription]] = {}
        ids = set()
        known = {one.id: (key, one) for key, several in self._subscriptions.items() for one in several}
        for entry in _subscribe(text):
            number, mission, container = entry.get("id"), entry.get("mission"), entry.get("container")
            if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**32 or number in ids:
                raise BadRequestError(f"id = {number!r} should be a number below 2**32 that no other subscription has")
            if not (isinstance(mission, str) and isinstance(container, str)) or mission not in self._missions:
                raise BadRequestError(f"subscription {number}: there is no mission {mission!r} or no container given")
            ids.add(number)
            key = (mission, container)
            before, subscription = known.get(number, (None, None))
            if subscription is None or before != key:
                subscription = _Subscription(number)
            wanted.setdefault(key, []).append(subscription)
        self._dropped = self.dropped
        self._subscriptions = wanted
        for several in wanted.values():
            for one in several:
                one.dropped = 0

    def offer(self, batch: LiveBatch) -> None:
        """A batch for whoever has subscribed to its container."""
        for subscription in self._subscriptions.get((batch.mission, batch.container), ()):
            subscription.dropped += len(subscription.waiting) == BATCHES
            subscription.waiting.append(batch)
            self._wake.set()

    def replace(self, key: str, text: str) -> None:
        """A report of which only the newest counts; ``key`` says of what it is."""
        self._newest.pop(key, None)  # to the end: the order of arrival
        self._newest[key] = text
        self._wake.set()

    def report(self, text: str) -> None:
        """A report that should not be lost, an alarm or an event; the oldest make room if there are too many."""
        self._dropped += len(self._reports) == REPORTS
        self._reports.append(text)
        self._wake.set()

    def complain(self, text: str) -> None:
        """Tell the page that what it sent makes no sense."""
        self.report(json.dumps({"type": "error", "text": text}))

    async def send_to(self, socket: Socket) -> None:
        """Send what waits, for ever; one container's flood does not hold up another's batches."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._newest or self._reports:
                text = self._newest.pop(next(iter(self._newest))) if self._newest else self._reports.popleft()
                await socket.send_text(text)
            for subscription, batch in self._round():
                if subscription.announced.get(batch.kind) != batch.schema:
                    await socket.send_text(_schema_message(subscription.id, batch))
                    subscription.announced[batch.kind] = batch.schema
                head = HEADER.pack(subscription.id, batch.kind == "summary", batch.start, batch.stop)
                await socket.send_bytes(head + batch.payload)

    def _round(self) -> Iterator[tuple[_Subscription, LiveBatch]]:
        """One waiting batch of each subscription."""
        for several in list(self._subscriptions.values()):
            for subscription in several:
                if subscription.waiting:
                    yield subscription, subscription.waiting.popleft()
                if subscription.waiting:
                    self._wake.set()


def _schema_message(subscription: int, batch: LiveBatch) -> str:
    schema = base64.b64encode(batch.schema).decode()
    return json.dumps({"type": "schema", "id": subscription, "kind": batch.kind, "ipc": schema})


def _subscribe(text: str) -> list[dict[str, Any]]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequestError("a message should be JSON") from error
    wanted = message.get("subscribe") if isinstance(message, dict) else None
    if not isinstance(wanted, list) or not all(isinstance(entry, dict) for entry in wanted):
        raise BadRequestError('a message should look like {"subscribe": [{"id": 1, "mission": "m", "container": "c"}]}')
    if len(wanted) > MAX_SUBSCRIPTIONS:
        raise BadRequestError(f"{len(wanted)} subscriptions are more than {MAX_SUBSCRIPTIONS}")
    return wanted
