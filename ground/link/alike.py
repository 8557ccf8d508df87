"""Messages that are alike: a station's come one after the other with the same topic and the same lengths, and differ in
payload and numbers only. A stretch of them is taken apart once, as columns, where the codec would make an object each.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

import mqtt5
import numpy as np
from mqtt5 import PublishPacket

from ground.blocks import Alike

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ground.blocks import Octets

FEWEST: Final = 8
"""Fewer messages than this are read one by one as quickly."""

_PUBLISH: Final = 3
_USER_PROPERTY: Final = 0x26


@dataclass(frozen=True, eq=False)
class AlikePackets(Alike):
    """n PUBLISH packets that equal the first but for packet identifier, values of user properties and payload.

    ``octets``: uint8 (n, size), the whole packets. ``first``: the first as the codec reads it. ``id_at``: where the
    packet identifier is, None in QoS 0.
    """

    octets: Octets
    first: PublishPacket
    id_at: int | None

    @property
    def packet_ids(self) -> NDArray[np.int64]:
        """Packet identifiers, int64 (n,); none in QoS 0."""
        if self.id_at is None:
            return np.empty(0, np.int64)
        return self.octets[:, self.id_at].astype(np.int64) << 8 | self.octets[:, self.id_at + 1]

    def packets(self) -> Iterator[PublishPacket]:
        """One by one."""
        for row in self.octets:
            packet, _ = mqtt5.read(memoryview(row.tobytes()))
            assert isinstance(packet, PublishPacket)
            yield packet


def find(octets: memoryview, size: int, first: PublishPacket) -> AlikePackets | None:
    """The messages at the beginning of ``octets`` that are like ``first``, which the codec read from the first ``size``
    octets; None where they are fewer than :data:`FEWEST`.
    """
    most = len(octets) // size
    # Nearly always tells, and costs nothing: the next packet's type and length.
    if most < FEWEST or octets[size : size + 3] != octets[:3]:
        return None
    places = _places(bytes(octets[:size]))
    if places is None:
        return None
    values, id_at, payload_at = places
    rows = np.frombuffer(octets[: most * size], np.uint8).reshape(most, size)
    free = np.zeros(payload_at, np.bool_)
    for _, start, stop in values:
        free[start:stop] = True
    text = rows[:, np.flatnonzero(free)]
    same = ((text < 0x80) & (text != 0)).all(axis=1)
    if id_at is not None:
        free[id_at : id_at + 2] = True
        same &= (rows[:, id_at] | rows[:, id_at + 1]) != 0
    fixed = np.flatnonzero(~free)
    same &= (rows[:, fixed] == rows[0, fixed]).all(axis=1)
    n = most if same.all() else int(np.argmin(same))
    if n < FEWEST:
        return None
    rows = rows[:n].copy()
    properties = tuple((name, rows[:, start:stop]) for name, start, stop in values)
    return AlikePackets(first.topic, rows[:, payload_at:], properties, rows, first, id_at)


def _places(packet: bytes) -> tuple[tuple[tuple[str, int, int], ...], int | None, int] | None:
    """Where values, packet identifier and payload lie (MQTT 5, 3.3) in a packet that the codec has read; None where it
    has properties other than user properties, or so many that it doesn't pay.
    """
    at = 2 if packet[1] < 0x80 else 3 if packet[2] < 0x80 else 4 if packet[3] < 0x80 else 5
    at += 2 + (packet[at] << 8 | packet[at + 1])
    id_at = at if packet[0] & 0x06 else None
    at += 2 if id_at else 0
    length = packet[at]
    if length >= 0x80:
        return None
    at += 1
    end = at + length
    values = []
    while at < end:
        if packet[at] != _USER_PROPERTY:
            return None
        name_end = at + 3 + (packet[at + 1] << 8 | packet[at + 2])
        value_end = name_end + 2 + (packet[name_end] << 8 | packet[name_end + 1])
        values.append((packet[at + 3 : name_end].decode(), name_end + 2, value_end))
        at = value_end
    return tuple(values), id_at, end


def one_by_one(messages: list[PublishPacket | AlikePackets]) -> list[PublishPacket]:
    """All of ``messages`` as the codec reads them."""
    return [*chain.from_iterable(part.packets() if isinstance(part, AlikePackets) else (part,) for part in messages)]
