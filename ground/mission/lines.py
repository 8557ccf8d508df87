"""On which line of a TOML file a key or table is: the standard library's reader gives values without positions."""

from __future__ import annotations

import re
import tomllib
from typing import Final, NamedTuple, TypeAlias

Place: TypeAlias = tuple[str | int, ...]
"""The way to a value: keys, and numbers within arrays, like ``("time", "packet", 0, "offset")``."""

_TOKEN: Final = re.compile(
    r"""
    (?P<skip> [ \t\r]+ | \#[^\n]* )
  | (?P<newline> \n )
  | (?P<text> \"\"\"(?:\\.|[^\\])*?\"{3,5} | '''.*?'{3,5} | "(?:\\.|[^"\\\n])*" | '[^'\n]*' )
  | (?P<sign> [\[\]{},=] )
  | (?P<bare> [^\s\#"'\[\]{},=]+ )
    """,
    re.VERBOSE | re.DOTALL,
)


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def find_lines(text: str) -> dict[Place, int]:
    """The line, from 1, of every key, table and array element in ``text``, which :mod:`tomllib` has read without an
    error. Of a table with several headers it is the first line.
    """
    return _Scan(text).lines


class _Scan:
    def __init__(self, text: str) -> None:
        self.lines: dict[Place, int] = {}
        self._tokens: list[_Token] = []
        self._at = 0
        self._elements: dict[Place, int] = {}
        line = 1
        for match in _TOKEN.finditer(text):
            if match.lastgroup not in (None, "skip"):
                self._tokens.append(_Token(str(match.lastgroup), match[0], line))
            line += match[0].count("\n")
        table: Place = ()
        while self._at < len(self._tokens):
            if self._now("newline"):
                self._at += 1
            elif self._now("["):
                table = self._header()
            else:
                self._pair(table)

    def _now(self, *what: str) -> bool:
        """Whether the next token is one of these signs or of these kinds."""
        if self._at == len(self._tokens):
            return False
        token = self._tokens[self._at]
        return token.kind in what or (token.kind == "sign" and token.text in what)

    def _note(self, place: Place, line: int) -> None:
        for length in range(1, len(place) + 1):
            self.lines.setdefault(place[:length], line)

    def _header(self) -> Place:
        line = self._tokens[self._at].line
        self._at += 1
        is_array = self._now("[")
        self._at += is_array
        keys = self._keys()
        self._at += 1 + is_array
        place: Place = ()
        for number, key in enumerate(keys, 1):
            place = (*place, key)
            if is_array and number == len(keys):
                self._elements[place] = self._elements.get(place, 0) + 1
            if place in self._elements:
                place = (*place, self._elements[place] - 1)
        self._note(place, line)
        return place

    def _keys(self) -> list[str]:
        keys: list[str] = []
        while self._now("bare", "text"):
            token = self._tokens[self._at]
            self._at += 1
            if token.kind == "text":
                keys.append(tomllib.loads(f"key = {token.text}")["key"])
            else:
                keys += [part for part in token.text.split(".") if part]
        return keys

    def _pair(self, table: Place) -> None:
        line = self._tokens[self._at].line
        place = (*table, *self._keys())
        self._note(place, line)
        self._at += 1  # the equals sign
        self._value(place)

    def _value(self, place: Place) -> None:
        if self._now("["):
            self._enclosed(place, "]")
        elif self._now("{"):
            self._enclosed(place, "}")
        else:
            while self._now("bare", "text"):
                self._at += 1

    def _enclosed(self, place: Place, end: str) -> None:
        number = 0
        self._at += 1
        while self._at < len(self._tokens) and not self._now(end):
            if self._now("newline", ","):
                self._at += 1
            elif end == "}":
                self._pair(place)
            else:
                self._note((*place, number), self._tokens[self._at].line)
                self._value((*place, number))
                number += 1
        self._at += 1
