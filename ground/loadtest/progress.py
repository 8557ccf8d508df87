"""How far a load test is, for the terminal and for a trace."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ground.loadtest.watch import rss_mb

if TYPE_CHECKING:
    from ground.loadtest.offer import Offer
    from ground.loadtest.watch import Watch

STAGES: Final = ("offered", "recorded", "decoded", "stored")

_SPAN_SECONDS: Final = 2.0
"""Rates are those of the last so many seconds."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A look at a load test. ``time_s``: since it began. ``packets``: by stage; damaged and repeated ones don't count.
    ``per_s``: of the last seconds. ``lag_s``: how far storing is behind. ``cpu_percent``: of a core, and ``rss_mb``, of
    the ingest; ``own_rss_mb``: of this process. ``balanced``: the ledger.
    """

    phase: str
    time_s: float
    packets: dict[str, int]
    per_s: dict[str, float]
    lag_s: float
    cpu_percent: float
    rss_mb: float
    own_rss_mb: float
    balanced: bool

    def text(self) -> str:
        """For people, in a few lines."""
        lines = [f"{self.phase}, {self.time_s:,.0f} s", f"{'':10}{'packets':>14}{'packets/s':>12}"]
        lines += [f"{name:10}{self.packets[name]:>14,}{self.per_s[name]:>12,.0f}" for name in STAGES]
        lines.append(f"lag {self.lag_s:.1f} s   CPU {self.cpu_percent:.0f} %   RSS {self.rss_mb:.0f} MB")
        return "\n".join(lines)

    def line(self) -> str:
        """For a log, in one line."""
        rates = ", ".join(f"{name} {self.per_s[name]:,.0f}" for name in STAGES)
        usage = f"lag {self.lag_s:.1f} s, CPU {self.cpu_percent:.0f} %, RSS {self.rss_mb:.0f} MB"
        return f"{self.time_s:6.0f} s  {self.phase}: packets/s {rates}; {usage}"


class Looking:
    """Looks at ``offer`` and ``watch`` now and then. ``phase``: what goes on, in words."""

    def __init__(self, offer: Offer, watch: Watch) -> None:
        self.phase = "offering"
        self._offer = offer
        self._watch = watch
        self._begun = time.monotonic()
        self._before: deque[tuple[float, dict[str, int], float]] = deque()

    def look(self) -> Progress:
        """How far it is now."""
        now, cpu = time.monotonic(), self._watch.cpu_seconds()
        positions = (self._watch.recorded.position, self._watch.decoded, self._watch.stored.position)
        packets = dict(zip(STAGES, (self._offer.packets, *map(self._offer.packets_of, positions)), strict=True))
        self._before.append((now, packets, cpu))
        while len(self._before) > 2 and now - self._before[1][0] >= _SPAN_SECONDS:
            self._before.popleft()
        then, were, spent = self._before[0]
        span = max(now - then, 0.001)
        return Progress(
            phase=self.phase,
            time_s=now - self._begun,
            packets=packets,
            per_s={name: (packets[name] - were[name]) / span for name in STAGES},
            lag_s=self._offer.lag_s(),
            cpu_percent=(cpu - spent) / span * 100,
            rss_mb=self._watch.rss_mb(),
            own_rss_mb=rss_mb(),
            balanced=self._watch.balanced,
        )
