"""The tables of ``mission.toml``, read key by key, so that what is missing, mistyped, unknown or out of range is named
with its line.
"""

from __future__ import annotations

import math
import re
import tomllib
from typing import TYPE_CHECKING, Any, Final

from ground.errors import ConfigError
from ground.mission.lines import Place, find_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_KINDS: Final[dict[type, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text in quotes",
    list: "an array",
    dict: "a table",
}
_MOST_SHOWN: Final = 60
_MOST_OCTETS: Final = 1 << 20
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


class Source:
    """A TOML file: its values, and errors that name its lines."""

    def __init__(self, path: Path) -> None:
        self._name = name_for_people(path)
        try:
            with path.open("rb") as file:
                octets = file.read(_MOST_OCTETS + 1)
            if len(octets) > _MOST_OCTETS:
                raise ConfigError(f"{self._name}: this is larger than {_MOST_OCTETS} octets and no mission's file")
            self._text = octets.decode().replace("\r\n", "\n")
            self.values = tomllib.loads(self._text)
        except OSError as error:
            raise ConfigError(f"{self._name}: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            line = octets.count(b"\n", 0, error.start) + 1
            raise ConfigError(f"{self._name}:{line}: this is not UTF-8") from error
        except RecursionError as error:
            raise ConfigError(f"{self._name}: arrays or tables are nested too deeply") from error
        except ValueError as error:
            # tomllib.TOMLDecodeError, or what int() says of thousands of digits.
            found = re.search(r" \(at line (\d+), column \d+\)$", str(error))
            at, says = (f":{found[1]}", str(error)[: found.start()]) if found else ("", str(error))
            raise ConfigError(f"{self._name}{at}: this is not TOML: {says}") from error

    def error(self, place: Place, message: str) -> ConfigError:
        """An error about what is at ``place``; what the file doesn't have is looked for where it belongs."""
        lines = find_lines(self._text)
        while place and place not in lines:
            place = place[:-1]
        return ConfigError(f"{self._name}:{lines[place]}: {message}" if place else f"{self._name}: {message}")


class Table:
    """One table. ``keys``: those that it may have; None for any, where they are names or numbers."""

    def __init__(
        self, source: Source, values: dict[str, Any], place: Place = (), keys: tuple[str, ...] | None = None
    ) -> None:
        self._source = source
        self._values = values
        self._place = place
        self._keys = keys

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def error(self, key: str | None, message: str) -> ConfigError:
        """An error at the line of ``key``, or of the table itself where it is None."""
        label = _label(self._place)
        place = self._place if key is None else (*self._place, key)
        return self._source.error(place, f"{label} {message}" if label else message)

    def check_keys(self) -> None:
        """Raises :class:`~ground.errors.ConfigError` where there is a key that the table can't have."""
        for key in self._values:
            if self._keys is not None and key not in self._keys:
                raise self.error(key, f"unknown key {_key(key)}; {self._valid()}")

    def refuse(self, keys: Iterable[str], reason: str) -> None:
        """Raises :class:`~ground.errors.ConfigError` where one of ``keys``, which would be ignored, is there."""
        for key in keys:
            if key in self._values:
                raise self.error(key, f"{key} {reason}")

    def take(self, key: str, kind: type, default: Any = ...) -> Any:
        """The value of ``key``, which must be a ``kind``; ``default``, or an error without one, where it is missing."""
        if key not in self._values:
            if default is ...:
                unknown = [_key(other) for other in self._values if self._keys and other not in self._keys]
                instead = f" (there is {', '.join(unknown)}, which is no key)" if unknown else ""
                raise self.error(None, f"{key} is missing{instead}; {self._valid()}")
            return default
        value = self._values[key]
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            try:
                value = float(value)
            except OverflowError:
                value = math.inf
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.wrong(key, f"should be {_KINDS[kind]}")
        return value

    def wrong(self, key: str, says: str) -> ConfigError:
        """An error about the value of ``key``, which it shows."""
        return self.error(key, f"{_key(key)} = {_shown(self._values.get(key))} {says}")

    def number(self, key: str, low: int, high: int, unit: str = "", default: Any = ...) -> int:
        """A whole number from ``low`` to ``high``."""
        value: int = self.take(key, int, default)
        if key in self._values and not low <= value <= high:
            raise self.wrong(key, f"should be between {low} and {high}{unit}")
        return value

    def quantity(self, key: str, low: float, high: float, unit: str, default: Any = ...) -> float:
        """A number from ``low`` to ``high``, in ``unit``."""
        value: float = self.take(key, float, default)
        if key in self._values and not low <= value <= high:
            raise self.wrong(key, f"should be between {low:g} and {high:g} {unit}")
        return value

    def choose(self, key: str, allowed: tuple[str, ...], default: str) -> Any:
        """One of the words ``allowed``."""
        value = self.take(key, str, default)
        if value not in allowed:
            raise self.wrong(key, f"should be one of {', '.join(allowed)}")
        return value

    def text(self, key: str, default: Any = ..., *, lines: bool = False) -> str:
        """Text that can be shown: of one line that isn't empty, or of ``lines``."""
        value: str = self.take(key, str, default)
        if not (value.replace("\n", "").replace("\t", "") if lines else value).isprintable():
            raise self.wrong(key, "should have no control characters")
        if not lines and not value.strip():
            raise self.wrong(key, "should not be empty")
        return value

    def table(self, key: str, keys: tuple[str, ...] | None = None) -> Table:
        """The table ``key``, empty where it is missing."""
        return Table(self._source, self.take(key, dict, {}), (*self._place, key), keys)

    def tables(self, key: str, keys: tuple[str, ...]) -> list[Table]:
        """The array of tables ``key``, empty where it is missing."""
        place = (*self._place, key)
        found = []
        for number, entry in enumerate(self.take(key, list, [])):
            if not isinstance(entry, dict):
                raise self._source.error((*place, number), f"{_label(place)} should have tables in it")
            found.append(Table(self._source, entry, (*place, number), keys))
        return found

    def _valid(self) -> str:
        return f"valid keys: {', '.join(self._keys or ())}"


def name_for_people(path: Path) -> str:
    """``path`` as a message can carry it: on one line, and without octets that are no text."""
    return str(path) if str(path).isprintable() else repr(str(path))


def _label(place: Place) -> str:
    keys = ".".join(_key(part) for part in place if isinstance(part, str))
    return f"[[{keys}]]" if place and isinstance(place[-1], int) else f"[{keys}]" if keys else ""


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) and len(key) <= _MOST_SHOWN else _shown(key)


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # thousands of digits; nested thousands of times
        return f"({_KINDS.get(type(value), 'a value')} that is too long to show)"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
