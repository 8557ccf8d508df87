"""Which way the spacecraft looks: its nominal law, the Sun in safe mode, along the thrust in a burn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from simulators.ephemeris import SECOND
from simulators.spacecraft import unit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from simulators.ephemeris import Floats
    from simulators.geometry import Scene
    from simulators.orbit import Event

_SLEW = 240.0  # s that a turn takes
_SETTLE = 60.0  # s before and after the thrust


def pointed(nominal: Floats, scene: Scene, safe: Floats, burns: Iterable[Event]) -> Floats:
    """Body axes (3, 3, n) as rows: ``nominal``, turned towards the Sun where ``safe`` (n,) rises to 1, and to the burn
    before each of ``burns``, and back.
    """
    axes = nominal
    if safe.any():
        axes = _turned(axes, _looking(scene.to_sun, scene.to_earth), safe)
    for burn in burns:
        weight = burning(scene.time, burn)
        if weight.any():
            along = np.repeat(unit(np.array(burn.delta_v)[:, None]), len(weight), axis=1)
            axes = _turned(axes, _looking(along, scene.to_sun), weight)
    return axes


def burning(time: NDArray[np.int64], burn: Event) -> Floats:
    """How far (n,) the spacecraft has turned for ``burn``: 0 well before and after, 1 while it lasts."""
    if not burn.duration:
        return np.zeros(len(time))
    before = (time - burn.time) / SECOND + _SLEW + _SETTLE
    after = (burn.end - time) / SECOND + _SLEW + _SETTLE
    return np.asarray(np.clip(np.minimum(before, after) / _SLEW, 0, 1))


def rates(axes: Floats, seconds: float) -> Floats:
    """Rates (3, n) deg/s about the body axes of ``axes`` (3, 3, n), ``seconds`` apart: [w]x = -dA/dt A'."""
    slope = np.gradient(axes, seconds, axis=-1, edge_order=2)
    skew = -np.einsum("ikn,jkn->ijn", slope, axes)
    return np.asarray(np.degrees([skew[2, 1], skew[0, 2], skew[1, 0]]))


def quaternions(axes: Floats) -> Floats:
    """ICRF to body, scalar last, (n, 4), of ``axes`` (3, 3, n); without jumps of sign."""
    found = Rotation.from_matrix(np.moveaxis(axes, -1, 0)).as_quat()
    turned = np.sum(found[1:] * found[:-1], axis=1) < 0
    found[1:] *= np.where(np.cumsum(turned) % 2, -1, 1)[:, None]
    return found


def _looking(x: Floats, reference: Floats) -> Floats:
    """Axes with X along ``x`` (3, n) and Y square to it and to ``reference``."""
    y = unit(np.cross(reference, x, axis=0))
    return np.array([x, y, np.cross(x, y, axis=0)])


def _turned(axes: Floats, target: Floats, weight: Floats) -> Floats:
    """``axes`` turned towards ``target`` about one axis, by a share ``weight`` (n,) that starts and ends gently."""
    turn = Rotation.from_matrix(np.einsum("ikn,jkn->nij", target, axes)).as_rotvec()
    gentle = weight**2 * (3 - 2 * weight)
    part = Rotation.from_rotvec(turn * gentle[:, None]).as_matrix()
    return np.asarray(np.einsum("nij,jkn->ikn", part, axes))
