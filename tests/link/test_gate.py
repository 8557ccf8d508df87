"""Stations reach the embedded broker when someone records, and not before."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import aiomqtt
import pytest

from ground.commands.children import keep_broker
from ground.errors import ConfigError, LinkError
from ground.link.broker import EmbeddedBroker
from ground.link.gate import Gate
from ground.link.mqtt import Client, Outgoing
from tests.link.client import TM, client, collect


def kill(broker: EmbeddedBroker) -> None:
    """As the kernel does it when memory runs out."""
    (pid,) = (
        int(folder.name)
        for folder in Path("/proc").glob("[0-9]*")
        if str(broker.folder / "broker.toml").encode() in _read(folder / "cmdline")
    )
    os.kill(pid, signal.SIGKILL)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def messages(first: int, count: int, size: int = 10) -> list[Outgoing]:
    return [Outgoing("tm/m/s/1", b"%0*d" % (size, n)) for n in range(first, first + count)]


async def held(station: Client) -> None:
    """It doesn't get through, in a time in which it would have many times over."""
    connections = station.counts.connections
    with pytest.raises(LinkError):
        await station.connected(1)
    assert station.counts.connections == connections


async def test_what_a_station_sends_before_anyone_is_subscribed_waits(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as broker:
        async with Gate(broker) as gate, client(gate.url, "station") as station:
            sending = asyncio.create_task(station.publish_many(messages(0, 500)))
            async with client(broker.url, subscriptions=TM) as link:
                await link.connected(10)
                await held(station)
                assert not sending.done()
                gate.open()
                packets = await collect(link, 500)
                assert await sending == 500
    assert [int(packet.payload) for packet in packets] == [*range(500)]


async def test_both_versions_pass_and_long_messages_both_ways(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as broker:
        async with Gate(broker) as gate, client(gate.url, subscriptions=TM) as link:
            gate.open()
            await link.connected(10)
            async with aiomqtt.Client("127.0.0.1", gate.port_v4, protocol=aiomqtt.ProtocolVersion.V311) as old:
                for n in range(20):
                    await old.publish("tm/m/s/1", bytes([n]) * 3_000_000, qos=1)
            packets = await collect(link, 20)
    assert [(len(packet.payload), packet.payload[-1]) for packet in packets] == [(3_000_000, n) for n in range(20)]


async def test_a_connection_ends_on_both_sides(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path)
    broker.start()
    try:
        async with Gate(broker) as gate, asyncio.timeout(20):
            gate.open()
            async with client(gate.url, "station") as station:
                await station.connected(10)
                broker.stop()
                while station.state.connected:
                    await asyncio.sleep(0.01)
            while gate._tasks:
                await asyncio.sleep(0.01)
            gate.shut()
            reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
        # One that waited is told when the gate is taken away.
        assert await reader.read() == b""
        writer.close()
    finally:
        broker.stop()


async def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}: address already in use"):
            await Gate(EmbeddedBroker(tmp_path), 0, port).__aenter__()


async def test_a_broker_that_was_killed_is_started_again_and_nobody_overtakes_the_subscriber(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as broker:
        async with (
            Gate(broker) as gate,
            client(broker.url, subscriptions=TM) as link,
            client(gate.url, "station") as station,
            asyncio.timeout(60),
        ):
            allowed = asyncio.Event()

            async def subscribed() -> None:
                await allowed.wait()
                await link.connected()

            allowed.set()
            keeping = asyncio.create_task(keep_broker(broker, gate, subscribed, [0.1, 0.1]))
            for again in range(3):
                await station.publish_many(messages(100 * again, 100))
                packets = await collect(link, 100)
                assert [int(packet.payload) for packet in packets] == [*range(100 * again, 100 * again + 100)]
                if again < 2:
                    allowed.clear()
                    connections = link.counts.connections
                    kill(broker)
                    while link.counts.connections == connections:
                        await asyncio.sleep(0.01)
                    await held(station)
                    allowed.set()
            kill(broker)
            with pytest.raises(LinkError, match="started again 2 times in vain"):
                await keeping


async def test_a_broker_that_does_not_start_again_ends_with_the_reason(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as broker:
        async with Gate(broker) as gate, asyncio.timeout(60):

            async def subscribed() -> None:
                await asyncio.Event().wait()

            keeping = asyncio.create_task(keep_broker(broker, gate, subscribed, [0.5, 0.1, 0.1]))
            kill(broker)
            while broker.running:
                await asyncio.sleep(0)
            says = f"again 3 times in vain: .*{broker.port}"
            with socket.create_server(("127.0.0.1", broker.port)), pytest.raises(LinkError, match=says):
                await keeping
