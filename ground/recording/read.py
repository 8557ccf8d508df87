"""Read a recording from any position, also while it grows, and step over what is damaged in it."""

from __future__ import annotations

import threading
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from ground.blocks import NO_TIME, Nanoseconds, Octets
from ground.errors import RecordingError
from ground.recording.scan import Damage, SegmentScan
from ground.recording.segment import UNLIMITED, read_committed, read_identity, segment_name, segment_positions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_JOINED_OCTETS: Final = 4 << 20
"""Octets of batches that are joined to a block, which is decoded in one go."""


@dataclass(frozen=True, slots=True)
class RecordedBlock:
    """n messages with the positions ``position`` to ``position + n - 1``, as columns that share memory.

    ``received``: int64 (n,), ns since 1970 UTC by the receiving machine's clock.
    ``ert``: int64 (n,), earth receive time of the first frame, :data:`~ground.blocks.NO_TIME` where none was sent.
    ``dt``: int64 (n,), ns per frame, 0 where none was sent.
    ``run``: string (n,), the publisher's start, null where none was sent.
    ``seq``: int64 (n,), running number of the first frame, -1 where none was sent.
    ``topic``: string (n,).
    ``payload``: uint8, one-dimensional; message i is ``payload[offset[i] : offset[i + 1]]``.
    ``offset``: int64 (n + 1,), octets.

    A block may be empty: everything before its position is accounted for, the messages just before it as damage.
    """

    position: int
    received: Nanoseconds
    ert: Nanoseconds
    dt: NDArray[np.int64]
    run: pa.Array[pa.StringScalar]
    seq: NDArray[np.int64]
    topic: pa.Array[pa.StringScalar]
    payload: Octets
    offset: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.received)

    @property
    def end(self) -> int:
        """The position after the last message: where to go on reading."""
        return self.position + len(self)


class Recording:
    """The recording in ``folder``; one reader object per thread.

    ``committed`` tells up to which position (exclusive) the recording may be read: a recorder's, in the same process.
    Without it the folder's ``committed`` file tells, and a folder without that file is read to its end.

    """

    def __init__(self, folder: Path, committed: Callable[[], int] | None = None) -> None:
        self.folder = folder
        self._damage: dict[tuple[Path, int], Damage] = {}
        self._lock = threading.Lock()
        """Guards ``_damage``: one thread reads the recording, another one tells what it met."""
        self.committed = committed or (lambda: read_committed(folder))
        self._scan: SegmentScan | None = None

    @property
    def identity(self) -> str:
        """What tells this recording from every other: 32 hexadecimal digits, made with it and kept when it is moved.

        "" for one that an older version wrote, until a recorder opens it again. Raises
        :class:`~ground.errors.RecordingError` where the folder cannot be read.
        """
        try:
            return read_identity(self.folder)
        except OSError as error:
            raise RecordingError(f"cannot be read ({error.strerror})", path=str(self.folder / "identity")) from error

    @property
    def damage(self) -> dict[tuple[Path, int], Damage]:
        """What was stepped over so far, by segment and offset, however often it is read again. For any thread."""
        with self._lock:
            return self._damage.copy()

    def first(self) -> int:
        """The position of the oldest message; 0 in an empty recording."""
        return next(iter(segment_positions(self.folder)), 0)

    def end(self) -> int:
        """The position after the newest message that may be read."""
        committed = self.committed()
        if committed < UNLIMITED:
            return committed
        segments = segment_positions(self.folder)
        if not segments:
            return 0
        scan = SegmentScan(self.folder, segments[-1], self._report)
        for _ in scan.batches(segments[-1], UNLIMITED):
            pass
        return scan.position

    def read(self, position: int, limit: int = 65536) -> Iterator[RecordedBlock]:
        """Blocks of at most ``limit`` messages from ``position`` to what is committed now, in order.

        Small batches are joined. Go on from the ``end`` of the last block. Damage goes to :attr:`damage`; it never
        raises. Raises :class:`~ground.errors.RecordingError` where a segment cannot be opened or read.
        """
        joined: list[pa.RecordBatch] = []
        start = end = position
        octets = 0
        for at, batch in self._parts(position, limit):
            full = end - start + batch.num_rows > limit or octets > _JOINED_OCTETS
            if joined and (at != end or full or not batch.num_rows):
                yield _block(start, joined)
                joined = []
            if not joined:
                start, octets = at, 0
            joined.append(batch)
            octets += batch.nbytes
            end = at + batch.num_rows
        if joined:
            yield _block(start, joined)

    def _parts(self, position: int, limit: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The batches from ``position``, none longer than ``limit``."""
        stop = self.committed()  # before the list of segments: then the list has all that is committed
        segments = segment_positions(self.folder)
        index = max(bisect_right(segments, position) - 1, 0)
        if segments and position < segments[0]:
            reason = "the recording starts here"
            self._report(Damage(self.folder / segment_name(segments[0]), 0, 0, reason, segments[0] - position))
        for number, first in enumerate(segments[index:], index + 1):
            # A segment ends where the next one begins: what is behind that was written, but never acknowledged.
            end = min(stop, segments[number]) if number < len(segments) else stop
            scan = self._scan
            if scan is None or scan.first != first:
                scan = self._scan = SegmentScan(self.folder, first, self._report)
            scan.seek(position)
            for at, batch in scan.batches(position, end):
                if at >= end and batch.num_rows:
                    break
                batch = batch.slice(0, max(end - at, 0))
                for cut in range(0, max(batch.num_rows, 1), limit):
                    yield at + cut, batch.slice(cut, limit)

    def _report(self, damage: Damage) -> None:
        with self._lock:
            self._damage.setdefault((damage.segment, damage.offset), damage)


def _block(position: int, batches: list[pa.RecordBatch]) -> RecordedBlock:
    batch = batches[0] if len(batches) == 1 else pa.concat_batches(batches)  # type: ignore[attr-defined]
    column = batch.column
    payload = column("payload")
    _, offsets, data = payload.buffers()
    n = batch.num_rows
    first = payload.offset
    return RecordedBlock(
        position,
        received=_int64(column("received")),
        ert=_int64(column("ert"), NO_TIME),
        dt=_int64(column("dt"), 0),
        run=column("run"),
        seq=_int64(column("seq"), -1),
        topic=column("topic"),
        payload=np.frombuffer(memoryview(data or b""), np.uint8),
        offset=np.frombuffer(memoryview(offsets or b""), np.int32)[first : first + n + 1].astype(np.int64),
    )


def _int64(array: pa.Array[Any], missing: int = 0) -> NDArray[np.int64]:
    """The values with ``missing`` for null; shares memory where there is no null."""
    values: NDArray[np.int64] = array.view(pa.int64()).fill_null(missing).to_numpy(zero_copy_only=False)
    return values
