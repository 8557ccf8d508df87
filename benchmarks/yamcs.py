"""Yamcs, which takes packets by TCP into its own archive, against ours: mosquitto, one packet of 32 float32 a message,
DuckDB.

    python -m benchmarks.yamcs [--packets N]

Both decode by the same XTCE file. Yamcs gets bare packets, 1 ms apart since it keeps time to the millisecond; ours the
packets in AOS frames, damaged and repeated ones among them, and records them first. Budget: 1.7 times the packets/s.
"""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np

from benchmarks.services import MissingError, made, program, version
from benchmarks.turns import Figures, Ours, cpu_seconds, packets_asked_for, side_by_side
from benchmarks.work import bare_packets
from ground.loadtest.work import CONTAINERS, MISSION, PARAMETERS, Work
from tests.services.yamcs.decoder import HERE

if TYPE_CHECKING:
    from contextlib import ExitStack

WARM_UP = 100_000
"""Packets before those that count, for the just-in-time compiler."""

PACKETS = 150_000
CHUNK = 1_000
STEP = 1_000_000
"""ns from one packet to the next."""

TIME = slice(6, 14)
"""Octets of a packet: its time."""

INSTANCE, LINK = "bench", "tcp"


class Yamcs:
    """A server with one instance: TCP link, packet recorder, parameter archive, and what these cannot do without."""

    def __init__(self, jars: Path, packets: int) -> None:
        self._jars = jars
        self._packets = packets
        self._work = Work(time.time_ns() // 10**6 * 10**6)

    def start(self, stack: ExitStack) -> None:
        """The server, which connects to us."""
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self._work.write_mission(folder)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.settimeout(1)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        (folder / "etc").mkdir()
        for name, content in self._configuration(folder, port, listener.getsockname()[1]).items():
            (folder / "etc" / f"{name}.yaml").write_text(json.dumps(content), "utf-8")  # JSON is YAML, too
        log = stack.enter_context((folder / "log").open("wb"))
        command = ["java", "-cp", f"{self._jars}/*", "org.yamcs.YamcsServer", "--no-color"]
        self._process = subprocess.Popen([*command, "--etc-dir", folder / "etc"], stdout=log, stderr=log, cwd=folder)
        stack.callback(self._process.wait)
        stack.callback(self._process.kill)
        self._api = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}/api", timeout=60))
        self._socket = stack.enter_context(self._accept(listener, folder / "log"))
        self._send(0, WARM_UP)

    def _accept(self, listener: socket.socket, log: Path) -> socket.socket:
        for _ in range(60):
            with suppress(TimeoutError):
                return listener.accept()[0]
            if self._process.poll() is not None:
                break
        raise AssertionError(f"Yamcs has not connected: {log.read_text('utf-8')[-4000:]}")

    def load(self) -> None:
        """As fast as TCP takes them."""
        cpu, start = cpu_seconds(self._process.pid), time.monotonic()
        self._send(WARM_UP, self._packets)
        self._seconds = time.monotonic() - start
        self._cpu = cpu_seconds(self._process.pid) - cpu

    def measure(self) -> Figures:
        """Count the packets in the one archive, and in the other the values of their first and last parameter, which
        lie there in one segment with all between. That one drops what comes too fast; only what is there counts.
        """
        total = WARM_UP + self._packets
        answer = self._ask("post", f"/archive/{INSTANCE}:executeSql", json={"statement": "select count(*) from tm"})
        assert answer["rows"][0]["values"][0]["sint64Value"] == str(total), answer
        around = {"start": self._work.epoch - 10**9, "stop": self._work.epoch + total * STEP + 10**9}
        window = {name: datetime.fromtimestamp(ns // 10**9, UTC).isoformat() for name, ns in around.items()}
        values = []
        for parameter in ("p0", f"p{PARAMETERS - 1}"):
            path = f"/archive/{INSTANCE}/parameters/LoadTest/{parameter}/samples"
            answer = self._ask("get", path, params={"source": "ParameterArchive", **window})
            values.append(sum(sample.get("n", 0) for sample in answer["sample"]))
        if min(values) < total:
            print(f"  Yamcs' parameter archive has the values of {min(values):,} of {total:,} packets")
        stored = self._packets * min(values) / total
        return Figures(stored / self._seconds, self._cpu * 1e6 / stored)

    def _ask(self, method: str, path: str, **what: Any) -> Any:
        return self._api.request(method, path, **what).raise_for_status().json()

    def _send(self, first: int, n: int) -> None:
        """Send packets, and return when the link has passed the last one on: to the recorder, and to the archive."""
        for start in range(first, first + n, CHUNK):
            packets = bare_packets(self._work, start, CHUNK)
            times = self._work.epoch + np.arange(start, start + CHUNK) * STEP
            packets[:, TIME] = times.astype(">i8").view(np.uint8).reshape(CHUNK, 8)
            self._socket.sendall(packets.tobytes())
        give_up = time.monotonic() + 120
        while self._received() < first + n:
            assert time.monotonic() < give_up, f"Yamcs has taken {self._received()} of {first + n} packets"
            time.sleep(0.05)

    def _received(self) -> int:
        return int(self._ask("get", f"/links/{INSTANCE}/{LINK}").get("dataInCount", 0))

    @staticmethod
    def _configuration(folder: Path, http_port: int, tm_port: int) -> dict[str, Any]:
        """The files of Yamcs' configuration."""
        server = {
            "services": [{"class": "org.yamcs.http.HttpServer", "args": {"port": http_port, "address": "127.0.0.1"}}],
            "dataDir": str(folder / "data"),
            "instances": [INSTANCE],
            "secretKey": "none",
        }
        instance = {
            "services": [
                {"class": "org.yamcs.archive.XtceTmRecorder"},
                {"class": "org.yamcs.ProcessorCreatorService", "args": {"name": "realtime", "type": "realtime"}},
                {
                    "class": "org.yamcs.parameterarchive.ParameterArchive",
                    "args": {"realtimeFiller": {"enabled": True}, "backFiller": {"enabled": False}},
                },
                {
                    "class": "org.yamcs.parameter.ParameterRetrievalService",
                    "args": {"parameterCache": {"enabled": False}},
                },
            ],
            "dataLinks": [
                {
                    "name": LINK,
                    "class": "org.yamcs.tctm.TcpTmDataLink",
                    "stream": "tm_realtime",
                    "host": "127.0.0.1",
                    "port": tm_port,
                    "packetInputStreamClassName": "org.yamcs.tctm.CcsdsPacketInputStream",
                    "packetPreprocessorClassName": "org.yamcs.tctm.GenericPacketPreprocessor",
                    "packetPreprocessorArgs": {
                        "timestampOffset": TIME.start,
                        "seqCountOffset": 2,
                        "timeEncoding": {"type": "FIXED", "size": 8, "multiplier": 1e-6, "epoch": "UNIX"},
                    },
                }
            ],
            "mdb": [{"type": "xtce", "args": {"file": str(folder / MISSION / "telemetry.xml")}}],
            "streamConfig": {"tm": [{"name": "tm_realtime"}], "event": ["events_realtime"]},
        }
        processor = {
            "realtime": {
                "services": [{"class": "org.yamcs.StreamTmPacketProvider", "args": {"streams": ["tm_realtime"]}}],
                "config": {"subscribeAll": True},
            }
        }
        return {"yamcs": server, f"yamcs.{INSTANCE}": instance, "processor": processor}


def main() -> None:
    packets = packets_asked_for(__doc__, PACKETS)
    try:
        java, jars = program("java", "default-jdk-headless"), made(HERE / "fetch")
        side_by_side(
            "against Yamcs, DuckDB, mosquitto, 1 packet a message",
            lambda: Ours("duckdb", packets, containers=CONTAINERS),
            lambda: Yamcs(jars, packets),
            {
                "mosquitto": version(program("mosquitto", "mosquitto"), "-h"),
                "java": version(java, "-version"),
                "yamcs": jars.parents[1].name.partition("-")[2],
            },
        )
    except MissingError as missing:
        print(f"against Yamcs: {missing}")


if __name__ == "__main__":
    main()
