from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simulators.bus import SOLAR_CONSTANT, STEFAN_BOLTZMANN, ZERO_C, Node, Profile
from simulators.luna26 import BUS

HOURS = 0.5


def drive(hours: float = HOURS, **changes: float) -> Profile:
    """Sunlight with an eclipse in the middle third."""
    n = round(hours * 3600)
    values = dict.fromkeys(("planet", "torque_x", "torque_y", "torque_z"), 0.0)
    values |= {"flux": SOLAR_CONSTANT, "array_cosine": 1.0}
    values |= {"avionics": 180.0, "attitude": 60.0, "radio": 150.0, "payload": 150.0}
    values |= {"array_health": 1.0, "cells_lost": 0.0, "protons": 0.0, "acceleration": 0.0}
    values |= {f"{node.name}_stuck": 0.0 for node in BUS.nodes} | changes
    result = {name: np.full(n, value) for name, value in values.items()}
    result["flux"][n // 3 : 2 * n // 3] = 0
    return result


def test_power_balance_closes_at_every_tick() -> None:
    _, profile = BUS.advance(BUS.initial(), drive())
    consumers = sum(profile[name] for name in ("avionics", "attitude", "radio", "payload", "heaters"))
    np.testing.assert_allclose(profile["load"], consumers)
    into_battery = profile["battery_voltage"] * profile["battery_current"]
    np.testing.assert_allclose(profile["array_power"], profile["load"] + into_battery, atol=1e-9)


def test_charge_is_the_integral_of_the_current() -> None:
    state, profile = BUS.advance(BUS.initial(), drive())
    expected = BUS.charge + np.cumsum(profile["battery_current"][:-1]) / 3600 / BUS.ampere_hours
    np.testing.assert_allclose(profile["charge"][1:], expected, atol=1e-12)
    assert state["charge"] == profile["charge"][-1]
    dark = profile["array_power"] < 1e-9
    assert dark.sum() == HOURS * 1200
    assert np.all(profile["battery_current"][dark] < -10)
    assert np.all(profile["battery_current"] <= BUS.charge_limit)


def test_a_full_battery_takes_no_more() -> None:
    full = BUS.initial() | {"charge": 1.0}
    _, profile = BUS.advance(full, drive(0.1))
    assert profile["battery_current"][0] == 0
    np.testing.assert_allclose(profile["array_power"][0], profile["load"][0])


def test_a_lone_node_settles_where_heat_in_is_heat_out() -> None:
    body = Node("body", 300, 0.5, 1.0, 20.0)
    array = Node("array", 300, 1.0, 2.0, 20.0)
    bus = replace(BUS, nodes=(body, array), array=0.0)
    light = drive(0.5)
    light["flux"][:] = SOLAR_CONSTANT
    _, profile = bus.advance(bus.initial() | {"temperature": [20.0, 20.0], "heater": [False, False]}, light)
    expected = (0.5 * SOLAR_CONSTANT / STEFAN_BOLTZMANN) ** 0.25 - ZERO_C
    assert profile["body_temperature"][-1] == pytest.approx(expected, abs=0.01)
    assert profile["array_temperature"][-1] == pytest.approx(expected, abs=0.01)


def test_every_temperature_obeys_its_nodes_heat_balance() -> None:
    light = drive(1, planet=300.0)
    _, profile = BUS.advance(BUS.initial(), light)
    body = profile["body_temperature"]
    conducted = np.zeros(len(body))
    gained = {}
    for node in BUS.nodes:
        now = profile[f"{node.name}_temperature"]
        heat = node.absorbing * light["flux"] + node.facing * light["planet"] + node.share * light.get(node.load, 0)
        heat += node.heater * profile[f"{node.name}_heater"]
        heat -= node.emitting * STEFAN_BOLTZMANN * (now + ZERO_C) ** 4
        heat += node.coupling * (body - now)
        heat -= profile["array_power"] * (node.name == "array")
        conducted += node.coupling * (body - now)
        gained[node] = heat
    gained[BUS.nodes[0]] -= conducted
    for node, heat in gained.items():
        change = np.diff(profile[f"{node.name}_temperature"]) * node.capacity
        np.testing.assert_allclose(change, heat[:-1], atol=1e-6, err_msg=node.name)


def test_conduction_moves_heat_and_makes_none() -> None:
    nodes = (Node("body", 1_500, 0, 0, 0), Node("array", 900, 0, 0, 0, coupling=5.0))
    bus = replace(BUS, nodes=nodes, array=0.0)
    _, profile = bus.advance({**bus.initial(), "temperature": [40.0, 0.0], "heater": [False, False]}, drive(1))
    heat = 1_500 * profile["body_temperature"] + 900 * profile["array_temperature"]
    np.testing.assert_allclose(heat, heat[0], rtol=1e-12)
    assert profile["body_temperature"][-1] == pytest.approx(profile["array_temperature"][-1], abs=0.01)


def test_thermostats_switch_at_their_thresholds_only() -> None:
    _, profile = BUS.advance(BUS.initial(), drive(3))
    tank = next(node for node in BUS.nodes if node.name == "tank")
    on, temperature = profile["tank_heater"] > 0.5, profile["tank_temperature"]
    assert np.any(on)
    assert not np.all(on)
    assert np.all(temperature[1:][on[1:] & ~on[:-1]] < tank.on)
    assert np.all(temperature[1:][~on[1:] & on[:-1]] >= tank.off)


def test_thrusters_unload_the_wheels_beyond_the_limit() -> None:
    state, profile = BUS.advance(BUS.initial(), drive(1.5, torque_x=1e-2))
    size = np.sqrt(sum(profile[f"momentum_{axis}"] ** 2 for axis in "xyz"))
    unloading = profile["unloading"] > 0.5
    assert np.any(unloading)
    assert size.max() < BUS.wheel_limit + 0.1
    assert np.all(np.diff(size)[unloading[1:-1].nonzero()[0]] < 0)
    assert isinstance(state["unloading"], bool)


def test_two_halves_make_the_whole() -> None:
    whole = drive(1)
    state, profile = BUS.advance(BUS.initial(), whole)
    middle, _ = BUS.advance(BUS.initial(), {name: values[:1801] for name, values in whole.items()})
    resumed, rest = BUS.advance(middle, {name: values[1800:] for name, values in whole.items()})
    assert resumed == state
    for name, values in rest.items():
        np.testing.assert_array_equal(values, profile[name][1800:], err_msg=name)


def test_a_burn_uses_the_propellant_that_its_speed_costs() -> None:
    n = 700
    light = drive(n / 3600) | {"acceleration": np.where(np.arange(n) < 520, 0.6, 0.0)}
    state, profile = BUS.advance(BUS.initial(), light)
    mass = BUS.dry + BUS.propellant
    expected = mass * (1 - np.exp(-0.6 * 520 / BUS.exhaust))
    assert BUS.propellant - state["propellant"] == pytest.approx(expected, rel=1e-3)
    assert np.all(np.diff(profile["propellant"])[521:] == 0)


def test_a_stuck_heater_heats_and_a_shorted_cell_does_not() -> None:
    normal, _ = BUS.advance(BUS.initial(), drive(0.3))
    stuck, profile = BUS.advance(BUS.initial(), drive(0.3) | {"tank_stuck": np.ones(1080)})
    names = [node.name for node in BUS.nodes]
    tank, battery = names.index("tank"), names.index("battery")
    on = profile["tank_heater"].mean()
    assert on == 1
    gained = stuck["temperature"][tank] - normal["temperature"][tank]
    node = BUS.nodes[tank]
    assert gained == pytest.approx(1080 * node.heater / node.capacity, rel=0.1)
    shorted, profile = BUS.advance(BUS.initial(), drive(0.3) | {"cells_lost": np.ones(1080)})
    assert profile["battery_voltage"].max() < 30
    assert shorted["temperature"][battery] == pytest.approx(normal["temperature"][battery], abs=0.1)
