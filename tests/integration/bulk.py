"""A mission of numbered packets with a large binary parameter: many octets of telemetry from few packets."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

EPOCH = 1_830_297_600 * 10**9  # 2028-01-01
BLOB = 1000
"""Octets of the binary parameter."""

MISSION = f"""title = "Bulk"
description = "Numbered packets."
[link]
length = {8 + 18 + BLOB}
spacecraft_id = 9
[[time.packet]]
offset = 6
length = 8
lsb = "1/1000000000"
"""
HEADER = {"version": 3, "kind": 1, "secondary": 1, "apid": 11, "flags": 2, "count": 14, "size": 16}


def _definitions() -> str:
    numbers = {**HEADER, "onboard_time": 64, "number": 32}
    types = "".join(
        f'<IntegerParameterType name="u{bits}" signed="false" sizeInBits="{bits}">'
        f'<IntegerDataEncoding sizeInBits="{bits}"/></IntegerParameterType>'
        for bits in sorted(set(numbers.values()))
    )
    types += (
        '<BinaryParameterType name="blob"><BinaryDataEncoding><SizeInBits><FixedValue>'
        f"{8 * BLOB}</FixedValue></SizeInBits></BinaryDataEncoding></BinaryParameterType>"
    )
    kinds = {name: f"u{bits}" for name, bits in numbers.items()} | {"blob": "blob"}
    parameters = "".join(f'<Parameter name="{name}" parameterTypeRef="{kind}"/>' for name, kind in kinds.items())
    root, rest = (
        "".join(f'<ParameterRefEntry parameterRef="{name}"/>' for name in names)
        for names in (HEADER, ("onboard_time", "number", "blob"))
    )
    return (
        '<SpaceSystem xmlns="http://www.omg.org/spec/XTCE/20180204" name="Bulk"><TelemetryMetaData>'
        f"<ParameterTypeSet>{types}</ParameterTypeSet><ParameterSet>{parameters}</ParameterSet><ContainerSet>"
        f'<SequenceContainer name="Packet" abstract="true"><EntryList>{root}</EntryList></SequenceContainer>'
        f'<SequenceContainer name="Bulk"><EntryList>{rest}</EntryList><BaseContainer containerRef="Packet">'
        '<RestrictionCriteria><Comparison parameterRef="apid" value="1"/></RestrictionCriteria></BaseContainer>'
        "</SequenceContainer></ContainerSet></TelemetryMetaData></SpaceSystem>"
    )


def blob(number: int) -> bytes:
    return number.to_bytes(4, "big") * (BLOB // 4)


def frame(number: int) -> bytes:
    """An AOS frame (CCSDS 732.0-B-4) that holds exactly one packet, of 2 ms after the one before."""
    header = (1 << 14 | 9 << 6).to_bytes(2, "big") + (number & 0xFF_FFFF).to_bytes(3, "big") + bytes(3)
    packet = b"\x08\x01" + (3 << 14 | number & 0x3FFF).to_bytes(2, "big") + (11 + BLOB).to_bytes(2, "big")
    return header + packet + (EPOCH + 2_000_000 * number).to_bytes(8, "big") + number.to_bytes(4, "big") + blob(number)


def write_mission(directory: Path) -> None:
    folder = directory / "bulk"
    folder.mkdir(parents=True)
    (folder / "mission.toml").write_text(MISSION)
    (folder / "telemetry.xml").write_text(_definitions())
