"""Services in processes of their own, as an operator starts them, and the ledger that they publish."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import aiomqtt

from ground.link.address import parse_broker_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

PATIENCE = 60


class Service:
    """``ground ARGUMENTS`` in a process; the output of the newest goes to ``log``."""

    def __init__(self, log: Path, *arguments: str, environment: Mapping[str, str] = MappingProxyType({})) -> None:
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ground", *arguments],
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self.log.read_text("utf-8")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Ctrl-C; must end in good order and without a traceback."""
        self.process.send_signal(signal.SIGINT)
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        assert status == 0, self.output
        assert "Traceback" not in self.output, self.output

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    async def said(self, pattern: str) -> re.Match[str]:
        """Wait until the output has ``pattern``."""
        async with asyncio.timeout(PATIENCE):
            while not (found := re.search(pattern, self.output)):
                assert self.process.poll() is None, self.output
                await asyncio.sleep(0.05)
        return found

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Wait until ``condition`` holds, as long as the process lives."""
        async with asyncio.timeout(PATIENCE):
            while not await condition():
                assert self.process.poll() is None, self.output
                await asyncio.sleep(0.2)


def ground(*arguments: str) -> str:
    """Run a command to its end; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "ground", *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def ledger_when(broker: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first ledger on the broker for which ``condition`` holds."""
    address = parse_broker_url(broker)
    seen: dict[str, Any] = {}
    try:
        async with asyncio.timeout(PATIENCE):
            async with aiomqtt.Client(address.host, address.port, protocol=aiomqtt.ProtocolVersion.V5) as client:
                await client.subscribe("ledger")
                async for message in client.messages:
                    assert isinstance(message.payload, bytes)
                    seen = json.loads(message.payload)
                    if condition(seen):
                        return seen
    except TimeoutError:
        pass
    raise AssertionError(f"the ledger never got there; last: {json.dumps(seen)}")


def settled(messages: int) -> Callable[[dict[str, Any]], bool]:
    """All of so many messages are recorded, processed and stored."""
    return lambda ledger: set(ledger.get("position", {}).values()) == {messages}


def free_port() -> int:
    """One that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
