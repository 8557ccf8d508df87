"""The report of a load test, for scripts and for people."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ground.loadtest.knee import knee
from ground.loadtest.run import AT_KNEE

if TYPE_CHECKING:
    from ground.loadtest.run import Outcome
    from ground.loadtest.traffic import Traffic
    from ground.loadtest.verify import Comparison


def report(outcome: Outcome, found: Comparison, traffic: Traffic) -> dict[str, Any]:
    """JSON-ready. ``offered``, ``recorded`` and ``stored_packets`` are packets, without damaged and repeated ones;
    ``samples_per_s`` counts from the first message to the last confirmation of the store; ``cpu_us_per_sample`` is the
    ingest process alone.

    After a search for the knee, rates, CPU time and latencies are those of the run at 70 % of it, and ``knee`` is
    added: ``packets_per_s``, ``samples_per_s``, ``steps``.
    """
    samples = outcome.packets * traffic.samples_per_packet
    ledger = outcome.ledger
    values = {
        "offered": sum(outcome.sent),
        "recorded": ledger.get("missions", {}).get(traffic.mission.name, {}).get("packets", {}).get("in", 0),
        "stored_packets": found.stored,
        "stored_samples": found.samples,
        "samples_per_s": round(samples / outcome.seconds) if outcome.seconds > 0 else 0,
        "cpu_us_per_sample": round(outcome.cpu_s * 1e6 / samples, 4) if samples else None,
        "latency_ms": outcome.latency,
        "peak_rss_mb": round(outcome.peak_rss_mb, 1),
        "ledger": ledger,
    }
    highest = knee(outcome.steps)
    if highest is not None:
        values["knee"] = {
            "packets_per_s": round(highest.rate, 1),
            "samples_per_s": round(highest.rate * traffic.samples_per_packet),
            "steps": [asdict(step) for step in outcome.steps],
        }
    return values


def text(values: dict[str, Any]) -> str:
    """The same for people."""
    cpu = values["cpu_us_per_sample"]
    lines = []
    if "knee" in values:
        lines += ["packets/s offered      stored   behind"]
        for step in values["knee"]["steps"]:
            verdict = "" if step["kept_up"] else f"  falls behind{_WHO.get(step['broken_by'], '')}"
            lines.append(f"{step['rate']:>17,.0f}{step['stored_per_s']:>12,.0f}{step['lag_s']:>7.1f} s{verdict}")
        knee = values["knee"]
        lines += [
            "",
            f"knee           {knee['packets_per_s']:>14,.0f} packets/s, {knee['samples_per_s']:,} samples/s",
            f"what follows is of {AT_KNEE:.0%} of that, the packets are all",
        ]
    lines += [
        f"offered        {values['offered']:>14,} packets",
        f"recorded       {values['recorded']:>14,}",
        f"stored         {values['stored_packets']:>14,} packets, {values['stored_samples']:,} samples",
        f"samples/s      {values['samples_per_s']:>14,}",
        f"CPU a sample   {'-' if cpu is None else f'{cpu:.3f}':>14} us of the ingest process",
        f"peak RSS       {values['peak_rss_mb']:>14,.0f} MB",
        f"{'latency (ms)':<21}{'p50':>8}{'p99':>10}{'max':>10}",
    ]
    for kind, of in values["latency_ms"].items():
        spread = (f"{'-' if of[name] is None else f'{of[name]:,.1f}':>10}" for name in ("p50", "p99", "max"))
        lines.append(f"  until {_UNTIL[kind]:<11}" + "".join(spread))
    return "\n".join(lines)


_UNTIL = {"record": "recorded", "store": "stored", "live": "shown"}
_WHO = {"path": ": not offered in time", "generator": ": the generator can make no more"}
