"""Whatever a broker answers, the client counts it, names it and goes on."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mqtt5 import ConnAckPacket, PublishPacket, QoS

from ground.errors import LinkError
from ground.link.mqtt import Address, Client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def hostile(octets: bytes, *, welcome: bool = True) -> AsyncIterator[Address]:
    """A broker that answers each connection with ``octets``, after a CONNACK where it says ``welcome``."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write((ConnAckPacket().write() if welcome else b"") + octets)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield Address("127.0.0.1", server.sockets[0].getsockname()[1])


async def test_a_hostile_broker_is_counted_and_left_and_tried_again() -> None:
    good = PublishPacket("tm/m/s/1", b"good").write()
    async with hostile(good + b"\x30\xff\xff\xff\x7f") as address, Client(address, "g", session_expiry=9) as link:
        for n in range(3):
            delivery = await link.receive()
            assert {packet.payload for packet in delivery.packets} == {b"good"}
            assert link.counts.protocol_errors >= n
        async with asyncio.timeout(10):
            while link.state.connected or "limit" not in link.state.reason:
                await asyncio.sleep(0.01)


@given(st.binary(min_size=1, max_size=60))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_octets_break_the_client(octets: bytes) -> None:
    async def main() -> None:
        for welcome in (True, False):
            async with hostile(octets, welcome=welcome) as address, Client(address, "g", keep_alive=1) as link:
                with contextlib.suppress(LinkError):
                    await link.connected(0.02)
                assert not link._task.done()

    asyncio.run(main())


async def test_a_length_whose_octets_never_come_ends_the_connection() -> None:
    async with hostile(b"\x30\xff\x7f") as address, Client(address, "g", keep_alive=1) as link:
        await link.connected(10)
        async with asyncio.timeout(10):
            while link.state.connected:
                await asyncio.sleep(0.01)
        assert "no answer to a ping" in link.state.reason


async def test_qos_2_is_a_protocol_error() -> None:
    octets = PublishPacket("t", b"", qos=QoS.EXACTLY_ONCE, packet_id=1).write()
    async with hostile(octets) as address, Client(address, "g") as link:
        async with asyncio.timeout(10):
            while not link.counts.protocol_errors:
                await asyncio.sleep(0.01)
        assert link.counts.received == 0
