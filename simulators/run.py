"""Run a simulation against a broker: frames, station status, mission clock."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import math
import signal
from dataclasses import replace
from typing import TYPE_CHECKING
from zlib import crc32

from ground.errors import ConfigError
from ground.link.mqtt import Client, LinkState, parse_broker_url
from ground.mission import load_mission
from simulators.downlink import STEP
from simulators.ephemeris import SECOND
from simulators.faults import parse, read_scenario
from simulators.luna26 import LUNA26
from simulators.orbit import instant, read_events
from simulators.publisher import Pace, Publisher, obey, outgoing
from simulators.simulation import Simulation, Step
from simulators.state import State, load_state
from simulators.tianwen1 import TIANWEN1
from simulators.vectors import read_vectors, send_vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ground.link.mqtt import Outgoing
    from ground.mission import Mission
    from simulators.faults import Fault

SPACECRAFT = {craft.name: craft for craft in (LUNA26, TIANWEN1)}
_BATCH_SECONDS = 0.1  # of wall time that go out together when mission time runs faster
_BATCH_STEPS = 120
_BEFORE_BURN = 600 * SECOND
_FOR_EVER = 1 << 63


async def simulate(
    mission_name: str,
    broker_url: str,
    *,
    state_dir: Path,
    speed: float = 1.0,
    start: str | None = None,
    at: str | None = None,
    duration: float | None = None,
    stations: Sequence[str] | None = None,
    vectors: Path | None = None,
    seed: int = 26,
    faults: Sequence[str] = (),
    scenario: Path | None = None,
    report: Callable[[str], None] | None = None,
) -> None:
    """Simulate a mission until ``duration`` seconds of mission time are over, or SIGINT or SIGTERM comes.

    ``state_dir``: where the simulation's state is kept; a second start goes on where the first stopped, with clock and
    counters. ``speed``: mission seconds a second, ``math.inf`` for as fast as the broker takes them. ``start``: when a
    fresh simulation begins, onboard time (ISO 8601); ``at``: an event's name instead (see :func:`events`).
    ``stations``: names, all by default. ``vectors``: a file of Tianwen-1's state vectors to be sent verbatim, and
    nothing else. ``faults``: as :func:`~simulators.faults.parse` reads them, ``scenario``: a file of them; their times
    count from where this run begins. ``report`` gets a line when something happens.

    Raises :class:`~ground.errors.ConfigError` for what cannot be done and :class:`~ground.errors.LinkError` for what
    the broker refuses; a broker that is away is waited for.
    """
    mission, say = _mission(mission_name, stations), report or (lambda _: None)
    if not speed > 0:
        raise ConfigError(f"speed = {speed:g} should be above 0")
    if vectors is not None and mission_name != TIANWEN1.name:
        raise ConfigError(f"state vectors are sent by {TIANWEN1.name}, not by {mission_name}")
    address = parse_broker_url(broker_url)
    path = state_dir / f"{mission_name}{'-vectors' if vectors else ''}.json"
    with _alone(path), _stop_signals() as stop, contextlib.ExitStack() as files:
        state = _state(path, mission, vectors, _begin(mission, start, at), seed)
        live = None if vectors else Simulation(mission, SPACECRAFT[mission_name], state, path.with_suffix(".recorder"))
        if live:
            files.callback(live.close)
            live.inject(*_asked(faults, scenario, state.time))
        begin = live.ground if live else state.time
        until = (live.clock if live else begin) + round(duration * SECOND) if duration is not None else _FOR_EVER
        source = _live(live, speed, until) if live else _batches(mission, state, vectors, speed)

        def changed(link: LinkState) -> None:
            say(f"{address}: {link.reason}")

        name, orders = f"simulator-{mission_name}-{state.run}", [(f"command/{mission_name}/fault", 1)]
        async with Client(address, name, subscriptions=orders, on_state=changed) as client:
            publisher = Publisher(client, mission, state, speed, stop)
            operator = asyncio.ensure_future(obey(client, live, publisher, path)) if live else None
            files.callback(operator.cancel if operator else lambda: None)
            pace = Pace(begin, speed)
            await publisher.status(begin, live)
            for steps in source:
                last = steps[-1].time
                if steps[-1].onboard > until:
                    break
                if live is None and state.time == state.epoch:
                    pace = Pace(steps[0].time, speed)  # the first vector begins the clock
                await pace.reach(last, stop)
                if stop.is_set():
                    break
                state.save(path)
                await publisher.frames(steps)
                for text in publisher.listening(steps):
                    say(text)
                    await publisher.event(last, text)
                await publisher.status(last, live)
            await publisher.stopped()


def generate(
    mission_name: str,
    duration: float,
    *,
    start: str | None = None,
    at: str | None = None,
    stations: Sequence[str] | None = None,
    seed: int = 26,
    faults: Sequence[str] = (),
    scenario: Path | None = None,
) -> Iterator[tuple[int, list[Outgoing]]]:
    """The messages that :func:`simulate` would publish in ``duration`` seconds, without a broker, for recordings, tests
    and load: minute by minute, with the mission's time on the ground at its end in ns since 1970 UTC.

    For the arguments see there; nothing is kept. ``run`` depends on what was asked for alone, so that the same once
    more is recognised as received before. Raises :class:`~ground.errors.ConfigError` for what cannot be done.
    """
    mission = _mission(mission_name, stations)
    begin = _begin(mission, start, at) or SPACECRAFT[mission_name].start
    wrong = _asked(faults, scenario, begin)
    asked = (mission_name, begin, seed, *mission.stations, *wrong)
    state = State(mission_name, seed, begin, begin, run=f"{crc32(repr(asked).encode()):08x}")
    live = Simulation(mission, SPACECRAFT[mission_name], state)
    live.inject(*wrong)
    for steps in _live(live, math.inf, live.clock + round(duration * SECOND)):
        yield steps[-1].time, list(outgoing(mission, state.run, steps))


def _asked(faults: Sequence[str], scenario: Path | None, start: int) -> list[Fault]:
    return [parse(text, start) for text in faults] + (read_scenario(scenario, start) if scenario else [])


def _mission(name: str, stations: Sequence[str] | None) -> Mission:
    mission = load_mission(name)
    if name not in SPACECRAFT:
        raise ConfigError(f"there is no simulator of {name}; there are {', '.join(SPACECRAFT)}")
    if stations:
        unknown = sorted(set(stations) - set(mission.stations))
        if unknown:
            raise ConfigError(f"{name} has no station {', '.join(unknown)}; it has {', '.join(mission.stations)}")
        mission = replace(mission, stations={key: mission.stations[key] for key in stations})
    return mission


def events(mission: Mission) -> dict[str, int]:
    """When a simulation of ``mission`` may begin by name, ns since 1970 UTC: then, or ten minutes before a burn."""
    named = [event for event in read_events(mission.folder / "trajectory.toml") if event.name]
    return {event.name: event.time - (_BEFORE_BURN if event.delta_v else 0) for event in named}


def _begin(mission: Mission, start: str | None, at: str | None) -> int | None:
    if at is not None:
        known = events(mission)
        if at not in known:
            raise ConfigError(f"{mission.name} has no event {at}; it has {', '.join(known)}")
        return known[at]
    try:
        return None if start is None else instant(start) // SECOND * SECOND
    except ValueError as error:
        raise ConfigError(f"start = {start!r} should be a date and time (ISO 8601)") from error


def _state(path: Path, mission: Mission, vectors: Path | None, begin: int | None, seed: int) -> State:
    state = load_state(path)
    if state is not None:
        if begin is not None:
            raise ConfigError(f"{mission.name} goes on where it stopped; to start elsewhere, remove {path}")
        return state
    if vectors is not None:
        first = int(read_vectors(vectors)[0][0])
        return State(mission.name, seed, first, first - 1)
    begin = SPACECRAFT[mission.name].start if begin is None else begin
    return State(mission.name, seed, begin, begin)


def _live(simulation: Simulation, speed: float, until: int) -> Iterator[list[Step]]:
    steps = _BATCH_STEPS if math.isinf(speed) else round(_BATCH_SECONDS * speed * SECOND / STEP)
    steps = max(1, min(steps, _BATCH_STEPS))
    while (left := (until - simulation.clock) // STEP) > 0:
        yield simulation.advance(min(steps, left))


def _batches(mission: Mission, state: State, vectors: Path | None, speed: float) -> Iterator[list[Step]]:
    assert vectors is not None, "the caller has a file or a simulation"
    waiting: list[Step] = []
    for step in send_vectors(mission, state, vectors, next(iter(mission.stations))):
        waiting.append(step)
        if not math.isinf(speed) or len(waiting) == _BATCH_STEPS:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the state at ``path`` against a second simulator, which would use its counters twice."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_suffix(".lock").open("w")
    except OSError as error:
        raise ConfigError(f"{path.parent} cannot hold the simulation's state: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(f"another simulator is running on {path}") from error
        yield


@contextlib.contextmanager
def _stop_signals() -> Iterator[asyncio.Event]:
    """An event that SIGINT and SIGTERM set, for an orderly end between two steps."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    installed = []
    for number in (signal.SIGINT, signal.SIGTERM):
        # Outside a main thread signals go elsewhere, and the caller cancels.
        with contextlib.suppress(RuntimeError, ValueError):
            loop.add_signal_handler(number, stop.set)
            installed.append(number)
    try:
        yield stop
    finally:
        for number in installed:
            loop.remove_signal_handler(number)
