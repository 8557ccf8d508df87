"""The ledger of an ingest that runs elsewhere, as it says it on the broker."""

from __future__ import annotations

import logging
from typing import Any

from dashboard.untrusted import read_ledger

_log = logging.getLogger(__name__)


class HeardLedger:
    """Called, it gives the newest ledger that could be read. ``damaged``: how many could not."""

    def __init__(self) -> None:
        self.damaged = 0
        self._newest: dict[str, Any] = {"missions": {}, "balanced": True}
        self._heard = False
        self._said = ""

    def take(self, payload: bytes) -> None:
        """Take a message of the ledger's topic; what isn't a ledger is counted, and the last good one stays.

        An empty message is how a retained ledger is taken away, and changes nothing either.
        """
        try:
            self._newest = read_ledger(payload)
            self._heard = True
        except Exception as error:  # whatever it is, it came from outside
            self.damaged += 1
            if str(error) != self._said:  # ten a second may come
                self._said = str(error)
                _log.warning("ledger: what came is no ledger, the last good one stays: %s", error)

    def __call__(self) -> dict[str, Any]:
        """The newest good ledger; before the first one, what it says at least."""
        if not self._heard:
            return {**self._newest, "link": {"state": "nothing heard of ingest yet"}, "damaged_ledgers": self.damaged}
        return {**self._newest, "damaged_ledgers": self.damaged} if self.damaged else self._newest
