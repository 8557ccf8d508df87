"""What the encoder writes, space-packet-parser reads back: a decoder that nobody on this project made."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from space_packet_parser.xtce.definitions import XtcePacketDefinition

from ground.errors import DefinitionError
from ground.mission import load_mission
from ground.xtce.read import FloatEncoding, IntegerEncoding, Polynomial, load
from simulators.encoder import PacketEncoder, encoders, primary_header
from simulators.run import SPACECRAFT

if TYPE_CHECKING:
    from pathlib import Path

    from ground.xtce.read import ParameterType

MISSIONS = sorted(SPACECRAFT)
N = 40


def _codes(kind: ParameterType, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Random raw codes of an integer field, its ends among them."""
    assert isinstance(kind.encoding, IntegerEncoding)
    bits = kind.encoding.bits
    low = -(1 << bits - 1) if kind.encoding.signed == "twosComplement" else 0
    high = low + (1 << bits) - 1
    return np.concatenate([[low, high], rng.integers(low, high, N - 2, endpoint=True)])


def _values(kind: ParameterType, rng: np.random.Generator) -> Any:
    if kind.kind == "string":
        return [f"v{number}" for number in rng.integers(0, 99, N)]
    if kind.kind == "binary":
        return [rng.bytes(kind.encoding.size.bits // 8) for _ in range(N)]  # type: ignore[union-attr]
    if kind.kind == "time":
        return 1_600_000_000_000_000_000 + rng.integers(0, 1 << 40, N) * 100_000
    if isinstance(kind.encoding, FloatEncoding):
        return rng.normal(0, 1e6, N).astype(f"f{kind.encoding.bits // 8}")
    if kind.kind == "boolean":
        return rng.integers(0, 2, N)
    if kind.kind == "enumeration":
        return rng.choice(list(kind.labels), N)
    codes = _codes(kind, rng)
    if isinstance(kind.calibrator, Polynomial):
        return np.polynomial.polynomial.polyval(codes.astype(float), kind.calibrator.coefficients)
    return codes


@pytest.mark.parametrize("mission", MISSIONS)
def test_every_parameter_of_every_container_comes_back(mission: str) -> None:
    path = load_mission(mission).telemetry
    system, parser = load(path), XtcePacketDefinition.from_xtce(path)
    rng = np.random.default_rng(26)
    time = 1_852_422_300_000_000_000 + np.arange(N) * 125_000_000
    checked = 0
    for name, encoder in encoders(path).items():
        given_values = {parameter: _values(system.parameters[parameter].type, rng) for parameter in encoder.names}
        packets = encoder.encode(given_values, time, 16_380)
        assert packets.shape == (N, encoder.length)
        for row, octets in enumerate(packets):
            decoded = parser.parse_bytes(octets.tobytes())
            assert decoded["apid"] == encoder.apid
            assert decoded["sequence_count"] == (16_380 + row) % 16_384
            assert decoded["packet_length"] == encoder.length - 7
            assert decoded["onboard_time"] == pytest.approx(time[row] / 1e9, abs=1e-6)
            for parameter in encoder.names:
                kind, expected = system.parameters[parameter].type, given_values[parameter][row]
                found = decoded[parameter]
                where = f"{name}/{parameter} row {row}"
                if kind.kind == "enumeration":
                    assert found == kind.labels[int(expected)], where
                elif kind.kind == "time":
                    assert found == pytest.approx(expected / 1e9, abs=1e-6), where
                elif kind.calibrator is not None:
                    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9), where
                elif isinstance(kind.encoding, FloatEncoding):
                    assert float(found) == float(expected), where
                else:
                    assert found == expected, where
                checked += 1
    assert checked >= 60 * N


@given(st.floats(allow_nan=False, width=64), st.integers(0, 1 << 46))
def test_the_state_vector_keeps_every_bit(number: float, code: int) -> None:
    encoder = ENCODERS["Navigation"]
    time = np.array([1_451_577_600_000_000_000 + code * 100_000])
    values: dict[str, Any] = {name: np.array([number]) for name in encoder.names[-6:]}
    packet = encoder.encode(
        values | {"reserved_1": bytes(6), "reserved_2": bytes(48), "vector_time": time}, time, 0
    ).tobytes()
    assert len(packet) == 120
    assert packet[18:24] == code.to_bytes(6, "big")
    assert packet[72:120] == struct.pack(">6d", *[number] * 6)


ENCODERS = encoders(load_mission("tianwen1").telemetry)


def test_values_are_rounded_to_the_nearest_code_and_saturate() -> None:
    path = load_mission("luna26").telemetry
    parser = XtcePacketDefinition.from_xtce(path)
    encoder = encoders(path)["Power"]
    values: dict[str, Any] = dict.fromkeys(encoder.names, 0)
    for given_value, expected in ((28.12349, 28.123), (28.1236, 28.124), (99.0, 65.535), (-5.0, 0.0)):
        packet = encoder.encode(values | {"bus_voltage": given_value}, np.array([0]), 0)[0].tobytes()
        assert parser.parse_bytes(packet)["bus_voltage"] == pytest.approx(expected, abs=1e-9)
    for given_value, expected in ((-3.14159, -3.142), (1e9, 65.534), (-1e9, -65.536)):
        packet = encoder.encode(values | {"battery_current": given_value}, np.array([0]), 0)[0].tobytes()
        assert parser.parse_bytes(packet)["battery_current"] == pytest.approx(expected, abs=1e-9)


def test_a_curved_calibration_gives_the_nearest_code() -> None:
    path = load_mission("luna26").telemetry
    parser = XtcePacketDefinition.from_xtce(path)
    encoder = encoders(path)["Thermal"]
    wanted = np.linspace(-60, 90, 300)
    values: dict[str, Any] = dict.fromkeys(encoder.names, 0) | {"tank_temperature": wanted}
    found = [
        float(parser.parse_bytes(row.tobytes())["tank_temperature"])
        for row in encoder.encode(values, np.zeros(300, np.int64), 0)
    ]
    assert np.abs(found - wanted).max() < 0.04  # half of the widest step


def test_the_primary_header_is_that_of_the_standard() -> None:
    # version 0, telemetry, secondary header, APID 0x123; unsegmented, count 5; 20 octets less 7
    assert primary_header(0x123, 5, 20, secondary=True).tobytes() == bytes([0x09, 0x23, 0xC0, 0x05, 0x00, 0x0D])
    assert primary_header(2047, 16_384, 7, secondary=False).tobytes() == bytes([0x07, 0xFF, 0xC0, 0x00, 0x00, 0x00])


def test_a_missing_value_is_named() -> None:
    with pytest.raises(KeyError, match="vector_time"):
        ENCODERS["Navigation"].encode({"reserved_1": bytes(6)}, np.array([0]), 0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'parameterRef="apid" value="256"',
            'parameterRef="packet_type" value="0"',
            "Power is not restricted to an apid",
        ),
        ('<ParameterRefEntry parameterRef="eclipse"/>', "", "Power ends inside an octet"),
        ('<Term coefficient="0.001" exponent="1"/>', '<Term coefficient="0.001" exponent="2"/>', None),
    ],
)
def test_what_cannot_be_encoded_is_refused(tmp_path: Path, old: str, new: str, message: str | None) -> None:
    path = tmp_path / "telemetry.xml"
    text = load_mission("luna26").telemetry.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    if message is None:  # 16 bits on a curve are still found in a table
        assert PacketEncoder(load(path), "Power").apid == 256
        return
    with pytest.raises(DefinitionError, match=message):
        PacketEncoder(load(path), "Power")


def test_a_wide_field_on_a_curve_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.xml"
    text = load_mission("luna26").telemetry.read_text("utf-8")
    wide = text.replace('<Term coefficient="0.1" exponent="1"/>', '<Term coefficient="0.1" exponent="3"/>')
    path.write_text(wide, "utf-8")
    with pytest.raises(DefinitionError, match="its calibrator has no inverse"):
        PacketEncoder(load(path), "Radar")
