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
from ground.ingest import LEDGER_TOPIC
from ground.link.mqtt import Client
from ground.loadtest.seen import Seen
from ground.recording.segment import UNLIMITED, committed_position

if TYPE_CHECKING:
    from collections.abc import Callable

    from ground.link.address import Address

_COMMITTED_PERIOD: Final = 0.001
"""Seconds between two looks at what is recorded: times of recording are known that well."""

_COMMITTED_OCTETS: Final = 64

_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Watch:
    """Follows an ingest whose recording is in ``folder`` and whose process is ``pid`` (Linux: it reads /proc).

    ``recorded``, ``stored``: how many messages, and when it was seen. ``ledger``: the newest. ``ended`` says whether
    the process has.
    """

    def __init__(self, folder: Path, pid: int, broker: Address, ended: Callable[[], bool]) -> None:
        self.recorded = Seen()
        self.stored = Seen()
        self.ledger: dict[str, Any] = {}
        self.progress = asyncio.Event()
        """Set, and cleared again, whenever more is recorded or stored."""
        self._folder = folder
        self._process = Path("/proc") / str(pid)
        self._broker = broker
        self._ended = ended

    @property
    def decoded(self) -> int:
        """How many messages are decoded."""
        return int(self.ledger.get("position", {}).get("processed", 0))

    @property
    def balanced(self) -> bool:
        """Whether the newest ledger balances."""
        return bool(self.ledger.get("balanced"))

    async def run(self) -> None:
        """Look until cancelled. Raises GroundError when the ingest has ended."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_recording())
            tasks.create_task(self._follow_ledger())

    async def _follow_recording(self) -> None:
        path = self._folder / "committed"
        while not path.exists():
            await self._pause()
        # Opened once: to open and parse it a thousand times a second takes a tenth of a core from what is measured.
        with path.open("rb", buffering=0) as file:
            line = b""
            while True:
                newest = os.pread(file.fileno(), _COMMITTED_OCTETS, 0)
                if newest != line:
                    line, position = newest, committed_position(newest)
                    if self.recorded.position < position < UNLIMITED:
                        self.recorded.add(time.time_ns(), position)
                        self._tell()
                await self._pause()

    async def _pause(self) -> None:
        if self._ended():
            raise GroundError("the ingest process has ended; its last words are above")
        await asyncio.sleep(_COMMITTED_PERIOD)

    async def _follow_ledger(self) -> None:
        subscription = (LEDGER_TOPIC, 0)
        async with Client(self._broker, f"ground-loadtest-{os.getpid()}", subscriptions=(subscription,)) as client:
            while True:
                delivery = await client.receive()
                client.ack(delivery)
                self.ledger = json.loads(bytes(delivery.packets[-1].payload or b"{}"))
                stored = int(self.ledger.get("position", {}).get("stored", 0))
                if stored > self.stored.position:
                    self.stored.add(int(delivery.received[-1]), stored)
                    self._tell()

    def _tell(self) -> None:
        self.progress.set()
        self.progress.clear()

    async def settled(self, messages: int, patience: float) -> bool:
        """Wait until so many messages are stored; False where nothing moves for ``patience`` seconds."""
        while self.stored.position < messages:
            before = self._positions()
            for _ in range(round(patience / 0.1)):
                await asyncio.sleep(0.1)
                if self._positions() != before:
                    break
            else:
                return False
        return True

    def _positions(self) -> tuple[int, int, int]:
        return self.recorded.position, self.decoded, self.stored.position

    def cpu_seconds(self) -> float:
        """CPU time of the ingest process, all its threads, user and system (proc(5), ``stat``)."""
        fields = (self._process / "stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss_mb(self, *, peak: bool = False) -> float:
        """Its memory in MB, now or at its highest."""
        return rss_mb(self._process, peak=peak)


def rss_mb(process: Path = Path("/proc/self"), *, peak: bool = False) -> float:
    """Memory of a process in MB, now or at its highest (proc(5), ``status``)."""
    found = re.search(rf"{'VmHWM' if peak else 'VmRSS'}:\s+(\d+) kB", (process / "status").read_text("ascii"))
    return int(found[1]) * 1024 / 1e6 if found else 0.0
