"""What goes wrong on demand, and what each fault touches: everything else follows from the physics."""

from __future__ import annotations

import re
import tomllib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ground.errors import ConfigError
from simulators.ephemeris import AU, SECOND, C
from simulators.orbit import instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from simulators.ephemeris import Floats

FOR_EVER = 1 << 62
BOOT = 40 * SECOND
"""A computer that starts anew is silent for so long."""
_SLEW = 240.0  # s to turn to the Sun


@dataclass(frozen=True)
class Kind:
    """A kind of fault: what it does, what its target is called and which value it has unless told."""

    text: str
    target: str = ""
    value: float = 0.0


KINDS = {
    "stuck-sensor": Kind("a parameter keeps its value", "CONTAINER/PARAMETER"),
    "drifting-sensor": Kind("a parameter drifts by VALUE an hour", "CONTAINER/PARAMETER", 1.0),
    "array-degraded": Kind("the solar array gives VALUE of its power", value=0.5),
    "battery-cell": Kind("VALUE of the battery's eight cells are shorted", value=1.0),
    "wheel-friction": Kind("a wheel's friction grows by VALUE N m an hour", "1 to 4", 0.05),
    "heater-on": Kind("a heater is stuck on", "NODE"),
    "safe-mode": Kind("safe mode: to the Sun, instruments off, slowest rate"),
    "reboot": Kind("the computer starts anew, its clock VALUE seconds off until it is set", value=-2.5),
    "solar-flare": Kind(
        "a flare (sizes are invented): X-rays at once, particles by their speed, the shock after a day or two; "
        "VALUE times as many at its height",
        value=100.0,
    ),
    "mispointing": Kind("the antenna looks VALUE degrees past the Earth", value=2.0),
    "clock-drift": Kind("the onboard clock runs fast by VALUE parts in a million", value=20.0),
}


@dataclass(frozen=True)
class Fault:
    """A fault of a kind in :data:`KINDS` from ``begin`` to ``end``, ns since 1970 UTC onboard."""

    kind: str
    begin: int
    end: int = FOR_EVER
    target: str = ""
    value: float = 0.0

    def saved(self) -> dict[str, Any]:
        """For the state file; times as decimal strings."""
        return asdict(self) | {"begin": str(self.begin), "end": str(self.end)}


def fault(
    kind: str, begin: int, *, seconds: float | None = None, target: str = "", value: float | None = None
) -> Fault:
    """A fault of ``kind`` from ``begin`` on, for ``seconds``; the kind's own value unless one is given.

    Raises :class:`~ground.errors.ConfigError` for an unknown kind, a missing or a needless target.
    """
    if kind not in KINDS:
        raise ConfigError(f"there is no fault {kind}; there are {', '.join(KINDS)}")
    if bool(target) != bool(KINDS[kind].target):
        raise ConfigError(f"{kind} needs {KINDS[kind].target or 'no target'}")
    if kind == "wheel-friction" and target not in {"1", "2", "3", "4"}:
        raise ConfigError(f"{kind}: there are wheels 1 to 4, not {target}")
    end = FOR_EVER if seconds is None else begin + round(seconds * SECOND)
    return Fault(kind, begin, end, target, KINDS[kind].value if value is None else value)


_TEXT = re.compile(
    r"(?P<kind>[a-z-]+)(:(?P<target>[\w/]+))?(=(?P<value>-?[\d.]+))?(@(?P<at>[\d.]+))?(\+(?P<seconds>[\d.]+))?"
)


def parse(text: str, start: int) -> Fault:
    """A fault as on the command line: ``KIND[:TARGET][=VALUE][@SECONDS][+SECONDS]``, after ``start`` and lasting.

    Raises :class:`~ground.errors.ConfigError` for what isn't one.
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        raise ConfigError(f"fault {text!r} should be KIND[:TARGET][=VALUE][@START][+SECONDS]")
    try:
        number = {key: None if found[key] is None else float(found[key]) for key in ("value", "at", "seconds")}
    except ValueError as error:
        raise ConfigError(f"fault {text!r}: {error}") from error
    begin = start + round((number["at"] or 0.0) * SECOND)
    seconds, value = number["seconds"], number["value"]
    return fault(found["kind"], begin, seconds=seconds, target=found["target"] or "", value=value)


def read_scenario(path: Path, start: int) -> list[Fault]:
    """The ``[[fault]]`` tables of a scenario file: ``kind``, ``target``, ``value``, ``at``, ``for``.

    ``at``: seconds after ``start`` or ISO 8601; ``for``: seconds. Raises :class:`~ground.errors.ConfigError` with the
    file's name.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8")).get("fault", [])
        return [from_table(table, start) for table in tables]
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ConfigError) as error:
        raise ConfigError(f"{path}: {error}") from error


def from_table(table: Any, start: int) -> Fault:
    """A fault from a table of a scenario file or an operator's JSON message (see :func:`read_scenario`)."""
    known = {"kind", "target", "value", "at", "for"}
    if not isinstance(table, dict) or set(table) - known or not isinstance(table.get("kind"), str):
        raise ConfigError(f"a fault is a table of {', '.join(sorted(known))}, with a kind at least")
    at = table.get("at", 0)
    try:
        begin = instant(at) if isinstance(at, str) else start + round(float(at) * SECOND)
        value, seconds = (None if table.get(key) is None else float(table[key]) for key in ("value", "for"))
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"fault {table['kind']}: {error}") from error
    return fault(table["kind"], begin, seconds=seconds, target=str(table.get("target", "")), value=value)


@dataclass(frozen=True)
class Wave:
    """What a flare sends: ``speed`` km/s along a path that many times as long as the straight one; seconds in which it
    rises, and then falls to 1/e. All numbers are invented, after Reames 1999, Space Sci. Rev. 90.
    """

    speed: float
    path: float
    rise: float
    fall: float


WAVES = {
    "xrays": Wave(C, 1.0, 300.0, 1_800.0),
    "electrons": Wave(0.55 * C, 1.15, 600.0, 7_200.0),  # 100 keV, along the field's spiral
    "protons": Wave(0.25 * C, 1.15, 900.0, 10_800.0),  # 30 MeV
    "slow_protons": Wave(0.065 * C, 1.15, 5_400.0, 36_000.0),  # 2 MeV
    "shock": Wave(900.0, 1.0, 60.0, 36_000.0),
}


class Faults:
    """All faults of a simulation, past ones included. ``saved``: as the state file keeps them."""

    def __init__(self, saved: Iterable[dict[str, Any]]) -> None:
        self.all = [Fault(**(one | {"begin": int(one["begin"]), "end": int(one["end"])})) for one in saved]

    def of(self, kind: str) -> Sequence[Fault]:
        """The faults of one kind, by their begin."""
        return sorted((one for one in self.all if one.kind == kind), key=lambda one: one.begin)

    def effect(self, name: str, time: NDArray[np.int64], au: Floats | float = 1.0) -> Floats:
        """What acts at ``time`` (n,) ns and ``au`` from the Sun: zeros, or ones for shares, where nothing is wrong.

        ``array_health``, ``cells_lost``, ``friction_1`` to ``_4`` N m, ``<node>_stuck``, ``safe`` (0 to 1 while it
        turns to the Sun), ``mispointing`` deg, ``clock_offset`` ns, ``booting``, ``reboots``, ``booted`` (s since the
        last start; infinite before any), and a flare's :data:`WAVES`, times the quiet background (``shock``: 1 for a
        flare of the usual size). Raises ``KeyError`` for another name.
        """
        if name.startswith("friction_"):
            return self._sum("wheel-friction", time, lambda one, s: one.value * s / 3600, name[-1])
        if name.endswith("_stuck"):
            return np.minimum(self._sum("heater-on", time, lambda *_: 1, name.removesuffix("_stuck")), 1)
        if name in WAVES:
            return self._wave(name, time, au)
        return _EFFECTS[name](self, time)

    def _sum(
        self, kind: str, time: NDArray[np.int64], effect: Callable[[Fault, Floats], Any], target: str = ""
    ) -> Floats:
        total = np.zeros(len(time))
        for one in self.of(kind):
            if one.target == target:
                on = (time >= one.begin) & (time < one.end)
                total += np.where(on, effect(one, np.maximum((time - one.begin) / SECOND, 0)), 0)
        return total

    def _wave(self, name: str, time: NDArray[np.int64], au: Floats | float) -> Floats:
        """A steep rise and a slow fall; a flare begins when it is seen, so light needs no time any more."""
        wave, total = WAVES[name], np.zeros(len(time))
        size = 0.01 if name == "shock" else 1.0
        for one in self.of("solar-flare"):
            late = np.asarray(au) * AU * (wave.path / wave.speed - 1 / C)
            since = np.maximum((time - one.begin) / SECOND - late, 0)
            total += (
                size * one.value * np.minimum(since / wave.rise, np.exp(-(since - wave.rise) / wave.fall)).clip(0, 1)
            )
        return total

    def _health(self, time: NDArray[np.int64]) -> Floats:
        health = np.ones(len(time))
        for one in self.of("array-degraded"):
            health[(time >= one.begin) & (time < one.end)] *= one.value
        return health

    def _clock(self, time: NDArray[np.int64]) -> Floats:
        offset = self._sum("reboot", time, lambda one, _: one.value * SECOND)
        for one in self.of("clock-drift"):
            offset += (np.clip(time, one.begin, one.end) - one.begin) * one.value * 1e-6
        return offset

    def _booted(self, time: NDArray[np.int64]) -> Floats:
        since = np.full(len(time), np.inf)
        for one in self.of("reboot"):
            since = np.where(time >= one.begin, (time - one.begin) / SECOND, since)
        return since


def _turn(one: Fault, seconds: Floats) -> Floats:
    """To the Sun at the begin, and back at the end."""
    left = (one.end - one.begin) / SECOND - seconds
    return np.asarray(np.clip(np.minimum(seconds, left) / _SLEW, 1e-3, 1))


_EFFECTS: dict[str, Callable[[Faults, NDArray[np.int64]], Floats]] = {
    "array_health": Faults._health,
    "cells_lost": lambda faults, time: np.minimum(faults._sum("battery-cell", time, lambda one, _: one.value), 7),
    "safe": lambda faults, time: np.minimum(faults._sum("safe-mode", time, _turn), 1),
    "mispointing": lambda faults, time: faults._sum("mispointing", time, lambda one, _: one.value),
    "clock_offset": Faults._clock,
    "booting": lambda faults, time: (faults._booted(time) * SECOND < BOOT).astype(float),
    "reboots": lambda faults, time: np.sum(
        [np.zeros(len(time)), *(time >= one.begin for one in faults.of("reboot"))], axis=0
    ),
    "booted": Faults._booted,
}
