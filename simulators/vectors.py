"""State vectors from a file, sent verbatim: Tianwen-1's real ones, in its real link format, at their own times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ground.errors import ConfigError
from ground.mission import load_mission
from simulators.downlink import Message
from simulators.encoder import encoders
from simulators.framing import Framer
from simulators.orbit import Event, Trajectory, code_time, from_mars, read_events
from simulators.sampling import Packets
from simulators.simulation import Step
from simulators.tianwen1 import DYNAMICS, STATE_VECTOR, TIANWEN1

_MARS_CENTRED = 1e7
"""km: a vector that is shorter refers to Mars."""
_LAST_CODE = 1 << 46  # the year 2238: int64 nanoseconds end in 2262, long before the 48 bits do

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from ground.mission import Mission
    from simulators.ephemeris import Floats
    from simulators.state import State


def read_vectors(path: Path) -> tuple[NDArray[np.int64], Floats]:
    """Times (n,) ns since 1970 UTC and vectors (n, 6) km and km/s of lines ``[hex48] date time X Y Z VX VY VZ``.

    ``hex48`` is the onboard time code and counts; the date is for the reader. Raises
    :class:`~ground.errors.ConfigError` naming the line that is not one of these.
    """
    times, vectors = [], []
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    for number, line in enumerate(lines, 1):
        parts = line.split()
        if not parts:
            continue
        try:
            code = int(parts[0].removeprefix("[").removesuffix("]"), 16)
            vector = [float(text) for text in parts[3:]]
        except ValueError as error:
            raise ConfigError(f"{path}:{number}: {error}") from error
        if len(vector) != 6 or not 0 <= code < _LAST_CODE:
            raise ConfigError(f"{path}:{number}: should be [time code] date time X Y Z VX VY VZ")
        times.append(code_time(code))
        vectors.append(vector)
    if not times:
        raise ConfigError(f"{path}: there is no state vector in it")
    return np.array(times, dtype=np.int64), np.array(vectors)


def missed(path: Path) -> tuple[NDArray[np.int64], Floats]:
    """How far the path that is integrated from the first vector of the file at ``path`` is from each of them.

    Times (n,) ns since 1970 UTC, and position errors (3, n) in km, integrated less transmitted, ICRF. The path is
    :data:`simulators.tianwen1.DYNAMICS` with the mission's burns. Vectors may be Sun-centred (ICRF) or Mars-centred (in
    Mars's mean equator of date): their size tells. Raises :class:`~ground.errors.ConfigError` as :func:`read_vectors`.
    """
    times, vectors = read_vectors(path)
    around_sun = np.array(
        [
            from_mars(int(time), vector) if np.linalg.norm(vector[:3]) < _MARS_CENTRED else vector
            for time, vector in zip(times, vectors, strict=True)
        ]
    )
    burns = [one for one in read_events(load_mission(TIANWEN1.name).folder / "trajectory.toml") if one.delta_v]
    first = Event(int(times[0]), vector=tuple(map(float, around_sun[0])))
    return times, Trajectory(DYNAMICS, [first, *burns]).at(times)[0] - around_sun[:, :3].T


def send_vectors(mission: Mission, state: State, path: Path, station: str) -> Iterator[Step]:
    """A step for each vector of the file at ``path`` later than ``state.time``: one packet in its own frame.

    The file doesn't say who received the vectors and when: they are sent through ``station`` whatever it sees, and the
    earth receive time is the frame's time, half a second after the vector's.
    """
    times, vectors = read_vectors(path)
    encoder = encoders(mission.telemetry)[STATE_VECTOR]
    framer = Framer(mission, insert_tail=TIANWEN1.insert_tail, fill=TIANWEN1.fill)
    dt = 1_000_000_000 // TIANWEN1.nominal
    for k in np.flatnonzero(times > state.time):
        time = times[k : k + 1]
        numbers = {name: vectors[k, i : i + 1] for i, name in enumerate(encoder.names[-6:])}
        values: dict[str, ArrayLike] = {"reserved_1": bytes(6), "vector_time": time, "reserved_2": bytes(48), **numbers}
        count = state.take(state.counts, encoder.apid, 1, 1 << 14)
        octets = encoder.encode(values, time, count).ravel()
        packet = Packets(octets, np.array([0, len(octets)]))
        idle = state.idle.get(TIANWEN1.vcid, 0)
        zones, pointer, filling = framer.filled(packet, np.array([0, 1]), idle)
        state.take(state.idle, TIANWEN1.vcid, filling, 1 << 14)
        n = len(zones)
        slots = time[0] + 4 * dt + np.arange(n) * dt
        vcfc = state.take(state.vcfc, TIANWEN1.vcid, n, 1 << 24)
        frames = framer.frames(TIANWEN1.vcid, vcfc, slots, zones, pointer)
        seq = state.take(state.seq, station, n)
        state.time = int(time[0])
        message = Message(station, TIANWEN1.vcid, frames.tobytes(), int(slots[0]), dt, seq)
        end = int(slots[-1]) + dt
        yield Step(end, end, [message])
