"""What benchmarks run against and this machine may lack: programs, and servers that are started anew."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Mosquitto
from tests.services.influxdb import Process, binary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.influxdb import Influxdb


class MissingError(Exception):
    """This machine hasn't got it; the words say how it could."""


def made(script: Path) -> Path:
    """What a script of ours builds or fetches once, and prints the place of. What it says is seen."""
    done = subprocess.run([script], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise MissingError("see above")
    return Path(done.stdout.strip())


def program(name: str, package: str) -> str:
    """The path of a program that a package of the system has."""
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
    if not found:
        raise MissingError(f"needs {name}: apt-get install {package}")
    return found


def influxd() -> str:
    """The path of InfluxDB's server."""
    try:
        return binary()
    except pytest.skip.Exception as skipped:
        raise MissingError(str(skipped)) from None


def version(*command: str) -> str:
    """The first version in what a program says."""
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+", said.stdout + said.stderr)
    return found[0] if found else "unknown"


@contextmanager
def mosquitto() -> Iterator[str]:
    """The URL of a broker without messages or sessions."""
    program("mosquitto", "mosquitto")
    with tempfile.TemporaryDirectory() as folder:
        broker = Mosquitto(Path(folder))
        broker.start()
        try:
            yield broker.url
        finally:
            broker.stop()


@contextmanager
def influxdb() -> Iterator[Influxdb]:
    """An InfluxDB without data."""
    with tempfile.TemporaryDirectory() as folder:
        process = Process(influxd(), Path(folder))
        process.start()
        try:
            yield process.set_up()
        finally:
            process.kill()
