"""The physics that integrates: battery charge, temperatures with their thermostats, momentum in the wheels.

One tick is one second of mission time. What goes in is geometry (sunlight, distance, attitude) and what is switched on;
all power that is drawn ends as heat, as transmitted power, or in the battery.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from operator import mul
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from simulators.ephemeris import Floats

Profile: TypeAlias = "dict[str, Floats]"
"""Quantities by name over the ticks of a chunk, (n,) each."""

STEFAN_BOLTZMANN = 5.670374419e-8
"""W m-2 K-4."""
SOLAR_CONSTANT = 1361.0
"""W/m2 at 1 au."""
ZERO_C = 273.15
TICK = 1.0
"""Seconds."""
CELLS = 8
_UPSETS = 5_400.0  # s between two single-bit errors in quiet times


@dataclass(frozen=True)
class Node:
    """A lump of the spacecraft with one temperature.

    ``capacity`` J/K; ``absorbing`` m2 of perfect absorber turned to the Sun, ``facing`` m2 turned to the planet;
    ``emitting`` m2 of black body to space; ``coupling`` W/K to the body node; ``heater`` W, on below ``on`` and off
    above ``off`` degC; ``load`` and ``share``: which power (see :class:`Bus`) warms it, and how much of it.
    """

    name: str
    capacity: float
    absorbing: float
    emitting: float
    start: float
    facing: float = 0.0
    coupling: float = 0.0
    heater: float = 0.0
    on: float = -300.0
    off: float = -300.0
    load: str = ""
    share: float = 0.0


@dataclass(frozen=True)
class Bus:
    """A spacecraft's power, thermal and momentum budget. The first node is the body, to which the others couple.

    ``array``: W at 1 au, Sun square on, 28 degC. ``ampere_hours``, ``resistance`` ohm: the battery, 8 lithium-ion cells
    in series. ``charge_limit`` A. ``charge``: fraction at the start. ``wheel_limit``: N m s at which thrusters unload.
    ``dry``, ``propellant`` kg at the start; ``exhaust`` m/s.
    """

    nodes: tuple[Node, ...]
    array: float
    ampere_hours: float
    charge: float
    wheel_limit: float
    momentum: tuple[float, float, float]
    dry: float
    propellant: float
    exhaust: float = 3_050.0
    resistance: float = 0.03
    charge_limit: float = 20.0

    def initial(self) -> dict[str, Any]:
        """The state at the epoch, as the state file keeps it."""
        return {
            "charge": self.charge,
            "temperature": [node.start for node in self.nodes],
            "heater": [False for _ in self.nodes],
            "momentum": list(self.momentum),
            "unloading": False,
            "propellant": self.propellant,
            "upsets": 0.0,
        }

    def advance(self, state: dict[str, Any], drive: Profile) -> tuple[dict[str, Any], Profile]:
        """Integrate over the ticks of ``drive`` (n,): the state at the last tick, and the profile at all n.

        ``drive``: ``flux`` W/m2 of sunlight on a surface square to it, ``array_cosine``, ``planet`` W/m2 of reflected
        and infrared radiation from below, ``torque_x``, ``_y``, ``_z`` N m, and ``avionics``, ``attitude``, ``radio``,
        ``payload`` W; ``acceleration`` m/s2 by the engine; and the faults ``array_health``, ``cells_lost``,
        ``<node>_stuck`` and ``protons`` (see :meth:`simulators.faults.Faults.effect`). Explicit Euler; the smallest
        time constant of any node is some 100 ticks.
        """
        names = ("avionics", "attitude", "radio", "payload")
        loads = np.sum([drive[name] for name in names], axis=0)
        power, thermal = self._power_and_heat(state, drive, loads)
        momenta, unloads = self._wheels(state, np.array([drive[f"torque_{axis}"] for axis in "xyz"]))
        # Tsiolkovsky: the thrust that gives this acceleration to all that is left.
        burnt = 1 - TICK * drive["acceleration"][:-1] / self.exhaust
        mass = np.multiply.accumulate(np.concatenate([[self.dry + state["propellant"]], burnt]))
        upsets = np.add.accumulate(np.concatenate([[state["upsets"]], TICK * (1 + drive["protons"][:-1]) / _UPSETS]))
        heated = [node.heater for node in self.nodes] @ thermal["heater"]
        profile = power | {"propellant": state["propellant"] - (mass[0] - mass), "upsets": upsets, "unloading": unloads}
        profile |= {"load": loads + heated, "heaters": heated} | {name: drive[name] for name in names}
        for kind, table in thermal.items():
            profile |= {f"{node.name}_{kind}": row for node, row in zip(self.nodes, table, strict=True)}
        profile |= {f"momentum_{axis}": row for axis, row in zip("xyz", momenta, strict=True)}
        return {
            "charge": float(power["charge"][-1]),
            "temperature": thermal["temperature"][:, -1].tolist(),
            "heater": (thermal["heater"][:, -1] > 0).tolist(),
            "momentum": momenta[:, -1].tolist(),
            "unloading": bool(unloads[-1]),
            "propellant": float(profile["propellant"][-1]),
            "upsets": float(upsets[-1]),
        }, profile

    def _power_and_heat(self, state: dict[str, Any], drive: Profile, loads: Floats) -> tuple[Profile, Profile]:
        """Battery and array by name, (n,) each, and ``temperature`` and ``heater`` of the nodes, (nodes, n) each.

        Plain numbers, tick by tick: each depends on the one before, and arrays of nine would take four times as long.
        """
        nodes, ticks = self.nodes, range(len(loads))
        body, array = 0, [node.name for node in nodes].index("array")
        heated = [i for i, node in enumerate(nodes) if node.heater]
        # All that comes from outside, W: sunlight, the planet, and what the loads turn into heat.
        outside = np.array(
            [
                node.absorbing * drive["flux"] + node.facing * drive["planet"] + node.share * drive.get(node.load, 0.0)
                for node in nodes
            ]
        ).T.tolist()
        emitting = [node.emitting * STEFAN_BOLTZMANN for node in nodes]
        coupling, per_joule = [node.coupling for node in nodes], [TICK / node.capacity for node in nodes]
        coupled = sum(coupling)
        stuck = {i: (drive[f"{nodes[i].name}_stuck"] > 0).tolist() for i in heated}
        bright = (drive["array_health"] * self.array / SOLAR_CONSTANT * drive["flux"] * drive["array_cosine"]).tolist()
        share, drawn = (1 - drive["cells_lost"] / CELLS).tolist(), loads.tolist()
        temperature, heater, charge = list(state["temperature"]), list(state["heater"]), float(state["charge"])
        per_ampere = TICK / (3600 * self.ampere_hours)
        table: list[tuple[float, ...]] = []
        temperatures, heaters = [], []
        for k in ticks:
            heat, load = outside[k], drawn[k]
            for i in heated:
                node, now = nodes[i], temperature[i]
                heater[i] = now < node.on or (heater[i] and now < node.off) or stuck[i][k]
                if heater[i]:
                    heat[i] += node.heater
                    load += node.heater
            available = bright[k] * (1 - 0.004 * (temperature[array] - 28))  # cells lose 0.4 % a degree
            current, voltage = self._battery(charge, available - load, share[k])
            used = load + current * voltage
            table.append((used, current, voltage, charge))
            temperatures.append(temperature)
            heaters.append(heater[:])
            heat[array] -= used  # what leaves the array as current doesn't warm it
            inner = temperature[body]
            heat[body] -= coupled * inner - sum(map(mul, coupling, temperature))
            temperature = [
                one + dt * (q + c * (inner - one) - e * (one + ZERO_C) ** 4)
                for one, dt, q, c, e in zip(temperature, per_joule, heat, coupling, emitting, strict=True)
            ]
            charge += per_ampere * current
        power = dict(
            zip(("array_power", "battery_current", "battery_voltage", "charge"), np.array(table).T, strict=True)
        )
        return power, {"temperature": np.array(temperatures).T, "heater": np.array(heaters, dtype=np.float64).T}

    def _wheels(self, state: dict[str, Any], torque: Floats) -> tuple[Floats, Floats]:
        """Momentum (3, n) N m s under ``torque`` (3, n) N m, and where (n,) thrusters unload it."""
        x, y, z = state["momentum"]
        unloading, table = bool(state["unloading"]), []
        for tx, ty, tz in torque.T.tolist():
            table.append((x, y, z, unloading))
            size = (x * x + y * y + z * z) ** 0.5
            unloading = size > self.wheel_limit or (unloading and size > 0.1 * self.wheel_limit)
            slower = 1 - (TICK * 0.05 / size if unloading else 0.0)
            x, y, z = x * slower + TICK * tx, y * slower + TICK * ty, z * slower + TICK * tz
        rows = np.array(table, dtype=np.float64).T
        return rows[:3], rows[3]

    def _battery(self, charge: float, surplus: float, cells: float) -> tuple[float, float]:
        """Current (A, positive when charging) and terminal voltage (V) at a surplus of ``surplus`` W, with a share
        ``cells`` of its cells.

        V = E + R I and V I = surplus, solved for I; the charger tapers towards a full battery.
        """
        emf = open_circuit(charge) * cells
        root = max(emf**2 + 4 * self.resistance * surplus, 0.0)
        current = (root**0.5 - emf) / (2 * self.resistance)
        current = min(current, self.charge_limit, 20 * self.ampere_hours * max(1 - charge, 0.0))
        return current, emf + self.resistance * current


def open_circuit(charge: float) -> float:
    """Open-circuit voltage (V) of 8 lithium-ion cells in series at ``charge``, 0 empty to 1 full."""
    return 8 * (3.35 + 0.75 * charge - 0.45 * exp(-12 * max(charge, 0.0)))
