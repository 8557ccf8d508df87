"""Recorded and acknowledged after fdatasync, against the same client acknowledging without recording, in turns, one
packet a message, through the embedded broker and, where there is one, mosquitto. Budget: 80 %.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.table import note
from ground.link.broker import EmbeddedBroker
from ground.link.gather import deliveries
from ground.link.mqtt import Client, parse_broker_url
from ground.loadtest.publisher import Publisher
from ground.loadtest.stream import GROUP, Stream
from ground.loadtest.wire import Shape
from ground.loadtest.work import Work
from ground.recording.write import Recorder
from tests.conftest import Mosquitto

MESSAGES = 40 * GROUP
AHEAD = 8192
TURNS = 3


async def run(url: str, folder: Path, *, recording: bool) -> float:
    """Messages/s."""
    work = Work(10**18)
    stream, shape = Stream(work, 0, 1), Shape("tm/loadtest/load0/0", "r", work.frame_length)
    groups = [stream.group(number) for number in range(4)]
    address = parse_broker_url(url)
    done = 0
    async with Recorder(folder) as recorder, Client(address, folder.name, subscriptions=(("tm/#", 1),)) as client:
        await client.connected(10)
        publisher = await Publisher.connect(address, f"p{folder.name}")

        async def publish() -> None:
            for number in range(MESSAGES // GROUP):
                payload, seq = groups[number % len(groups)]
                for at in range(0, GROUP, 251):
                    while publisher.sent - done > AHEAD:  # noqa: ASYNC110
                        await asyncio.sleep(0.001)
                    part = slice(at, at + 251)
                    ert = np.full(251, 10**18)
                    await publisher.send(shape.packets(payload[part], seq[part], ert, publisher.packet_ids(251)))

        start = time.perf_counter()
        task = asyncio.create_task(publish())
        async for delivery in deliveries(client):
            if recording:
                await recorder.append(delivery.messages, delivery.received)
            client.ack(delivery)
            done += len(delivery.received)
            if done >= MESSAGES:
                break
        await task
        took = time.perf_counter() - start
        publisher.close()
    return MESSAGES / took


def main() -> None:
    for name in ("embedded", "mosquitto"):
        with ExitStack() as stack:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            if name == "embedded":
                url = stack.enter_context(EmbeddedBroker(scratch)).url
            elif shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin"):
                broker = Mosquitto(scratch)
                broker.start()
                stack.callback(broker.stop)
                url = broker.url
            else:
                print("record: no mosquitto here")
                continue
            rates: dict[bool, list[float]] = {True: [], False: []}
            for turn in range(2 * TURNS):
                recording = turn % 2 == 0
                rates[recording].append(asyncio.run(run(url, scratch / f"c{turn}", recording=recording)))
            with_disk, without = (statistics.median(rates[recording]) for recording in (True, False))
            note(
                f"record and acknowledge, {name}",
                per_s=with_disk,
                without_recording_per_s=without,
                ratio=with_disk / without,
            )


if __name__ == "__main__":
    main()
