"""Telegraf's way from MQTT to InfluxDB against ours, one packet of 32 float32 a message, QoS 1, mosquitto, InfluxDB 2.

    python -m benchmarks.telegraf [--packets N]

Telegraf gets the bare packet, one layout for all, and no gzip; ours the packet in an AOS frame, and records it first.
Budgets: 5 times less CPU a sample; 1.7 times the samples/s.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.services import MissingError, influxd, influxdb, made, mosquitto, program, version
from benchmarks.turns import Figures, Ours, cpu_seconds, packets_asked_for, side_by_side
from benchmarks.work import bare_packets
from ground.link.mqtt import parse_broker_url
from ground.loadtest.publisher import Publisher
from ground.loadtest.wire import Shape
from ground.loadtest.work import PARAMETERS, Work

if TYPE_CHECKING:
    from contextlib import ExitStack

    from tests.services.influxdb import Influxdb

BUILD = Path(__file__).parent / "rivals" / "telegraf" / "build"

PACKETS = 150_000
BATCH = 5_000
AHEAD = 40_000
"""Messages sent and not yet stored: as many as Telegraf holds, and always some more in the broker, which drops none."""

CHUNK = 250
TOPIC = "rival"

CONFIG = """\
[agent]
flush_interval = "1s"
metric_batch_size = {batch}
metric_buffer_limit = 100000
omit_hostname = true
debug = true
logfile = "{log}"

[[outputs.influxdb_v2]]
urls = ["http://{server}"]
organization = "{org}"
bucket = "first"
token = "${{INFLUXDB_TOKEN}}"
content_encoding = "identity"

[[inputs.mqtt_consumer]]
servers = ["{broker}"]
topics = ["{topic}"]
topic_tag = ""
qos = 1
max_undelivered_messages = 20000
data_format = "binary"
endianness = "be"

[[inputs.mqtt_consumer.binary]]
metric_name = "Load"
entries = [
  {{ bits = 48, omit = true }},
  {{ type = "unix_ns", assignment = "time" }},
{fields}
]
"""


class Telegraf:
    """Its ``mqtt_consumer``, ``binary`` parser and ``influxdb_v2`` output."""

    def __init__(self, binary: Path, packets: int) -> None:
        self._binary = binary
        self._packets = packets

    def start(self, stack: ExitStack) -> None:
        """Broker, database, Telegraf."""
        self._broker = stack.enter_context(mosquitto())
        self._server: Influxdb = stack.enter_context(influxdb())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self._work = Work(time.time_ns(), containers=1)
        self._log = folder / "telegraf.log"
        config = CONFIG.format(
            batch=BATCH,
            log=self._log,
            server=self._server.netloc,
            org=self._server.org,
            broker=self._broker.replace("mqtt:", "tcp:"),
            topic=TOPIC,
            fields=",\n".join(f'  {{ name = "p{number}", type = "float32" }}' for number in range(PARAMETERS)),
        )
        (folder / "telegraf.conf").write_text(config, "utf-8")
        self._process = subprocess.Popen(
            [self._binary, "--config", folder / "telegraf.conf"],
            env=os.environ | {"INFLUXDB_TOKEN": self._server.token},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(self._process.wait)
        stack.callback(self._process.terminate)
        for _ in range(300):
            if self._log.exists() and "Connected [" in self._log.read_text("utf-8"):
                break
            assert self._process.poll() is None, "Telegraf has ended"
            time.sleep(0.1)
        # It doesn't say when its subscription is confirmed. Were it not, the count at the end would be short.
        time.sleep(1)

    def load(self) -> None:
        """At most :data:`AHEAD` messages ahead of what Telegraf says that it has written."""
        asyncio.run(self._load())

    async def _load(self) -> None:
        shape = Shape(TOPIC, "r", self._work.kinds[0].length)
        publisher = await Publisher.connect(parse_broker_url(self._broker), "publisher")
        cpu, start = cpu_seconds(self._process.pid), time.monotonic()
        seq = np.zeros(CHUNK, np.int64)
        written = full = 0
        rest = ""
        with self._log.open(encoding="utf-8") as log:
            while written < self._packets:
                *lines, rest = (rest + log.read()).split("\n")
                for line in lines:
                    if found := re.search(r"Wrote batch of (\d+) metrics", line):
                        written += int(found[1])
                        if written > self._packets - BATCH and not full:
                            # What remains is no full batch and waits for the next flush, which is no matter of speed.
                            full, self._seconds = written, time.monotonic() - start
                    assert " E! " not in line, line
                if publisher.sent < self._packets and publisher.sent - written < AHEAD:
                    packets = bare_packets(self._work, publisher.sent, CHUNK)
                    await publisher.send(shape.packets(packets, seq, seq, publisher.packet_ids(CHUNK)))
                    await asyncio.sleep(0)
                else:
                    await asyncio.sleep(0.005)
                assert time.monotonic() - start < 120, f"Telegraf has written {written} of {publisher.sent}"
        self._full = full
        self._cpu = cpu_seconds(self._process.pid) - cpu
        publisher.close()

    def measure(self) -> Figures:
        """Count every parameter."""
        with self._server.api() as api:
            answer = api.get("/query", params={"db": "first", "q": 'SELECT count(*) FROM "Load"'}).raise_for_status()
        (series,) = answer.json()["results"][0]["series"]
        counts = dict(zip(series["columns"], series["values"][0], strict=True))
        expected = {f"count_p{number}": self._packets for number in range(PARAMETERS)}
        assert {name: counts.get(name) for name in expected} == expected, counts
        return Figures(self._full / self._seconds, self._cpu * 1e6 / self._packets)


def main() -> None:
    packets = packets_asked_for(__doc__, PACKETS)
    try:
        binary = made(BUILD)
        side_by_side(
            "against Telegraf, InfluxDB, mosquitto, 1 packet a message",
            lambda: Ours("influxdb", packets, containers=1),
            lambda: Telegraf(binary, packets),
            {
                "mosquitto": version(program("mosquitto", "mosquitto"), "-h"),
                "influxd": Path(influxd()).name.removeprefix("influxd-"),
                "telegraf": binary.name.partition("-")[2],
            },
        )
    except MissingError as missing:
        print(f"against Telegraf: {missing}")


if __name__ == "__main__":
    main()
