"""Clients of a broker in a test: one of ours, one of another make, and what ours has received."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiomqtt

from ground.link.mqtt import Client, parse_broker_url

if TYPE_CHECKING:
    from mqtt5 import PublishPacket

TM = [("tm/#", 1)]


def client(url: str, name: str = "ground", **options: object) -> Client:
    return Client(parse_broker_url(url, {}), name, **options)  # type: ignore[arg-type]


def peer(url: str) -> aiomqtt.Client:
    """An independent MQTT client."""
    address = parse_broker_url(url, {})
    return aiomqtt.Client(address.host, address.port, protocol=aiomqtt.ProtocolVersion.V5)


async def collect(link: Client, count: int, *, ack: bool = True) -> list[PublishPacket]:
    packets: list[PublishPacket] = []
    async with asyncio.timeout(30):
        while len(packets) < count:
            delivery = await link.receive()
            assert len(delivery.packets) == len(delivery.received)
            packets += delivery.packets
            if ack:
                link.ack(delivery)
    return packets
