"""Alarms and events on their way to the broker."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ground.live import Publish
    from ground.processing.step import Step

WAITING: Final = 10_000
"""Notices that may wait for the broker; more are dropped and counted. They can be had again from the store."""


class Notices:
    """``alarm/<mission>`` and ``event/<mission>``, in QoS 1. A broker that is away holds them up, never the decoding.

    ``prefix`` as in :class:`~ground.live.LiveStream`. ``dropped``: how many did not fit.
    """

    def __init__(self, publish: Publish, *, prefix: str = "") -> None:
        self.dropped = 0
        self._publish = publish
        self._prefix = prefix
        self._waiting: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(WAITING)

    def announce(self, mission: str, step: Step) -> None:
        """Take what came out of a block of a mission; nothing is sent here."""
        for entry in [*step.alarms, *step.events]:
            where = {"time": str(entry.time), "position": str(entry.position), "place": entry.place}
            self._post(f"{entry.kind}/{mission}", {**entry.values, **where})

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            topic, payload = await self._waiting.get()
            await self._publish(topic, payload, qos=1)

    def _post(self, topic: str, values: dict[str, Any]) -> None:
        try:
            self._waiting.put_nowait((self._prefix + topic, json.dumps(values).encode()))
        except asyncio.QueueFull:
            self.dropped += 1
