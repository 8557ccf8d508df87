"""Live: what comes from the broker goes to every open page that wants it, undecoded.

The hub remembers what a page needs to begin with: the newest clocks and station reports, the last events and alarms,
the newest values and the schemas.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import aiomqtt
import pyarrow as pa

from dashboard.newest import Newest
from dashboard.untrusted import check_schema, read_alarm, read_clock, read_json, read_state, read_station
from dashboard.viewer import LiveBatch, Viewer
from ground.link.connection import acknowledge_now
from ground.link.topics import operator
from ground.processing.levels import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from dashboard.journal import Journal
    from dashboard.viewer import Kind
    from ground.link.address import Address

Key = TypeVar("Key")

_log = logging.getLogger(__name__)

_TOPICS = ("schema", "live", "station", "clock", "event", "alarm", "state")
_QOS = {"live": 0}
_BACK_OFF = (0.5, 10.0)

# Messages that the event loop has not come to yet. Beyond that they are lost, as if the viewers were slow.
_INCOMING = 10_000

MOST_REPORTS: Final = 1000
"""Clocks and stations that are remembered, of all missions together."""

MOST_CONTAINERS: Final = 5000
"""Containers, and their summaries, of which schemas are remembered."""

# What is said of no mission: events of the ground segment itself.
_GROUND = "ground"

# Schemas of a container and kind that are remembered, newest last: batches of the one before may still be under way.
_SCHEMAS = 4


class Hub:
    """``prefix`` (empty, or ending in ``/``): the namespace of the topics. ``ledger``: gives the ledger, JSON-ready.
    ``journal``: keeps events and alarms for pages that come later.

    ``banner``: said to every page that comes, in a replay. ``connected``: whether the broker sends. ``counts``:
    messages by what became of them. ``newest``: the newest values.
    """

    def __init__(
        self,
        missions: Collection[str],
        broker: Address,
        ledger: Callable[[], Mapping[str, Any]],
        journal: Journal,
        *,
        prefix: str = "",
        banner: str | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.connected = False
        self.newest = Newest()
        self._missions = missions
        self._broker = broker
        self._ledger = ledger
        self._journal = journal
        self._prefix = prefix
        self._viewers: set[Viewer] = set()
        self._standing: dict[str, str] = {}
        self._alarms: dict[str, dict[str, dict[str, Any]]] = {}
        self._connection: aiomqtt.Client | None = None
        self._schemas: dict[tuple[str, str, Kind], dict[str, bytes]] = {}
        if banner is not None:
            self._standing["banner"] = json.dumps({"type": "banner", "text": banner, "replay": True})

    @property
    def viewers(self) -> int:
        """Pages that are open."""
        return len(self._viewers)

    def join(self) -> Viewer:
        """A new page; it is told at once how things stand, and what has happened."""
        viewer = Viewer(self._missions)
        viewer.replace("log", json.dumps({"type": "log", "data": self._journal.entries()}))
        for key, text in self._standing.items():
            viewer.replace(key, text)
        self._viewers.add(viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """The page is closed."""
        self._viewers.discard(viewer)
        self.counts["dropped for slow viewers"] += viewer.dropped

    def containers(self, mission: str) -> dict[str, pa.Schema]:
        """The containers that were seen live, and their columns."""
        return {
            container: pa.ipc.read_schema(pa.py_buffer(list(schemas.values())[-1]))
            for (of, container, kind), schemas in self._schemas.items()
            if of == mission and kind == "raw"
        }

    async def run(self) -> NoReturn:
        """Listen to the broker for ever; connect again, with growing patience, when it is gone."""
        wait = _BACK_OFF[0]
        while True:
            try:
                async with self._client() as client:
                    for topic in _TOPICS:
                        await client.subscribe(f"{self._prefix}{topic}/#", qos=_QOS.get(topic, 1))
                    self._recovered()
                    self._connection = client
                    wait = _BACK_OFF[0]
                    async for message in client.messages:
                        acknowledge_now(client._client.socket())
                        self.take(message)
            except (aiomqtt.MqttError, OSError) as error:
                _log.warning("no connection to the broker %s (%s)", self._broker, error)
            except Exception:  # a defect: pages stay open, and what comes after a new connection may do
                self.counts["failures"] += 1
                _log.exception("the connection to the broker %s is made anew", self._broker)
            self.connected, self._connection = False, None
            text = f"There is no connection to the broker {self._broker}: what you see is not live."
            self._stand("error", json.dumps({"type": "error", "text": text}))
            await asyncio.sleep(wait)
            wait = min(2 * wait, _BACK_OFF[1])

    async def tell_ledger(self, period: float = 1.0) -> NoReturn:
        """Send the ledger to all pages every ``period`` seconds if it has changed, for ever."""
        while True:
            try:
                self._stand("ledger", json.dumps({"type": "ledger", "data": self._ledger()}))
            except Exception:  # of the pipeline's report: pages show the one before
                self.counts["failures"] += 1
                _log.exception("the ledger is not shown")
            await asyncio.sleep(period)

    async def beat(self, period: float = 1.0) -> NoReturn:
        """Tell all pages the server's time every ``period`` seconds, for ever: one that hears nothing knows it."""
        while True:
            heartbeat = json.dumps({"type": "heartbeat", "time": str(time.time_ns())})
            for viewer in self._viewers:
                viewer.replace("heartbeat", heartbeat)
            await asyncio.sleep(period)

    def take(self, message: aiomqtt.Message) -> None:
        """Sort a message of the broker. What cannot be understood is counted and left."""
        levels = str(message.topic).removeprefix(self._prefix).split("/")
        try:
            self._sort(levels, message)
        except (ValueError, KeyError) as error:
            self.counts["damaged"] += 1
            reason = f"the user property {error} is missing" if isinstance(error, KeyError) else error
            _log.warning("%s: %s", message.topic, reason)
        except Exception:  # a defect of ours that somebody's message has found
            self.counts["failures"] += 1
            _log.exception("%s: left", message.topic)
        else:
            self.counts[levels[0]] += 1

    def _sort(self, levels: list[str], message: aiomqtt.Message) -> None:
        payload = message.payload
        if len(levels) < 2 or (levels[1] not in self._missions and levels != ["event", _GROUND]):
            raise ValueError("of no mission that is shown here")
        match levels:
            case ["live", mission, container]:
                self._live(mission, container, payload, _properties(message))
            case ["schema", mission, container]:
                self._schema(mission, container, "raw", payload, _properties(message))
            case ["schema", mission, container, "summary"]:
                self._schema(mission, container, "summary", payload, _properties(message))
            case ["station", mission, station]:
                about = {"type": "station", "mission": mission, "station": station, "data": read_station(payload)}
                self._stand(_bounded(f"station/{mission}/{station}", self._standing, MOST_REPORTS), json.dumps(about))
            case ["clock", mission]:
                about = {"type": "clock", "mission": mission, "data": read_clock(payload)}
                self._stand(f"clock/{mission}", json.dumps(about))
            case ["event" | "alarm" as kind, mission]:
                text = json.dumps(self._journal.enter(kind, mission, read_json(payload)))
                for viewer in self._viewers:
                    viewer.report(text)
            case ["alarm", mission, container, parameter]:
                self._alarm(mission, f"{container}/{parameter}", payload)
            case ["state", mission]:
                about = {"type": "state", "mission": mission, "data": read_state(payload)}
                self._stand(f"state/{mission}", json.dumps(about))
            case _:
                raise ValueError("no such topic")

    def alarms(self, mission: str) -> list[dict[str, Any]]:
        """The alarms of a mission that aren't normal, the worst first."""
        standing = self._alarms.get(mission, {})
        return sorted(standing.values(), key=lambda a: (-SEVERITIES.index(a["severity"]), a["parameter"]))

    async def operate(self, mission: str, values: Mapping[str, Any]) -> bool:
        """Publish what an operator does with a mission; False where the broker can't be reached, or in a replay."""
        client = self._connection
        if client is None or self._prefix:
            return False
        try:
            await client.publish(operator(mission), json.dumps(values), qos=1)
        except aiomqtt.MqttError as error:
            _log.warning("%s: not published: %s", operator(mission), error)
            return False
        return True

    def _alarm(self, mission: str, parameter: str, payload: bytes) -> None:
        """How an alarm stands; nothing where it is normal."""
        standing = self._alarms.setdefault(mission, {})
        if payload:
            alarm = read_alarm(payload, parameter)
            standing[_bounded(parameter, standing, MOST_REPORTS)] = alarm
        else:
            standing.pop(parameter, None)
        data = self.alarms(mission)
        self._stand(f"alarms/{mission}", json.dumps({"type": "alarms", "mission": mission, "data": data}))

    def _client(self) -> aiomqtt.Client:
        broker = self._broker
        return aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.username,
            password=None if broker.password is None else broker.password.decode(),
            tls_context=broker.tls,
            protocol=aiomqtt.ProtocolVersion.V5,
            identifier=f"ground-dashboard-{secrets.token_hex(6)}",
            max_queued_incoming_messages=_INCOMING,
        )

    def _stand(self, key: str, text: str) -> None:
        """Tell all pages, and those that come, unless it is what they know already."""
        if self._standing.get(key) != text:
            self._standing[key] = text
            for viewer in self._viewers:
                viewer.replace(key, text)

    def _recovered(self) -> None:
        self.connected = True
        if self._standing.pop("error", None) is not None:
            for viewer in self._viewers:
                viewer.replace("error", json.dumps({"type": "error", "text": None}))

    def _live(self, mission: str, container: str, payload: bytes, properties: Mapping[str, str]) -> None:
        kind = _kind(properties.get("kind", "raw"))
        start, stop = int(properties["from"]), int(properties["to"])
        if not 0 <= start <= stop < 2**64:
            raise ValueError(f"positions from {start} to {stop}")
        schema = self._schemas.get((mission, container, kind), {}).get(properties["schema_id"])
        if schema is None:
            self.counts["of no schema"] += 1  # the page sees the jump in the positions
            return
        batch = LiveBatch(mission, container, kind, schema, start, stop, payload)
        self.newest.take(batch)
        for viewer in self._viewers:
            viewer.offer(batch)

    def _schema(self, mission: str, container: str, kind: Kind, payload: bytes, properties: Mapping[str, str]) -> None:
        number = properties["schema_id"]
        check_schema(payload)
        known = self._schemas.setdefault(_bounded((mission, container, kind), self._schemas, MOST_CONTAINERS), {})
        known.pop(number, None)
        known[number] = payload
        while len(known) > _SCHEMAS:
            del known[next(iter(known))]


def _properties(message: aiomqtt.Message) -> dict[str, str]:
    pairs: list[tuple[str, str]] = getattr(message.properties, "UserProperty", [])
    return dict(pairs)


def _kind(text: str) -> Kind:
    if text == "raw":
        return "raw"
    if text == "summary":
        return "summary"
    raise ValueError(f"kind = {text!r}")


def _bounded(key: Key, known: Collection[Key], most: int) -> Key:
    """``key``, unless it would be one too many: names are as many as a sender can think of."""
    if key not in known and len(known) >= most:
        raise ValueError(f"there are {most} others already")
    return key
