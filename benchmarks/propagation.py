"""How well orbits are propagated: energy drift, convergence with the step size, and Tianwen-1's own vectors.

``python -m benchmarks.propagation [FILE ...]``: each FILE holds lines of ``[time code] date time X Y Z VX VY VZ``
(see :func:`simulators.vectors.read_vectors`); the first vector is propagated to all others.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.table import note
from ground.mission import load_mission
from simulators.dynamics import HOUR
from simulators.ephemeris import GM, SECOND
from simulators.gravity import lunar
from simulators.luna26 import LUNA26
from simulators.orbit import Event, Trajectory
from simulators.tianwen1 import TIANWEN1
from simulators.vectors import missed

if TYPE_CHECKING:
    from simulators.dynamics import Field
    from simulators.ephemeris import Floats
    from simulators.spacecraft import Spacecraft

DAYS = 10


@dataclass(frozen=True)
class Still:
    """The Moon's 10x10 field on a Moon that doesn't turn: there energy is conserved."""

    tolerance: float
    centre: str = "moon"
    arc: int = 6 * HOUR

    def field(self, begin: float, end: float) -> Field:
        gravity = lunar()
        return lambda seconds, r: gravity(r)


def energy(tolerance: float) -> float:
    """Relative drift of the energy of a polar orbit of 70 km in ten days."""
    start = Event(0, vector=(1_807.0, 0, 0, 0, 0, (GM["moon"] / 1_807.0) ** 0.5))
    r, v = Trajectory(Still(tolerance), [start]).at(np.array([0, DAYS * 24 * HOUR]))
    total = [v[:, i] @ v[:, i] / 2 - lunar().potential(r[:, i]) for i in (0, 1)]
    return float(total[1] / total[0] - 1)


def flown(craft: Spacecraft, tolerance: float, days: int) -> tuple[Floats, float]:
    """Where ``craft`` is after ``days`` days from its start, and the CPU time that takes."""
    path = craft.trajectory(load_mission(craft.name).folder, craft.start, None)
    path.dynamics = replace(path.dynamics, tolerance=tolerance)  # type: ignore[type-var]
    begun = time.process_time()
    r, _ = path.at(craft.start + days * 24 * HOUR)
    return r[:, 0], time.process_time() - begun


def main() -> None:
    for tolerance in (1e-9, 1e-11, 1e-13):
        note("energy drift in ten days of lunar orbit", tolerance=f"{tolerance:g}", relative=f"{energy(tolerance):.1e}")
    for craft, days, tolerances in (
        (LUNA26, 1, (1e-7, 1e-9, 1e-11, 1e-13)),
        (TIANWEN1, 7, (1e-9, 1e-11, 1e-13, 3e-14)),
    ):
        ends = [flown(craft, tolerance, days) for tolerance in tolerances]
        for tolerance, (r, seconds) in zip(tolerances, ends, strict=True):
            metres = 1000 * float(np.linalg.norm(r - ends[-1][0]))
            note(
                "step-size convergence", craft=craft.name, days=days, tolerance=f"{tolerance:g}", metres=metres,
                cpu_seconds=seconds,
            )  # fmt: skip
    for path in map(Path, sys.argv[1:]):
        times, error = missed(path)
        metres = 1000 * np.linalg.norm(error, axis=0)
        soon = times <= times[0] + 1600 * SECOND
        span = float((times[-1] - times[0]) / SECOND)
        note(
            "transmitted vectors",
            file=path.name,
            metres_in_1600_s=float(metres[soon].max()),
            metres=float(metres.max()),
            seconds=span,
        )


if __name__ == "__main__":
    main()
