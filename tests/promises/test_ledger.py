"""A ledger that doesn't balance says so, for every one of its sums."""

from __future__ import annotations

import pytest

from ground.processing.ledger import MissionLedger


def balanced() -> MissionLedger:
    ledger = MissionLedger(frames_in=10, duplicate=2, packets_in=20, idle=3, repeated=4, decoded=12)
    ledger.rejected["fecf"] = 1
    ledger.undecoded["segment"] = 1
    ledger.rows["Power"] = 12
    channel = ledger.channel("miyun", 0)
    channel.frames, channel.packets = 7, 20
    return ledger


def test_it_balances_when_all_is_accounted_for() -> None:
    assert balanced().report()["balanced"] is True
    assert MissionLedger.from_json(balanced().to_json()) == balanced()


@pytest.mark.parametrize("count", ["frames_in", "duplicate", "packets_in", "idle", "repeated", "decoded"])
def test_one_that_went_missing_is_seen(count: str) -> None:
    ledger = balanced()
    setattr(ledger, count, getattr(ledger, count) + 1)
    assert ledger.report()["balanced"] is False


@pytest.mark.parametrize("counter", ["rejected", "undecoded", "rows"])
def test_one_without_its_reason_is_seen(counter: str) -> None:
    ledger = balanced()
    getattr(ledger, counter).clear()
    assert ledger.report()["balanced"] is False
