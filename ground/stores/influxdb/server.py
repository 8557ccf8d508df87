"""An InfluxDB 2 server over HTTP: writes that persist through its troubles, InfluxQL queries that can be given up.

Writing: ``POST /api/v2/write`` (InfluxDB OSS v2 API). What the server answers, and what comes of it:

=============== =============================================================================================
204             all lines are in its write-ahead log
400             a line doesn't parse; none of the request is stored: halve it until the line stands alone
422             lines were dropped (type conflict, older than retention), others stored: halve it likewise
413             too long: halve it
429, 5xx        try again, no sooner than ``Retry-After`` says; likewise where nobody answers
401, 403, 404   token, rights, organisation or bucket are wrong, which somebody may mend: StoreError at once
other 4xx       RefusedError at once
=============== =============================================================================================

Reading: ``POST /query`` (the v1 compatibility API), because one InfluxQL statement returns many fields side by side.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import aiohttp
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.rest import ApiException

from ground.errors import ConfigError, RefusedError, StoreError
from ground.stores.influxdb.lineprotocol import octets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ground.stores.influxdb.address import Address
    from ground.stores.influxdb.lineprotocol import Strings

_RETRIED = {408, 429, 500, 502, 503, 504}
_PASSING = {401, 403, 404, 408, 413, 429}
"""What an operator mends, or time does."""
_HALVED = {400, 413, 422}
_ADVICE = {
    401: "is INFLUXDB_TOKEN the right one?",
    403: "may the token read and write this bucket?",
    404: "create organisation and bucket with: ground influx setup",
}
_BODY = 2**20
"""Octets of a request: more would be copied to the socket in one go, which keeps everything else waiting."""
_CHUNK = 5_000
"""Rows of a query's answer that are parsed at a time."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Lines that the server did not take: how many, why in its words, and the first of them (cut to 200 characters).

    ``for_good``: not what a proxy with more room might take (413).
    """

    lines: int
    reason: str
    line: str
    for_good: bool = True


@dataclass(frozen=True, slots=True)
class Series:
    """A piece of a statement's answer: its tags, its column names, its rows."""

    tags: Mapping[str, str]
    columns: Sequence[str]
    values: Sequence[Sequence[Any]]

    def column(self, name: str) -> list[Any]:
        """The values (n,) of one column; None where null."""
        index = self.columns.index(name)
        return [row[index] for row in self.values]


class Server:
    """One bucket of one server.

    ``renew``: gives the token anew after the server has refused it, so that the next request has the right one; may
    raise ConfigError. ``gzip``: whether requests and answers are compressed, for slow networks. ``patience``: seconds
    for which a write is tried again before StoreError. ``time_limit``: seconds that a request may take.
    """

    def __init__(
        self,
        address: Address,
        token: str,
        *,
        renew: Callable[[], str] | None = None,
        gzip: bool = False,
        patience: float = 30.0,
        time_limit: float = 30.0,
    ) -> None:
        self.address = address
        self._patience = patience
        self._time_limit = time_limit
        self._gzip = gzip
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        self._client: Any = InfluxDBClientAsync(address.url, token, address.org, timeout=timeout, enable_gzip=gzip)
        self._writer: Any = self._client.write_api()
        self._renew = renew
        self._open = True
        self._not_before = 0.0

    async def close(self) -> None:
        """Close the connections."""
        self._open = False
        await self._client.close()

    async def write(self, lines: Strings) -> list[Refused]:
        """Send lines (n,), each ending in a newline; return when each is confirmed or refused for good.

        Raises StoreError where the server stays out of reach, or refuses all writes. Lines may be stored then.
        """
        self._check_open()
        body = octets(lines)
        if len(body) <= _BODY or len(lines) == 1:
            answer = await self._send(body.tobytes())
            if answer is None:
                return []
            reason = message(answer)
            dropped = re.search(r"\bdropped[= ](\d+)", reason)
            if len(lines) == 1 or (dropped and int(dropped[1]) == len(lines)):
                return [Refused(len(lines), reason, lines[0].as_py()[:200].rstrip("\n"), answer.status != 413)]
        half = len(lines) // 2
        return [*await self.write(lines.slice(0, half)), *await self.write(lines.slice(half))]

    async def _send(self, body: bytes) -> ApiException | None:
        """None when stored; the answer where halving the body helps."""
        clock = asyncio.get_running_loop().time
        give_up = clock() + self._patience
        trouble, pause = "the server asked to be left alone", 0.2
        while True:
            at_least = self._not_before - clock()  # others may have been told so meanwhile
            if clock() + at_least > give_up:
                said = f"{self.address}: {trouble}; tried for {self._patience:g} s"
                raise StoreError(said, retry_after=at_least)
            if at_least > 0:
                await asyncio.sleep(at_least)
            try:
                async with asyncio.timeout(self._time_limit):
                    await self._writer.write(self.address.bucket, record=body)
            except ApiException as error:
                if error.status in _HALVED and (error.status != 400 or "unable to parse" in message(error)):
                    return error
                if error.status not in _RETRIED:
                    raise await self._refused(error.status, message(error)) from error
                trouble = f"{error.status} {message(error)}"
                self._not_before = max(self._not_before, clock() + _retry_after(error.headers or {}))
            except TimeoutError:
                trouble = f"no answer within {self._time_limit:g} s"
            except (aiohttp.ClientError, OSError) as error:
                trouble = _words(error)
            else:
                return None
            wait = pause * random.uniform(0.5, 1.5)
            asked = self._not_before - clock()
            if clock() + max(wait, asked) > give_up:
                said = f"{self.address}: {trouble}; tried for {self._patience:g} s"
                raise StoreError(said, retry_after=asked if asked > 0 else None)
            await asyncio.sleep(wait)
            pause = min(2 * pause, 5.0)

    async def query(self, statements: Sequence[str]) -> list[list[Series]]:
        """The answers to InfluxQL statements in one request, in their order. See :meth:`each`."""
        answers: list[list[Series]] = [[] for _ in statements]
        await self.each(statements, lambda number, series: answers[number].append(series))
        return answers

    async def each(self, statements: Sequence[str], take: Callable[[int, Series], None]) -> None:
        """Hand the statements' answers over piece by piece, of at most 5,000 rows: statement number and series.

        Times are int64 ns. Cancelling closes the connection, upon which the server gives the query up. Raises
        StoreError where the server is out of reach, refuses, fails on a statement or takes longer than the time limit.
        """
        self._check_open()
        if not statements:
            return
        try:
            async with asyncio.timeout(self._time_limit):
                await self._stream("; ".join(statements), take)
        except TimeoutError as error:
            raise StoreError(
                f"{self.address}: no answer within {self._time_limit:g} s; ask for a shorter window"
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise StoreError(f"{self.address}: {_words(error)}") from error

    async def _stream(self, text: str, take: Callable[[int, Series], None]) -> None:
        form = {"db": self.address.bucket, "q": text, "epoch": "ns", "chunked": "true", "chunk_size": str(_CHUNK)}
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
            # Two thirds of the time of a query for samples went into gzip, which aiohttp asks for by itself.
            "Accept-Encoding": "gzip" if self._gzip else "identity",
        }
        response: aiohttp.ClientResponse = await self._client.api_client.call_api(
            "/query", "POST", header_params=headers, post_params=list(form.items()), _preload_content=False
        )
        try:
            if response.status != 200:
                refused = await self._refused(response.status, _said(await response.text()))
                refused.retry_after = _retry_after(response.headers) or None
                raise refused  # noqa: TRY301
            rest = b""
            async for block in response.content.iter_any():
                *documents, rest = (rest + block).split(b"\n")
                for document in documents:
                    self._deliver(document, take)
            if rest:
                self._deliver(rest, take)
        except BaseException:
            response.close()
            raise
        response.release()

    async def _refused(self, status: int, said: str) -> StoreError:
        """The error to raise. A token that was refused is asked for again: the next request has what it is by then."""
        if status == 401 and self._renew:
            with suppress(ConfigError):
                token = await asyncio.to_thread(self._renew)
                self._client.api_client.set_default_header("Authorization", f"Token {token}")
        kind = StoreError if status in _PASSING or status >= 500 else RefusedError
        return kind(f"{self.address}: {refusal(status, said)}")

    def _check_open(self) -> None:
        if not self._open:
            raise StoreError(f"{self.address} is not open")

    def _deliver(self, document: bytes, take: Callable[[int, Series], None]) -> None:
        if not document:
            return
        answer = _loads(document)
        failure = answer.get("error")
        for result in answer.get("results", ()):
            failure = failure or result.get("error")
            for series in result.get("series", ()):
                take(
                    result["statement_id"], Series(series.get("tags", {}), series["columns"], series.get("values", ()))
                )
        if failure:
            advice = f"; {_ADVICE[404]}" if failure.startswith("database not found") else ""
            raise StoreError(f"{self.address}: {failure}{advice}")


def identifier(name: str) -> str:
    """``name`` as an InfluxQL identifier."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def literal(text: str) -> str:
    """``text`` as an InfluxQL string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def _loads(document: bytes) -> dict[str, Any]:
    """JSON, in which Go writes a float's negative zero as ``-0``: an integer to Python."""
    if re.search(rb"-0[,\]]", document):
        return json.loads(document, parse_int=lambda digits: -0.0 if digits == "-0" else int(digits))  # type: ignore[no-any-return]
    return json.loads(document)  # type: ignore[no-any-return]


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds to wait (RFC 9110, section 10.2.3: a number, or a date to be read against the answer's own)."""
    value = headers.get("Retry-After", "0")
    try:
        if value.isdecimal():
            return float(value)
        return (parsedate_to_datetime(value) - parsedate_to_datetime(headers["Date"])).total_seconds()
    except (KeyError, ValueError, TypeError):
        return 0.0


def message(error: ApiException) -> str:
    """What the server said."""
    body = error.body or b""
    return _said(body.decode(errors="replace") if isinstance(body, bytes) else str(body)) or str(error.reason)


def _said(text: str) -> str:
    """The message in an answer's JSON; the answer itself where it isn't the server's (a proxy's, say)."""
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.strip()[:500]


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def refusal(status: int, said: str) -> str:
    """The server's words, with what to do about them where that is known."""
    return f"{status} {said}" + (f"; {_ADVICE[status]}" if status in _ADVICE else "")
