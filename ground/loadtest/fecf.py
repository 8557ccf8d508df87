"""Frame error control fields: CRC-16 of CCSDS 732.0-B-4, 4.1.6 (polynomial 0x1021, from all ones)."""

from __future__ import annotations

from binascii import crc_hqx
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from ground.blocks import Octets


def fecf(octets: Octets, start: int = 0xFFFF) -> NDArray[np.uint16]:
    """Of frames without theirs, uint8 (n, octets), one by one: uint16 (n,)."""
    return np.fromiter((crc_hqx(row, start) for row in np.ascontiguousarray(octets)), np.uint16, len(octets))


class Remembered:
    """Of frames that each hold one of some packets, of which few octets are ever written anew.

    The CRC is linear: that of a sum is the sum of the parts' CRCs from zero. Those of the packets are computed once,
    and to them are added, by columns, those of the other octets. ``octets``: of a frame without the field. ``at``:
    where its packet lies. ``packets``: by kind, uint8 (rows, length). ``written``: which octets of a packet are written
    anew.
    """

    def __init__(self, octets: int, at: int, packets: Sequence[Octets], written: Collection[int]) -> None:
        longest = max(kind.shape[1] for kind in packets)
        self._columns = [*range(at), *(at + column for column in written), *range(at + longest, octets)]
        self._tables = _tables(octets)
        self._zeros = crc_hqx(bytes(octets), 0xFFFF)
        self._packets = np.empty((len(packets), len(packets[0])), np.uint16)
        for number, kind in enumerate(packets):
            frames = np.zeros((len(kind), octets), np.uint8)
            frames[:, at : at + kind.shape[1]] = kind
            frames[:, self._columns] = 0
            self._packets[number] = fecf(frames, 0)

    def of(self, frames: Octets, kind: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[np.uint16]:
        """Of ``frames``, uint8 (n, octets or more), that hold these packets (n,): uint16 (n,)."""
        crc = self._packets[kind, row] ^ np.uint16(self._zeros)
        for column in self._columns:
            crc ^= self._tables[column][frames[:, column]]
        return crc


def _tables(octets: int) -> NDArray[np.uint16]:
    """What each value of each octet adds to the CRC, uint16 (octets, 256)."""
    step = np.array([crc_hqx(bytes([octet]), 0) for octet in range(256)], np.uint16)
    tables = np.empty((octets, 256), np.uint16)
    table = step
    for place in range(octets - 1, -1, -1):
        tables[place] = table
        table = table << np.uint16(8) ^ step[table >> 8]
    return tables
