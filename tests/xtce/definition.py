"""XTCE files and packets for tests, and space-packet-parser as the oracle of what they mean."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from space_packet_parser import SpacePacket
from space_packet_parser.xtce import calibrators
from space_packet_parser.xtce.definitions import XtcePacketDefinition

from ground.blocks import Packets
from ground.ccsds.digest import digests

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import pyarrow as pa

NAMESPACE = "http://www.omg.org/spec/XTCE/20180204"
HEADER = (
    ("PKT_VERSION", 3),
    ("PKT_TYPE", 1),
    ("PKT_SHF", 1),
    ("PKT_APID", 11),
    ("PKT_FLAGS", 2),
    ("PKT_COUNT", 14),
    ("PKT_LENGTH", 16),
)


def _plain_sum(values: Iterable[float]) -> float:
    total: float = 0
    for value in values:
        total += value
    return total


# Since Python 3.12 the built-in sum carries a compensation, which no other XTCE reader does.
calibrators.sum = _plain_sum


def integer_type(name: str, bits: int, encoding: str = "unsigned", order: str = "", inner: str = "") -> str:
    signed = str(encoding != "unsigned").lower()
    return (
        f'<IntegerParameterType name="{name}" sizeInBits="64" signed="{signed}">'
        f'<IntegerDataEncoding sizeInBits="{bits}" encoding="{encoding}"{order}>{inner}</IntegerDataEncoding>'
        "</IntegerParameterType>"
    )


def container(
    name: str, parameters: Sequence[str], restriction: str = "", *, abstract: bool = False, base: str = ""
) -> str:
    entries = "".join(f'<ParameterRefEntry parameterRef="{parameter}"/>' for parameter in parameters)
    inherits = ""
    if base:
        criteria = f"<RestrictionCriteria>{restriction}</RestrictionCriteria>" if restriction else ""
        inherits = f'<BaseContainer containerRef="{base}">{criteria}</BaseContainer>'
    return (
        f'<SequenceContainer name="{name}" abstract="{str(abstract).lower()}">'
        f"<EntryList>{entries}</EntryList>{inherits}</SequenceContainer>"
    )


def equals(parameter: str, value: object, operator: str = "==", *, calibrated: bool = True) -> str:
    return (
        f'<Comparison parameterRef="{parameter}" comparisonOperator="{operator.replace("<", "&lt;")}" value="{value}" '
        f'useCalibratedValue="{str(calibrated).lower()}"/>'
    )


def document(types: str, parameters: Iterable[tuple[str, str]], containers: str) -> str:
    """A file whose root is the CCSDS primary header. ``parameters``: (name, type name)."""
    header_types = "".join(integer_type(f"header{bits}", bits) for bits in sorted({bits for _, bits in HEADER}))
    declared = [*((name, f"header{bits}") for name, bits in HEADER), *parameters]
    return (
        f'<SpaceSystem xmlns="{NAMESPACE}" name="Test"><TelemetryMetaData>\n'
        f"<ParameterTypeSet>{header_types}{types}</ParameterTypeSet>\n<ParameterSet>"
        + "".join(f'<Parameter name="{name}" parameterTypeRef="{kind}"/>' for name, kind in declared)
        + "</ParameterSet>\n<ContainerSet>"
        + container("CCSDSPacket", [name for name, _ in HEADER], abstract=True)
        + f"{containers}</ContainerSet>\n</TelemetryMetaData></SpaceSystem>"
    )


def packet(payload: bytes, apid: int = 100, count: int = 0) -> bytes:
    """A telemetry packet with ``payload`` behind its primary header."""
    return struct.pack(">HHH", apid, 0xC000 | count, max(len(payload) - 1, 0)) + payload


def block(packets: Sequence[bytes], gaps: Sequence[int] = ()) -> Packets:
    """The packets in one buffer; ``gaps``: octets that lie before each."""
    data, start = b"", []
    for i, octets in enumerate(packets):
        data += b"\xa5" * (gaps[i] if gaps else 0)
        start.append(len(data))
        data += octets
    n = len(packets)
    where = np.frombuffer(data, np.uint8), np.array(start, np.int64), np.array([*map(len, packets)], np.int64)
    return Packets(
        *where,
        apid=np.array([int.from_bytes(octets[:2], "big") & 0x7FF for octets in packets], np.uint16),
        seq=np.arange(n, dtype=np.uint16),
        time=np.arange(n, dtype=np.int64) * 1_000_000_000 + 7,
        ert=np.arange(n, dtype=np.int64) * 1_000_000_000 + 1_000_000_008,
        frame=np.arange(n, dtype=np.int64),
        digest=digests(*where),
    )


def values(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows of a batch without times, since Python's don't hold nanoseconds, and digests."""
    return batch.drop_columns(["time", "ert", "digest"]).to_pylist()


@dataclass(frozen=True)
class Refused:
    """space-packet-parser could not make a value of it."""

    error: Exception


class Oracle:
    """space-packet-parser on a definition file."""

    def __init__(self, path: Path) -> None:
        self.definition = XtcePacketDefinition.from_xtce(path)

    def parse(self, octets: bytes) -> dict[str, Any]:
        """All parameters of a packet, header included."""
        return dict(self.definition.parse_bytes(octets))

    def values(self, chain: Sequence[str], octets: bytes) -> dict[str, Any]:
        """The parameters of the containers ``chain``; a value that it refuses doesn't hide those behind it."""
        parsed = SpacePacket(binary_data=octets)
        for name in chain:
            for parameter in self.definition.containers[name].entry_list:
                try:
                    parameter.parse(parsed)
                except Exception as error:  # it raises much, and each means "no value"
                    parsed[parameter.name] = Refused(error)
        return dict(parsed)


def same_float(ours: float, theirs: float) -> bool:
    """Bit for bit, but for the payload of NaN, which struct.unpack doesn't keep."""
    return struct.pack(">d", ours) == struct.pack(">d", theirs) or (ours != ours and theirs != theirs)  # noqa: PLR0124
