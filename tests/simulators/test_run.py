"""The whole simulator against a real broker."""

from __future__ import annotations

import asyncio
import json
import math
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ground.errors import ConfigError
from ground.link.broker import EmbeddedBroker
from ground.link.mqtt import Client, parse_broker_url
from ground.mission import load_mission
from simulators.ephemeris import SECOND
from simulators.orbit import instant
from simulators.run import SPACECRAFT, simulate
from simulators.state import load_state
from tests.real_data import ROOT, requires_real_data
from tests.simulators.receiver import Receiver, apid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from mqtt5 import PublishPacket

    from ground.mission import Mission
    from simulators.state import State


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(tmp_path / "broker") as running:
        yield running


class Listener:
    """Everything that is published, in order."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.messages: list[PublishPacket] = []

    async def until(self, topic: str, count: int) -> list[PublishPacket]:
        """Wait for ``count`` messages on topics that begin with ``topic``."""
        while len(found := self.on(topic)) < count:
            delivery = await self.client.receive()
            self.messages += delivery.packets
            self.client.ack(delivery)
        return found

    async def frames(self, mission: Mission, state: State) -> tuple[list[int], Receiver]:
        """The numbers of all frames up to the last one that ``state`` counts, and what is in them.

        A broker keeps the order of a topic, not that among topics: the numbers put it right.
        """
        craft, length = SPACECRAFT[mission.name], mission.link.length
        total = (state.time - state.epoch) * craft.nominal // SECOND  # heard all the time
        last = set(range(total - 4, total))  # a step, with a message of each virtual channel
        while True:
            packets = sorted(self.on(f"tm/{mission.name}/"), key=lambda packet: int(properties(packet)["seq"]))
            numbers = [
                int(properties(packet)["seq"]) + k for packet in packets for k in range(len(packet.payload) // length)
            ]
            if last <= set(numbers):
                break
            await self.until("tm/", len(packets) + 1)
        receiver = Receiver(mission)
        for packet in packets:
            receiver.feed(packet.payload, check_fecf=False)
        return numbers, receiver

    def on(self, topic: str) -> list[PublishPacket]:
        return [packet for packet in self.messages if packet.topic.startswith(topic)]


@pytest.fixture
async def listener(broker: EmbeddedBroker) -> AsyncIterator[Listener]:
    async with Client(parse_broker_url(broker.url), "listener", subscriptions=[("#", 1)]) as client:
        await client.connected(10)
        yield Listener(client)


def properties(packet: PublishPacket) -> dict[str, str]:
    return dict(packet.user_properties or [])


async def test_a_restart_goes_on_with_clock_and_counters(
    broker: EmbeddedBroker, listener: Listener, tmp_path: Path
) -> None:
    mission = load_mission("luna26")
    for _ in range(2):
        await simulate("luna26", broker.url, state_dir=tmp_path, speed=math.inf, duration=10)
    state = load_state(tmp_path / "luna26.json")
    assert state is not None
    assert state.time == state.epoch + 20_000_000_000
    numbers, receiver = await listener.frames(mission, state)
    assert numbers == list(range(20 * 8))
    frames = listener.on("tm/luna26/")
    assert {properties(packet)["run"] for packet in frames} == {state.run}
    assert {packet.topic for packet in frames} == {f"tm/luna26/bear-lakes/{vcid}" for vcid in (0, 63)}
    for counts in receiver.counts.values():
        assert counts == list(range(len(counts)))
    clocks = [json.loads(packet.payload) for packet in await listener.until("clock/luna26", 4)]
    assert [clock["rate"] for clock in clocks][-1] == 0
    times = [int(clock["time"]) for clock in clocks]
    assert times == sorted(times)
    assert {clock["epoch"] for clock in clocks} == {str(state.epoch)}
    stations = await listener.until("station/luna26/", 3)
    seen = {packet.topic.split("/")[2]: json.loads(packet.payload) for packet in stations}
    assert set(seen) == set(mission.stations)
    assert seen["bear-lakes"]["in_view"] is True
    assert seen["bear-lakes"]["next"]["event"] == "LOS"
    events = [json.loads(packet.payload) for packet in await listener.until("event/luna26", 1)]
    assert events[0]["text"].endswith("acquisition of signal")


async def test_mission_time_keeps_to_wall_time(broker: EmbeddedBroker, listener: Listener, tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await simulate("tianwen1", broker.url, state_dir=tmp_path, duration=2)
    assert loop.time() - began >= 2
    assert await listener.until("tm/tianwen1/", 4)


async def test_the_clock_is_the_grounds_and_starts_at_an_event(
    broker: EmbeddedBroker, listener: Listener, tmp_path: Path
) -> None:
    await simulate("tianwen1", broker.url, state_dir=tmp_path, speed=math.inf, duration=10, at="tcm4")
    state = load_state(tmp_path / "tianwen1.json")
    assert state is not None
    assert state.epoch == instant("2021-02-05T10:47:51") - 600 * SECOND
    await listener.frames(load_mission("tianwen1"), state)
    frames = listener.on("tm/tianwen1/")
    ends = [
        int(properties(packet)["ert"]) + len(packet.payload) // 220 * int(properties(packet)["dt"]) for packet in frames
    ]
    clocks = [json.loads(packet.payload) for packet in await listener.until("clock/tianwen1", 2)]
    light = 600 * SECOND  # 180 million km
    assert clocks[0]["time"] < clocks[-1]["time"]
    assert abs(int(clocks[-1]["time"]) - state.time - light) < 30 * SECOND
    assert 0 <= int(clocks[-1]["time"]) - max(ends) < SECOND // 10, "what was received was received by now"
    for packet in await listener.until("station/tianwen1/", 4):
        report = json.loads(packet.payload)
        assert abs(int(report["time"]) - state.epoch - light) < 30 * SECOND
        assert report["next"] is None or int(report["next"]["time"]) > int(report["time"])


@requires_real_data
async def test_real_vectors_reach_the_broker_as_transmitted(
    broker: EmbeddedBroker, listener: Listener, tmp_path: Path
) -> None:
    path = ROOT / "tianwen1" / "state_vectors_20210208.txt"
    lines = [line.split() for line in path.read_text().splitlines()]
    await simulate("tianwen1", broker.url, state_dir=tmp_path, speed=math.inf, vectors=path)
    receiver = Receiver(load_mission("tianwen1"))
    for packet in await listener.until("tm/tianwen1/kashi/1", len(lines)):
        receiver.feed(packet.payload)
    packets = [packet for packet in receiver.packets[1] if apid(packet) == 1287]
    assert [packet[18:24].hex() for packet in packets] == [line[0].strip("[]") for line in lines]
    await simulate("tianwen1", broker.url, state_dir=tmp_path, speed=math.inf, vectors=path)
    await listener.until("clock/tianwen1", 4)
    assert len(listener.on("tm/")) == len(lines), "what was sent is not sent again"


PROGRAM = """
import asyncio, pathlib, sys
from simulators.ephemeris import SECOND
from simulators.orbit import instant
from simulators.run import simulate
asyncio.run(simulate("luna26", sys.argv[1], state_dir=pathlib.Path(sys.argv[2])))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_however_it_ends_no_count_is_used_twice(
    broker: EmbeddedBroker, listener: Listener, tmp_path: Path, number: signal.Signals
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, broker.url, str(tmp_path)), stderr=asyncio.subprocess.PIPE
    )
    try:
        await listener.until("tm/luna26/", 2)
        with pytest.raises(ConfigError, match="another simulator"):
            await simulate("luna26", broker.url, state_dir=tmp_path)
        process.send_signal(number)
        _, complaints = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    killed = number == signal.SIGKILL
    assert process.returncode == (-signal.SIGKILL if killed else 0)
    assert complaints == b""
    await simulate("luna26", broker.url, state_dir=tmp_path, speed=math.inf, duration=2)
    state = load_state(tmp_path / "luna26.json")
    assert state is not None
    numbers, receiver = await listener.frames(load_mission("luna26"), state)
    assert len(set(numbers)) == len(numbers), "no number comes twice"
    missing = numbers[-1] + 1 - len(numbers)
    assert missing in ({0, 4} if killed else {0}), "a kill may cost the step under way"
    assert all(len(set(counts)) == len(counts) for counts in receiver.counts.values())


async def test_an_operator_breaks_things_over_mqtt(broker: EmbeddedBroker, listener: Listener, tmp_path: Path) -> None:
    flying = asyncio.create_task(simulate("luna26", broker.url, state_dir=tmp_path, faults=["clock-drift@9"]))
    await listener.until("event/luna26", 1)
    for order in (b'{"kind": "heater-on", "target": "tank", "for": 60}', b'{"kind": "rain"}', b"{"):
        await listener.client.publish("command/luna26/fault", order, qos=1)
    await listener.until("event/luna26", 4)
    events = [json.loads(packet.payload) for packet in listener.on("event/luna26")]
    assert [event["severity"] for event in events] == ["info", "info", "warning", "warning"]
    assert events[1]["text"] == "fault on request: heater-on (tank)"
    assert "there is no fault rain" in events[2]["text"]
    signal.raise_signal(signal.SIGTERM)
    await flying
    state = load_state(tmp_path / "luna26.json")
    assert state is not None
    assert [one["kind"] for one in state.faults] == ["clock-drift", "heater-on"]


async def test_it_ends_without_a_broker_too(tmp_path: Path) -> None:
    heard: list[str] = []
    task = asyncio.create_task(simulate("luna26", "mqtt://127.0.0.1:1", state_dir=tmp_path, report=heard.append))
    while not heard:
        await asyncio.sleep(0.05)
    signal.raise_signal(signal.SIGTERM)
    await task
    assert "127.0.0.1:1" in heard[0]


@pytest.mark.parametrize(
    ("mission", "arguments", "message"),
    [
        ("change5", {}, "no simulator of change5; there are luna26, tianwen1"),
        ("nowhere", {}, "no mission 'nowhere'"),
        ("luna26", {"speed": 0.0}, "speed = 0 should be above 0"),
        ("luna26", {"start": "yesterday"}, "should be a date and time"),
        ("tianwen1", {"at": "lunch"}, "has no event lunch; it has launch, .*dsm"),
        ("luna26", {"stations": ["kashi"]}, "has no station kashi"),
        ("luna26", {"vectors": "x.txt"}, "state vectors are sent by tianwen1"),
        ("luna26", {"start": "2020-01-01T00:00:00"}, "known only from 2028"),
        ("luna26", {"start": "2060-01-01T00:00:00"}, "last known at .*within 200 days"),
        ("tianwen1", {"start": "2024-01-01T00:00:00"}, "last known at 2021-02"),
    ],
)
async def test_what_cannot_be_done_is_said(
    tmp_path: Path, mission: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        await simulate(mission, "mqtt://127.0.0.1:1", state_dir=tmp_path, **arguments)


async def test_a_start_is_for_a_fresh_state_only(broker: EmbeddedBroker, tmp_path: Path) -> None:
    start = "2028-09-13T01:50:00"
    await simulate("luna26", broker.url, state_dir=tmp_path, start=start, speed=math.inf, duration=2)
    with pytest.raises(ConfigError, match=r"goes on where it stopped; to start elsewhere, remove"):
        await simulate("luna26", broker.url, state_dir=tmp_path, start=start)
