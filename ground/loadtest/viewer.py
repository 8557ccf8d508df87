"""A page's connection to the dashboard: when live batches come, and how far they reach."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import websockets

from ground.loadtest.work import MISSION

if TYPE_CHECKING:
    from collections.abc import Sequence


class Viewer:
    """``seen``: (ns since 1970 UTC by this machine's clock, position up to which live has come), of every batch."""

    def __init__(self, url: str, containers: Sequence[str]) -> None:
        self.seen: list[tuple[int, int]] = []
        self._url = url.replace("http", "ws", 1) + "/ws"
        wanted = [{"id": i, "mission": MISSION, "container": name} for i, name in enumerate(containers)]
        self._subscribe = json.dumps({"subscribe": wanted})

    async def run(self) -> None:
        """Watch until cancelled."""
        async with websockets.connect(self._url, max_size=None, compression=None) as socket:
            await socket.send(self._subscribe)
            async for message in socket:
                if isinstance(message, bytes):
                    # Little-endian: subscription, kind, from, to (dashboard.viewer.HEADER).
                    self.seen.append((time.time_ns(), int.from_bytes(message[16:24], "little")))
