"""Record first, then acknowledge: in the order of the system calls, and whatever the disk says."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from mqtt5 import PublishPacket

from ground.errors import RecordingError
from ground.ingest import Ingest
from ground.link.mqtt import Delivery, parse_broker_url
from ground.recording.write import Recorder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

MESSAGE = PublishPacket("tm/luna26/miyun/0", b"frame")


async def test_a_batch_is_synced_after_it_is_written_and_before_it_is_called_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str]] = []

    def traced(name: str) -> Any:
        real = getattr(os, name)

        def call(file: int, *rest: Any) -> Any:
            calls.append((name, os.path.realpath(f"/proc/self/fd/{file}").rpartition("/")[2]))
            return real(file, *rest)

        return call

    async with Recorder(tmp_path / "recording") as recorder:
        await recorder.append([MESSAGE], np.array([1]))
        for name in ("write", "fdatasync", "pwrite"):
            monkeypatch.setattr(os, name, traced(name))
        await recorder.append([MESSAGE], np.array([2]))
        monkeypatch.undo()
    [segment] = {file for name, file in calls if name == "write"}
    assert [call for call in calls if call[0] != "write"] == [("fdatasync", segment), ("pwrite", "committed")]
    assert calls.index(("write", segment)) < calls.index(("fdatasync", segment))


class Heard:
    """A client that delivers once and notes acknowledgements."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def ack(self, delivery: Delivery) -> None:
        self.log.append("acknowledged")


class Disk:
    """A recorder that refuses twice and takes its time."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.tries = 0

    async def append(self, messages: object, received: object) -> None:
        self.tries += 1
        await asyncio.sleep(0)
        if self.tries < 3:
            self.log.append("refused")
            raise RecordingError("no space left", path="recording")
        self.log.append("recorded")


async def test_nothing_is_acknowledged_before_it_is_recorded_and_nothing_that_the_disk_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []
    delivery: Any = type("Delivered", (), {"messages": [MESSAGE], "received": np.array([1])})()

    async def once(client: object) -> AsyncIterator[Any]:
        yield delivery

    monkeypatch.setattr("ground.ingest.deliveries", once)
    monkeypatch.setattr("ground.ingest._RETRY_SECONDS", 0.001)
    nothing: Any = None
    ingest: Any = Ingest([], parse_broker_url("mqtt://127.0.0.1:1"), tmp_path, nothing)
    await ingest._record(Heard(log), Disk(log))
    assert log == ["refused", "refused", "recorded", "acknowledged"]
