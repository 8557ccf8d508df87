"""The standard work: AOS frames, each with one packet of float32 parameters, whose contents can be told from their
number.

Everything is a function of (publisher, number of the packet), so that nothing has to be remembered of what was sent,
and it is made by columns: the generator must never be the limit. It shares no code with the decoder that it tests.
"""

from __future__ import annotations

from binascii import crc_hqx
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ground.blocks import Nanoseconds, Octets

MISSION: Final = "loadtest"

SPACECRAFT: Final = 77
STEP: Final = 100_000
"""ns of onboard time from one packet of all publishers to the next."""

_PATTERN: Final = 4096
"""Packets whose parameters are drawn by lot; then they come again, but for the first parameter, which counts."""

_APART: Final = 977
"""By how many packets two publishers' patterns are apart."""

_PACKET: Final = 8
"""Octets of a frame before its packet: primary header and header pointer (CCSDS 732.0-B-4, 4.1.2 and 4.1.4.2)."""

_HEADER: Final = 14
"""Octets of a packet before its parameters: primary header (CCSDS 133.0-B-2, 4.1.3) and time, uint64 ns since 1970."""

_STAMPED: Final = np.array([2, 3, 4, *range(_PACKET, _PACKET + 4), *range(_PACKET + 6, _PACKET + _HEADER + 4)])
"""The octets of a frame that its number decides: frame count, APID, sequence count, time, first parameter."""


@dataclass(frozen=True)
class Work:
    """What is sent: ``parameters`` float32 in each packet, of ``containers`` containers in turn, by ``publishers``.

    ``epoch``: onboard time of the first packet, ns since 1970 UTC.
    """

    epoch: int
    parameters: int = 32
    containers: int = 4
    publishers: int = 1

    @property
    def names(self) -> list[str]:
        """The containers, by APID from 1 on."""
        return [f"Load{number}" for number in range(self.containers)]

    @property
    def frame_length(self) -> int:
        """Octets of a frame."""
        return _PACKET + _HEADER + 4 * self.parameters + 2

    def frames(self, publisher: int, first: int, n: int) -> Octets:
        """The frames of the packets ``first`` to ``first + n - 1`` of a publisher, uint8 (n, frame_length)."""
        number = np.arange(first, first + n, dtype=np.int64)
        template, crc, tables = self._template
        rows = (number + _APART * publisher) % _PATTERN
        frames = template[rows]
        frames[:, 2:5] = _big_endian(number & 0xFF_FFFF, 3)
        frames[:, _PACKET : _PACKET + 2] = _big_endian(1 << 11 | 1 + number % self.containers, 2)
        frames[:, _PACKET + 2 : _PACKET + 4] = _big_endian(0b11 << 14 | self.sequence_count(number), 2)
        frames[:, _PACKET + 6 : _PACKET + 14] = _big_endian(self.time(publisher, number), 8)
        frames[:, _PACKET + _HEADER : _PACKET + _HEADER + 4] = _count(number).astype(">f4").view(np.uint8).reshape(n, 4)
        check = crc[rows]
        for table, place in zip(tables, _STAMPED.tolist(), strict=True):
            check ^= table[frames[:, place]]
        frames[:, -2:] = _big_endian(check.astype(np.int64), 2)
        return frames

    def time(self, publisher: int, number: NDArray[np.int64]) -> Nanoseconds:
        """Onboard time of a publisher's packets, int64 (n,): no two packets have the same."""
        return self.epoch + (number * self.publishers + publisher) * STEP

    def sequence_count(self, number: NDArray[np.int64]) -> NDArray[np.int64]:
        """Packet sequence counts, int64 (n,), of 14 bits, counted by container."""
        return number // self.containers & 0x3FFF

    def values(self, publisher: NDArray[np.int64], number: NDArray[np.int64]) -> NDArray[np.float32]:
        """The parameters of packets, float32 (n, parameters)."""
        values: NDArray[np.float32] = self._pattern[(number + _APART * publisher) % _PATTERN]
        values[:, 0] = _count(number)
        return values

    def write_mission(self, directory: Path) -> None:
        """The mission's folder, in ``directory``: link, times, definitions."""
        folder = directory / MISSION
        folder.mkdir(parents=True)
        link = f"[link]\nlength = {self.frame_length}\nspacecraft_id = {SPACECRAFT}\nfecf = true\n"
        time = '[[time.packet]]\noffset = 6\nlength = 8\nlsb = "1/1000000000"\n'
        text = f'title = "Load test"\ndescription = "Made-up telemetry of ground loadtest."\n{link}{time}'
        (folder / "mission.toml").write_text(text, "utf-8")
        (folder / "telemetry.xml").write_text(self._definitions(), "utf-8")

    @cached_property
    def _pattern(self) -> NDArray[np.float32]:
        return np.random.default_rng(26).normal(0, 1000, (_PATTERN, self.parameters)).astype(np.float32)

    @cached_property
    def _template(self) -> tuple[Octets, NDArray[np.uint16], list[NDArray[np.uint16]]]:
        """Frames without what is stamped on them, their CRC-16, and what each value of a stamped octet changes in it.

        A CRC is linear in GF(2): that of a sum is the sum of those of its parts (the parts' from an initial 0).
        """
        frames = np.zeros((_PATTERN, self.frame_length), np.uint8)
        frames[:, 0:2] = _big_endian(np.full(1, 0b01 << 14 | SPACECRAFT << 6), 2)
        frames[:, _PACKET + 4 : _PACKET + 6] = _big_endian(np.full(1, _HEADER + 4 * self.parameters - 7), 2)
        values = self._pattern.astype(">f4").view(np.uint8)
        frames[:, _PACKET + _HEADER : -2] = values
        frames[:, _PACKET + _HEADER : _PACKET + _HEADER + 4] = 0
        checked = self.frame_length - 2
        crc = np.array([crc_hqx(frame[:checked].tobytes(), 0xFFFF) for frame in frames], np.uint16)
        tables = [
            np.array([crc_hqx(bytes([octet]) + bytes(checked - 1 - place), 0) for octet in range(256)], np.uint16)
            for place in _STAMPED.tolist()
        ]
        return frames, crc, tables

    def _definitions(self) -> str:
        header = {"version": 3, "kind": 1, "secondary": 1, "apid": 11, "flags": 2, "count": 14, "size": 16}
        types = "".join(
            f'<IntegerParameterType name="u{width}" signed="false" sizeInBits="{width}">'
            f'<IntegerDataEncoding sizeInBits="{width}"/></IntegerParameterType>\n'
            for width in sorted({*header.values(), 64})
        )
        types += '<FloatParameterType name="f32"><FloatDataEncoding sizeInBits="32"/></FloatParameterType>\n'
        names = [f"p{number}" for number in range(self.parameters)]
        declared = [*((name, f"u{width}") for name, width in header.items()), ("onboard_time", "u64")]
        declared += [(name, "f32") for name in names]
        parameters = "".join(f'<Parameter name="{name}" parameterTypeRef="{kind}"/>\n' for name, kind in declared)
        root = "".join(f'<ParameterRefEntry parameterRef="{name}"/>\n' for name in header)
        entries = "".join(f'<ParameterRefEntry parameterRef="{name}"/>\n' for name in ("onboard_time", *names))
        containers = "".join(
            f'<SequenceContainer name="{name}"><EntryList>\n{entries}</EntryList><BaseContainer containerRef="Packet">'
            f'<RestrictionCriteria><Comparison parameterRef="apid" value="{apid}"/></RestrictionCriteria>'
            "</BaseContainer></SequenceContainer>\n"
            for apid, name in enumerate(self.names, 1)
        )
        return (
            f'<SpaceSystem xmlns="http://www.omg.org/spec/XTCE/20180204" name="LoadTest"><TelemetryMetaData>\n'
            f"<ParameterTypeSet>\n{types}</ParameterTypeSet><ParameterSet>\n{parameters}</ParameterSet><ContainerSet>\n"
            f'<SequenceContainer name="Packet" abstract="true"><EntryList>\n{root}</EntryList></SequenceContainer>\n'
            f"{containers}</ContainerSet></TelemetryMetaData></SpaceSystem>\n"
        )


def _count(number: NDArray[np.int64]) -> NDArray[np.float32]:
    """The first parameter: the packet's number as far as float32 is exact."""
    return (number & 0xFF_FFFF).astype(np.float32)


def _big_endian(values: NDArray[np.int64], octets: int) -> Octets:
    """Unsigned integers as octets, most significant first, uint8 (n, octets)."""
    return values.astype(">i8").view(np.uint8).reshape(-1, 8)[:, 8 - octets :]
