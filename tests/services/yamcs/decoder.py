"""Yamcs' own XTCE loader and packet extractor, as an oracle of what a definition file means.

The jars are what ``tests/services/yamcs/fetch`` has put into the cache. Without them, or without a Java compiler, the
tests that need them are skipped, with the reason.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Extracted:
    """What Yamcs found in a packet: the innermost container, and (raw, engineering) by parameter."""

    container: str
    values: dict[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Yamcs:
    """The compiled ``Decode.java`` and the jars that it needs."""

    classpath: str

    def decode(self, definition: Path, packets: Iterable[bytes]) -> list[Extracted]:
        """Load ``definition`` and extract ``packets``. Whatever Yamcs warns of is a failure."""
        done = subprocess.run(
            ["java", "-Duser.language=en", "-XX:TieredStopAtLevel=1", "-cp", self.classpath, "Decode", definition],
            input=b"".join(packets),
            capture_output=True,
            timeout=60,
            check=False,
        )
        said = done.stderr.decode("utf-8", "replace")
        assert done.returncode == 0, said
        assert not any(level in said for level in ("WARNING", "SEVERE", "Exception")), said
        lines = [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]
        return [
            Extracted(line["container"], {name: (raw, value) for name, (raw, value) in line["values"].items()})
            for line in lines
        ]


@pytest.fixture(scope="session")
def yamcs(tmp_path_factory: pytest.TempPathFactory) -> Yamcs:
    """Yamcs, ready to decode."""
    if not shutil.which("javac"):
        pytest.skip("Yamcs needs a Java compiler, 17 or newer: apt-get install default-jdk-headless")
    cached = subprocess.run([HERE / "fetch", "--cached"], capture_output=True, text=True, check=False)
    if cached.returncode:
        pytest.skip(cached.stderr.strip())
    jars, classes = f"{cached.stdout.strip()}/*", tmp_path_factory.mktemp("yamcs")
    subprocess.run(["javac", "-proc:none", "-cp", jars, "-d", classes, HERE / "Decode.java"], check=True)
    return Yamcs(f"{jars}:{classes}")
