from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from ground.errors import LinkError
from ground.link.mqtt import Client, LinkState, Outgoing, parse_broker_url
from tests.link.client import TM, client, collect, peer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Mosquitto


async def test_messages_of_another_client_arrive_in_order(broker: str) -> None:
    async with client(broker, subscriptions=TM) as link, peer(broker) as other:
        await link.connected(10)
        for n in range(300):
            await other.publish("tm/m/s/1", b"%d" % n, qos=1)
        packets = await collect(link, 300)
    assert [packet.payload for packet in packets] == [b"%d" % n for n in range(300)]
    assert link.counts.acknowledged == 300


async def test_another_client_receives_what_is_published(broker: str) -> None:
    async with client(broker) as link, peer(broker) as other:
        await other.subscribe("live/#", qos=0)
        await other.subscribe("tm/#", qos=1)
        await link.connected(10)
        await link.publish("live/m/c", b"zero", qos=0)
        await link.publish("tm/m/s/1", b"one", properties=[("run", "r"), ("seq", "1"), ("run", "again")])
        got = {}
        async with asyncio.timeout(10):
            async for message in other.messages:
                got[message.payload] = message
                if len(got) == 2:
                    break
    assert got[b"zero"].qos == 0
    assert got[b"one"].qos == 1
    assert vars(got[b"one"].properties)["UserProperty"] == [("run", "r"), ("seq", "1"), ("run", "again")]


async def test_retained_messages_come_at_once(broker: str) -> None:
    async with client(broker) as link:
        await link.publish("clock/m", b"{}", retain=True)
    async with client(broker, "viewer", subscriptions=[("clock/#", 1)]) as link:
        (packet,) = await collect(link, 1)
    assert (packet.payload, packet.retain) == (b"{}", True)


async def test_retained_messages_that_are_not_wanted_are_left_out_and_new_ones_are_not(broker: str) -> None:
    """One broker keeps to what was asked of it, the other sends what it has kept all the same."""
    async with client(broker) as station:
        for n in range(20):
            await station.publish(f"tm/m/s/{n}", b"kept", retain=True)
        async with client(broker, "g", subscriptions=TM, retained=False, session_expiry=60) as link:
            await link.connected(10)
            await station.publish_many(
                Outgoing("tm/m/s/1", b"new", [("seq", str(n))], retain=n % 2 == 0) for n in range(50)
            )
            packets = await collect(link, 50)
        assert [(packet.payload, packet.user_properties) for packet in packets] == [
            (b"new", [("seq", str(n))]) for n in range(50)
        ]
        # Nothing is left unacknowledged that would come again.
        async with client(broker, "g", subscriptions=TM, retained=False, session_expiry=60) as link:
            await link.connected(10)
            await station.publish("tm/m/s/1", b"last")
            (packet,) = await collect(link, 1)
        assert packet.payload == b"last"
        assert link.counts.received == link.counts.retained + 1


async def test_a_broker_that_sends_what_it_kept_all_the_same(embedded_broker: str) -> None:
    async with client(embedded_broker) as station:
        for n in range(20):
            await station.publish(f"tm/m/s/{n}", b"kept", retain=True)
        async with client(embedded_broker, "g", subscriptions=TM, retained=False) as link:
            await link.connected(10)
            await station.publish("tm/m/s/1", b"new")
            await collect(link, 1)
        assert (link.counts.retained, link.counts.received, link.counts.acknowledged) == (20, 21, 21)


async def test_a_broker_that_keeps_to_what_was_asked_sends_none(mosquitto: str) -> None:
    async with client(mosquitto) as station:
        await station.publish("tm/m/s/1", b"kept", retain=True)
        async with client(mosquitto, "g", subscriptions=TM, retained=False) as link:
            await link.connected(10)
            await station.publish("tm/m/s/1", b"new")
            await collect(link, 1)
        assert (link.counts.retained, link.counts.received) == (0, 1)


async def test_many_messages_are_pipelined_and_all_arrive(broker: str) -> None:
    sent = [b"%d" % n for n in range(5000)]
    async with client(broker, subscriptions=TM) as link, client(broker, "station") as station:
        await link.connected(10)
        collecting = asyncio.create_task(collect(link, len(sent)))
        assert await station.publish_many(Outgoing("tm/m/s/1", payload) for payload in sent) == len(sent)
        packets = await collecting
    assert [packet.payload for packet in packets] == sent
    assert station.counts.published == len(sent)


async def test_a_long_message_passes(broker: str) -> None:
    payload = random.Random(1).randbytes(10_000_000)
    async with client(broker, subscriptions=TM) as link:
        await link.connected(10)
        await link.publish("tm/m/s/1", payload)
        (packet,) = await collect(link, 1)
    assert packet.payload == payload


async def test_what_was_not_acknowledged_is_delivered_again(broker: str) -> None:
    async with client(broker, "station") as station:
        async with client(broker, subscriptions=TM, session_expiry=600) as link:
            await link.connected(10)
            await station.publish_many(Outgoing("tm/m/s/1", b"%d" % n) for n in range(20))
            first = await link.receive()
            link.ack(first)
            rest = await collect(link, 20 - len(first.packets), ack=False) if len(first.packets) < 20 else []
            # Acknowledged on the way out: it must have reached the broker before it is asked again.
            await link.publish("other", b"")
        await station.publish("tm/m/s/1", b"while away")
        async with client(broker, subscriptions=TM, session_expiry=600) as link:
            again = await collect(link, len(rest) + 1)
            await link.publish("other", b"")
        async with client(broker, subscriptions=TM, session_expiry=600) as link:
            await link.connected(10)
            await station.publish("tm/m/s/1", b"last")
            (last,) = await collect(link, 1)
    assert [packet.payload for packet in again] == [*(packet.payload for packet in rest), b"while away"]
    assert last.payload == b"last"


async def test_an_old_acknowledgement_is_dropped_and_the_message_comes_again(broker: str) -> None:
    async with client(broker, subscriptions=TM, session_expiry=600) as link, client(broker, "station") as station:
        await link.connected(10)
        await station.publish("tm/m/s/1", b"x")
        delivery = await link.receive()
        assert link._connection
        link._connection.close(LinkError("the cable was pulled"))
        again = await link.receive()
        link.ack(delivery)
        assert link.counts.stale_acks == 1
        assert [packet.payload for packet in again.packets] == [b"x"]
        link.ack(again)
        assert link.counts.acknowledged == 1


async def test_acknowledgements_out_of_order_are_refused(broker: str) -> None:
    async with client(broker, subscriptions=TM) as link:
        await link.connected(10)
        await link.publish("tm/m/s/1", b"1")
        first = await link.receive()
        await link.publish("tm/m/s/1", b"2")
        second = await link.receive()
        with pytest.raises(ValueError, match="order"):
            link.ack(second)
        link.ack(first)
        with pytest.raises(ValueError, match="once"):
            link.ack(first)
        link.ack(second)


async def test_publishing_goes_on_when_the_broker_comes_back(mosquitto_process: Mosquitto) -> None:
    states: list[LinkState] = []
    url = mosquitto_process.url
    async with (
        client(url, subscriptions=TM, session_expiry=600) as link,
        client(url, "station", session_expiry=600, on_state=states.append) as station,
    ):
        await link.connected(10)
        await station.connected(10)
        collecting = asyncio.create_task(collect(link, 2000))
        sending = asyncio.create_task(station.publish_many(Outgoing("tm/m/s/1", b"%d" % n) for n in range(30_000)))
        await collecting
        await asyncio.to_thread(mosquitto_process.stop)
        seen = {packet.payload for packet in collecting.result()}
        async with asyncio.timeout(10):
            while station.state.connected:
                await asyncio.sleep(0.01)
        with pytest.raises(LinkError, match="127"):
            await station.connected(0.2)
        await station.publish("live/m/c", b"", qos=0)
        assert station.counts.dropped == 1
        await asyncio.to_thread(mosquitto_process.start)
        async with asyncio.timeout(60):
            while len(seen) < 30_000:
                delivery = await link.receive()
                seen.update(packet.payload for packet in delivery.packets)
                link.ack(delivery)
        assert await sending == 30_000
    assert [state.connected for state in states[:2]] == [True, False]
    assert states[1].reason
    assert "refused" in states[2].reason or states[2].connected


async def test_reading_pauses_where_nobody_consumes(broker: str) -> None:
    async with client(broker, subscriptions=[("tm/#", 0)], max_waiting=100_000) as link, peer(broker) as other:
        await link.connected(10)
        for _ in range(50):
            await other.publish("tm/m/s/1", bytes(100_000), qos=1)
        await asyncio.sleep(0.2)
        assert link._waiting < 100_000 + (1 << 20)
        assert link.counts.received < 50
        packets = await collect(link, 50)
    assert len(packets) == 50


async def test_nobody_listens() -> None:
    async with client("mqtt://127.0.0.1:9") as link:
        with pytest.raises(LinkError, match=r"127\.0\.0\.1:9: connection refused"):
            await link.connected(1)


async def test_an_error_of_the_caller_comes_out_as_it_is(mosquitto: str) -> None:
    with pytest.raises(KeyError):
        async with client(mosquitto):
            raise KeyError("x")


@pytest.mark.parametrize(
    ("topic", "size", "says"), [("a/#", 1, "cannot be published"), ("", 1, "cannot"), ("a", 33 << 20, "takes up to")]
)
async def test_what_cannot_be_published(mosquitto: str, topic: str, size: int, says: str) -> None:
    async with client(mosquitto) as link:
        await link.connected(10)
        for qos in (0, 1):
            with pytest.raises(LinkError, match=says):
                await link.publish(topic, bytes(size), qos=qos)
        await link.publish("fine", b"")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for localhost, ``cert.pem``, and its ``key.pem``."""
    if not (openssl := shutil.which("openssl")):
        pytest.skip("needs openssl: apt-get install openssl")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files]
    subprocess.run(command, check=True, capture_output=True)
    return tmp_path / "cert.pem"


@pytest.fixture
def secured(certificate: Path, mosquitto_process: Mosquitto) -> str:
    """The URL of a mosquitto with TLS that wants the password "hush" of user "u"."""
    mosquitto_process.stop()
    folder = certificate.parent
    passwords = folder / "passwords"
    passwords.write_text("u:hush\n")
    subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True, capture_output=True)
    config = mosquitto_process.config
    config.write_text(
        config.read_text().replace("allow_anonymous true", f"allow_anonymous false\npassword_file {passwords}")
        + f"certfile {certificate}\nkeyfile {folder / 'key.pem'}\n"
    )
    mosquitto_process.start()
    return f"mqtts://u@localhost:{mosquitto_process.port}"


async def test_tls_and_password(certificate: Path, secured: str) -> None:
    right = {"GROUND_MQTT_CA": str(certificate), "GROUND_MQTT_PASSWORD": "hush"}
    async with Client(parse_broker_url(secured, right), "g", subscriptions=TM) as link:
        await link.connected(10)
        await link.publish("tm/m/s/1", b"x" * 1_000_000)
        (packet,) = await collect(link, 1)
        assert len(packet.payload) == 1_000_000
    for environ, says in (
        ({"GROUND_MQTT_PASSWORD": "hush"}, "certificate"),
        (right | {"GROUND_MQTT_PASSWORD": "wrong"}, "refused by the broker: not authorized"),
    ):
        async with Client(parse_broker_url(secured, environ), "g") as link:
            with pytest.raises(LinkError, match=says):
                await link.connected(2)


async def test_a_host_that_nobody_knows_is_named() -> None:
    async with client("mqtt://no-such-host.invalid:1883") as link:
        with pytest.raises(LinkError, match=r"no-such-host\.invalid: [a-z]"):
            await link.connected(30)
