"""Walk through one segment, batch by batch, past whatever is damaged in it."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from dataclasses import dataclass
from io import FileIO
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from ground.errors import RecordingError
from ground.recording.segment import (
    END,
    MARKER,
    PREAMBLE,
    SCHEMA,
    TRUNCATED,
    UNLIMITED,
    Header,
    decode,
    header_size,
    read_header,
    segment_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_SEARCHED: Final = 1 << 20
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
    growing segment can be walked on when there is more of it. Batches are read, not mapped: a file that another hand
    cuts off meanwhile would end the process that has it mapped. ``report`` is told of every damage.
    """

    def __init__(self, folder: Path, first: int, report: Callable[[Damage], None]) -> None:
        self.path = folder / segment_name(first)
        self.first = first
        self.position = first
        self._report = report
        self._size = 0
        with self._open() as file:
            start = self._octets(file, 0, len(PREAMBLE))
        # A schema message that isn't ours is stepped over as damage with nothing lost: ours is read in its place.
        self._at = len(PREAMBLE) if start == PREAMBLE else 0
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
        with self._open() as file:
            yield from self._batches(file, wanted, stop)

    def _batches(self, file: FileIO, wanted: int, stop: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        bad: tuple[int, str] | None = None
        cut_off: int | None = None
        while self.position < stop and not self._at_end(file):
            try:
                header, batch = self._read(file, wanted)
            except ValueError as error:
                bad = bad or (self._at, str(error))
                cut_off = self._at if cut_off is None and str(error) == TRUNCATED else cut_off
                self._at = self._next_marker(file)
                continue
            position = header.position
            if position >= stop:
                break
            if bad or position > self.position:
                self._damaged(bad or (self._at, "a jump in position"), position - self.position)
                bad = cut_off = None
            if self._positions[-1] < position:
                self._positions.append(position)
                self._offsets.append(self._at)
            self._at, self.position = self._at + header.size + header.body, position + header.rows
            if batch is not None:
                skip = max(wanted - position, 0)
                yield position + skip, batch.slice(skip)
        if stop == UNLIMITED:
            if bad:
                self._damaged(bad, None)
        elif self.position < stop:
            self._damaged(bad or (self._at, TRUNCATED), stop - self.position)
            self.position = stop
            if self._at >= self._size - 8:
                # What is being written just now may stand here half; it is looked at again when there is more.
                self._at = cut_off if cut_off is not None else self._size & ~7
            if stop >= wanted:
                yield stop, _NOTHING

    def _read(self, file: FileIO, wanted: int) -> tuple[Header, pa.RecordBatch | None]:
        """Header and batch of the message here, None where nothing of it is wanted: then it is not read from the disk.

        ``ValueError`` says what is wrong.
        """
        size = header_size(self._octets(file, self._at, 8))
        header = read_header(self._whole(file, size))
        if header.position < self.position:
            raise ValueError("a position that was there before")
        if self._at + size + header.body > self._size:
            raise ValueError(TRUNCATED)
        if header.position + header.rows <= wanted:
            return header, None
        return header, decode(self._whole(file, size + header.body), header)

    def _whole(self, file: FileIO, size: int) -> bytes:
        octets = self._octets(file, self._at, size)
        if len(octets) < size:
            raise ValueError(TRUNCATED)
        return octets

    def _octets(self, file: FileIO, at: int, size: int) -> bytes:
        """As many as there are. What came after this walk began isn't; what was cut off since isn't either."""
        octets = b""
        try:
            while (rest := min(size, self._size - at) - len(octets)) > 0:
                part = os.pread(file.fileno(), rest, at + len(octets))
                if not part:
                    self._size = os.fstat(file.fileno()).st_size
                octets = octets + part if octets else part
        except OSError as error:
            raise RecordingError(f"cannot be read ({error.strerror})", path=str(self.path), offset=at) from error
        return octets

    def _next_marker(self, file: FileIO) -> int:
        """The offset of what may be the next message, or of the end."""
        at = self._at + 1
        while len(octets := self._octets(file, at, _SEARCHED)) >= len(MARKER):
            if (found := octets.find(MARKER)) >= 0:
                return at + found
            at += len(octets) - len(MARKER) + 1
        return max(self._size, self._at)

    def _damaged(self, bad: tuple[int, str], lost: int | None) -> None:
        offset, reason = bad
        self._report(Damage(self.path, offset, self._at - offset, reason, lost))

    def _at_end(self, file: FileIO) -> bool:
        rest = self._size - self._at
        return rest <= 0 or (rest == len(END) and self._octets(file, self._at, len(END)) == END)

    def _open(self) -> FileIO:
        try:
            file = FileIO(self.path)
            self._size = os.fstat(file.fileno()).st_size
        except OSError as error:
            raise RecordingError(f"cannot be read ({error.strerror})", path=str(self.path)) from error
        return file
