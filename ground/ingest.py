"""The ingest service: record what arrives, acknowledge what is durable, and process what is recorded."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

from ground.errors import RecordingError, StoreError
from ground.link.gather import deliveries
from ground.link.mqtt import Address, Client, Delivery
from ground.live import PERIOD, LiveStream
from ground.pipeline import Pipeline
from ground.recording.durable import make_folder, write_durably
from ground.recording.read import Recording
from ground.recording.write import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ground.mission import Mission
    from ground.stores import Store
    from ground.xtce.plan import Plan

log = logging.getLogger("ground.ingest")

SUBSCRIPTION: Final = ("tm/#", 1)
LEDGER_TOPIC: Final = "ledger"

_SESSION_SECONDS: Final = 7 * 86_400
_SESSION_NAME: Final = re.compile(rb"[!-~]{1,128}")
_RETRY_SECONDS: Final = 1.0
_TELL_SECONDS: Final = 0.1

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
        self._pipeline: Pipeline | None = None
        self._recording_error: str | None = None
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
            subscriptions=(SUBSCRIPTION,),
            retained=False,
            session_expiry=_SESSION_SECONDS,
            on_state=_say,
        )
        async with Recorder(folder) as recorder:
            live = LiveStream(client.publish)
            recording = Recording(folder, lambda: recorder.committed)
            self._pipeline = Pipeline(self._missions, recording, self._store, live=live, publish=client.publish)
            async with client:
                self._client = client
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._record(client, recorder), name="record")
                    tasks.create_task(self._process(self._pipeline, live, recorder), name="pipeline")
                    tasks.create_task(self._tell(client), name="ledger")
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
        return {"link": link, **(self._pipeline.report() if self._pipeline else {"missions": {}, "balanced": True})}

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

    async def _process(self, pipeline: Pipeline, live: LiveStream, recorder: Recorder) -> None:
        """Begin where the store is; a store that can't say yet is asked again, and recording goes on meanwhile."""
        while True:
            try:
                live.begin(await pipeline.start())
                break
            except StoreError as error:
                if pipeline.store_error != str(error):
                    log.warning("the store does not answer yet: %s", error)
                pipeline.store_error = str(error)
                await asyncio.sleep(_RETRY_SECONDS)
        pipeline.store_error = None
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(pipeline.run(recorder), name="follow")
            tasks.create_task(self._show(pipeline, live), name="live")

    async def _show(self, pipeline: Pipeline, live: LiveStream) -> None:
        """Right after a block, and not before the period has passed: nothing waits longer than it must.

        Under full load publishing takes its share of the time and no more: recording and decoding come first.
        """
        shown = pipeline.shown
        while True:
            shown = await pipeline.advanced(shown)
            begun = time.monotonic()
            await live.flush(shown)
            now = time.monotonic()
            await asyncio.sleep(max(begun + PERIOD - now, _SHOW_PAUSE * (now - begun)))

    async def _tell(self, client: Client) -> None:
        """Publish the ledger, retained, when it has changed; ten times a second at most."""
        said = b""
        while True:
            octets = json.dumps(self.report()).encode()
            if octets != said:
                await client.publish(LEDGER_TOPIC, octets, qos=0, retain=True)
                said = octets
            await asyncio.sleep(_TELL_SECONDS)


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


def _say(state: Any) -> None:
    log.log(logging.INFO if state.connected else logging.WARNING, "broker: %s", state.reason)
