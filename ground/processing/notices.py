"""Alarms and events on their way to the broker."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any, Final

from ground.errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ground.live import Publish
    from ground.processing.step import Step

log = logging.getLogger("ground.processing")

WAITING: Final = 10_000
"""Notices that may wait for the broker; more are dropped and counted. They can be had again from the store."""

_TOLD: Final = 4096
"""Events that are remembered as announced: one that grows is announced once."""


class Notices:
    """``alarm/<mission>`` and ``event/<mission>``, in QoS 1. A broker that is away holds them up, never the decoding.

    ``prefix`` as in :class:`~ground.live.LiveStream`. ``dropped``: how many did not fit.
    """

    def __init__(self, publish: Publish, *, prefix: str = "") -> None:
        self.dropped = 0
        self._publish = publish
        self._prefix = prefix
        self._told: dict[tuple[str, int, int], None] = {}
        self._waiting: asyncio.Queue[tuple[str, bytes, bool]] = asyncio.Queue(WAITING)

    def announce(self, mission: str, step: Step) -> None:
        """Take what came out of a block of a mission; nothing is sent here."""
        for entry in [*step.alarms, *step.events]:
            if entry.kind == "event" and not self._first_time((mission, entry.position, entry.place)):
                continue  # it has grown
            where = {"time": str(entry.time), "position": str(entry.position), "place": entry.place}
            self._post(f"{entry.kind}/{mission}", {**entry.values, **where})
            if entry.kind == "alarm":
                self.stand(mission, entry.values)

    def _first_time(self, line: tuple[str, int, int]) -> bool:
        if line in self._told:
            return False
        self._told[line] = None
        if len(self._told) > _TOLD:
            del self._told[next(iter(self._told))]
        return True

    def stand(self, mission: str, alarm: Mapping[str, Any]) -> None:
        """How an alarm stands: retained, under its parameter; a normal one is nothing that a broker need keep."""
        topic = f"alarm/{mission}/{alarm['parameter']}"
        self._post(topic, alarm if alarm["state"] != "normal" else None, retain=True)

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            topic, payload, retain = await self._waiting.get()
            try:
                await self._publish(topic, payload, qos=1, retain=retain)
            except LinkError as error:  # the broker refuses this one, not the next
                self.dropped += 1
                log.warning("%s is not announced: %s", topic, error)

    def _post(self, topic: str, values: Mapping[str, Any] | None, *, retain: bool = False) -> None:
        payload = b"" if values is None else json.dumps(values).encode()
        try:
            self._waiting.put_nowait((self._prefix + topic, payload, retain))
        except asyncio.QueueFull:
            self.dropped += 1
