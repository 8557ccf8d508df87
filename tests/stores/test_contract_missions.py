"""The store contract: a checkpoint and a journal for each mission. Runs on every store; see ``open_store``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ground.stores import Checkpoint, Count, Entry, Rows
from tests.stores.examples import ALL, NOWHERE
from tests.stores.telemetry import T0, batch

if TYPE_CHECKING:
    from ground.stores import Store
    from tests.stores.conftest import OpenStore


async def test_missions_have_checkpoints_of_their_own(open_store: OpenStore) -> None:
    one, other = Checkpoint(2**63, b"\x00\xff", "recording-1"), Checkpoint(7, b"", "recording-2")
    async with open_store() as store:
        await store.append(
            "luna26", [Rows("luna26", "Power", batch([T0], [0]))], [], Checkpoint(3, b"a", "recording-0")
        )
        await store.append("tianwen1", [], [], other)
        await store.append("luna26", [], [], one)
        assert (await store.history("luna26", [], 0, 1, 1)).through == 2**63
        assert (await store.history("tianwen1", [], 0, 1, 1)).through == 7
        assert (await store.history("absent", [], 0, 1, 1)).through == 0
    async with open_store() as store:
        assert await store.checkpoint("luna26") == one
        assert await store.checkpoint("tianwen1") == other
        assert await store.checkpoint("Luna26") is None
        assert await store.counts("luna26") == {"Power": Count(1, 0)}
        assert await store.counts("tianwen1") == {}


VALUES: dict[str, Any] = {
    "text": 'µ "quoted" \\ line\nnext\x00',
    "integer": -(2**63),
    "time": str(2**63 - 1),
    "float": 0.1,
    "nothing": None,
    "list": [True, {"deep": []}],
}


def alarm(position: int, place: int = 0, subject: str = "Power/voltage", **values: Any) -> Entry:
    return Entry("alarm", position, place, T0 + position, subject, values)


async def test_entries_come_back_newest_first(open_store: OpenStore) -> None:
    entries = [alarm(1), alarm(3, 1, **VALUES), alarm(3, 0, subject="a/b' OR 1=1 \\ ,="), alarm(2**62, 9)]
    events = [Entry("event", 3, 0, -5, "EEPROM", VALUES)]
    async with open_store() as store:
        assert list(await store.entries("luna26", "alarm")) == []
        await store.append("luna26", [], [entries[1], *events, entries[0]], Checkpoint(1, b""))
        await store.append("luna26", [], [entries[3], entries[2]], Checkpoint(2, b""))
        await store.append("tianwen1", [], [alarm(1, of=4)], Checkpoint(1, b""))
    async with open_store() as store:
        expected = [entries[3], entries[1], entries[2], entries[0]]
        assert list(await store.entries("luna26", "alarm")) == expected
        assert list(await store.entries("luna26", "event")) == events
        assert list(await store.entries("tianwen1", "alarm")) == [alarm(1, of=4)]
        assert list(await store.entries("luna26", "alarm", subject="Power/voltage")) == [
            entries[3], entries[1], entries[0],
        ]  # fmt: skip
        assert list(await store.entries("luna26", "alarm", subject=entries[2].subject)) == [entries[2]]
        assert list(await store.entries("luna26", "alarm", subject="Power")) == []


async def test_entries_in_pages(store: Store) -> None:
    entries = [alarm(position, place) for position in range(20) for place in range(3)]
    await store.append("luna26", [], entries, NOWHERE)
    assert list(await store.entries("luna26", "alarm", before=(7, 2), limit=3)) == [alarm(7, 1), alarm(7), alarm(6, 2)]
    found: list[Entry] = []
    while page := await store.entries(
        "luna26", "alarm", before=(found[-1].position, found[-1].place) if found else None, limit=7
    ):
        found += page
    assert found == entries[::-1]


async def test_an_entry_handed_over_again_is_replaced(store: Store) -> None:
    """As an event that repeats counts up, within an append too."""
    await store.append("luna26", [], [alarm(1, count=1), alarm(2, count=1)], NOWHERE)
    await store.append("luna26", [], [alarm(1, count=2), alarm(3), alarm(1, count=3)], NOWHERE)
    assert list(await store.entries("luna26", "alarm")) == [alarm(3), alarm(2, count=1), alarm(1, count=3)]
    await store.append("luna26", [], [alarm(1, subject="Power/current")], NOWHERE)
    assert [entry.subject for entry in await store.entries("luna26", "alarm")] == [
        *["Power/voltage"] * 2,
        "Power/current",
    ]


async def test_many_entries_in_one_append(store: Store) -> None:
    """An alarm storm."""
    storm = [alarm(position, text="x" * 100) for position in range(5_000)]
    await store.append("luna26", [], storm, NOWHERE)
    assert len(await store.entries("luna26", "alarm")) == 500
    assert list(await store.entries("luna26", "alarm", limit=10_000)) == storm[::-1]


async def test_an_entry_of_16_kib(store: Store) -> None:
    large = alarm(1, text="µ" * 8_000)
    await store.append("luna26", [], [large], NOWHERE)
    assert list(await store.entries("luna26", "alarm")) == [large]


@pytest.mark.parametrize("mission", ["luna26", 'a"b', "main"])
async def test_rows_entries_and_checkpoint_are_of_one_append(store: Store, mission: str) -> None:
    rows = [Rows(mission, "Power", batch([T0], [0]))]
    await store.append(mission, rows, [alarm(1)], Checkpoint(1, b""))
    await store.append(mission, rows, [alarm(1)], Checkpoint(1, b""))
    assert (await store.rows(mission, "Power", *ALL)).num_rows == 1
    assert await store.counts(mission) == {"Power": Count(1, 1)}
    assert list(await store.entries(mission, "alarm")) == [alarm(1)]
