"""What goes wrong is said in a line, whatever it was that went wrong."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ground.__main__ import main
from ground.commands import missions
from ground.errors import ConfigError, LinkError

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


def fails(*errors: Exception) -> None:
    """Each in a task group in a task group, as services run them."""

    async def fail(error: Exception) -> None:
        async with asyncio.TaskGroup() as inner:
            inner.create_task(_raise(error))

    async def run() -> None:
        async with asyncio.TaskGroup() as outer:
            for error in errors:
                outer.create_task(fail(error))

    asyncio.run(run())


async def _raise(error: Exception) -> None:
    raise error


def run_with(monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> int:
    def run(options: argparse.Namespace) -> None:
        fails(*errors)

    monkeypatch.setattr(missions, "run", run)
    return main(["missions"])


def test_an_error_of_a_task_is_said_as_one_of_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_with(monkeypatch, ConfigError("a thing is wrong")) == 1
    assert capsys.readouterr().err == "ground missions: a thing is wrong\n"


def test_each_error_is_said_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_with(monkeypatch, ConfigError("one"), LinkError("two"), ConfigError("one")) == 1
    assert capsys.readouterr().err == "ground missions: one\nground missions: two\n"


def test_a_defect_among_them_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExceptionGroup):
        run_with(monkeypatch, ConfigError("one"), ZeroDivisionError())


def ground(*arguments: str) -> tuple[int, str]:
    """Exit status and the last line of a command's messages; there must be no traceback among them."""
    done = subprocess.run(
        [sys.executable, "-m", "ground", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()[-1]


def up(folder: Path, *arguments: str) -> tuple[int, str]:
    options = ["--no-browser", "--no-simulators", "--duration", "60", "--mqtt-port", "0", "--mqtt-v4-port", "0"]
    return ground("up", "--data", str(folder / "data"), *options, *arguments)


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, said = up(tmp_path, "--port", str(port))
        assert (status, said) == (
            1,
            f"ground up: the dashboard cannot listen on 127.0.0.1 port {port}: address already in use",
        )
        status, said = up(tmp_path, "--port", "0", "--mqtt-port", str(port))
        assert status == 1
        assert f"127.0.0.1:{port}" in said
        assert "ddress already in use" in said


def test_a_host_that_nobody_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUND_DASHBOARD_PASSWORD", "correct horse battery staple")
    status, said = up(tmp_path, "--host", "no-such-host.invalid", "--port", "0")
    assert status == 1
    assert said.startswith("ground up: the dashboard cannot listen on no-such-host.invalid port 0: ")


@pytest.mark.parametrize(
    ("command", "option"), [("up", "--port"), ("up", "--mqtt-port"), ("dashboard", "--port"), ("replay", "--port")]
)
@pytest.mark.parametrize("port", ["70000", "-1", "http"])
def test_what_is_no_port(command: str, option: str, port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, f"{option}={port}"])
    assert ended.value.code == 2
    assert f"argument {option}: '{port}' should be a port from 1 to 65535" in capsys.readouterr().err
