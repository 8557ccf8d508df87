"""What is measured on board agrees with where the spacecraft is, and with itself."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from space_packet_parser.xtce.definitions import XtcePacketDefinition

from simulators.luna26 import LUNA26, hydrogen, kreep
from simulators.orbit import code_time, from_mars
from simulators.tianwen1 import TIANWEN1
from tests.simulators.flight import begin, received, run
from tests.simulators.receiver import apid


def test_the_state_vector_is_what_tianwen_sends_near_and_far_from_mars() -> None:
    for start, near in (("2020-08-02T00:17:06", False), ("2021-02-08T22:14:25", True)):
        simulation = begin(TIANWEN1, start)
        receiver = received(simulation, run(simulation, 10))
        packet = [one for one in receiver.packets[1] if apid(one) == 1287][-1]
        code = int.from_bytes(packet[18:24], "big")
        vector = np.array(struct.unpack(">6d", packet[72:120]))
        assert bool(np.linalg.norm(vector[:3]) < 1e6) == near
        r, v = simulation.trajectory.at(code_time(code))
        around_sun = from_mars(code_time(code), vector) if near else vector
        np.testing.assert_allclose(around_sun[:3], r[:, 0], atol=1e-4)
        np.testing.assert_allclose(around_sun[3:], v[:, 0], atol=1e-9)


def test_what_is_measured_adds_up() -> None:
    simulation = begin(LUNA26, "2028-09-13T02:00:00")  # into eclipse
    receiver = received(simulation, run(simulation, 240))
    parser = XtcePacketDefinition.from_xtce(simulation.mission.telemetry)
    power = [parser.parse_bytes(packet) for packet in receiver.packets[0] if apid(packet) == 256]
    for row in power:
        parts = sum(row[f"{name}_current"] for name in ("avionics", "attitude", "radio", "payload", "heater"))
        assert row["load_current"] == pytest.approx(float(parts), abs=0.005)
        drawn = row["battery_voltage"] * row["battery_current"] + row["load_current"] * row["bus_voltage"]
        assert row["array_power"] == pytest.approx(float(drawn), abs=6)
    assert power[0]["eclipse"] == 0
    assert power[-1]["eclipse"] == 1
    assert power[0]["battery_current"] > 1 > -1 > power[-1]["battery_current"]
    thermal = [parser.parse_bytes(packet) for packet in receiver.packets[0] if apid(packet) == 257]
    assert thermal[-1]["array_temperature"] < thermal[0]["array_temperature"] - 10
    radar = [parser.parse_bytes(packet) for packet in receiver.packets[0] if apid(packet) == 274]
    orbit = [parser.parse_bytes(packet) for packet in receiver.packets[0] if apid(packet) == 264]
    assert radar[0]["echo_delay"] * 0.1499 == pytest.approx(1000 * float(orbit[0]["altitude"]), rel=0.05)
    position = np.array([[float(row[f"position_{axis}"]) for axis in "xyz"] for row in orbit])
    height = np.linalg.norm(position, axis=1) - 1737.4
    np.testing.assert_allclose(height, [float(row["altitude"]) for row in orbit], atol=1e-4)


def test_lunar_water_and_thorium_are_where_they_are() -> None:
    latitude, longitude = np.array([0.0, 45.0, -84.9, 85.2]), np.array([100.0, 0.0, -35.5, -155.4])
    lost = hydrogen(latitude, longitude)
    assert lost[0] < 1e-6
    assert np.all(lost[2:] > 0.05)
    rich = kreep(np.array([20.0, 0.0]), np.array([-28.0, 180.0]))
    assert rich[0] > 0.99
    assert rich[1] < 1e-6


def test_published_neutron_counts_follow_the_map_over_the_cold_traps() -> None:
    simulation = begin(LUNA26)
    receiver = received(simulation, run(simulation, 9_000, batch=3_600))
    parser = XtcePacketDefinition.from_xtce(simulation.mission.telemetry)
    packets = receiver.packets[0] + receiver.packets[1]
    encoders = simulation._sampler.encoders
    rows: dict[str, list[list[float]]] = {"Navigation": [], "Neutrons": []}
    for name, wanted in (
        ("Navigation", ("onboard_time", "latitude", "longitude", "altitude")),
        ("Neutrons", ("onboard_time", "neutrons_epithermal")),
    ):
        for packet in packets:
            if apid(packet) == encoders[name].apid:
                parsed = parser.parse_bytes(packet)
                rows[name].append([float(parsed[one]) for one in wanted])
    place, counts = (np.array(sorted(rows[name])).T for name in ("Navigation", "Neutrons"))
    assert len(counts[0]) > 8_900, "live and played back"
    latitude, altitude = (np.interp(counts[0], place[0], place[i]) for i in (1, 3))
    longitude = place[2][np.searchsorted(place[0], counts[0]).clip(max=len(place[0]) - 1)]
    solid = 1 - np.sqrt(1 - (1_737.4 / (1_737.4 + altitude)) ** 2)
    rate, lost = counts[1] / solid, hydrogen(latitude, longitude)
    dry = np.abs(latitude) < 50
    wet = lost > 0.06
    assert wet.sum() > 100
    assert latitude[wet].max() < -80, "the southern traps are the deep ones on this orbit"
    missing = 1 - rate[wet].mean() / rate[dry].mean()
    noise = 1 / np.sqrt(counts[1][wet].sum())
    assert missing == pytest.approx(lost[wet].mean() - lost[dry].mean(), abs=4 * noise)
    assert missing > 10 * noise, "a trap cannot be mistaken for noise"
