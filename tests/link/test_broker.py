from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import aiomqtt
import pytest

from ground.errors import ConfigError, LinkError
from ground.link.broker import EmbeddedBroker
from ground.link.mqtt import Client, parse_broker_url

if TYPE_CHECKING:
    from pathlib import Path


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until_gone(port: int) -> None:
    deadline = time.monotonic() + 20
    while listens(port):
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def test_both_versions_meet(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as broker:
        assert broker.running
        async with Client(parse_broker_url(broker.url, {}), "g", subscriptions=[("tm/#", 1)]) as link:
            await link.connected(10)
            async with aiomqtt.Client("127.0.0.1", broker.port_v4, protocol=aiomqtt.ProtocolVersion.V311) as old:
                await old.publish("tm/m/s/1", b"3.1.1", qos=1)
            delivery = await link.receive()
            link.ack(delivery)
        assert [packet.payload for packet in delivery.packets] == [b"3.1.1"]
    wait_until_gone(broker.port)
    broker.stop()


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(LinkError, match=str(port)):
            EmbeddedBroker(tmp_path, port).start()


def test_a_folder_that_takes_no_file_is_not_the_ports_fault(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=f"{tmp_path}/file/broker: not writable"):
        EmbeddedBroker(tmp_path / "file" / "broker").start()


PARENT = """
import sys, time
from pathlib import Path
from ground.link.broker import EmbeddedBroker
with EmbeddedBroker(Path(sys.argv[1])) as broker:
    try:
        print(broker.port, flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("running" if broker.running else "gone", flush=True)
        time.sleep(0.5)
        print("running" if broker.running else "gone", flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_broker_ends_with_its_parent(tmp_path: Path, how: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        assert parent.stdout
        assert parent.stderr
        port = int(parent.stdout.readline())
        assert listens(port)
        if how == signal.SIGKILL:
            parent.kill()
        else:
            os.killpg(parent.pid, how)  # as a terminal does it: to both
            assert parent.stdout.read().split() == ["running", "running"]
        wait_until_gone(port)
        assert parent.stderr.read() == ""
