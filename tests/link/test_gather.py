from __future__ import annotations

import asyncio

from ground.link.gather import deliveries, gather
from tests.link.client import TM, client, collect, peer

MESSAGES = 300


async def test_nothing_is_lost_or_out_of_order_where_more_is_waited_for(broker: str) -> None:
    payloads: list[bytes] = []
    async with client(broker, subscriptions=TM) as link, peer(broker) as other, asyncio.timeout(60):
        await link.connected(10)

        async def publish() -> None:
            for n in range(MESSAGES):
                await other.publish("tm/m/s/1", b"%d" % n, qos=1)

        publishing = asyncio.create_task(publish())
        while len(payloads) < MESSAGES:
            delivery = await link.receive()
            payloads += [bytes(packet.payload or b"") for packet in delivery.packets]
            link.ack(delivery)
            await gather(link, 0.05)
        await publishing
    assert payloads == [b"%d" % n for n in range(MESSAGES)]
    assert link.counts.acknowledged == MESSAGES


async def test_a_link_on_which_nothing_more_comes_is_not_waited_for(broker: str) -> None:
    async with client(broker, subscriptions=TM) as link, peer(broker) as other, asyncio.timeout(30):
        await link.connected(10)
        await other.publish("tm/m/s/1", b"first", qos=1)
        await collect(link, 1)
        assert not await gather(link, 3600)
        await other.publish("tm/m/s/1", b"second", qos=1)
        assert [packet.payload for packet in await collect(link, 1)] == [b"second"]


async def test_deliveries_of_many_messages_are_all_handed_out(broker: str) -> None:
    """More at a time than it takes to wait for more."""
    found = 0
    async with client(broker, subscriptions=TM) as link, client(broker, "other") as other, asyncio.timeout(60):
        await link.connected(10)
        await other.connected(10)
        publishing = [asyncio.create_task(other.publish("tm/m/s/1", b"%d" % n)) for n in range(MESSAGES)]
        async for delivery in deliveries(link):
            found += len(delivery.received)
            link.ack(delivery)
            if found >= MESSAGES:
                break
        await asyncio.gather(*publishing)
    assert found == MESSAGES == link.counts.acknowledged


async def test_what_comes_while_reading_is_held_is_read_with_the_next_delivery(broker: str) -> None:
    async with client(broker, subscriptions=TM) as link, peer(broker) as other, asyncio.timeout(30):
        await link.connected(10)
        link.hold(3600)
        for n in range(5):
            await other.publish("tm/m/s/1", b"%d" % n, qos=1)
        while not link.unread:
            await asyncio.sleep(0.01)
        assert link.counts.received == 0
        assert [packet.payload for packet in await collect(link, 5)] == [b"%d" % n for n in range(5)]


async def test_reading_goes_on_by_itself_after_a_while(broker: str) -> None:
    async with client(broker, subscriptions=TM) as link, peer(broker) as other, asyncio.timeout(30):
        await link.connected(10)
        link.hold(0.01)
        await other.publish("tm/m/s/1", b"first", qos=1)
        while not link.counts.received:
            await asyncio.sleep(0.01)
