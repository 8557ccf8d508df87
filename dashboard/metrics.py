"""``/metrics``: every number of the ledger, what the hub has taken, and who watches, as Prometheus reads them.

The ledger's place of a number is its name: ``missions.luna26.frames.rejected.crc`` is
``ground_mission_frames_rejected_total{mission="luna26", reason="crc"}``. A count that is new in the ledger is here too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeAlias

    from prometheus_client import Metric

    from dashboard.hub import Hub

    # By name and names of labels: the values, by the values of the labels.
    Numbers: TypeAlias = dict[tuple[str, tuple[str, ...]], dict[tuple[str, ...], float]]

_LABELS: Final = {
    "missions": ("mission", "mission"),
    "vcs": ("vc", "vc"),
    "containers": ("container", "container"),
    "unfit": ("unfit", "parameter"),
    "rejected": ("rejected", "reason"),
    "undecoded": ("undecoded", "reason"),
    "unrouted": ("unrouted", "reason"),
}
"""Objects whose keys are no names of counts: what they are called, and the label that carries the key."""

_GAUGES: Final = re.compile(r"_position_|_(pending|behind_s|balanced|running)$")
"""What may go down again, also as a position in a recording that was replaced; everything else counts up."""


def metrics_router(hub: Hub, ledger: Callable[[], Mapping[str, Any]]) -> APIRouter:
    """``/metrics``, in Prometheus's text format."""
    router = APIRouter(tags=["health"])
    registry = CollectorRegistry()
    registry.register(_Ground(hub, ledger))
    ProcessCollector(registry=registry)

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Every count, for Prometheus."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return router


class _Ground(Collector):
    def __init__(self, hub: Hub, ledger: Callable[[], Mapping[str, Any]]) -> None:
        self._hub = hub
        self._ledger = ledger

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("ground_dashboard_viewers", "Pages that are open.", self._hub.viewers)
        yield GaugeMetricFamily("ground_dashboard_connected", "Whether the broker sends.", self._hub.connected)
        messages = CounterMetricFamily(
            "ground_dashboard_messages", "Messages of the broker by what became of them.", labels=["what"]
        )
        for what, count in self._hub.counts.items():
            messages.add_metric([what], count)
        yield messages
        numbers: Numbers = {}
        _walk(self._ledger(), "ground", {}, numbers)
        taken = {"ground_dashboard_viewers", "ground_dashboard_connected", "ground_dashboard_messages"}
        for (name, labels), values in numbers.items():
            if (base := name.removesuffix("_total")) in taken:
                continue  # two places of one name: only in a ledger that ours isn't
            taken.add(base)
            place = f"{name} of the ledger."
            kind = GaugeMetricFamily if _GAUGES.search(name) else CounterMetricFamily
            family = kind(name, place, labels=labels)
            for key, value in values.items():
                family.add_metric(key, value)
            yield family


def _walk(value: Any, name: str, labels: dict[str, str], numbers: Numbers) -> None:
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            return
        numbers.setdefault((name, tuple(labels)), {})[tuple(labels.values())] = number
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key in _LABELS and isinstance(inner, dict):
                part, label = _LABELS[key]
                for entry, deeper in inner.items():
                    _walk(deeper, f"{name}_{part}", labels | {label: _encodable(entry)}, numbers)
            else:
                _walk(inner, f"{name}_{re.sub('[^a-zA-Z0-9_]', '_', key)}", labels, numbers)


def _encodable(text: str) -> str:
    """Half a surrogate pair can be said in JSON, and not in UTF-8."""
    return text.encode("utf-8", "replace").decode()
