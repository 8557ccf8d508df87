"""A page's connection to the dashboard: when live batches come, and how far they reach."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import websockets

from ground.loadtest.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Iterable


class Viewer:
    """``seen``: up to which position live has come, noted with every batch."""

    def __init__(self, url: str, mission: str, containers: Iterable[str]) -> None:
        self.seen = Seen()
        self._url = url.replace("http", "ws", 1) + "/ws"
        wanted = [{"id": i, "mission": mission, "container": name} for i, name in enumerate(containers)]
        self._subscribe = json.dumps({"subscribe": wanted})

    async def run(self) -> None:
        """Watch until cancelled."""
        async with websockets.connect(self._url, max_size=None, compression=None) as socket:
            await socket.send(self._subscribe)
            async for message in socket:
                if isinstance(message, bytes):
                    # Little-endian: subscription, kind, from, to (dashboard.viewer.HEADER).
                    position = int.from_bytes(message[16:24], "little")
                    self.seen.add(time.time_ns(), max(position, self.seen.position))
