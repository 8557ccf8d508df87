"""A slow, plain receiver of AOS frames, written from CCSDS 732.0-B and 133.0-B: what the simulators' octets mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ground.mission import Mission


def crc16(data: bytes) -> int:
    """Bit by bit: x^16 + x^12 + x^5 + 1, all ones at the start (732.0-B-4, 4.1.6)."""
    register = 0xFFFF
    for octet in data:
        for bit in range(7, -1, -1):
            feedback = (register >> 15) ^ (octet >> bit & 1)
            register = (register << 1 & 0xFFFF) ^ (0x1021 if feedback else 0)
    return register


@dataclass
class Receiver:
    """Frames in, packets out by virtual channel; ``idle``: frames of only idle data."""

    mission: Mission
    counts: dict[int, list[int]] = field(default_factory=dict)
    packets: dict[int, list[bytes]] = field(default_factory=dict)
    insert_zones: list[bytes] = field(default_factory=list)
    ocfs: list[bytes] = field(default_factory=list)
    idle: int = 0
    _rest: dict[int, bytes] = field(default_factory=dict)

    def feed(self, data: bytes, *, check_fecf: bool = True) -> Receiver:
        link = self.mission.link
        assert len(data) % link.length == 0
        for at in range(0, len(data), link.length):
            self._frame(data[at : at + link.length], check_fecf=check_fecf)
        return self

    def _frame(self, frame: bytes, *, check_fecf: bool) -> None:
        link = self.mission.link
        assert frame[0] >> 6 == 1, "AOS has version 1"
        assert (frame[0] << 8 | frame[1]) >> 6 & 0xFF == link.spacecraft_id
        vcid = frame[1] & 0x3F
        self.counts.setdefault(vcid, []).append(int.from_bytes(frame[2:5], "big"))
        end = link.length
        if link.fecf:
            end -= 2
            if check_fecf:
                assert crc16(frame[:end]) == int.from_bytes(frame[end:], "big")
        if link.ocf:
            end -= 4
            self.ocfs.append(frame[end : end + 4])
        start = 6 + link.insert_zone
        self.insert_zones.append(frame[6:start])
        pointer = int.from_bytes(frame[start : start + 2], "big") & 0x7FF
        zone = frame[start + 2 : end]
        if pointer == 0x7FE:
            self.idle += 1
            return
        rest = self._rest.get(vcid, b"")
        if pointer != 0x7FF:
            remains = _length(rest + zone) - len(rest) if rest else 0
            assert remains == pointer, "the first header pointer leads to the next packet"
        self._rest[vcid] = self._take(vcid, rest + zone)

    def _take(self, vcid: int, data: bytes) -> bytes:
        while len(data) >= 6 and len(data) >= _length(data):
            self.packets.setdefault(vcid, []).append(data[: _length(data)])
            data = data[_length(data) :]
        return data


def _length(data: bytes) -> int:
    return int.from_bytes(data[4:6], "big") + 7


def apid(packet: bytes) -> int:
    return int.from_bytes(packet[:2], "big") & 0x7FF


def sequence(packet: bytes) -> int:
    return int.from_bytes(packet[2:4], "big") & 0x3FFF
