"""Each fault shows in all that it touches, and nowhere else: two runs with the same noise differ in just that."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import TYPE_CHECKING

import numpy as np

from simulators.faults import KINDS
from tests.simulators.capture import captured
from tests.simulators.flight import CRAFT

if TYPE_CHECKING:
    from simulators.spacecraft import Spacecraft
    from tests.simulators.capture import Telemetry

WARM = "Thermal/* Radio/transmit_power Radio/helix_current Radio/oscillator_* Propulsion/*_pressure */*_temperature"
LOAD = "Power/bus_voltage Power/load_current Power/*_current Power/array_*"
BATTERY = "Power/battery_* Cells/* Events/event_argument"
BOTH = {
    # fault: what must change; what else may
    "stuck-sensor:Thermal/tank_temperature@30": ("Thermal/tank_temperature", ""),
    "drifting-sensor:Power/bus_voltage=5@30": ("Power/bus_voltage", ""),
    "array-degraded=0.2@10": (
        "Power/array_power Power/battery_current Power/battery_charge Cells/cell_1_voltage",
        f"{LOAD} {BATTERY} {WARM}",
    ),
    "battery-cell=2@10": (
        "Power/battery_voltage Cells/cell_7_voltage Cells/cell_8_voltage Cells/cell_spread",
        f"{LOAD} {BATTERY} {WARM} Events/*",
    ),
    "wheel-friction:2=5": (
        "Wheels/wheel_2_speed Wheels/wheel_2_current Wheels/wheel_1_speed Power/attitude_current "
        "Attitude/pointing_error",
        f"{LOAD} {BATTERY} {WARM} Wheels/wheel_*",
    ),
    "heater-on:tank": (
        "Thermal/tank_heater Thermal/tank_temperature Thermal/heater_power Power/heater_current "
        "Propulsion/tank_pressure",
        f"{LOAD} {BATTERY} {WARM}",
    ),
    "mispointing@5": (
        "Attitude/pointing_error Radio/antenna_angle Radio/receiver_power Radio/uplink_eb_n0",
        "",
    ),
    "clock-drift@5": ("*/time Computer/clock_error", "Navigation/vector_time"),
    "reboot@30": (
        "*/count */time Computer/uptime Computer/watchdog_resets Computer/memory_corrected Computer/commands_accepted "
        "Memory/scrub_address Events/event_number Events/event_count",
        "Computer/* Memory/* Events/* Navigation/vector_time",
    ),
    "safe-mode@10": (
        "Computer/computer_mode Computer/cpu_load Attitude/pointing_mode Attitude/attitude_q1 Attitude/rate_* "
        "Power/payload_current Gyro/gyro_1_rate SunSensors/sun_sensor_px Events/event_number Radio/antenna "
        "Radio/downlink_rate Radio/receiver_power Radio/uplink_eb_n0 */count",
        f"{LOAD} {BATTERY} {WARM} Attitude/* Gyro/* SunSensors/* StarTracker/* Events/* Radio/antenna_angle Wheels/*",
    ),
    "solar-flare@-3000": (
        "StarTracker/tracker_stars StarTracker/tracker_background Computer/memory_corrected Memory/scrub_errors",
        "Computer/memory_double_errors",
    ),
    "solar-flare@-200000": ("", "Computer/memory_* Memory/scrub_errors StarTracker/*"),
}
OWN = {
    "luna26": {
        "safe-mode@10": "Neutrons/* Gamma/gamma_total Radar/radar_mode Imager/imager_mode",
        "solar-flare@-3000": "Neutrons/neutrons_fast Neutrons/neutrons_epithermal Gamma/gamma_total",
        "solar-flare@-200000": "Plasma/ion_density Plasma/ion_speed Plasma/field_x",
    },
    "tianwen1": {
        "safe-mode@10": "Particles/ion_mode Particles/ion_counts Energetic/dose_rate",
        "solar-flare@-3000": "Energetic/electrons_100kev Energetic/protons_30mev Energetic/dose_rate",
        "solar-flare@-200000": "Magnetometer/field_r Particles/proton_speed Particles/proton_density",
    },
}
FOLLOWS = {
    "luna26": "Neutrons/* Gamma/* Radar/* Imager/* Plasma/*",
    "tianwen1": "Particles/* Energetic/* Magnetometer/field_*",
}


def changed(found: Telemetry, healthy: Telemetry) -> set[str]:
    """What differs at the instants that both have."""
    names = set()
    for name, values in found.items():
        now, before = (one[f"{name.split('/')[0]}/instant"] for one in (found, healthy))
        if not np.array_equal(values[np.isin(now, before)], healthy[name][np.isin(before, now)]):
            names.add(name)
    return names


@CRAFT
def test_a_fault_shows_where_it_touches_and_nowhere_else(craft: Spacecraft) -> None:
    usual = captured(craft)
    for text, (must, may) in BOTH.items():
        found = changed(captured(craft, text), usual)
        own = OWN[craft.name].get(text, "")
        for pattern in f"{must} {own}".split():
            assert any(fnmatch(name, pattern) for name in found), f"{text}: {pattern} should show it"
        allowed = f"{must} {may} {FOLLOWS[craft.name] if own else ''}".split()
        assert {name for name in found if not any(fnmatch(name, pattern) for pattern in allowed)} == set(), text
    assert {text.split("@")[0].split(":")[0].split("=")[0] for text in BOTH} == set(KINDS)
