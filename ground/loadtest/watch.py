"""What the ingest process has done so far, seen from outside: its recording, its ledger, its CPU time and memory."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ground.errors import GroundError
from ground.link.mqtt import Client
from ground.recording.segment import UNLIMITED, read_committed

if TYPE_CHECKING:
    from collections.abc import Callable

    from ground.link.address import Address

_COMMITTED_PERIOD: Final = 0.001
"""Seconds between two looks at what is recorded: times of recording are known that well."""

_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Watch:
    """Follows an ingest whose recording is in ``folder`` and whose process is ``pid`` (Linux: it reads /proc).

    ``recorded``, ``stored``: (ns since 1970 UTC by this machine's clock, position), as it was seen. ``ledger``: the
    newest. ``ingest_ended`` says so when the process has.
    """

    def __init__(self, folder: Path, pid: int, broker: Address, ended: Callable[[], bool]) -> None:
        self.recorded: list[tuple[int, int]] = [(time.time_ns(), 0)]
        self.stored: list[tuple[int, int]] = [(time.time_ns(), 0)]
        self.ledger: dict[str, Any] = {}
        self.progress = asyncio.Event()
        """Set, and cleared again, whenever more is recorded or stored."""
        self._folder = folder
        self._process = Path("/proc") / str(pid)
        self._broker = broker
        self._ended = ended

    @property
    def position(self) -> int:
        """How many messages are recorded."""
        return self.recorded[-1][1]

    @property
    def confirmed(self) -> int:
        """How many messages are stored."""
        return self.stored[-1][1]

    @property
    def processed(self) -> int:
        """How many messages are decoded."""
        return int(self.ledger.get("position", {}).get("processed", 0))

    async def run(self) -> None:
        """Look until cancelled. Raises GroundError when the ingest has ended."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_recording())
            tasks.create_task(self._follow_ledger())

    async def _follow_recording(self) -> None:
        while not self._ended():
            position = read_committed(self._folder)
            if self.position < position < UNLIMITED:
                self.recorded.append((time.time_ns(), position))
                self._tell()
            await asyncio.sleep(_COMMITTED_PERIOD)
        raise GroundError("the ingest process has ended; its last words are above")

    async def _follow_ledger(self) -> None:
        async with Client(self._broker, f"ground-loadtest-{os.getpid()}", subscriptions=(("ledger", 0),)) as client:
            while True:
                delivery = await client.receive()
                client.ack(delivery)
                self.ledger = json.loads(bytes(delivery.packets[-1].payload or b"{}"))
                stored = int(self.ledger.get("position", {}).get("stored", 0))
                if stored > self.confirmed:
                    self.stored.append((int(delivery.received[-1]), stored))
                    self._tell()

    def _tell(self) -> None:
        self.progress.set()
        self.progress.clear()

    def lag(self, messages: int) -> float:
        """By how much storing is behind ``messages`` offered, in seconds at the pace of the last seconds."""
        if self.confirmed >= messages:
            return 0.0
        now = time.time_ns()
        recent = next((seen for seen in reversed(self.recorded) if now - seen[0] > 2_000_000_000), self.recorded[0])
        pace = (self.position - recent[1]) / max((now - recent[0]) / 1e9, 0.001)
        return (messages - self.confirmed) / pace if pace else float("inf")

    async def settled(self, messages: int, patience: float) -> bool:
        """Wait until so many messages are stored; False where nothing moves for ``patience`` seconds."""
        while self.confirmed < messages:
            before = (self.position, self.processed, self.confirmed)
            for _ in range(round(patience / 0.1)):
                await asyncio.sleep(0.1)
                if (self.position, self.processed, self.confirmed) != before:
                    break
            else:
                return False
        return True

    def cpu_seconds(self) -> float:
        """CPU time of the ingest process, all its threads, user and system (proc(5), ``stat``)."""
        fields = (self._process / "stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss_mb(self, *, peak: bool = False) -> float:
        """Its memory in MB, now or at its highest (proc(5), ``status``)."""
        found = re.search(rf"{'VmHWM' if peak else 'VmRSS'}:\s+(\d+) kB", (self._process / "status").read_text("ascii"))
        return int(found[1]) * 1024 / 1e6 if found else 0.0
