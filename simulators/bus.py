"""The physics that integrates: battery charge, temperatures with their thermostats, momentum in the wheels.

One tick is one second of mission time. What goes in is geometry (sunlight, distance, attitude) and what is switched on;
all power that is drawn ends as heat, as transmitted power, or in the battery.
"""

from __future__ import annotations

from dataclasses import dataclass
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
_UPSET_SECONDS = 5_400.0  # between two single-bit errors in quiet times
_INTEGRATED = ("array_power", "battery_current", "battery_voltage", "charge", "propellant", "upsets")


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
        ``payload`` W; ``acceleration`` m/s2 by the engine; and what :meth:`simulators.faults.Faults.effects` names.
        Explicit Euler; the smallest time constant of any node is some 100 ticks.
        """
        ticks = len(drive["flux"])
        columns = {
            key: np.array([getattr(node, key) for node in self.nodes])
            for key in ("capacity", "absorbing", "facing", "emitting", "coupling", "heater", "on", "off")
        }
        loads = np.array([drive["avionics"], drive["attitude"], drive["radio"], drive["payload"]])
        names = ("avionics", "attitude", "radio", "payload")
        warming = np.array([[node.share * (node.load == name) for name in names] for node in self.nodes]) @ loads
        torque = np.array([drive["torque_x"], drive["torque_y"], drive["torque_z"]])
        temperature, heater = np.array(state["temperature"]), np.array(state["heater"])
        momentum, unloading, charge = np.array(state["momentum"]), bool(state["unloading"]), float(state["charge"])
        propellant, upsets = float(state["propellant"]), float(state["upsets"])
        health = drive.get("array_health", np.ones(ticks))
        cells = 1 - drive.get("cells_lost", np.zeros(ticks)) / CELLS
        stuck = np.array([drive.get(f"{node.name}_stuck", np.zeros(ticks)) > 0 for node in self.nodes])
        acceleration = drive.get("acceleration", np.zeros(ticks))
        upset_rate = (1 + drive.get("flare", np.zeros(ticks))) / _UPSET_SECONDS
        temperatures, heaters = np.empty((ticks, len(self.nodes))), np.empty((ticks, len(self.nodes)))
        momenta, unloads = np.empty((ticks, 3)), np.empty(ticks)
        power = {key: np.empty(ticks) for key in _INTEGRATED}
        array_node = [node.name for node in self.nodes].index("array")
        for k in range(ticks):
            heater = (temperature < columns["on"]) | (heater & (temperature < columns["off"])) | stuck[:, k]
            heating = heater * columns["heater"]
            available = health[k] * self.array * drive["flux"][k] / SOLAR_CONSTANT * drive["array_cosine"][k]
            available *= 1 - 0.004 * (temperature[array_node] - 28)  # cells lose 0.4 % a degree
            load = float(loads[:, k].sum() + heating.sum())
            current, voltage = self._battery(charge, available - load, cells[k])
            used = load + current * voltage
            for key, value in zip(power, (used, current, voltage, charge, propellant, upsets), strict=True):
                power[key][k] = value
            temperatures[k], heaters[k], momenta[k], unloads[k] = temperature, heater, momentum, unloading
            if k == ticks - 1:
                break
            kelvin = temperature + ZERO_C
            heat = columns["absorbing"] * drive["flux"][k] + columns["facing"] * drive["planet"][k]
            heat += warming[:, k] + heating - columns["emitting"] * STEFAN_BOLTZMANN * kelvin**4
            conducted = columns["coupling"] * (temperature[0] - temperature)
            heat += conducted
            heat[0] -= conducted.sum()
            heat[array_node] -= used  # what leaves the array as current doesn't warm it
            temperature = temperature + TICK * heat / columns["capacity"]
            charge += TICK * current / (3600 * self.ampere_hours)
            # Tsiolkovsky: the thrust that gives this acceleration to all that is left.
            propellant -= TICK * acceleration[k] * (self.dry + propellant) / self.exhaust
            upsets += TICK * upset_rate[k]
            size = float(np.linalg.norm(momentum))
            unloading = size > self.wheel_limit or (unloading and size > 0.1 * self.wheel_limit)
            momentum = momentum + TICK * (torque[:, k] - (0.05 * momentum / size if unloading else 0))
        state = {
            "charge": charge,
            "temperature": [float(value) for value in temperature],
            "heater": [bool(value) for value in heater],
            "momentum": [float(value) for value in momentum],
            "unloading": unloading,
            "propellant": propellant,
            "upsets": upsets,
        }
        profile = dict(power, load=loads.sum(axis=0) + heaters @ columns["heater"], heaters=heaters @ columns["heater"])
        profile |= {name: drive[name] for name in names}
        profile |= {f"{node.name}_temperature": temperatures[:, i] for i, node in enumerate(self.nodes)}
        profile |= {f"{node.name}_heater": heaters[:, i] for i, node in enumerate(self.nodes)}
        profile |= {f"momentum_{axis}": momenta[:, i] for i, axis in enumerate("xyz")} | {"unloading": unloads}
        return state, profile

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
    return 8 * (3.35 + 0.75 * charge - 0.45 * float(np.exp(-12 * max(charge, 0.0))))
