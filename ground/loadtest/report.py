"""The report of a load test, for scripts and for people."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ground.loadtest.run import Outcome
    from ground.loadtest.verify import Comparison
    from ground.loadtest.work import Work
from ground.loadtest.work import MISSION


def report(outcome: Outcome, found: Comparison, work: Work) -> dict[str, Any]:
    """JSON-ready. ``offered``, ``recorded`` and ``stored_packets`` are packets, without damaged and repeated ones;
    ``samples_per_s`` counts from the first message to the last confirmation of the store; ``cpu_us_per_sample`` is the
    ingest process alone. With a search for the knee its steps are added.
    """
    samples = found.stored * work.parameters
    ledger = outcome.ledger
    values = {
        "offered": sum(outcome.sent),
        "recorded": ledger.get("missions", {}).get(MISSION, {}).get("packets", {}).get("in", 0),
        "stored_packets": found.stored,
        "stored_samples": samples,
        "samples_per_s": round(samples / outcome.seconds) if outcome.seconds > 0 else 0,
        "cpu_us_per_sample": round(outcome.cpu_s * 1e6 / samples, 4) if samples else None,
        "latency_ms": outcome.latency,
        "peak_rss_mb": round(outcome.peak_rss_mb, 1),
        "ledger": ledger,
    }
    return values | ({"steps": [asdict(step) for step in outcome.steps]} if outcome.steps else {})


def text(values: dict[str, Any]) -> str:
    """The same for people."""

    def spread(of: dict[str, float | None]) -> str:
        return "  ".join(f"{name} {'-' if ms is None else f'{ms:,.1f}'}" for name, ms in of.items())

    cpu = values["cpu_us_per_sample"]
    lines = [
        f"offered        {values['offered']:>14,} packets",
        f"recorded       {values['recorded']:>14,}",
        f"stored         {values['stored_packets']:>14,} packets, {values['stored_samples']:,} samples",
        f"samples/s      {values['samples_per_s']:>14,}",
        f"CPU a sample   {'-' if cpu is None else f'{cpu:.3f}':>14} us of the ingest process",
        f"peak RSS       {values['peak_rss_mb']:>14,.0f} MB",
        *(f"{f'-> {kind} (ms)':<14} {spread(of)}" for kind, of in values["latency_ms"].items()),
    ]
    steps = values.get("steps", [])
    lines += [
        f"{step['rate']:>14,.0f} packets/s offered, {step['stored_per_s']:,.0f} stored, {step['lag_s']:.2f} s behind"
        for step in steps
    ]
    kept = [step["rate"] for step in steps if step["kept_up"]]
    if steps:
        lines.append(f"knee           {max(kept, default=0):>14,.0f} packets/s")
    return "\n".join(lines)
