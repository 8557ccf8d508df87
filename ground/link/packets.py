"""Whole MQTT 5 packets out of a stream of octets, whatever the octets are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import mqtt5
import numpy as np
from mqtt5 import PublishPacket

from ground.errors import LinkError
from ground.link.alike import AlikePackets, find
from ground.link.text import is_text

if TYPE_CHECKING:
    from mqtt5 import Packet
    from numpy.typing import NDArray


_FROM_SERVER: Final = frozenset((2, 3, 4, 5, 6, 7, 9, 11, 13, 14, 15))
"""Types of the packets that a server sends (MQTT 5, table 2-1)."""


class ProtocolError(LinkError):
    """Octets that no MQTT 5 peer sends."""


def read_packets(octets: memoryview, into: list[Packet | AlikePackets], max_packet: int) -> int:
    """Append every whole packet in ``octets`` to ``into``, messages that are alike together, and return how many octets
    they are.

    Raises :class:`ProtocolError` at the first packet that is malformed or longer than ``max_packet`` octets, as soon as
    its length is known; the packets before it are in ``into``.
    """
    at, end = 0, len(octets)
    while end - at >= 2:
        size, length = 2, octets[at + 1]
        if length > 0x7F:
            if end - at > 2 and (second := octets[at + 2]) < 0x80:
                size, length = 3, length & 0x7F | second << 7
            else:
                size, length = _remaining_length(octets[at : at + 5])
                if not size:
                    break
        after = at + size + length
        if after - at > max_packet:
            raise ProtocolError(f"a packet of {after - at:,} octets; the limit is {max_packet:,}")
        if after > end:
            break
        whole = octets[at:after]
        if whole[0] >> 4 not in _FROM_SERVER:
            raise ProtocolError(f"a packet of type {whole[0] >> 4}, which no broker sends")
        if not is_text(whole, size):
            raise ProtocolError("a string that is not UTF-8")
        try:
            packet, read = mqtt5.read(whole)
        except (ValueError, IndexError) as error:
            raise ProtocolError(f"a malformed packet ({error})") from error
        except BaseException as error:
            # A panic of the codec's Rust side, which is no Exception.
            if type(error).__name__ != "PanicException":
                raise
            raise ProtocolError(f"a packet that the codec cannot read ({error})") from None
        if read != after - at:
            raise ProtocolError(f"a malformed packet ({read} of its {after - at} octets used)")
        alike = find(octets[at:], after - at, packet) if isinstance(packet, PublishPacket) else None
        into.append(alike or packet)
        at += (after - at) * (len(alike) if alike else 1)
    return at


def _remaining_length(octets: memoryview) -> tuple[int, int]:
    """Octets of the fixed header and the length behind it, (0, 0) while it isn't whole (MQTT 5, 1.5.5 and 2.1.4)."""
    length = 0
    for size, octet in enumerate(octets[1:], 1):
        if size == 5:
            break
        length |= (octet & 0x7F) << 7 * (size - 1)
        if not octet & 0x80:
            return size + 1, length
    else:
        if len(octets) < 5:
            return 0, 0
    raise ProtocolError("a remaining length of more than four octets")


def pubacks(packet_ids: NDArray[np.int64]) -> bytes:
    """PUBACK packets (MQTT 5, 3.4) with reason 0x00, one after the other, for packet identifiers (n,)."""
    words = np.empty((len(packet_ids), 2), ">u2")
    words[:, 0] = 0x4002
    words[:, 1] = packet_ids
    return words.tobytes()


def words(name: str) -> str:
    """A reason code's name for people."""
    return name.lower().replace("_", " ")
