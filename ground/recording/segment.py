"""What a segment of a recording is made of: the columns, and messages that prove themselves.

A segment is an Arrow IPC stream (Arrow columnar format 1.5, "IPC Streaming Format") named by the position of its first
message. An Arrow stream alone takes a zeroed tail for its end and a flipped bit for data, so every record batch carries
three values as custom metadata of its IPC message:

``position``  decimal, 20 digits: the position of the batch's first message
``crc32``     8 hex digits: CRC-32 of the message's body, all octets after its metadata
``header``    ``crc32 `` and 8 hex digits: CRC-32 of the octets before the body, with these 8 digits as zeros

CRC-32 is that of ISO-HDLC, as :func:`zlib.crc32` computes it.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from pathlib import Path

TIME: Final = pa.timestamp("ns", "UTC")
"""Of the times in a recording."""

_FIELDS: list[pa.Field[Any]] = [
    pa.field("received", TIME, nullable=False),
    pa.field("ert", TIME),
    pa.field("dt", pa.int64()),
    pa.field("run", pa.string()),
    pa.field("seq", pa.int64()),
    pa.field("topic", pa.string(), nullable=False),
    pa.field("payload", pa.binary(), nullable=False),
]
SCHEMA: Final = pa.schema(_FIELDS)
"""Columns of a recording: ``received`` by this machine's clock; ``ert`` of the first frame, ``dt`` ns per frame,
``run`` and ``seq`` as the publisher sent them, null where it didn't (or sent no decimal 64-bit integer)."""

PREAMBLE: Final = SCHEMA.serialize().to_pybytes()
"""The schema message with which every segment starts."""

END: Final = struct.pack("<iI", -1, 0)
"""The end-of-stream marker with which a segment ends that was closed in good order."""

MARKER: Final = b"\xff\xff\xff\xff"
"""The four octets with which every IPC message starts."""

_OPTIONS: Final = pa.ipc.IpcWriteOptions()  # the default looks into the environment anew each time
_MAX_HEADER: Final = 65536
_SEAL: Final = re.compile(rb"crc32 ([0-9a-f]{8})")
# Strings in a header stand behind their lengths.
_POSITION: Final = re.compile(rb"\x14\0\0\0(\d{20})\0")
_CRC32: Final = re.compile(rb"\x08\0\0\0([0-9a-f]{8})\0")
_UNSEALED: Final = b"crc32 00000000"


TRUNCATED: Final = "truncated"
"""What is wrong with a batch that ends too soon; it may be one that is being written."""

UNLIMITED: Final = np.iinfo(np.int64).max
"""The committed position of a recording whose ``committed`` file is missing or unreadable: read it to its end."""


def segment_name(position: int) -> str:
    """The file name of the segment whose first message has this position."""
    return f"{position:020d}.arrows"


def segment_positions(folder: Path) -> list[int]:
    """The first positions of all segments in ``folder``, ascending. Other files are none of ours."""
    return sorted(int(path.stem) for path in folder.glob("*.arrows") if re.fullmatch(r"\d{20}", path.stem))


def encode(batch: pa.RecordBatch, position: int) -> tuple[bytes, memoryview]:
    """The IPC message of ``batch`` as its sealed header and its body."""
    metadata = {b"position": b"%020d" % position, b"crc32": b"00000000", b"header": _UNSEALED}
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA, options=_OPTIONS) as stream:
        stream.write_batch(batch, custom_metadata=metadata)
    message = memoryview(sink.getvalue())[len(PREAMBLE) : -len(END)]
    (size,) = struct.unpack_from("<I", message, 4)
    header, body = bytearray(message[: 8 + size]), message[8 + size :]
    seal = header.index(_UNSEALED) + 6
    # The other run of eight zeros that stands alone as a string, behind its length, is the body's.
    place = header.index(struct.pack("<I", 8) + b"00000000\0") + 4
    header[place : place + 8] = b"%08x" % zlib.crc32(body)
    header[seal : seal + 8] = b"%08x" % zlib.crc32(header)
    return bytes(header), body


class Header(NamedTuple):
    """What the sealed header of a batch says. ``size`` and ``body``: octets of the header, and of the body behind it.

    ``crc32``: of the body.
    """

    position: int
    rows: int
    size: int
    body: int
    crc32: int


def header_size(start: bytes) -> int:
    """The length in octets of the header that begins with these 8. Raises ``ValueError`` saying what is wrong."""
    if len(start) < 8:
        raise ValueError(TRUNCATED)
    marker: int
    size: int
    marker, size = struct.unpack("<iI", start)
    if marker == 0 and size == 0:
        raise ValueError("zeros")
    if marker != -1 or size % 8 or not 0 < size <= _MAX_HEADER:
        raise ValueError("not a record batch")
    return 8 + size


def read_header(octets: bytes) -> Header:
    """What the header says, its seal verified. Raises ``ValueError`` saying what is wrong."""
    header = bytearray(octets)
    seal = _SEAL.search(header)
    if seal is None:
        raise ValueError("header without its CRC-32")
    expected = int(seal[1], 16)
    digits = slice(*seal.span(1))
    header[digits] = b"00000000"
    if zlib.crc32(header) != expected:
        raise ValueError("wrong CRC-32 of the header")
    position, crc32 = _POSITION.search(octets), _CRC32.search(octets)
    try:
        rows, body = _lengths(octets)
    except struct.error:
        rows = body = -1
    if position is None or crc32 is None or rows < 0 or body < 0 or int(position[1]) > UNLIMITED - rows:
        raise ValueError("a header that contradicts itself")
    return Header(int(position[1]), rows, len(octets), body, int(crc32[1], 16))


def _lengths(header: bytes) -> tuple[int, int]:
    """Rows of the record batch and octets of its body, so that a batch can be passed without reading it (Message.fbs of
    the Arrow columnar format: field 3 of ``Message``, field 0 of the ``RecordBatch`` in its field 2)."""

    def place(table: int, number: int) -> int:
        """Where a field of a FlatBuffers table is."""
        vtable = table - struct.unpack_from("<i", header, table)[0]
        return table + int(struct.unpack_from("<H", header, vtable + 4 + 2 * number)[0])

    message = 8 + struct.unpack_from("<I", header, 8)[0]
    batch = place(message, 2)
    batch += struct.unpack_from("<I", header, batch)[0]
    (body,) = struct.unpack_from("<q", header, place(message, 3))
    (rows,) = struct.unpack_from("<q", header, place(batch, 0))
    return rows, body


def decode(octets: bytes, header: Header) -> pa.RecordBatch:
    """The batch of a whole IPC message; it shares the memory. Raises ``ValueError`` for one that proves itself, but
    cannot be read without harm."""
    if zlib.crc32(memoryview(octets)[header.size :]) != header.crc32:
        raise ValueError("wrong CRC-32 of the body")
    try:
        batch = pa.ipc.read_record_batch(pa.ipc.read_message(octets), SCHEMA)
        # Offsets that lead outside, text that isn't UTF-8: a third of what the CRC-32 takes.
        batch.validate(full=True)
    except (OSError, EOFError, pa.ArrowException) as error:
        raise ValueError("columns that contradict themselves") from error
    if any(batch.column(field.name).null_count for field in _FIELDS if not field.nullable):
        raise ValueError("a message without topic, payload or time of receipt")
    return batch


def committed_line(position: int) -> bytes:
    """The content of the ``committed`` file: the position, and a CRC-32 against reading half of a change."""
    digits = b"%020d" % position
    return b"%s %08x\n" % (digits, zlib.crc32(digits))


def committed_position(line: bytes) -> int:
    """What such a line says; UNLIMITED where it isn't one."""
    digits = line[:20]
    return int(digits) if digits.isdigit() and line == committed_line(int(digits)) else UNLIMITED


def read_committed(folder: Path) -> int:
    """Up to which position (exclusive) the recording in ``folder`` may be read, by its ``committed`` file."""
    try:
        return committed_position((folder / "committed").read_bytes())
    except FileNotFoundError:
        return UNLIMITED


def identity_line(identity: str) -> bytes:
    """The content of the ``identity`` file: 32 hexadecimal digits that no other recording has."""
    return f"{identity}\n".encode()


def read_identity(folder: Path) -> str:
    """The identity of the recording in ``folder``; "" where it has none (made by an older version) or it is garbled."""
    try:
        line = (folder / "identity").read_bytes()
    except FileNotFoundError:
        return ""
    return line[:-1].decode() if re.fullmatch(rb"[0-9a-f]{32}\n", line) else ""
