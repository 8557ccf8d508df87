from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ground.xtce.declarations import Size, StringEncoding
from ground.xtce.text import binary_column, gather, string_column


def columns(buffers: list[bytes]) -> tuple[Any, Any, Any]:
    size = np.array([len(octets) for octets in buffers], np.int64)
    data = np.frombuffer(b"??" + b"".join(buffers), np.uint8)
    return data, np.cumsum(size) - size + 2, size


def texts(buffers: list[bytes], **encoding: Any) -> list[str | None]:
    column = string_column(*columns(buffers), StringEncoding(Size(8), **encoding))
    column.validate(full=True)
    return column.to_pylist()


@pytest.mark.parametrize("buffers", [[], [b""], [b"", b""], [b"ab", b"cd"], [b"", b"a", b"bcd", b""]])
def test_binary_of_any_sizes(buffers: list[bytes]) -> None:
    assert gather(*columns(buffers)).tobytes() == b"".join(buffers)
    assert binary_column(*columns(buffers)).to_pylist() == buffers


def test_a_terminator_ends_the_text_and_its_absence_does_not_matter() -> None:
    assert texts([b"ab\0cd", b"\0", b"efg", b"", b"h\0\0"], terminator=0) == ["ab", "", "efg", "", "h"]


def test_a_terminator_in_the_next_buffer_is_not_ours() -> None:
    assert texts([b"abc", b"\0abc"], terminator=0) == ["abc", ""]


def test_a_length_prefix_in_bits() -> None:
    assert texts([b"\x10abc", b"\x00abc", b"\x18abc"], leading=8) == ["ab", "", "abc"]
    assert texts([b"\x00\x10abc"], leading=16) == ["ab"]


def test_an_impossible_length_prefix_is_null() -> None:
    assert texts([b"\x20abc", b"\x11abc", b"", b"\x08z"], leading=8) == [None, None, None, "z"]
    assert texts([b"\xff\xff\xff\xffab", b"\x00"], leading=32) == [None, None]


def test_character_sets() -> None:
    assert texts(["Grüße, 月".encode()]) == ["Grüße, 月"]
    assert texts([b"Gr\xfc\xdfe"], charset="ISO-8859-1") == ["Grüße"]
    assert texts([b"5 \x80"], charset="Windows-1252") == ["5 €"]


def test_octets_that_are_no_text_are_marked() -> None:
    assert texts([b"a\xffb", b"cd", "ü".encode()]) == ["a�b", "cd", "ü"]
    assert texts([b"a\xc3\xbc"], charset="US-ASCII") == ["a��"]
    assert texts([b"\x81"], charset="Windows-1252") == ["�"]
