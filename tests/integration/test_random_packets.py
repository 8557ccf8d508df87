"""Random packets through broker, recording, decoder and store: every value of the REST history is the oracle's."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from ground.link.address import parse_broker_url
from ground.link.mqtt import Client, Outgoing
from ground.xtce import read
from tests.integration.service import ledger_when, settled
from tests.integration.test_up import Up
from tests.xtce.definition import Oracle, packet, same_float

if TYPE_CHECKING:
    from collections.abc import Iterator

MISSIONS = Path(__file__).parent / "missions"
XTCE = MISSIONS / "probe" / "telemetry.xml"
OCTETS = {100: 42, 101: 18, 102: 20}
COUNT = 900
EPOCH = 1_830_297_600 * 10**9  # 2028-01-01
STEP = 10**9 // 2


@pytest.fixture
def up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Up]:
    monkeypatch.setenv("GROUND_MISSIONS", str(MISSIONS))
    service = Up(tmp_path, "--no-simulators")
    yield service
    service.end()


def frame(number: int, octets: bytes) -> bytes:
    header = (1 << 14 | 33 << 6 | 5).to_bytes(2, "big") + number.to_bytes(3, "big") + b"\0"
    half_seconds = (number << 15).to_bytes(6, "big")
    return header + half_seconds + b"\0\0" + octets.ljust(100, b"\xaa") + bytes(6)


def random_packets() -> list[bytes]:
    random = np.random.default_rng(1291)
    packets = []
    for i in range(COUNT):
        apid = 100 + int(random.integers(3))
        letters = bytes(random.integers(97, 123, i % 8, np.uint8).tolist())
        text = letters.ljust(8, b"\0") if apid == 100 else b""
        rest = random.integers(0, 256, OCTETS[apid] - len(text), np.uint8).tobytes()
        packets.append(packet(text + rest, apid, i))
    return packets


def same(kind: str, ours: dict[str, Any], theirs: Any, labels: dict[str, str]) -> bool:
    if kind == "float":
        return same_float(ours["last"], float(theirs))
    if kind == "enumeration":
        return labels[str(int(ours["last"]))] == str(theirs)
    if kind == "string":
        return bool(ours["text"] == str(theirs))
    if kind == "binary":
        return base64.b64decode(ours["text"]) == bytes(theirs)
    return int(ours["last"] if ours["text"] is None else ours["text"]) == int(theirs)


async def test_every_value_is_that_of_space_packet_parser(up: Up) -> None:
    page, broker = await up.urls()
    packets = random_packets()
    messages = [
        Outgoing("tm/probe/here/5", b"".join(frame(j, packets[j]) for j in range(i, min(i + 7, COUNT))))
        for i in range(0, COUNT, 7)
    ]
    async with Client(parse_broker_url(broker), "station") as client:
        await client.publish_many(messages)
    ledger = await ledger_when(broker, settled(len(messages)))
    assert ledger["missions"]["probe"]["rows"] == {"stored": COUNT, "repeated": 0}

    oracle = Oracle(XTCE)
    parsed = [oracle.parse(octets) for octets in packets]
    system = read.load(XTCE)
    compared = 0
    async with httpx.AsyncClient(base_url=page) as http:
        about = {p["name"]: p for p in (await http.get("/api/missions/probe/parameters")).json()}
        for apid, container in ((100, "Mixed"), (101, "Numbers"), (102, "Blob")):
            mine = [i for i in range(COUNT) if parsed[i]["apid"] == apid]
            names = [entry.parameter.name for entry in system.containers[container].entries]
            query: dict[str, Any] = {"parameter": [f"{container}/{name}" for name in names], "buckets": COUNT}
            query |= {"start": "2028-01-01T00:00:00Z", "stop": "2028-01-02T00:00:00Z"}
            answer = (await http.get("/api/missions/probe/history", params=query)).raise_for_status()
            table = pa.ipc.open_stream(io.BytesIO(answer.content)).read_all()
            for name in names:
                key = f"{container}/{name}"
                chosen = table.filter(pa.array([other.as_py() == key for other in table.column("parameter")]))
                assert chosen.column("time").cast(pa.int64()).to_pylist() == [EPOCH + i * STEP for i in mine]
                labels = about[key]["labels"] or {}
                for i, row in zip(mine, chosen.select(["last", "text"]).to_pylist(), strict=True):
                    assert same(about[key]["kind"], row, parsed[i][name], labels), (key, i, row, parsed[i][name])
                    compared += 1
    assert compared > 7000
    up.stop()
