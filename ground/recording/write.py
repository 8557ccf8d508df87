"""Write a recording: what was appended is on the disk when :meth:`Recorder.append` returns."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from ground.errors import RecordingError
from ground.recording.durable import make_folder, sync, write_all, write_durably
from ground.recording.messages import Part, columns, count, size
from ground.recording.read import Recording
from ground.recording.segment import (
    END,
    PREAMBLE,
    UNLIMITED,
    committed_line,
    encode,
    identity_line,
    read_committed,
    read_identity,
    segment_name,
    segment_positions,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

log = logging.getLogger("ground.recording")

_BATCH_OCTETS: Final = 4 << 20
"""Octets of a batch, nearly. A batch is decoded in one go, and what is made of it takes many times its memory."""


@dataclass(slots=True)
class _Group:
    """Messages that become durable together, with one sync."""

    parts: list[Part] = field(default_factory=list)
    number: int = 0
    received: list[NDArray[np.int64]] = field(default_factory=list)
    commit: asyncio.Future[int] | None = None


@dataclass(slots=True)
class _Segment:
    """The segment that is being written. ``kept``: it holds committed messages."""

    path: Path
    file: int
    octets: int = 0
    kept: bool = False


class Recorder:
    """The writer of the recording in ``folder``, an async context manager; a folder has one writer at a time.

    Appends that arrive while a sync is in progress are written and synced together as the next group. ``committed`` is
    the position up to which (exclusive) the recording may be read. ``malformed`` counts user properties that should
    have been decimal 64-bit integers and are recorded as null.

    ``segment_octets``: a new segment is begun when the present one has reached this size.
    """

    def __init__(self, folder: Path, *, segment_octets: int = 256 << 20) -> None:
        self.folder = folder
        self.committed = 0
        self.malformed = 0
        self._segment_octets = segment_octets
        self._segment: _Segment | None = None
        self._committed_file = -1
        self._group = _Group()
        self._lock = threading.Lock()
        """Guards ``_group``, which the event loop fills and the writing thread takes."""
        self._thread = ThreadPoolExecutor(1, f"recording {folder.name}")
        self._grown = asyncio.Event()

    async def __aenter__(self) -> Recorder:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # One thread: this runs after every commit that was begun.
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, self._close))
        self._thread.shutdown()

    async def append(self, messages: Sequence[Part], received: NDArray[np.int64]) -> range:
        """Record ``messages``, single ones and such as are alike, and return their positions when they are durable.

        ``received``: int64 (n,), ns since 1970 UTC. Raises :class:`~ground.errors.RecordingError` (disk full, disk
        broken) with none of them recorded; the same call may be tried again.
        """
        if not messages:
            return range(self.committed, self.committed)
        with self._lock:
            group = self._group
            offset = group.number
            group.parts.extend(messages)
            group.number += len(received)
            group.received.append(received)
            if group.commit is None:
                group.commit = asyncio.get_running_loop().run_in_executor(self._thread, self._commit)
                group.commit.add_done_callback(self._tell)
        first = await asyncio.shield(group.commit)
        return range(first + offset, first + offset + len(received))

    async def grown(self, position: int) -> int:
        """Wait until more than ``position`` messages are committed; returns how many are."""
        while self.committed <= position:
            await self._grown.wait()
        return self.committed

    def _tell(self, commit: asyncio.Future[int]) -> None:
        if not commit.cancelled() and commit.exception() is None:
            self._grown.set()
            self._grown.clear()

    # From here on everything runs in the writing thread.

    def _open(self) -> None:
        try:
            make_folder(self.folder)
            self._committed_file = os.open(self.folder / "committed", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._committed_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _give_identity(self.folder)
            # The end of the last segment may have become durable without being acknowledged: it stays. Acknowledged
            # messages whose segment was damaged since keep their positions.
            acknowledged = read_committed(self.folder)
            durable = Recording(self.folder, lambda: UNLIMITED).end()
            self.committed = durable if acknowledged == UNLIMITED else max(durable, acknowledged)
            for first in segment_positions(self.folder)[-1:]:
                sync(self.folder / segment_name(first))
            os.pwrite(self._committed_file, committed_line(self.committed), 0)
        except BlockingIOError as error:
            raise RecordingError("another process is recording into this folder", path=str(self.folder)) from error
        except OSError as error:
            raise RecordingError(f"cannot record here ({error.strerror})", path=str(self.folder)) from error

    def _commit(self) -> int:
        with self._lock:
            group, self._group = self._group, _Group()
        first = position = self.committed
        try:
            for parts, received in _cut(group.parts, np.concatenate(group.received)):
                self._write(parts, received, position)
                position += len(received)
            segment = self._open_segment(position)
            os.fdatasync(segment.file)
            os.pwrite(self._committed_file, committed_line(position), 0)
        except OSError as error:
            # After a failed sync the kernel may take the pages for clean; only new ones are certain.
            path = self._abandon()
            raise RecordingError(f"cannot be written ({error.strerror})", path=path) from error
        except BaseException:
            self._abandon()
            raise
        segment.kept = True
        self.committed = position
        return first

    def _write(self, parts: Sequence[Part], received: NDArray[np.int64], position: int) -> None:
        if self._segment and self._segment.octets >= self._segment_octets:
            self._finish_segment()
        segment = self._open_segment(position)
        batch, malformed = columns(parts, received)
        segment.octets += sum(write_all(segment.file, part) for part in encode(batch, position))
        self.malformed += malformed

    def _open_segment(self, position: int) -> _Segment:
        """The present segment, or a new one that begins with ``position``."""
        if self._segment is None:
            path = self.folder / segment_name(position)
            if path.exists():
                # A crash before its first batch was whole. It holds nothing that anyone was promised.
                path.replace(path.with_suffix(".torn"))
            self._segment = _Segment(path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
            self._segment.octets = write_all(self._segment.file, PREAMBLE)
            sync(self.folder)
        return self._segment

    def _finish_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment:
            try:
                write_all(segment.file, END)
                os.fdatasync(segment.file)
            finally:
                os.close(segment.file)

    def _abandon(self) -> str:
        """Leave the present segment as it is and let the next commit begin a new one. Returns its path."""
        segment, self._segment = self._segment, None
        if segment is None:
            return str(self.folder)
        os.close(segment.file)
        if not segment.kept:
            segment.path.unlink()
        return str(segment.path)

    def _close(self) -> None:
        try:
            self._finish_segment()
        except OSError:
            pass  # the end marker is a courtesy; all messages are durable
        finally:
            os.close(self._committed_file)


def _give_identity(folder: Path) -> None:
    """A recording that has no identity yet, or whose identity was damaged, gets one."""
    if read_identity(folder):
        return
    path = folder / "identity"
    if path.exists():
        log.warning(
            "%s: garbled; this recording gets a new identity, and what was stored from it does not know it any more",
            path,
        )
    write_durably(path, identity_line(secrets.token_hex(16)))


def _cut(parts: list[Part], received: NDArray[np.int64]) -> Iterator[tuple[list[Part], NDArray[np.int64]]]:
    """Pieces for a batch each."""
    start = first = number = octets = 0
    for index, part in enumerate(parts):
        if octets > _BATCH_OCTETS:
            yield parts[start:index], received[first:number]
            start, first, octets = index, number, 0
        octets += size(part)
        number += count(part)
    yield parts[start:], received[first:]
