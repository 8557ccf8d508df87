"""``ground decode``: raw frames in a file to tables by container, through the same decoder as the live path."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable  # noqa: TC003  used in a value below
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from ground.blocks import NO_TIME, Octets
from ground.errors import ConfigError, GroundError
from ground.processing.messages import Messages, Part
from ground.processing.partition import Partition
from ground.xtce import plan, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ground.mission import Mission
    from ground.processing.ledger import MissionLedger
    from ground.stores import Entry

_STATION = "file"
_BLOCK = 4 << 20
_TOGETHER = 4
"""Blocks whose rows are written together: Parquet makes a row group of every write, and many small ones are slow."""


def decode_file(
    path: Path,
    mission: Mission,
    *,
    output: Path | None = None,
    file_format: str = "csv",
    progress: Callable[[int], None] = lambda octets: None,
    report: Callable[[Entry], None] = lambda event: None,
) -> MissionLedger:
    """Decode the frames in ``path`` and return the counts.

    With ``output``, one ``<container>.<format>`` is written into that folder for every container met. ``progress`` is
    called with the number of octets just finished, ``report`` with what an operator should know. A file has no earth
    receive time: ``ert`` is null. Raises :class:`~ground.errors.ConfigError` where the file can't be read.
    """
    partition = Partition(mission, plan.compile(read.load(mission.telemetry)))
    with _Tables(output or Path(), file_format) as tables:
        for number, messages in enumerate(_file_as_messages(path, mission), 1):
            none = np.full(len(messages), NO_TIME)
            step = partition.process(Part(partition.position, none, none, {_STATION: messages}))
            for event in step.events:
                report(event)
            for item in step.telemetry if output is not None else ():
                tables.add(item.rows.container, item.rows.batch)
            if number % _TOGETHER == 0:
                tables.write()
            progress(len(messages.data))
        tables.write()
    return partition.ledger


class _Tables:
    """The tables of a file, one a container, written in a thread while the next blocks are decoded."""

    def __init__(self, folder: Path, file_format: str) -> None:
        self._folder = folder
        self._format = file_format
        self._waiting: dict[str, list[pa.RecordBatch]] = {}
        self._writers: dict[str, Writer] = {}
        self._open = ExitStack()
        self._thread = ThreadPoolExecutor(1, "tables")
        self._writing: Future[None] | None = None

    def add(self, container: str, batch: pa.RecordBatch) -> None:
        """Take rows; nothing is written here."""
        self._waiting.setdefault(container, []).append(batch)

    def write(self) -> None:
        """Write what was taken, when what was taken before is written. Raises what that raised."""
        if self._writing is not None:
            self._writing.result()
        waiting, self._waiting = self._waiting, {}
        self._writing = self._thread.submit(self._write, waiting)

    def _write(self, waiting: dict[str, list[pa.RecordBatch]]) -> None:
        for container, batches in waiting.items():
            if container not in self._writers:
                opened = _open(self._folder, container, self._format, batches[0])
                self._writers[container] = self._open.enter_context(opened)
            self._writers[container].write(pa.concat_batches(batches))  # type: ignore[attr-defined]

    def __enter__(self) -> _Tables:
        return self

    def __exit__(self, *exc: object) -> None:
        with self._open, self._thread:
            if self._writing is not None:
                self._writing.result()


def _file_as_messages(path: Path, mission: Mission) -> Iterator[Messages]:
    """The file block by block, each as one message whose frames carry their running number in the file."""
    if mission.link.frame == "none":
        yield from _packets_as_messages(path)
        return
    length = mission.link.length
    step = max(1, _BLOCK // length) * length
    position = 0
    for start in range(0, len(_map(path)), step):
        try:
            # Read, not mapped: what is mapped and was read counts as this process's memory to the end.
            payload = np.fromfile(path, np.uint8, step, offset=start)
        except OSError as error:
            raise ConfigError(f"{path}: {error}") from error
        edge = len(payload) // length * length
        # A last piece that isn't a whole frame is a message of its own, so that it is counted as such.
        pieces = np.array([0, edge, len(payload)] if 0 < edge < len(payload) else [0, len(payload)], np.int64)
        seq = (start + pieces[:-1]) // length
        none = np.full(len(seq), NO_TIME, np.int64)
        run = pa.array([_STATION] * len(seq), pa.string())
        yield Messages(
            payload,
            pieces[:-1],
            np.diff(pieces),
            none,
            np.zeros(len(seq), np.int64),
            run,
            seq,
            position + np.arange(len(seq)),
        )
        position += len(seq)


def _packets_as_messages(path: Path) -> Iterator[Messages]:
    """A file of packets back to back, cut where one ends."""
    octets = _map(path)
    view = memoryview(octets)  # type: ignore[arg-type]
    none = np.full(1, NO_TIME, np.int64)
    begin = at = number = seq = position = 0
    while begin < len(octets):
        while at + 6 < len(octets) and at - begin < _BLOCK:
            at += (view[at + 4] << 8 | view[at + 5]) + 7
            number += 1
        at = len(octets) if at + 6 >= len(octets) else at
        payload = octets[begin:at]
        start, length = np.zeros(1, np.int64), np.full(1, len(payload))
        yield Messages(payload, start, length, none, start, pa.array([_STATION]), np.full(1, seq), np.full(1, position))
        begin, seq, position = at, number, position + 1


def _map(path: Path) -> Octets:
    try:
        return np.memmap(path, np.uint8, mode="r") if path.stat().st_size else np.empty(0, np.uint8)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error


class Writer(Protocol):
    """Takes the rows of one container."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        ...

    def __enter__(self) -> Writer: ...

    def __exit__(self, *exc: object) -> None: ...


def _open(folder: Path, container: str, file_format: str, batch: pa.RecordBatch) -> Writer:
    path = folder / f"{container}.{file_format}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return WRITERS[file_format](path, batch.schema)
    except OSError as error:
        raise GroundError(f"{path}: {error.strerror or error}") from error


class ParquetWriter:
    """Rows with their types and the schema's units and labels, as they are."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pa.parquet.ParquetWriter(path, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        self._writer.write_batch(batch)

    def __enter__(self) -> ParquetWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self._writer.close()


class CsvWriter:
    """Rows as text: times in ISO 8601 UTC, labels for enumerations, base64 for binary."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pa.csv.CSVWriter(path, readable(pa.RecordBatch.from_pylist([], schema)).schema)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        self._writer.write_batch(readable(batch))

    def __enter__(self) -> CsvWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self._writer.close()


class JsonLinesWriter:
    """A JSON object a row, text as in :class:`CsvWriter`; non-finite floats are null, 64-bit integers strings."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._file: TextIO = path.open("w", encoding="utf-8")

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        table = readable(batch)
        columns = []
        for column in table.columns:
            if pa.types.is_floating(column.type):
                column = pc.if_else(pc.is_finite(column), column, None)
            elif pa.types.is_integer(column.type) and column.type.bit_width == 64:
                column = column.cast(pa.string())
            columns.append(column.to_pylist())
        names = table.schema.names
        self._file.writelines(
            json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in zip(*columns, strict=True)
        )

    def __enter__(self) -> JsonLinesWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()


WRITERS: Final[dict[str, Callable[[Path, pa.Schema], Writer]]] = {
    "csv": CsvWriter,
    "jsonl": JsonLinesWriter,
    "parquet": ParquetWriter,
}

FORMATS: Final = tuple(WRITERS)


def readable(batch: pa.RecordBatch) -> pa.RecordBatch:
    """``batch`` with what isn't a number or a truth value turned into text that a person can read."""
    columns, fields = [], []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        labels = (field.metadata or {}).get(b"labels")
        if pa.types.is_timestamp(column.type):
            column = _times(column)
        elif labels:
            column = _labelled(column, json.loads(labels))
        elif pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            text = [None if v is None else base64.b64encode(v).decode() for v in column.to_pylist()]
            column = pa.array(text, pa.string())
        columns.append(column)
        fields.append(pa.field(field.name, column.type))
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))


def _times(column: pa.Array[Any]) -> pa.StringArray:
    text = iso_times(column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False))
    return pa.array(text, pa.string(), mask=column.is_null().to_numpy(zero_copy_only=False))


def _labelled(column: pa.Array[Any], labels: dict[str, str]) -> pa.Array[Any]:
    """The label of each enumerated value; a value without one stays a number."""
    codes = column.cast(pa.string())
    keys = pa.array(list(labels), pa.string())
    found = pc.index_in(codes, keys)
    return pc.coalesce(pa.array(list(labels.values()), pa.string()).take(found), codes)


def iso_times(time: Any) -> list[str]:
    """``time``, int64 (n,) ns since 1970 UTC, as ISO 8601 with nanoseconds and Z."""
    return [f"{text}Z" for text in np.datetime_as_string(np.asarray(time, "M8[ns]"), unit="ns").tolist()]


def summary(ledger: MissionLedger, mission: Mission) -> dict[str, Any]:
    """The counts of a file, JSON-ready. Times are null where the mission's onboard epoch is not known."""
    known = mission.absolute_time and ledger.first_time != NO_TIME
    first, last = iso_times([ledger.first_time, ledger.last_time]) if known else (None, None)
    return {
        "frames": ledger.frames_in,
        "rejected": {reason: ledger.rejected[reason] for reason in ("version", "spacecraft", "fecf", "length")},
        "vcs": {
            str(vcid): {
                "frames": channel.frames,
                "first": channel.first,
                "last": channel.last,
                "gaps": channel.gaps,
                "lost": channel.lost,
                "packets": channel.packets,
                "apids": {str(apid): n for apid, n in sorted(channel.apids.items())},
            }
            for (_, vcid), channel in sorted(ledger.channels.items())
        },
        "time": {"first": first, "last": last},
    }
