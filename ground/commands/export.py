"""``ground export``: what is stored, exactly, into files that other tools read."""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

import pyarrow as pa
from rich.progress import Progress, SpinnerColumn, TextColumn

from dashboard.access import Access, is_loopback
from dashboard.history import parse_instant
from dashboard.rows import END, FIRST, read_rows
from ground.commands.stack import open_store
from ground.commands.terminal import err, out
from ground.decode import WRITERS
from ground.errors import GroundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from http.client import HTTPResponse
    from typing import TypeAlias

    from ground.stores import Store

    # The rows of a container: those parameters, in that window. The first table may be empty and tells the columns.
    Read: TypeAlias = Callable[[str, Sequence[str]], Iterator[pa.Table]]

_PATIENCE: Final = 60.0


class _NothingStoredError(GroundError):
    """There are no rows of a container that might have had some."""


def add(command: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    command.add_argument("--mission", required=True, help="whose telemetry")
    command.add_argument(
        "--container", action="append", default=[], metavar="NAME", help="a whole container (may be repeated)"
    )
    command.add_argument(
        "--parameter", action="append", default=[], metavar="CONTAINER/NAME", help="one parameter (may be repeated)"
    )
    command.add_argument(
        "--from", dest="start", type=_instant, default=FIRST, metavar="TIME", help="onboard time, ISO 8601 or ns"
    )
    command.add_argument(
        "--to", dest="stop", type=_instant, default=END, metavar="TIME", help="the time after the last"
    )
    command.add_argument("--format", choices=WRITERS, default="csv", help="of the files (default: %(default)s)")
    command.add_argument("--output", type=Path, metavar="DIR", help="where they go (default: MISSION-export)")
    source = command.add_mutually_exclusive_group()
    source.add_argument(
        "--url", default="http://127.0.0.1:8000", help="of a dashboard that runs (default: %(default)s)"
    )
    source.add_argument("--store", metavar="URL", help="read this store itself: duckdb:FOLDER, influxdb://...")
    command.add_argument("--json", action="store_true", help="print the number of rows by container as JSON")


def run(options: argparse.Namespace) -> None:
    """Write one file a container: without ``--container`` and ``--parameter``, of all that are stored."""
    folder: Path = options.output or Path(f"{options.mission}-export")
    counts: dict[str, int] = {}
    shown = SpinnerColumn(), TextColumn("{task.description}: {task.completed} rows")
    bar = Progress(*shown, console=err, transient=True, disable=not err.is_terminal)
    with _source(options) as (containers, read), bar:
        task = bar.add_task("", total=None)
        asked = _asked(options.container, options.parameter)
        for container, parameters in (asked or {name: [] for name in containers()}).items():
            bar.update(task, description=container)
            path = folder / f"{container}.{options.format}"
            try:
                counts[container] = _write(path, read(container, parameters), lambda n: bar.update(task, completed=n))
            except _NothingStoredError:
                if asked:
                    raise
    if options.json:
        out.print(json.dumps(counts), markup=False)
    err.print(f"{sum(counts.values())} rows of {len(counts)} containers written to {folder}/", markup=False)


def _instant(text: str) -> int:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _asked(containers: Sequence[str], parameters: Sequence[str]) -> dict[str, list[str]]:
    """The parameters asked for of each container; none stands for all of them."""
    wanted: dict[str, list[str]] = {}
    for qualified in parameters:
        container, slash, name = qualified.partition("/")
        if not slash:
            raise GroundError(f"--parameter {qualified} should be CONTAINER/NAME")
        wanted.setdefault(container, []).append(name)
    return wanted | {container: [] for container in containers}


def _write(path: Path, tables: Iterator[pa.Table], progress: Callable[[int], None]) -> int:
    """Write the rows into ``path``, which is there only when it is whole; returns their number."""
    beside = path.with_name(f"{path.name}.part")
    first = next(tables)
    n = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with WRITERS[path.suffix[1:]](beside, first.schema) as writer:
            for table in tables:
                for batch in table.to_batches():
                    writer.write(batch)
                n += table.num_rows
                progress(n)
        beside.replace(path)
    except OSError as error:
        raise GroundError(f"{path}: {error.strerror or error}") from error
    finally:
        beside.unlink(missing_ok=True)
    return n


@contextmanager
def _source(options: argparse.Namespace) -> Iterator[tuple[Callable[[], Sequence[str]], Read]]:
    """How to list the containers of which rows may be stored, and how to read one."""
    if options.store is None:
        dashboard = _Dashboard(options.url, options.mission)
        yield (
            dashboard.containers,
            lambda container, names: dashboard.rows(container, names, options.start, options.stop),
        )
        return
    folder = options.store.removeprefix("duckdb:")
    if folder != options.store and not Path(folder).is_dir():
        raise GroundError(f"--store {options.store}: there is no such folder")
    with asyncio.Runner() as runner:
        store = runner.run(open_store(options.store, Path("data")))
        try:
            yield (
                lambda: [*runner.run(_await(store.containers(options.mission)))],
                lambda container, names: _stored(runner, store, options, container, names),
            )
        finally:
            runner.run(store.close())


async def _await(awaitable: Any) -> Any:
    return await awaitable


def _stored(
    runner: asyncio.Runner, store: Store, options: argparse.Namespace, container: str, names: Sequence[str]
) -> Iterator[pa.Table]:
    pages = read_rows(store, options.mission, container, options.start, options.stop, names)
    while True:
        try:
            yield runner.run(_await(anext(pages)))
        except StopAsyncIteration:
            return
        except ValueError as error:
            raise _NothingStoredError(str(error)) from error


class _Dashboard:
    """The HTTP interface of a dashboard that runs: an embedded store belongs to its process."""

    def __init__(self, url: str, mission: str) -> None:
        self._url = url.rstrip("/")
        self._mission = quote(mission, safe="")
        self._opener = build_opener(*([ProxyHandler({})] if is_loopback(urlsplit(url).hostname or "") else []))
        self._password = Access.configured("127.0.0.1").password

    def containers(self) -> list[str]:
        with self._ask("parameters") as answer:
            return [*dict.fromkeys(entry["container"] for entry in json.load(answer))]

    def rows(self, container: str, names: Sequence[str], start: int, stop: int) -> Iterator[pa.Table]:
        query = urlencode({"start": start, "stop": stop, "parameter": names}, doseq=True)
        with self._ask(f"rows/{quote(container, safe='')}?{query}") as answer:
            try:
                with pa.ipc.open_stream(answer) as batches:
                    yield batches.schema.empty_table()
                    for batch in batches:
                        yield pa.Table.from_batches([batch])
            except (HTTPException, pa.ArrowException, OSError) as error:
                raise GroundError(f"{self._url}: the transfer of {container} was cut short ({error})") from error

    def _ask(self, path: str) -> HTTPResponse:
        request = Request(f"{self._url}/api/missions/{self._mission}/{path}")  # noqa: S310 - the operator's own URL
        if self._password:
            credentials = base64.b64encode(f"ground:{self._password}".encode()).decode()
            request.add_header("Authorization", f"Basic {credentials}")
        try:
            answer: HTTPResponse = self._opener.open(request, timeout=_PATIENCE)
        except HTTPError as error:
            kind = _NothingStoredError if error.code == 404 else GroundError
            raise kind(f"{self._url}: {_detail(error)}") from error
        except (URLError, HTTPException, OSError, ValueError) as error:
            raise GroundError(
                f"no dashboard answers at {self._url} ({getattr(error, 'reason', error)}): start one with ground up, "
                "name another with --url, or read a store that no process has open with --store"
            ) from error
        return answer


def _detail(error: HTTPError) -> str:
    try:
        return str(json.load(error)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{error.code} {error.reason}"
