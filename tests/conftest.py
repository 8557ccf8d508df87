from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from ground.link.broker import EmbeddedBroker

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

# How long an example takes says nothing about the code on a machine that others use.
settings.register_profile("ground", deadline=None)
settings.load_profile("ground")

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Under CI everything is installed: a test that is skipped there has failed to run."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped under CI: {report.longrepr}"
    return report


class Mosquitto:
    """A mosquitto of our own on a free port; ``stop`` and ``start`` keep port and stored sessions."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self.config = folder / "mosquitto.conf"
        self.config.write_text(
            # Started as root, it would become a user who may not write here; started as another, it takes no notice.
            f"user root\nlistener {self.port} 127.0.0.1\nallow_anonymous true\n"
            "max_inflight_messages 2000\nmax_queued_messages 0\n"
            f"persistence true\npersistence_location {folder}/\nlog_type none\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert MOSQUITTO
        self.process = subprocess.Popen([MOSQUITTO, "-c", str(self.config)])
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", self.port)):
                    return
            time.sleep(0.02)
        raise TimeoutError("mosquitto does not listen")

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None


@pytest.fixture
def mosquitto_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A mosquitto that a test may stop and start."""
    if not MOSQUITTO:
        pytest.skip("needs mosquitto: apt-get install mosquitto")
    broker = Mosquitto(tmp_path_factory.mktemp("mosquitto"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def mosquitto(mosquitto_process: Mosquitto) -> str:
    """The URL of a mosquitto of the test's own."""
    return mosquitto_process.url


@pytest.fixture
def embedded_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an embedded broker of the test's own."""
    with EmbeddedBroker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker.url


@pytest.fixture(params=["mosquitto", "embedded_broker"])
def broker(request: pytest.FixtureRequest) -> str:
    """The URL of each broker in turn."""
    url: str = request.getfixturevalue(request.param)
    return url
