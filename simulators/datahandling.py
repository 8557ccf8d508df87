"""What the onboard computer says of itself: counters, memory, event reports. A reboot shows in all of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from simulators.spacecraft import Cadence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from simulators.encoder import Values
    from simulators.ephemeris import Floats
    from simulators.spacecraft import Moments

EVENTS = {
    1: "HEARTBEAT",
    2: "TRANSMITTER ON",
    3: "TRANSMITTER OFF",
    4: "BURN",
    5: "SAFE MODE",
    6: "COMPUTER RESTARTED",
    7: "WHEELS UNLOADING",
    8: "UNDERVOLTAGE",
}


def computer(m: Moments, version: str, mode: int, uptime: float) -> Values:
    """Counters run with mission time. ``uptime``: seconds since its start, at the epoch; ``mode``: nominal."""
    running = np.minimum(m.elapsed + uptime, m["booted"])
    on = m["transmitting"] > 0.5
    return {
        "uptime": np.floor(running).astype(np.int64),
        "software_version": version,
        "computer_mode": np.where(m["safe"] > 0, 1, mode),
        "cpu_load": 38 + 9 * on - 12 * (m["safe"] > 0) + m.drift("cpu", 5, 7) + m.noise("cpu", 1.2),
        "memory_used": 41.5 + m.drift("memory", 1.4, 90),
        "memory_corrected": _since_boot(m, m["upsets"] + uptime / 5_400, 5_400),
        "memory_double_errors": np.floor(np.maximum(m["upsets"] - m.elapsed / 5_400, 0) / 400).astype(np.int64),
        "watchdog_resets": 1 + m["reboots"].astype(np.int64),
        "commands_accepted": _since_boot(m, (m.elapsed + uptime) / 900, 900),
        "commands_rejected": np.where(m["reboots"] > 0, 0, 2),
        "recorder_fill": 100 * m["recorder_fill"],
        "clock_error": 3.0 * np.sin(running / 7_000) + m.noise("clock", 0.05) + m["clock_offset"] / 1e6,
    }


def _since_boot(m: Moments, count: Floats, seconds: float) -> NDArray[np.int64]:
    """A 16-bit counter (n,) that a reboot sets to zero, and that then runs at its usual pace."""
    counted = np.where(np.isfinite(m["booted"]), np.minimum(m["booted"], 1e9) / seconds, count)
    return np.floor(counted).astype(np.int64) & 0xFFFF


def memory(m: Moments) -> Values:
    """The scrubber walks through 256 MiB in an hour; what it corrects is single-bit errors."""
    running = np.minimum(m.elapsed, m["booted"])
    return {
        "scrub_address": (np.floor(running * 74_565).astype(np.int64)) & 0xFFF_FFFF,
        "scrub_passes": np.floor(running / 3_600).astype(np.int64),
        "scrub_errors": np.floor(m["upsets"]).astype(np.int64),
        "stack_free": 61.0 + m.drift("stack", 2, 30),
        "bus_retries": np.floor(running / 610).astype(np.int64) & 0xFFFF,
        "recorder_octets": m["backlog"].astype(np.int64),
    }


def events(m: Moments) -> Values:
    """The event report: every eight seconds what is most worth saying; nothing new is a heartbeat."""
    change = np.diff(m["transmitting"], prepend=m["transmitting"][:1])
    number = np.select(
        [
            m["booted"] < 60,
            m["safe"] > 0,
            m["battery_voltage"] < 25,
            m["burn"] >= 1,
            m["unloading"] > 0.5,
            change > 0,
            change < 0,
        ],
        [6, 5, 8, 4, 7, 2, 3],
        1,
    )
    severity = np.select([number == 8, np.isin(number, [5, 6])], [3, 2], np.where(number == 1, 0, 1))
    return {
        "event_number": number,
        "event_severity": severity,
        "event_count": np.floor(np.minimum(m.elapsed, m["booted"]) / 8).astype(np.int64),
        "event_argument": m["battery_voltage"],
        "event_text": [EVENTS[int(one)] for one in number],
    }


def telemetry(version: str, mode: int, uptime: float) -> dict[str, Cadence]:
    """The containers above; for the arguments see :func:`computer`."""
    return {
        "Computer": Cadence(partial(computer, version=version, mode=mode, uptime=uptime), 32, 8),
        "Memory": Cadence(memory, 128, 52),
        "Events": Cadence(events, 256, 60),
    }
