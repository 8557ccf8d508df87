"""A mission folder that is wrong costs the others nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.service import Service

if TYPE_CHECKING:
    from pathlib import Path

DANURI = 'title = "Danuri"\n[link]\nlength = 220\nspacecraft_id = 187\npackets = "one_per_frame"\npacket_length = 212\n'


@pytest.mark.parametrize("command", ["ingest", "up"])
async def test_services_start_without_a_wrong_mission(tmp_path: Path, broker: str, command: str) -> None:
    (tmp_path / "missions" / "danuri").mkdir(parents=True)
    (tmp_path / "missions" / "danuri" / "mission.toml").write_text(DANURI)
    up = ["--no-simulators", "--no-browser", "--port", "0", "--mqtt-port", "0", "--mqtt-v4-port", "0"]
    arguments = [command, "--data", str(tmp_path / "data"), *(up if command == "up" else ["--broker", broker])]
    service = Service(tmp_path / "service.log", *arguments, environment={"GROUND_MISSIONS": str(tmp_path / "missions")})
    try:
        await service.said(r"mission danuri is left out: .*/danuri/mission\.toml:2: \[link\] packet_offset is missing")
        await service.said("connected" if command == "ingest" else "http://127.0.0.1:[1-9]")
        service.stop()
    finally:
        service.end()
