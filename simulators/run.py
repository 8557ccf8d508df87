"""Run a simulation against a broker: frames, station status, mission clock."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import math
import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ground.errors import ConfigError
from ground.link import topics
from ground.link.mqtt import Client, LinkState, Outgoing, parse_broker_url
from ground.mission import load_mission
from simulators.clock import Pace
from simulators.ephemeris import SECOND
from simulators.luna26 import LUNA26
from simulators.orbit import instant
from simulators.simulation import STEP, Simulation, Step
from simulators.state import State, load_state
from simulators.tianwen1 import TIANWEN1
from simulators.vectors import read_vectors, send_vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from ground.mission import Mission

SPACECRAFT = {craft.name: craft for craft in (LUNA26, TIANWEN1)}
_STATUS_SECONDS = 1.0
_BATCH_SECONDS = 0.1  # of wall time that go out together when mission time runs faster
_BATCH_STEPS = 120
_GRACE_SECONDS = 1.0
_FOR_EVER = 1 << 63


async def simulate(
    mission_name: str,
    broker_url: str,
    *,
    state_dir: Path,
    speed: float = 1.0,
    start: str | None = None,
    duration: float | None = None,
    stations: Sequence[str] | None = None,
    vectors: Path | None = None,
    seed: int = 26,
    report: Callable[[str], None] | None = None,
) -> None:
    """Simulate a mission until ``duration`` seconds of mission time are over, or SIGINT or SIGTERM comes.

    ``state_dir``: where the simulation's state is kept; a second start goes on where the first stopped, with clock and
    counters. ``speed``: mission seconds a second, ``math.inf`` for as fast as the broker takes them. ``start``: when a
    fresh simulation begins (ISO 8601). ``stations``: names, all by default. ``vectors``: a file of Tianwen-1's state
    vectors to be sent verbatim, and nothing else. ``report`` gets a line when something happens.

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
    with _alone(path), _stop_signals() as stop:
        state = _state(path, mission, vectors, start, seed)
        live = None if vectors else Simulation(mission, SPACECRAFT[mission_name], state)
        begin = live.clock if live else state.time
        until = begin + round(duration * SECOND) if duration is not None else _FOR_EVER
        source = _live(live, speed, until) if live else _batches(mission, state, vectors, speed)

        def changed(link: LinkState) -> None:
            say(f"{address}: {link.reason}")

        async with Client(address, f"simulator-{mission_name}-{state.run}", on_state=changed) as client:
            publisher = _Publisher(client, mission, state, speed, stop)
            pace = Pace(begin, speed)
            await publisher.status(begin, live)
            for steps in source:
                last = steps[-1].time
                if last > until:
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


class _Publisher:
    """Puts steps and status on their topics."""

    def __init__(self, client: Client, mission: Mission, state: State, speed: float, stop: asyncio.Event) -> None:
        self._client, self._mission, self._state, self._stop = client, mission, state, stop
        self._rate = 0.0 if math.isinf(speed) else speed
        self._station: str | None = None
        self._due = 0.0
        self._last = state.time

    async def frames(self, steps: list[Step]) -> None:
        """Every message of ``steps``; returns when the broker has them."""
        await self._send(
            Outgoing(
                topics.telemetry(self._mission.name, message.station, message.vcid),
                message.payload,
                [
                    ("ert", str(message.ert)),
                    ("dt", str(message.dt)),
                    ("run", self._state.run),
                    ("seq", str(message.seq)),
                ],
            )
            for step in steps
            for message in step.messages
        )

    def listening(self, steps: list[Step]) -> list[str]:
        """What has changed about who listens, in words."""
        lines = []
        for step in steps:
            now = step.messages[0].station if step.messages else None
            before, self._station = self._station, now
            if before != now:
                lines += [f"{self._mission.stations[before].title}: loss of signal"] if before else []
                lines += [f"{self._mission.stations[now].title}: acquisition of signal"] if now else []
        return lines

    async def event(self, mission: int, text: str) -> None:
        """An entry of the event log at mission time ``mission``."""
        event = {"time": str(mission), "severity": "info", "source": "station", "text": text}
        await self._send([Outgoing(f"event/{self._mission.name}", json.dumps(event).encode())])

    async def status(self, mission: int, live: Simulation | None) -> None:
        """Clock and stations, once a second of wall time."""
        self._last = mission
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _STATUS_SECONDS
        status = {f"clock/{self._mission.name}": self._clock(mission, self._rate)}
        for name, values in (live.stations() if live else {}).items():
            status[f"station/{self._mission.name}/{name}"] = values
        await self._send(Outgoing(topic, json.dumps(values).encode(), retain=True) for topic, values in status.items())

    async def stopped(self) -> None:
        """Leave a clock behind that stands still."""
        self._stop.set()
        clock = json.dumps(self._clock(self._last, 0.0)).encode()
        await self._send([Outgoing(f"clock/{self._mission.name}", clock, retain=True)])

    async def _send(self, messages: Iterable[Outgoing]) -> None:
        """Publish and wait until the broker has it all, for ever; once the simulation is to stop, some moments only."""
        sending = asyncio.ensure_future(self._client.publish_many(messages))
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({sending, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({sending}, timeout=_GRACE_SECONDS)
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            stopping.cancel()

    def _clock(self, mission: int, rate: float) -> dict[str, Any]:
        return {"time": str(mission), "rate": rate, "wall": str(time.time_ns()), "epoch": str(self._state.epoch)}


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


def _state(path: Path, mission: Mission, vectors: Path | None, start: str | None, seed: int) -> State:
    state = load_state(path)
    if state is not None:
        if start is not None:
            raise ConfigError(f"{mission.name} goes on where it stopped; to start at {start}, remove {path}")
        return state
    if vectors is not None:
        first = int(read_vectors(vectors)[0][0])
        return State(mission.name, seed, first, first - 1)
    try:
        begin = SPACECRAFT[mission.name].start if start is None else instant(start) // SECOND * SECOND
    except ValueError as error:
        raise ConfigError(f"start = {start!r} should be a date and time (ISO 8601)") from error
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
