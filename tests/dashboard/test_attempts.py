"""Guessing a password is slow, seen in the log, and costs bounded memory."""

from __future__ import annotations

import base64
import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import InvalidStatus

from dashboard import attempts
from dashboard.access import Access
from dashboard.attempts import FORGET_SECONDS, FREE, LONGEST_SECONDS, MOST, Attempts

if TYPE_CHECKING:
    from tests.dashboard.conftest import Setup


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_wait_doubles_up_to_a_limit_and_is_forgotten() -> None:
    clock = Clock()
    known = Attempts(clock)
    waits = []
    for _ in range(FREE + 10):
        known.fail("192.0.2.1")
        waits.append(known.wait("192.0.2.1"))
        clock.now += waits[-1]
        assert known.wait("192.0.2.1") == 0
    assert waits[:FREE] == [0] * (FREE - 1) + [1]
    assert waits[FREE:] == [min(2.0**n, LONGEST_SECONDS) for n in range(1, 11)]
    assert known.wait("192.0.2.2") == 0
    clock.now += FORGET_SECONDS
    known.fail("192.0.2.1")
    assert known.wait("192.0.2.1") == 0


def test_memory_is_bounded_and_a_network_counts_as_one() -> None:
    known = Attempts(Clock())
    for number in range(MOST + 50):
        known.fail(f"10.0.{number // 256}.{number % 256}")
    assert len(known._failures) == MOST
    for number in range(FREE):
        known.fail(f"2001:db8::{number:x}")
        known.fail(f"::ffff:192.0.2.{number}")
    assert known.wait("2001:db8::ffff:1") > 0
    assert known.wait("2001:db8:0:1::1") == known.wait("::ffff:192.0.2.0") == 0


async def test_guesses_are_slowed_and_logged(
    setup: Setup, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "LONGEST_SECONDS", 3600.0)
    clock = Clock()
    monkeypatch.setattr(attempts, "time", SimpleNamespace(monotonic=clock))
    async with setup.dashboard(access=Access(password="lune")) as dashboard:
        for _ in range(FREE + 3):  # a browser asks without one first
            assert (await dashboard.client.get("/api/missions")).status_code == 401
        with caplog.at_level(logging.WARNING, "dashboard.attempts"):
            for _ in range(FREE):
                assert (await dashboard.client.get("/api/missions", auth=("x", "guess"))).status_code == 401
        assert [record.getMessage() for record in caplog.records] == [
            *(f"a wrong password from 127.0.0.1, number {n}" for n in range(1, FREE)),
            f"a wrong password from 127.0.0.1, number {FREE}: the next is looked at in 1 s",
        ]
        for password in ("guess", "lune"):  # which of them is right isn't told
            answer = await dashboard.client.get("/api/missions", auth=("x", password))
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
            assert "127.0.0.1" in answer.json()["detail"]
            header = {"authorization": "Basic " + base64.b64encode(f"x:{password}".encode()).decode()}
            with pytest.raises(InvalidStatus, match="403"):
                async with dashboard.live(additional_headers=header):
                    pass
        assert (await dashboard.client.get("/healthz")).status_code == 200
        clock.now += 1
        assert (await dashboard.client.get("/api/missions", auth=("x", "lune"))).status_code == 200
