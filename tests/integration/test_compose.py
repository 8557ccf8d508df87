"""What docker-compose.yml says, tried without Docker: every command that it runs, process by process."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from ground.__main__ import COMMANDS
from tests.conftest import MOSQUITTO
from tests.integration.service import Service, free_port
from tests.services.influxdb import Process, binary

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = ("ingest", "luna26", "tianwen1", "dashboard")


def test_everything_that_is_named_is_defined() -> None:
    assert set(SERVICES) == {"mosquitto", "influxdb", *OURS}
    for name, service in SERVICES.items():
        assert service["restart"] == "unless-stopped"
        assert ("build" in service) == (name in OURS)
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in COMPOSE["volumes"]
        for config in service.get("configs", []):
            assert (ROOT / COMPOSE["configs"][config["source"]]["file"]).is_file()
        for other, condition in service.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"}
            assert "healthcheck" in SERVICES[other]
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), "published to the whole network"
        for key, value in service.get("environment", {}).items():
            assert "PASSWORD" not in key or key.endswith("_FILE"), f"{key}={value}: a secret in the file"
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"secrets/{name}"}
    assert all(SERVICES[name]["command"][0] in COMMANDS for name in OURS)


def test_images_are_pinned_and_ours_runs_as_nobody_in_particular() -> None:
    for service in SERVICES.values():
        assert service["image"].rpartition(":")[2] not in ("", "latest")
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    final = lines[max(i for i, line in enumerate(lines) if line.startswith("FROM")) :]
    assert "USER ground" in final
    assert any(line.startswith("ENTRYPOINT") for line in final)


class Room:
    """The services as processes on free ports, each with the environment and the secrets that the file gives it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets: dict[str, Path] = {name: folder / name for name in COMPOSE["secrets"]}
        for file in self.secrets.values():
            file.write_text(secrets.token_urlsafe(24) + "\n")
        self.ports = {name: free_port() for name in ("mosquitto", "dashboard")}
        self.influxdb = Process(binary(), folder)
        self.processes: dict[str, Service | subprocess.Popen[bytes]] = {}

    def secret(self, name: str) -> str:
        return self.secrets[name].read_text().strip()

    def environment(self, service: str) -> dict[str, str]:
        return {
            key: str(self.secrets[value.rpartition("/")[2]])
            for key, value in SERVICES[service].get("environment", {}).items()
            if value.startswith("/run/secrets/")
        }

    def arguments(self, service: str) -> list[str]:
        places = {
            "mosquitto:1883": f"127.0.0.1:{self.ports['mosquitto']}",
            "influxdb:8086": self.influxdb.netloc,
            "0.0.0.0": "127.0.0.1",
            "8000": str(self.ports["dashboard"]),
            "/data": str(self.folder / service),
        }
        arguments = []
        for argument in SERVICES[service]["command"]:
            for place, here in places.items():
                argument = argument.replace(place, here)
            arguments.append(str(argument))
        return arguments

    def start_mosquitto(self) -> None:
        config = (ROOT / "deploy" / "mosquitto.conf").read_text()
        config = config.replace("listener 1883", f"listener {self.ports['mosquitto']} 127.0.0.1")
        config = config.replace("/tmp/passwords", str(self.folder / "passwords"))
        config = config.replace("/mosquitto/data/", f"{self.folder}/")
        (self.folder / "mosquitto.conf").write_text(f"user root\n{config}")
        self.processes["mosquitto"] = subprocess.Popen(
            ["sh", ROOT / "deploy" / "mosquitto.sh"],
            env={
                **os.environ,
                "PATH": f"{os.environ['PATH']}:/usr/sbin",
                "PASSWORDS": str(self.folder / "passwords"),
                "SECRET": str(self.secrets["mqtt_password"]),
                "CONFIG": str(self.folder / "mosquitto.conf"),
            },
            stdin=subprocess.DEVNULL,
        )

    def start_influxdb(self) -> None:
        self.influxdb.start()
        made = SERVICES["influxdb"]["environment"]
        first = {
            "username": made["DOCKER_INFLUXDB_INIT_USERNAME"],
            "password": self.secret("influxdb_password"),
            "token": self.secret("influxdb_token"),
            "org": made["DOCKER_INFLUXDB_INIT_ORG"],
            "bucket": made["DOCKER_INFLUXDB_INIT_BUCKET"],
        }
        httpx.post(f"http://{self.influxdb.netloc}/api/v2/setup", json=first, timeout=30).raise_for_status()

    def start(self, service: str) -> None:
        environment = self.environment(service)
        log = self.folder / f"{service}.log"
        self.processes[service] = Service(log, *self.arguments(service), environment=environment)

    def end(self) -> None:
        for process in reversed(self.processes.values()):
            if isinstance(process, Service):
                process.end()
            else:
                process.terminate()
                process.wait()
        self.influxdb.kill()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    if not MOSQUITTO or not shutil.which("mosquitto_passwd"):
        pytest.skip("needs mosquitto: apt-get install mosquitto")
    room = Room(tmp_path)
    yield room
    room.end()


async def test_the_commands_give_the_page_with_both_spacecraft(room: Room) -> None:
    # Ingest and simulators first: they wait for a broker and a database that are not there yet.
    for service in ("ingest", "luna26", "tianwen1"):
        room.start(service)
    room.start_mosquitto()
    room.start_influxdb()
    room.start("dashboard")
    dashboard = room.processes["dashboard"]
    assert isinstance(dashboard, Service)
    page = (await dashboard.said(r"Perilune Ground\s+(http://\S+)"))[1]
    async with httpx.AsyncClient(base_url=page) as stranger:
        assert (await stranger.get("/healthz")).status_code == 200
        assert (await stranger.get("/api/missions")).status_code == 401
    password = ("operator", room.secret("dashboard_password"))
    async with httpx.AsyncClient(base_url=page, auth=password, timeout=30) as operator:
        await dashboard.until(lambda: stored_in_both(operator))
        for mission in ("luna26", "tianwen1"):
            latest = (
                await operator.get(
                    f"/api/missions/{mission}/latest",
                    params={"parameter": "Power/bus_voltage"},
                    headers={"accept": "application/json"},
                )
            ).json()
            assert 20 < latest["rows"][0]["last"] < 40
        ledger = (await operator.get("/api/ledger")).json()
        assert all(mission["balanced"] for mission in ledger["missions"].values())


async def stored_in_both(client: httpx.AsyncClient) -> bool:
    missions = (await client.get("/api/ledger")).json()["missions"]
    return all(missions.get(name, {}).get("rows", {}).get("stored", 0) > 50 for name in ("luna26", "tianwen1"))
