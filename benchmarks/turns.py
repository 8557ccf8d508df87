"""Our system and another one in turns, on the same machine in the same minutes: what else the machine does meets both.

Every turn begins with empty servers, and has three steps: start, load, measure.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from benchmarks.services import influxdb, mosquitto
from benchmarks.table import note
from ground.loadtest.work import PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TURNS = 2


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one turn. ``packets_per_s``: stored, counted from the first one sent. ``cpu_us_per_packet``: CPU time, user
    and system, of the process that takes packets in and hands them to the store (Yamcs: is the store)."""

    packets_per_s: float
    cpu_us_per_packet: float


class System(Protocol):
    """What is measured."""

    def start(self, stack: ExitStack) -> None:
        """Start everything; ``stack`` ends it."""

    def load(self) -> None:
        """Send packets as fast as they are taken without loss, and return when all are stored."""

    def measure(self) -> Figures:
        """Read back how many are stored."""


class Ours:
    """``ground loadtest`` with mosquitto, one frame with one packet a message; it reads back every value itself."""

    def __init__(self, store: str, packets: int, containers: int) -> None:
        """``store``: duckdb or influxdb."""
        self._store = store
        self._options = (f"--packets={packets}", f"--parameters={PARAMETERS}", f"--containers={containers}")
        self._environment: dict[str, str] = {}
        self._broker = ""
        self._report: dict[str, Any] = {}

    def start(self, stack: ExitStack) -> None:
        """Broker and, where it is one, server of the store; the load test starts the ingest."""
        self._broker = stack.enter_context(mosquitto())
        if self._store == "influxdb":
            server = stack.enter_context(influxdb())
            self._store = f"influxdb://{server.netloc}/{server.org}/first"
            self._environment["INFLUXDB_TOKEN"] = server.token

    def load(self) -> None:
        """Run it."""
        command = [sys.executable, "-m", "ground", "loadtest", "--json", "--broker", self._broker]
        done = subprocess.run(
            [*command, "--store", self._store, *self._options],
            env=os.environ | self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        self._report = json.loads(done.stdout)

    def measure(self) -> Figures:
        """What it reported."""
        a_packet = self._report["stored_samples"] / self._report["stored_packets"]
        return Figures(self._report["samples_per_s"] / a_packet, self._report["cpu_us_per_sample"] * a_packet)


def side_by_side(
    benchmark: str, ours: Callable[[], System], rival: Callable[[], System], versions: Mapping[str, str]
) -> None:
    """Measure ours, the rival, ours, the rival ..., and note the means of both and their ratios."""
    figures: dict[str, list[Figures]] = {"ours": [], "rival": []}
    for turn in range(TURNS):
        for name, make in (("ours", ours), ("rival", rival)):
            with ExitStack() as stack:
                system = make()
                system.start(stack)
                system.load()
                measured = system.measure()
            figures[name].append(measured)
            print(
                f"  turn {turn + 1}, {name}: {measured.packets_per_s:,.0f} packets/s stored, "
                f"{measured.cpu_us_per_packet:.1f} us of CPU a packet",
                flush=True,
            )
    (our_rate, our_cpu), (rival_rate, rival_cpu) = (
        (
            statistics.fmean(one.packets_per_s for one in figures[name]),
            statistics.fmean(one.cpu_us_per_packet for one in figures[name]),
        )
        for name in ("ours", "rival")
    )
    note(
        benchmark,
        versions,
        packets_per_s=our_rate,
        samples_per_s=our_rate * PARAMETERS,
        cpu_us_per_sample=our_cpu / PARAMETERS,
        rival_packets_per_s=rival_rate,
        rival_samples_per_s=rival_rate * PARAMETERS,
        rival_cpu_us_per_sample=rival_cpu / PARAMETERS,
        times_the_rate=our_rate / rival_rate,
        times_less_cpu=rival_cpu / our_cpu,
    )


def packets_asked_for(what: str | None, usual: int) -> int:
    """From the command line: of each turn, in whole thousands. A busy machine is slow with the usual number."""
    parser = argparse.ArgumentParser(description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packets", type=int, default=usual)
    packets: int = parser.parse_args().packets
    return -(-packets // 1000) * 1000


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, all its threads, user and system (proc(5), ``stat``)."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
