"""``ground up`` and ``ground replay`` as their users start them, and whether they leave anything behind."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.service import Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Stack(Service):
    """A command that serves the page; Ctrl-C ends it and every process that it started."""

    async def url(self) -> str:
        """Of the page."""
        return (await self.said(r"(http://127\.0\.0\.1:\d+)"))[1]

    def stop(self) -> None:
        family = descendants(self.process.pid)
        super().stop()
        left = [command for pid, command in family.items() if Path(f"/proc/{pid}").exists()]
        assert not left, f"still running: {left}\n{self.output}"


class Up(Stack):
    """``ground up`` on free ports, or with the page on ``port``."""

    def __init__(self, folder: Path, *arguments: str, port: int = 0) -> None:
        self.data = folder / "data"
        ports = ["--port", str(port), "--mqtt-port", "0", "--mqtt-v4-port", "0"]
        super().__init__(folder / "up.log", "up", "--no-browser", *ports, "--data", str(self.data), *arguments)

    async def broker(self) -> str:
        """URL of the MQTT 5 listener."""
        return (await self.said(r"MQTT 5\s+(mqtt://\S+)"))[1]


@asynccontextmanager
async def running(folder: Path, *arguments: str) -> AsyncIterator[Up]:
    """An :class:`Up` whose page is there; it must end in good order."""
    up = Up(folder, *arguments)
    try:
        await up.url()
        yield up
        up.stop()
    finally:
        up.end()


def descendants(ancestor: int) -> dict[int, str]:
    """Process numbers and commands of all that a process started, at any remove."""
    parents, commands = {}, {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
            command = (status.parent / "cmdline").read_text().replace("\0", " ")
        except OSError:  # it has just ended
            continue
        pid = int(status.parent.name)
        found = re.search(r"^PPid:\s+(\d+)", text, re.MULTILINE)
        parents[pid], commands[pid] = int(found[1]) if found else 0, command
    family: dict[int, str] = {}
    generation = {ancestor}
    while generation:
        generation = {pid for pid, parent in parents.items() if parent in generation}
        family |= {pid: commands[pid] for pid in generation}
    return family
