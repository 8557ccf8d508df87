"""Messages to the columns of a recording: one by one as the codec gives them, or many that are alike at once."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, cast

import numpy as np
import pyarrow as pa

from ground.blocks import Alike
from ground.recording.segment import SCHEMA, TIME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from ground.blocks import Octets

_INTEGERS: Final = ("ert", "dt", "seq")


class Message(Protocol):
    """What is recorded of a message; ``mqtt5.PublishPacket`` is one."""

    @property
    def topic(self) -> str:
        """The MQTT topic."""

    @property
    def payload(self) -> bytes:
        """The payload, octet for octet."""

    @property
    def user_properties(self) -> list[tuple[str, str]]:
        """Names and values; ``ert``, ``dt``, ``run`` and ``seq`` are kept."""


Part: TypeAlias = "Message | Alike"


def count(part: Part) -> int:
    """How many messages ``part`` is."""
    return len(part) if isinstance(part, Alike) else 1


def size(part: Part) -> int:
    """Octets of its payloads."""
    return part.payload.size if isinstance(part, Alike) else len(part.payload)


def columns(parts: Sequence[Part], received: NDArray[np.int64]) -> tuple[pa.RecordBatch, int]:
    """The record batch of ``parts`` and how many of their properties should have been integers and aren't.

    ``received``: int64 (n,), ns since 1970 UTC, one for each message.
    """
    made: list[tuple[pa.RecordBatch, int]] = []
    for alike, stretch in groupby(parts, lambda part: isinstance(part, Alike)):
        if alike:
            made += map(_of_alike, _together(cast("Iterator[Alike]", stretch)))
        else:
            made.append(_one_by_one([*stretch]))
    batches, malformed = [batch for batch, _ in made], sum(wrong for _, wrong in made)
    batch: pa.RecordBatch = batches[0] if len(batches) == 1 else pa.concat_batches(batches)  # type: ignore[attr-defined]
    return batch.set_column(0, SCHEMA.field("received"), pa.array(received).view(TIME)), malformed


def _one_by_one(messages: Sequence[Any]) -> tuple[pa.RecordBatch, int]:
    """Without times of receipt."""
    n = len(messages)
    run: list[str | None] = [None] * n
    integers: dict[str, list[int | None]] = {name: [None] * n for name in _INTEGERS}
    malformed = 0
    for row, message in enumerate(messages):
        for name, value in message.user_properties:
            if name == "run":
                run[row] = value
            elif name in integers:
                integers[name][row] = number = _integer(value)
                malformed += number is None
    numbers = {name: pa.array(integers[name], pa.int64()) for name in _INTEGERS}
    topic = pa.array([message.topic for message in messages], pa.string())
    payload = pa.array([message.payload for message in messages], pa.binary())
    return _batch(numbers, pa.array(run, pa.string()), topic, payload), malformed


def _together(parts: Iterator[Alike]) -> Iterator[Alike]:
    """The same messages, neighbours of one shape in one part: a part costs the same for ten messages as for many."""
    for (topic, _, names), stretch in groupby(parts, _shape):
        same = [*stretch]
        if len(same) == 1:
            yield same[0]
            continue
        values = zip(*([value for _, value in part.user_properties] for part in same), strict=True)
        properties = tuple((name, np.concatenate(value)) for (name, _), value in zip(names, values, strict=True))
        yield Alike(topic, np.concatenate([part.payload for part in same]), properties)


def _shape(part: Alike) -> tuple[str, int, tuple[tuple[str, int], ...]]:
    return part.topic, part.payload.shape[1], tuple((name, value.shape[1]) for name, value in part.user_properties)


def _of_alike(messages: Alike) -> tuple[pa.RecordBatch, int]:
    """Without times of receipt."""
    n, malformed = len(messages), 0
    numbers: dict[str, pa.Array[Any]] = {name: pa.nulls(n, pa.int64()) for name in _INTEGERS}
    run: pa.Array[Any] = pa.nulls(n, pa.string())
    for name, value in messages.user_properties:
        if name == "run":
            run = pa.repeat(_text(value[0]), n) if (value == value[0]).all() else pa.array([*map(_text, value)])
        elif name in numbers:
            numbers[name] = _integers(value)
            malformed += numbers[name].null_count
    length = messages.payload.shape[1]
    offsets = pa.py_buffer((np.arange(n + 1, dtype=np.int32) * np.int32(length)).data)
    octets = pa.py_buffer(np.ascontiguousarray(messages.payload).data)
    payload = pa.Array.from_buffers(pa.binary(), n, [None, offsets, octets], 0)
    return _batch(numbers, run, pa.repeat(messages.topic, n), payload), malformed


def _batch(
    numbers: Mapping[str, pa.Array[Any]], run: pa.Array[Any], topic: pa.Array[Any], payload: pa.Array[Any]
) -> pa.RecordBatch:
    received = pa.array(np.zeros(len(topic), np.int64)).view(TIME)
    ert, dt, seq = (numbers[name] for name in _INTEGERS)
    return pa.record_batch([received, ert.view(TIME), dt, run, seq, topic, payload], schema=SCHEMA)


def _integers(text: Octets) -> pa.Array[Any]:
    """Decimal numbers, uint8 (n, characters), as int64; null for anything else."""
    digits = text - np.uint8(ord("0"))
    width = digits.shape[1]
    # 19 digits fit int64 where the first is not a 9, as those of every time until the year 2255.
    fits = 0 < width < 19 or (width == 19 and (digits[:, 0] < 9).all())
    if not fits or (digits > 9).any():
        return pa.array([_integer(_text(row)) for row in text], pa.int64())
    numbers: NDArray[np.int64] = digits @ (10 ** np.arange(width - 1, -1, -1, dtype=np.int64))
    return pa.array(numbers)


def _text(octets: Octets) -> str:
    return octets.tobytes().decode("ascii")


def _integer(text: str) -> int | None:
    """A decimal 64-bit integer; None for anything else."""
    if text.isdigit() and text.isascii() and len(text) < 19:
        return int(text)
    if len(text) > 20 or not text.isascii() or not text.removeprefix("-").isdigit():
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None
