"""Alarms and events on their way to the broker."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, Final

from ground.blocks import NO_TIME

if TYPE_CHECKING:
    from collections.abc import Callable

    from ground.live import Publish
    from ground.processor import Step

WAITING: Final = 10_000
"""Notices that may wait for the broker; more are dropped and counted. They can be had again from the recording."""


class Notices:
    """``alarm/<mission>`` and ``event/<mission>``, in QoS 1. A broker that is away holds them up, never the decoding.

    ``newest``: gives the newest real-time SCET of a mission, ns since 1970 UTC or NO_TIME. ``prefix`` as in
    :class:`~ground.live.LiveStream`. ``dropped``: how many did not fit.
    """

    def __init__(self, publish: Publish, newest: Callable[[str], int], *, prefix: str = "") -> None:
        self.dropped = 0
        self._publish = publish
        self._newest = newest
        self._prefix = prefix
        self._waiting: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(WAITING)

    def announce(self, step: Step) -> None:
        """Take what came out of a block; nothing is sent here."""
        for alarm in step.alarms:
            self._post(f"alarm/{alarm.mission}", alarm.to_json())
        for event in step.events:
            newest = self._newest(event.mission) if event.mission else NO_TIME
            at = newest if newest != NO_TIME else time.time_ns()
            values = {"time": str(at), "severity": event.severity, "source": event.source, "text": event.text}
            self._post(f"event/{event.mission or 'ground'}", values)

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
