"""The ingest service: record what arrives, acknowledge what is durable, and process what is recorded."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ground.errors import RecordingError
from ground.link.gather import deliveries
from ground.link.mqtt import Address, Client, Delivery
from ground.live import PERIOD, LiveStream
from ground.processing.follow import Follower
from ground.recording.durable import make_folder, write_durably
from ground.recording.read import Recording
from ground.recording.write import Recorder
from ground.supervise import keep_going

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ground.link.state import LinkState
    from ground.mission import Mission
    from ground.stores import Store
    from ground.xtce.plan import Plan

log = logging.getLogger("ground.ingest")

SUBSCRIPTIONS: Final = (("tm/#", 1), ("operator/#", 1))
LEDGER_TOPIC: Final = "ledger"

_SESSION_SECONDS: Final = 7 * 86_400
_SESSION_NAME: Final = re.compile(rb"[!-~]{1,128}")
_RETRY_SECONDS: Final = 1.0
_TELL_SECONDS: Final = 0.1
NOTHING_YET: Final[Mapping[str, Any]] = {
    "position": {"recorded": 0, "processed": 0, "stored": 0},
    "store": {"error": None, "behind_s": 0.0},
    "unrouted": {},
    "damage": [],
    "damaged": 0,
    "missions": {},
    "balanced": True,
}
"""A ledger before anything is followed."""

_LONGEST_LEDGER: Final = 28_000
"""Octets; the embedded broker takes no message of more than 30,000."""

_SHOW_PAUSE: Final = 4
"""Pause after publishing the live stream, by how long that took: it has a fifth of the time at most."""


class Ingest:
    """One ingest of one data folder: ``<data>/recording`` is written, the store follows it.

    ``report`` may be called at any time after :meth:`run` has begun.
    """

    def __init__(self, missions: Iterable[tuple[Mission, Plan]], broker: Address, data: Path, store: Store) -> None:
        self._missions = [*missions]
        self._broker = broker
        self._data = data
        self._store = store
        self._client: Client | None = None
        self._follower: Follower | None = None
        self._recording_error: str | None = None
        self._troubles: dict[str, str] = {}
        self.ready = asyncio.Event()
        """Set when the broker has confirmed the subscription for the first time."""

    async def run(self) -> None:
        """Run until cancelled; then what is decoded is stored before it returns.

        Raises :class:`~ground.errors.GroundError` where the recording cannot be opened.
        """
        folder = self._data / "recording"
        name = await asyncio.to_thread(_session_name, self._data)
        # What a broker kept came before, or is nobody's telemetry now: at each start it would be taken for new.
        client = Client(
            self._broker,
            name,
            subscriptions=SUBSCRIPTIONS,
            retained=False,
            session_expiry=_SESSION_SECONDS,
            on_state=self._say,
        )
        async with Recorder(folder) as recorder, client:
            self._client = client
            async with asyncio.TaskGroup() as tasks:
                # Nothing but the recorder itself ends recording: whatever else fails is begun again by itself.
                tasks.create_task(self._record(client, recorder), name="record")
                for task, work in (("processing", partial(self._process, client, recorder)), ("ledger", self._tell)):
                    tasks.create_task(keep_going(task, work, self._troubles), name=task)
                await client.connected()
                self.ready.set()

    async def subscribed(self) -> None:
        """Wait until the broker is connected, again where it was lost, and has confirmed the subscription."""
        await self.ready.wait()
        assert self._client is not None
        await self._client.connected()

    def report(self) -> dict[str, Any]:
        """The ledger of all stages, JSON-ready."""
        link: dict[str, Any] = {"state": "starting"}
        if self._client is not None:
            counts = self._client.counts
            link = {
                "state": self._client.state.reason,
                "received": counts.received,
                "retained": counts.retained,
                "acknowledged": counts.acknowledged,
                "protocol_errors": counts.protocol_errors,
            }
            if self._recording_error is not None:
                link["recording_error"] = self._recording_error
        processed = self._follower.report(time.time_ns()) if self._follower else NOTHING_YET
        return {"link": link, "troubles": dict(self._troubles), **processed}

    async def _record(self, client: Client, recorder: Recorder) -> None:
        """Everything that came while the last sync was in progress becomes durable with the next."""
        async for delivery in deliveries(client):
            await self._append(recorder, delivery)
            client.ack(delivery)

    async def _append(self, recorder: Recorder, delivery: Delivery) -> None:
        """Append until the disk takes it: what isn't recorded isn't acknowledged, and the broker keeps the rest."""
        while True:
            try:
                await recorder.append(delivery.messages, delivery.received)
            except RecordingError as error:
                if self._recording_error != str(error):
                    log.error("not recorded, not acknowledged: %s", error)
                self._recording_error = str(error)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                self._recording_error = None
                return

    async def _process(self, client: Client, recorder: Recorder) -> None:
        """What was recorded before now is stored, but not shown or announced again."""
        live = LiveStream(client.publish)
        recording = Recording(self._data / "recording", lambda: recorder.committed)
        follower = Follower(self._missions, recording, self._store, live=live, publish=client.publish)
        first = await asyncio.to_thread(recording.first)
        live.begin(await follower.start(first, recorder.committed))
        self._follower = follower
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(follower.run(recorder), name="follow")
            tasks.create_task(keep_going("live", partial(self._show, follower, live), self._troubles), name="live")

    async def _show(self, follower: Follower, live: LiveStream) -> None:
        """Right after a block, and not before the period has passed: nothing waits longer than it must.

        Under full load publishing takes its share of the time and no more: recording and decoding come first.
        """
        shown = follower.position
        while True:
            shown = await follower.advanced(shown)
            begun = time.monotonic()
            await live.flush(shown)
            now = time.monotonic()
            await asyncio.sleep(max(begun + PERIOD - now, _SHOW_PAUSE * (now - begun)))

    async def _tell(self) -> None:
        """Publish the ledger and each mission's state, retained, when they have changed; ten times a second at most."""
        assert self._client is not None
        said: dict[str, bytes] = {}
        connections = 0
        while True:
            if connections != self._client.counts.connections:
                connections = self._client.counts.connections
                said.clear()  # a broker that was started anew has forgotten what it was told
                if self._follower is not None:
                    self._follower.announce_standing()
            report = self.report()
            messages = {LEDGER_TOPIC: fitting(report)}
            for name, mission in report["missions"].items():
                state = {key: mission.get(key) for key in ("running", "reason")}
                messages[f"state/{name}"] = json.dumps(state).encode()
            for topic, octets in messages.items():
                if octets != said.get(topic):
                    await self._client.publish(topic, octets, qos=0, retain=True)
                    said[topic] = octets
            await asyncio.sleep(_TELL_SECONDS)

    def _say(self, state: LinkState) -> None:
        log.log(logging.INFO if state.connected else logging.WARNING, "broker: %s", state.reason)


def fitting(report: dict[str, Any]) -> bytes:
    """The ledger as a message that every broker takes: one that is too long leaves its channels out, and says so."""
    octets = json.dumps(report).encode()
    if len(octets) <= _LONGEST_LEDGER:
        return octets
    shorter = {
        name: {**{key: value for key, value in mission.items() if key != "vcs"}, "vcs": {}, "vcs_left_out": True}
        for name, mission in report["missions"].items()
    }
    return json.dumps({**report, "missions": shorter, "damage": report["damage"][:1]}).encode()


def _session_name(data: Path) -> str:
    """The MQTT client identifier of this data folder: the broker keeps its session under it across restarts.

    Raises :class:`~ground.errors.RecordingError` where the folder takes no file.
    """
    file = data / "session"
    try:
        if file.exists():
            octets = file.read_bytes().strip()
            if _SESSION_NAME.fullmatch(octets):
                return octets.decode()
            log.warning(
                "%s: empty or garbled; a new session begins, what the broker kept for the old one is lost", file
            )
        name = f"ground-ingest-{secrets.token_hex(6)}"
        make_folder(data)
        # The broker keeps messages for a name that must outlive a crash as well.
        write_durably(file, f"{name}\n".encode())
    except OSError as error:
        raise RecordingError(f"the data folder is not writable ({error.strerror})", path=str(data)) from error
    return name
