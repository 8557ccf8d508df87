"""MQTT 5 PUBLISH packets by the thousand: all of one shape, so that only their numbers have to be filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ground.blocks import Octets

_SEQ_DIGITS: Final = 12
_ERT_DIGITS: Final = 19


class Shape:
    """QoS 1 messages to ``topic`` with ``size`` octets of payload and the user properties ert, run and seq."""

    def __init__(self, topic: str, run: str, size: int) -> None:
        def text(string: str) -> bytes:
            return len(string).to_bytes(2, "big") + string.encode()

        pairs = (("ert", "0" * _ERT_DIGITS), ("run", run), ("seq", "0" * _SEQ_DIGITS))
        properties = b"".join(b"\x26" + text(name) + text(value) for name, value in pairs)
        before = text(topic) + b"\0\0" + _variable(len(properties))
        head = b"\x32" + _variable(len(before) + len(properties) + size) + before + properties
        self._head = np.frombuffer(head, np.uint8)
        self._id = len(head) - len(properties) - len(_variable(len(properties))) - 2
        self._ert = head.index(b"ert") + 5
        self._seq = len(head) - _SEQ_DIGITS
        self._size = size

    def packets(
        self, payload: Octets, seq: NDArray[np.int64], ert: NDArray[np.int64], packet_id: NDArray[np.int64]
    ) -> Octets:
        """One packet a row, uint8 (n, octets), of ``payload``, uint8 (n, size), and numbers, int64 (n,)."""
        head = len(self._head)
        octets = np.empty((len(payload), head + self._size), np.uint8)
        octets[:, :head] = self._head
        octets[:, head:] = payload
        octets[:, self._id] = packet_id >> 8
        octets[:, self._id + 1] = packet_id & 0xFF
        octets[:, self._ert : self._ert + _ERT_DIGITS] = _digits(ert, _ERT_DIGITS)
        octets[:, self._seq : self._seq + _SEQ_DIGITS] = _digits(seq, _SEQ_DIGITS)
        return octets


def _digits(numbers: NDArray[np.int64], width: int) -> Octets:
    """Decimal digits with leading zeros, uint8 (n, width)."""
    powers = 10 ** np.arange(width - 1, -1, -1, dtype=np.int64)
    return (numbers[:, None] // powers % 10 + ord("0")).astype(np.uint8)


def _variable(length: int) -> bytes:
    """A variable byte integer (MQTT 5, 1.5.5)."""
    octets = bytearray()
    while True:
        length, octet = length >> 7, length & 0x7F
        octets.append(octet | (0x80 if length else 0))
        if not length:
            return bytes(octets)
