"""Nothing is counted where nobody sees it: each number of the ledger is at /metrics."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry

from dashboard.hub import Hub
from dashboard.journal import Journal
from dashboard.metrics import _Ground
from ground.link.address import parse_broker_url
from ground.processing.ledger import MissionLedger

if TYPE_CHECKING:
    from tests.dashboard.conftest import Setup


def parsed(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    found = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}
    assert len(found) == len(samples), "Prometheus refuses a sample that comes twice"
    return found


def numbers(values: Any) -> list[float]:
    if isinstance(values, dict):
        return [number for inner in values.values() for number in numbers(inner)]
    return [float(values)] if isinstance(values, int | float) else []


async def test_every_number_of_the_ledger_is_there(setup: Setup) -> None:
    mission = MissionLedger(frames_in=101, duplicate=102, packets_in=103, idle=104, decoded=105, missing=106)
    mission.rejected["crc"] = 107
    mission.undecoded["no such APID"] = 108
    channel = mission.channel("bear-lakes", 2)
    channel.frames, channel.gaps, channel.lost, channel.unheard, channel.dropped, channel.packets = range(109, 115)
    rows = {"stored": 115, "repeated": 116, "refused": 117}
    told = {
        "link": {"state": "connected", "received": 118, "acknowledged": 119, "protocol_errors": 120},
        "position": {"recorded": 121, "processed": 122, "stored": 123},
        "store": {"error": None, "behind_s": 124.5},
        "unrouted": {'no "mission"\n': 125},
        "missions": {"luna 26": {**mission.report(), "rows": rows, "pending": 126, "unfit": {"Power/voltage": 127}}},
        "balanced": True,
    }
    async with setup.dashboard(ledger=lambda: told) as dashboard, dashboard.live() as socket:
        await socket.recv()
        answer = await dashboard.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = parsed(answer.text)
    assert sorted(numbers(told)) == sorted(
        value for (name, _), value in found.items() if name.startswith("ground_") and "_dashboard_" not in name
    )
    mission_label = ("mission", "luna 26")
    assert found["ground_mission_frames_rejected_total", (mission_label, ("reason", "crc"))] == 107
    assert found["ground_mission_vc_lost_total", (mission_label, ("vc", "bear-lakes/2"))] == channel.lost
    assert found["ground_mission_rows_refused_total", (mission_label,)] == 117
    assert found["ground_mission_pending", (mission_label,)] == 126
    assert found["ground_position_stored", ()] == 123
    assert found["ground_unrouted_total", (("reason", 'no "mission"\n'),)] == 125
    assert found["ground_dashboard_viewers", ()] == found["ground_dashboard_connected", ()] == 1
    assert found["process_open_fds", ()] > 0


async def test_what_the_hub_counts(setup: Setup) -> None:
    async with setup.dashboard() as dashboard:
        dashboard.hub.counts["damaged"] = 7
        found = parsed((await dashboard.client.get("/metrics")).text)
    assert found["ground_dashboard_messages_total", (("what", "damaged"),)] == 7
    assert found["ground_dashboard_viewers", ()] == 0


KEYS = st.text(max_size=4) | st.sampled_from(["missions", "vcs", "rejected", "a-b", "a_b", "a", "total", "\ud800"])


@given(
    told=st.recursive(st.integers() | st.floats() | st.none() | st.just(10**400), lambda of: st.dictionaries(KEYS, of))
)
def test_any_ledger_can_be_read_by_prometheus(told: Any) -> None:
    registry = CollectorRegistry()
    hub = Hub({"luna26"}, parse_broker_url("mqtt://127.0.0.1:1"), dict, Journal())
    registry.register(_Ground(hub, lambda: {"any": told} if not isinstance(told, dict) else told))
    parsed(generate_latest(registry).decode())
    json.dumps(told)
