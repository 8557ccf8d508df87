"""Passwords that were wrong, by the address that they came from: the more, the longer until the next is looked at."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

FREE: Final = 5
"""Wrong passwords without a wait: people mistype, and a browser asks for several files with one mistake."""

LONGEST_SECONDS: Final = 60.0
FORGET_SECONDS: Final = 900.0

MOST: Final = 1000
"""Addresses that are remembered; the one that has been quiet longest makes room."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Failures:
    count: int
    last: float

    @property
    def wait(self) -> float:
        """Seconds from the last one until another password is looked at: doubled with each."""
        return min(2.0 ** (self.count - FREE), LONGEST_SECONDS) if self.count >= FREE else 0.0


class Attempts:
    """``clock``: seconds that only grow."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or time.monotonic
        self._failures: dict[str, _Failures] = {}

    def wait(self, address: str) -> float:
        """Seconds for which no password from ``address`` is looked at, right or wrong: 0 where one is."""
        failures = self._failures.get(_network(address))
        return max(failures.last + failures.wait - self._clock(), 0.0) if failures else 0.0

    def fail(self, address: str) -> None:
        """A password from ``address`` was wrong."""
        key, now = _network(address), self._clock()
        before = self._failures.pop(key, None)
        count = before.count if before and now - before.last < FORGET_SECONDS else 0
        failures = self._failures[key] = _Failures(count + 1, now)  # at the end: the dictionary is in order of time
        if len(self._failures) > MOST:
            del self._failures[next(iter(self._failures))]
        pause = f": the next is looked at in {failures.wait:.0f} s" if failures.wait else ""
        _log.warning("a wrong password from %s, number %d%s", address, failures.count, pause)


def _network(address: str) -> str:
    """What one client can choose freely counts as one: the last 64 bits of an IPv6 address."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, IPv6Address):
        return str(ip.ipv4_mapped or int(ip) >> 64)
    return str(ip)
