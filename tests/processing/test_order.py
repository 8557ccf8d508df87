"""Repeats are dropped in the order of the log over all streams, however it is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ground.blocks import Packets
from ground.processing import order
from ground.processing.order import OrderStage, Stream

if TYPE_CHECKING:
    from collections.abc import Sequence


def stream(source: str, digests: Sequence[int], positions: Sequence[int], *, realtime: bool = True) -> Stream:
    n = len(digests)
    zeros = np.zeros(n, np.int64)
    where = np.array(positions, np.int64)
    packets = Packets(
        np.zeros(7, np.uint8),
        *(zeros, zeros + 7, zeros.astype(np.uint16), zeros.astype(np.uint16), zeros, zeros, zeros),
        position=where,
        place=zeros,
        digest=np.array(digests, np.int64),
    )
    return Stream(source, realtime, packets)


def kept(streams: Sequence[Stream]) -> list[tuple[str, int]]:
    return [(s.source, int(at)) for s in streams for at in s.packets.position]


def test_the_first_in_the_log_stays_whatever_stream_it_came_in() -> None:
    stage = OrderStage()
    # Station a is listed first, but b's message was recorded first.
    out = stage.process([stream("a", [7, 8], [1, 2]), stream("b", [7, 9], [0, 3])])
    assert kept(out) == [("a", 2), ("b", 0), ("b", 3)]
    assert stage.repeated == 1


def test_the_same_octets_at_another_time_are_another_packet() -> None:
    one, other = stream("a", [7], [0]), stream("a", [7], [1])
    other.packets.time[:] = 1
    assert kept(OrderStage().process([one, other])) == [("a", 0), ("a", 1)]


def test_playback_is_neither_dropped_nor_remembered() -> None:
    stage = OrderStage()
    stage.process([stream("p", [7, 7], [0, 1], realtime=False)])
    out = stage.process([stream("a", [7], [2]), stream("p", [7], [3], realtime=False)])
    assert kept(out) == [("a", 2), ("p", 3)]
    assert stage.repeated == 0


@given(
    st.lists(st.integers(0, 12), max_size=60),
    st.lists(st.integers(0, 60), max_size=6),
    st.integers(0, 2**32 - 1),
)
def test_what_is_dropped_does_not_depend_on_cuts_and_restarts(digests: list[int], cuts: list[int], seed: int) -> None:
    of = np.random.default_rng(seed).integers(0, 3, len(digests))

    def run(stops: list[int]) -> tuple[list[tuple[str, int]], bytes]:
        stage, found, start = OrderStage(), [], 0
        for stop in stops:
            again = OrderStage()
            again.restore(stage.state())
            stage = again
            here = [[i for i in range(start, stop) if of[i] == s] for s in range(3)]
            found += kept(stage.process([stream(str(s), [digests[i] for i in at], at) for s, at in enumerate(here)]))
            start = stop
        return sorted(found, key=lambda one: one[1]), stage.state()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "WINDOW", 5)
        whole = run([len(digests)])
        assert run([*sorted(stop for stop in cuts if stop < len(digests)), len(digests)]) == whole
    expected = [i for i, one in enumerate(digests) if one not in digests[max(i - 5, 0) : i]]
    assert [at for _, at in whole[0]] == expected
