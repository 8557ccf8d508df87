"""Messages that are alike are recorded as the same messages one by one are."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt5 import PublishPacket

from ground.blocks import Alike
from ground.recording.messages import Part, columns


def alike(names: list[str], values: list[list[str]], payload: bytes) -> tuple[Alike, list[PublishPacket]]:
    """The same messages twice. ``values``: of each message, those of every property."""
    n = len(values)
    texts = [np.array([[*row[i].encode()] for row in values], np.uint8).reshape(n, -1) for i in range(len(names))]
    octets = np.tile(np.frombuffer(payload, np.uint8), (n, 1))
    singles = [PublishPacket("t", payload, user_properties=list(zip(names, row, strict=True))) for row in values]
    return Alike("t", octets, tuple(zip(names, texts, strict=True))), singles


@given(st.data())
def test_alike_and_one_by_one_give_the_same_columns(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(["ert", "dt", "run", "seq", "other"]), unique=True))
    widths = [data.draw(st.sampled_from([0, 1, 6, 18, 19, 20, 21])) for _ in names]
    text = st.sampled_from("0123456789") if data.draw(st.booleans()) else st.sampled_from("09-x ")
    row = st.tuples(*(st.text(text, min_size=width, max_size=width) for width in widths)).map(list)
    values = data.draw(st.lists(row, min_size=1, max_size=12))
    many, singles = alike(names, values, data.draw(st.binary(max_size=5)))
    received = np.arange(len(values))
    batch, malformed = columns([many], received)
    expected, wrong = columns(singles, received)
    assert batch.equals(expected)
    assert malformed == wrong
    batch.validate(full=True)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_both_kinds_keep_their_order(order: tuple[int, ...]) -> None:
    many, _ = alike(["seq"], [["1"], ["2"]], b"a")
    parts: list[Part] = [many, PublishPacket("s", b"single"), PublishPacket("s", b"other")]
    batch, _ = columns([parts[i] for i in order], np.array([7, 8, 9, 10]))
    payloads = [[b"a", b"a"], [b"single"], [b"other"]]
    assert batch.column("payload").to_pylist() == [octets for i in order for octets in payloads[i]]
    assert batch.column("received").cast(pa.int64()).to_numpy().tolist() == [7, 8, 9, 10]
