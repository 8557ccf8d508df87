"""Whether the strings of an MQTT 5 packet are UTF-8, before the codec sees it: at one that isn't, it panics."""

from __future__ import annotations

from typing import Final

_PUBLISH: Final = 3
_HEAD: Final = 256
"""Octets in which topic and properties of most messages end."""
_BEFORE_PROPERTIES: Final = {2: 2, 4: 3, 5: 3, 6: 3, 7: 3, 9: 2, 11: 2, 13: 0, 14: 1, 15: 1}
"""Octets of the variable header before the properties, by the types of packet that a server sends (MQTT 5, 3)."""

_TEXT, _PAIR, _BINARY, _VARIABLE = "text", "pair", "binary", "variable"
_PROPERTIES: Final[dict[int, int | str]] = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), 4),
    **dict.fromkeys((0x03, 0x08, 0x12, 0x15, 0x1A, 0x1C, 0x1F), _TEXT),
    **dict.fromkeys((0x09, 0x16), _BINARY),
    0x0B: _VARIABLE,
    0x26: _PAIR,
}
"""Identifiers and types of the properties (MQTT 5, table 2-4); a number is a length in octets."""


def is_text(packet: memoryview, at: int) -> bool:
    """Whether all strings in ``packet``, whose fixed header is ``at`` octets long, are UTF-8.

    Of a packet that is malformed in any other way it says True: the codec will tell.
    """
    kind = packet[0] >> 4
    try:
        if kind != _PUBLISH:
            before = _BEFORE_PROPERTIES.get(kind)
            return before is None or len(packet) <= at + before or _properties_are_text(packet, at + before)
        head = bytes(packet[at : at + _HEAD])
        topic_end = 2 + (head[0] << 8 | head[1])
        properties = topic_end + 2 if packet[0] & 0x06 else topic_end
        if properties < len(head):
            # Nearly all properties are ASCII as they lie there, their identifiers and lengths included.
            end = properties + head[properties] + 1
            if end < _HEAD and head[2:topic_end].isascii() and head[properties:end].isascii():
                return True
        return _is_utf8(bytes(packet[at + 2 : at + topic_end])) and _properties_are_text(packet, at + properties)
    except IndexError:
        return True


def _properties_are_text(packet: memoryview, at: int) -> bool:
    at, length = _variable(packet, at)
    end = at + length
    while at < end:
        kind = _PROPERTIES.get(packet[at])
        at += 1
        if isinstance(kind, int):
            at += kind
        elif kind == _VARIABLE:
            at, _ = _variable(packet, at)
        elif kind is None:
            return True
        else:
            for _ in range(2 if kind == _PAIR else 1):
                after = at + 2 + (packet[at] << 8 | packet[at + 1])
                if kind != _BINARY and not _is_utf8(bytes(packet[at + 2 : after])):
                    return False
                at = after
    return True


def _variable(packet: memoryview, at: int) -> tuple[int, int]:
    """The offset behind a variable byte integer, and its value (MQTT 5, 1.5.5)."""
    value = shift = 0
    while True:
        octet = packet[at]
        at += 1
        value |= (octet & 0x7F) << shift
        shift += 7
        if not octet & 0x80 or shift == 28:
            return at, value


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True
