"""A real InfluxDB 2 server for tests.

``INFLUXDB_URL`` (``influxdb://HOST:PORT/ORG``, with an all-access ``INFLUXDB_TOKEN``) names one that runs already,
``INFLUXD`` a binary; otherwise it is the one that ``tests/services/influxd/build`` has put into the cache. Without any
of them the tests that need it are skipped, with the reason.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILD = Path(__file__).parent / "influxd" / "build"


@dataclass(frozen=True, slots=True)
class Influxdb:
    """A server: its host and port, an organisation, and a token that may do everything."""

    netloc: str
    org: str
    token: str

    def api(self) -> httpx.Client:
        """A client of its HTTP API."""
        return httpx.Client(
            base_url=f"http://{self.netloc}", headers={"Authorization": f"Token {self.token}"}, timeout=30
        )

    @contextmanager
    def bucket(self, retention_s: int = 0) -> Iterator[str]:
        """The store address of a new bucket, which is deleted afterwards."""
        name = f"test-{secrets.token_hex(6)}"
        with self.api() as api:
            (org,) = api.get("/api/v2/orgs", params={"org": self.org}).raise_for_status().json()["orgs"]
            rules = [{"type": "expire", "everySeconds": retention_s}] if retention_s else []
            created = api.post("/api/v2/buckets", json={"name": name, "orgID": org["id"], "retentionRules": rules})
            bucket = created.raise_for_status().json()["id"]
            try:
                yield f"influxdb://{self.netloc}/{quote(self.org, safe='')}/{name}"
            finally:
                api.delete(f"/api/v2/buckets/{bucket}")


class Process:
    """An influxd of the test's own, which can be killed and started again on the same port and data."""

    def __init__(self, binary: str, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.netloc = f"127.0.0.1:{probe.getsockname()[1]}"
        self._command = [
            binary,
            f"--http-bind-address={self.netloc}",
            f"--bolt-path={folder / 'influxd.bolt'}",
            f"--sqlite-path={folder / 'influxd.sqlite'}",
            f"--engine-path={folder / 'engine'}",
            "--reporting-disabled",
            "--log-level=warn",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self._folder / "influxd.log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        give_up = time.monotonic() + 60
        while True:
            try:
                if httpx.get(f"http://{self.netloc}/health", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            if self._process.poll() is not None or time.monotonic() > give_up:
                self.kill()
                raise RuntimeError(f"influxd did not start: {(self._folder / 'influxd.log').read_text()[-2000:]}")
            time.sleep(0.05)

    def set_up(self) -> Influxdb:
        """Create the first user, organisation and token."""
        token = secrets.token_urlsafe(24)
        first = {
            "username": "test",
            "password": secrets.token_hex(8),
            "org": "perilune",
            "bucket": "first",
            "token": token,
        }
        httpx.post(f"http://{self.netloc}/api/v2/setup", json=first, timeout=30).raise_for_status()
        return Influxdb(self.netloc, "perilune", token)

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None


class SmallDisk(Process):
    """One whose data lie on a small disk of its own: a tmpfs in a mount namespace, which ends with the process."""

    def __init__(self, binary: str, folder: Path) -> None:
        super().__init__(binary, folder)
        namespace = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "--mount"]
        if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode:
            pytest.skip("needs a mount namespace: run as root, or allow user namespaces")
        mount = 'mount -t tmpfs -o size=64m tmpfs "$0" && exec "$@"'
        self._command = [*namespace, "sh", "-c", mount, str(folder), *self._command]

    @property
    def _ballast(self) -> Path:
        assert self._process
        return Path(f"/proc/{self._process.pid}/root") / self._folder.relative_to("/") / "ballast"

    def fill(self) -> None:
        """Leave no octet free."""
        with self._ballast.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass

    def free(self) -> None:
        """Give it all back."""
        self._ballast.unlink()


def binary() -> str:
    """The influxd to run; skips the test where there is none."""
    if named := os.environ.get("INFLUXD"):
        return named
    cached = subprocess.run([BUILD, "--cached"], capture_output=True, text=True, check=False)
    if cached.returncode:
        pytest.skip(cached.stderr.strip())
    return cached.stdout.strip()


@pytest.fixture(scope="session")
def influxdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxdb]:
    """A server that the tests of a run share; each takes a bucket of its own."""
    if url := os.environ.get("INFLUXDB_URL"):
        parts = urlsplit(url)
        yield Influxdb(parts.netloc, parts.path.strip("/"), os.environ["INFLUXDB_TOKEN"])
        return
    process = Process(binary(), tmp_path_factory.mktemp("influxd"))
    process.start()
    try:
        yield process.set_up()
    finally:
        process.kill()


@pytest.fixture
def influxd(tmp_path: Path) -> Iterator[Process]:
    """A server of the test's own, not started."""
    process = Process(binary(), tmp_path)
    try:
        yield process
    finally:
        process.kill()
