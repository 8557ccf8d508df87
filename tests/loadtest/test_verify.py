"""The read-back notices what it is there to notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from ground.loadtest.verify import verify
from ground.loadtest.work import MISSION
from ground.stores.duckdb import DuckdbStore
from tests.loadtest.path import NOW, standard, store_first, work_of

if TYPE_CHECKING:
    from pathlib import Path

    from ground.loadtest.traffic import Traffic
    from ground.loadtest.verify import Comparison

STEP = 100_000


async def compared(folder: Path, work: Traffic, sent: list[int], change: str = "") -> Comparison:
    if change:
        with duckdb.connect(folder / "store" / "telemetry.duckdb") as database:
            database.execute(change)
    store = await DuckdbStore.open(folder / "store")
    found = await verify(store, work, sent)
    await store.close()
    return found


def at(number: int, publisher: int = 0) -> str:
    """The packet of this number, of one kind and two publishers."""
    return f"epoch_ns(time) = {NOW + (2 * number + publisher) * STEP}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (f"UPDATE {{t}} SET p2 = p2 + 0.001 * abs(p2) + 1 WHERE {at(10)}", (0, 0, 1)),
        (f"UPDATE {{t}} SET p1 = NULL, p3 = NULL WHERE {at(10)} OR {at(11, 1)}", (0, 0, 4)),
        (f"UPDATE {{t}} SET onboard_time = onboard_time + 1 WHERE {at(12)}", (0, 0, 1)),
        (f"UPDATE {{t}} SET seq = seq + 1 WHERE {at(11)}", (1, 1, 0)),
        (f"DELETE FROM {{t}} WHERE {at(20)} OR {at(21)} OR {at(21, 1)}", (3, 0, 0)),
        (f"INSERT INTO {{t}} SELECT * FROM {{t}} WHERE {at(5)}", (0, 1, 0)),
        (f"UPDATE {{t}} SET time = time - INTERVAL 500 MILLISECONDS WHERE {at(0)}", (1, 1, 0)),
        (f"UPDATE {{t}} SET time = time + INTERVAL 9 YEARS WHERE {at(7, 1)}", (1, 1, 0)),
    ],
)
async def test_every_difference_is_found(tmp_path: Path, change: str, said: tuple[int, int, int]) -> None:
    work = standard(tmp_path, parameters=4, containers=1, publishers=2)
    sent, _ = await store_first(tmp_path, work, 300)
    assert sent == [596, 596]
    found = await compared(tmp_path, work, sent)
    assert found.equal, found.named
    assert (found.stored, found.samples) == (1192, 4 * 1192)
    # One publisher sent less than it says: what it didn't send is missing.
    assert (await compared(tmp_path, work, [596, 600])).missing == 4
    assert (await compared(tmp_path, work, [596, 595])).unexpected == 1
    found = await compared(tmp_path, work, sent, change.format(t=f"{MISSION}.Load0"))
    assert (found.missing, found.unexpected, found.different) == said
    assert not found.equal
    assert found.named


async def test_packets_that_share_their_frame_s_time(tmp_path: Path) -> None:
    """Chang'e 5 has a clock of whole seconds in its frames, and several packets begin in one."""
    work = work_of("change5")
    sent, _ = await store_first(tmp_path, work, 300)
    kind = work.kinds[0].name
    change = f'DELETE FROM "change5"."{kind}" WHERE seq IN (3, 4)'
    found = await compared(tmp_path, work, sent, change)
    assert (found.missing, found.unexpected, found.different) == (2, 0, 0)
    assert f"{kind}: packet 3 of publisher 0" in found.named[0]


async def test_rows_of_a_container_that_was_never_sent(tmp_path: Path) -> None:
    work = standard(tmp_path, parameters=2, containers=3)
    sent, _ = await store_first(tmp_path, work, 60)
    change = (
        "INSERT INTO ground.containers SELECT * REPLACE ('Other' AS container) "
        "FROM ground.containers WHERE container = 'Load1'"
    )
    found = await compared(tmp_path, work, sent, change)
    assert (found.missing, found.unexpected, found.different) == (0, 40, 0)
    assert found.named == ["Other: 40 rows of a container of which nothing was sent"]
