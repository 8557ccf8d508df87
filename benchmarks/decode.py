"""Decoding alone against space-packet-parser: same XTCE file, same packets of 32 float32. Budget: 100 times."""

from __future__ import annotations

import io
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from space_packet_parser import generators
from space_packet_parser.xtce.definitions import XtcePacketDefinition

from benchmarks.table import note
from benchmarks.work import mission, packets
from ground.loadtest.work import Work
from ground.xtce.decode import decode

OURS, THEIRS = 200_000, 5_000


def main() -> None:
    work = Work(10**18)
    with tempfile.TemporaryDirectory() as scratch:
        loaded, plan = mission(work, Path(scratch))
        block = packets(work, loaded, OURS)
        definition = XtcePacketDefinition.from_xtce(loaded.telemetry)
    octets = b"".join(
        block.data[start : start + length].tobytes()
        for start, length in zip(block.start[:THEIRS].tolist(), block.length[:THEIRS].tolist(), strict=True)
    )
    ours = theirs = float("inf")
    for _ in range(5):
        start = time.process_time()
        rows = sum(batch.num_rows for _, batch in decode(plan, block).batches)
        ours = min(ours, (time.process_time() - start) / OURS)
        assert rows == OURS
    for _ in range(2):
        start = time.process_time()
        n = sum(
            1
            for packet in generators.ccsds_generator(io.BytesIO(octets))
            if definition.parse_bytes(packet, root_container_name="Packet")
        )
        theirs = min(theirs, (time.process_time() - start) / THEIRS)
        assert n == THEIRS
    note(
        "decode alone",
        us_per_packet=ours * 1e6,
        ns_per_sample=ours * 1e9 / work.parameters,
        rival=f"space-packet-parser {version('space-packet-parser')}",
        rival_us_per_packet=theirs * 1e6,
        times=theirs / ours,
    )


if __name__ == "__main__":
    main()
