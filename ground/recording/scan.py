"""Walk through one segment, batch by batch, past whatever is damaged in it."""

from __future__ import annotations

import mmap
import zlib
from array import array
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pyarrow as pa

from ground.errors import RecordingError
from ground.recording.segment import END, MARKER, PREAMBLE, SCHEMA, UNLIMITED, header_size, segment_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import IOBase
    from pathlib import Path

_NOTHING = pa.RecordBatch.from_pylist([], schema=SCHEMA)


@dataclass(frozen=True, slots=True)
class Damage:
    """A place in a recording that was stepped over: ``octets`` octets at ``offset`` of ``segment``.

    ``lost``: messages that are missing there; None where nothing good follows that would tell.
    """

    segment: Path
    offset: int
    octets: int
    reason: str
    lost: int | None

    def __str__(self) -> str:
        lost = "an unknown number of" if self.lost is None else f"{self.lost:,}"
        place = f"{self.segment}, offset {self.offset}"
        return f"{place}: {self.reason}; {self.octets:,} octets skipped, {lost} messages lost"


class SegmentScan:
    """A walk through the segment in ``folder`` whose first message has the position ``first``.

    ``position`` is that of the next message; what lies before it has been walked past and can be gone back to. A
    growing segment can be walked on when there is more of it. The file is mapped into memory; batches share it.
    ``report`` is told of every damage.
    """

    def __init__(self, folder: Path, first: int, report: Callable[[Damage], None]) -> None:
        self.path = folder / segment_name(first)
        self.first = first
        self.position = first
        self._report = report
        self._map: bytes | mmap.mmap = b""
        self._octets = memoryview(b"")
        self._remap()
        # A schema message that isn't ours is stepped over as damage with nothing lost: ours is read in its place.
        self._at = len(PREAMBLE) if self._octets[: len(PREAMBLE)] == PREAMBLE else 0
        self._reader = self._open_reader()
        # Where the good batches that were walked past begin.
        self._positions = array("q", [first])
        self._offsets = array("q", [self._at])

    def seek(self, position: int) -> None:
        """Go back, where ``position`` has been walked past, to the batch that has it."""
        if position < self.position:
            index = max(bisect_right(self._positions, position) - 1, 0)
            self.position, self._at = self._positions[index], self._offsets[index]

    def batches(self, wanted: int, stop: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        """(position, batch) of every good batch before position ``stop`` that has messages at or after ``wanted``.

        Where the messages just before ``stop`` are lost, an empty batch at ``stop`` comes last, so that whoever follows
        the recording gets past them.
        """
        self._remap()
        bad: tuple[int, str] | None = None
        cut_off: int | None = None
        while self.position < stop and not self._at_end():
            try:
                position, batch, after = self._read(wanted)
                if position < self.position:
                    raise ValueError("a position that was there before")  # noqa: TRY301 - damage like any other
            except ValueError as error:
                bad = bad or (self._at, str(error))
                cut_off = self._at if cut_off is None and str(error) == "truncated" else cut_off
                found = self._map.find(MARKER, self._at + 1)
                self._at = found if found >= 0 else len(self._octets)
                continue
            if position >= stop:
                break
            if bad or position > self.position:
                self._damaged(bad or (self._at, "a jump in position"), position - self.position)
                bad = cut_off = None
            if self._positions[-1] < position:
                self._positions.append(position)
                self._offsets.append(self._at)
            self._at, self.position = after, position + batch.num_rows
            if self.position > wanted:
                skip = max(wanted - position, 0)
                yield position + skip, batch.slice(skip)
        if stop == UNLIMITED:
            if bad:
                self._damaged(bad, None)
        elif self.position < stop:
            self._damaged(bad or (self._at, "truncated"), stop - self.position)
            self.position = stop
            if self._at >= len(self._octets) - 8:
                # What is being written just now may stand here half; it is looked at again when there is more.
                self._at = cut_off if cut_off is not None else len(self._octets) & ~7
            if stop >= wanted:
                yield stop, _NOTHING

    def _read(self, wanted: int) -> tuple[int, pa.RecordBatch, int]:
        """Position and batch of the message here, and the offset after it. ``ValueError`` says what is wrong."""
        body = self._at + header_size(self._octets, self._at)
        self._source.point(self._octets, self._at)
        try:
            batch, metadata = self._reader.read_next_batch_with_custom_metadata()
        except (OSError, pa.ArrowException, StopIteration) as error:
            self._reader = self._open_reader()
            raise ValueError("truncated") from error
        position, after = int(metadata[b"position"]), self._source.at
        # What isn't wanted need not be read from the disk.
        needed = position + batch.num_rows > wanted
        if needed and zlib.crc32(self._octets[body:after]) != int(metadata[b"crc32"], 16):
            raise ValueError("wrong CRC-32 of the body")
        return position, batch, after

    def _damaged(self, bad: tuple[int, str], lost: int | None) -> None:
        offset, reason = bad
        self._report(Damage(self.path, offset, self._at - offset, reason, lost))

    def _at_end(self) -> bool:
        rest = len(self._octets) - self._at
        return rest == 0 or (rest == len(END) and self._octets[self._at :] == END)

    def _remap(self) -> None:
        if isinstance(self._map, mmap.mmap):
            # What was read counts as this process's memory until it is let go; the kernel keeps it cached all the same.
            self._map.madvise(mmap.MADV_DONTNEED)
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, 2)
                if size > len(self._map):
                    self._map = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
                    self._octets = memoryview(self._map)
        except OSError as error:
            raise RecordingError(f"cannot be read ({error.strerror})", path=str(self.path)) from error

    def _open_reader(self) -> pa.RecordBatchStreamReader:
        self._source = _Source()
        return pa.ipc.open_stream(pa.PythonFile(cast("IOBase", self._source), mode="r"))


class _Source:
    """A file to Arrow's stream reader: first our schema, then whichever message was pointed at. Nothing is copied."""

    closed = False

    def __init__(self) -> None:
        self.point(memoryview(PREAMBLE), 0)

    def point(self, octets: memoryview, at: int) -> None:
        self.octets = octets
        self.at = at

    def read_buffer(self, size: int) -> memoryview:
        part = self.octets[self.at : self.at + size]
        self.at += len(part)
        return part

    read = read_buffer

    def close(self) -> None:
        """Nothing to release."""
