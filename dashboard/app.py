"""The dashboard's server: the page, history over REST, live over one WebSocket."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import uvicorn
from fastapi import FastAPI, HTTPException, WebSocket
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles

from dashboard.access import Access, Guard, is_loopback
from dashboard.alarms import alarms_router
from dashboard.catalogue import Catalogue, describe_mission
from dashboard.connections import BACKLOG, BoundedProtocol, raise_file_limit
from dashboard.health import health_router
from dashboard.history import history_router
from dashboard.hub import Hub
from dashboard.journal import Journal
from dashboard.metrics import metrics_router
from dashboard.rows import rows_router
from dashboard.viewer import BadRequestError
from ground.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from dashboard.viewer import Viewer
    from ground.link.address import Address
    from ground.mission import Mission
    from ground.stores import Store

PAGES = Path(__file__).parent / "web" / "dist"

_JOURNAL_SECONDS = 5.0

_log = logging.getLogger(__name__)


def create_app(
    missions: Sequence[Mission],
    store: Store,
    ledger: Callable[[], Mapping[str, Any]],
    broker: Address,
    *,
    prefix: str = "",
    banner: str | None = None,
    access: Access | None = None,
    journal: Path | None = None,
    pages: Path = PAGES,
) -> FastAPI:
    """The application. Its tasks start and end with the server's lifespan.

    ``ledger`` is called once a second and for ``/api/ledger``. ``prefix`` sets the topics of a replay apart
    (``replay/<id>/``), and ``banner`` says so on the page. ``journal``: the file that keeps events and alarms over a
    restart, if they should be kept. Raises DefinitionError where a mission's XTCE file cannot be compiled.
    """
    by_name = {mission.name: mission for mission in missions}
    catalogues = {name: Catalogue(mission) for name, mission in by_name.items()}
    happened = Journal(journal)
    hub = Hub(by_name, broker, ledger, happened, prefix=prefix, banner=banner)
    tasks: list[asyncio.Task[NoReturn]] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks[:] = [
            asyncio.create_task(hub.run(), name="dashboard hub"),
            asyncio.create_task(hub.tell_ledger(), name="dashboard ledger"),
            asyncio.create_task(hub.beat(), name="dashboard heartbeat"),
            asyncio.create_task(_keep(happened), name="dashboard journal"),
        ]
        for task in tasks:
            task.add_done_callback(_explain_end)
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await happened.save()

    app = FastAPI(title="Perilune Ground", lifespan=lifespan, docs_url=None, redoc_url=None)  # these need a CDN
    app.state.access = access or Access()
    app.state.hub = hub
    app.add_middleware(Guard, access=app.state.access)
    app.include_router(health_router(hub, store, ledger, tasks))
    app.include_router(metrics_router(hub, ledger))
    app.include_router(history_router(store, catalogues, hub))
    app.include_router(rows_router(store, by_name))
    app.include_router(alarms_router(hub, store, by_name))

    @app.get("/api/missions")
    async def list_missions() -> list[dict[str, Any]]:
        """The missions, their channels and stations."""
        return [describe_mission(mission) for mission in missions]

    @app.get("/api/missions/{mission}/parameters")
    async def list_parameters(mission: str) -> list[dict[str, Any]]:
        """The parameters of a mission: those that its XTCE file defines, and those that were seen."""
        if mission not in catalogues:
            raise HTTPException(404, f"there is no mission {mission!r}")
        try:
            stored = await store.containers(mission)
        except StoreError as error:
            raise HTTPException(503, str(error)) from error
        return catalogues[mission].parameters({**hub.containers(mission), **stored})

    @app.get("/api/ledger")
    async def show_ledger() -> dict[str, Any]:
        """What came in, what went out, and why the rest did not."""
        return dict(ledger())

    @app.websocket("/ws")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        viewer = hub.join()
        tasks = [asyncio.create_task(_listen(socket, viewer)), asyncio.create_task(viewer.send_to(socket))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hub.leave(viewer)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    if (pages / "index.html").is_file():
        app.mount("/", StaticFiles(directory=pages, html=True), name="pages")
    else:

        @app.get("/", include_in_schema=False)
        async def unbuilt() -> PlainTextResponse:
            return PlainTextResponse("The pages are not built yet: run make setup, then start again.\n", 503)

    return app


async def _keep(journal: Journal) -> NoReturn:
    while True:
        await asyncio.sleep(_JOURNAL_SECONDS)
        await journal.save()


async def _listen(socket: WebSocket, viewer: Viewer) -> None:
    """Take the page's messages until it closes."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        try:
            viewer.hear(message.get("text") or "")
        except BadRequestError as error:
            viewer.complain(str(error))


def _explain_end(task: asyncio.Task[NoReturn]) -> None:
    if not task.cancelled():
        _log.error(
            "%s has ended: the page shows no live data until a restart", task.get_name(), exc_info=task.exception()
        )


class _Server(uvicorn.Server):
    """A part of a larger process: it leaves signals to that, and says when it accepts connections."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell_started = started

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell_started()


async def serve(app: FastAPI, host: str, port: int, started: Callable[[str], None] = lambda url: None) -> None:
    """Serve until cancelled, in the running event loop, without touching its signal handlers.

    ``port`` 0 takes a free one. ``started`` is called with the URL when connections are accepted. Raises ConfigError
    where the port is taken, or ``host`` can be reached from elsewhere and no password is set.
    """
    access: Access = app.state.access
    if access.password is None and not is_loopback(host):
        raise ConfigError(f"the dashboard is not bound to {host} without a password: set GROUND_DASHBOARD_PASSWORD")
    raise_file_limit()
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
        # Inherited by what it accepts: live batches are small, and Nagle's algorithm would hold them back for 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (OSError, OverflowError, UnicodeError) as error:
        # The operating system's words; what Python adds to them repeats the address.
        reason = (getattr(error, "strerror", None) or str(error)).partition(" (while")[0].lower()
        raise ConfigError(f"the dashboard cannot listen on {host} port {port}: {reason}") from error
    name = f"[{host}]" if ":" in host else host
    url = f"http://{name}:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        backlog=BACKLOG,
        log_config=None,
        access_log=False,
        server_header=False,
        ws_max_size=1 << 20,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config, lambda: started(url))
    with listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]), name="dashboard server")
        try:
            await asyncio.shield(serving)
        finally:
            server.should_exit = True
            await serving
