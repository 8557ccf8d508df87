from __future__ import annotations

import mqtt5
import numpy as np

from ground.loadtest.wire import Shape


def test_packets_on_the_wire_are_read_by_the_codec() -> None:
    payload = np.arange(40, dtype=np.uint8).reshape(2, 20)
    numbers = np.array([[7, 10**11], [10**18, 10**18 + 1], [1, 65535]])
    octets = Shape("tm/m/s/0", "run", 20).packets(payload, *numbers)
    for row, sent, seq, ert, packet_id in zip(octets, payload, *numbers.tolist(), strict=True):
        packet, read_octets = mqtt5.read(memoryview(row.tobytes()))
        assert isinstance(packet, mqtt5.PublishPacket)
        assert read_octets == len(row)
        assert (packet.topic, bytes(packet.payload or b""), packet.packet_id) == ("tm/m/s/0", sent.tobytes(), packet_id)
        assert packet.qos == mqtt5.QoS.AT_LEAST_ONCE
        assert {name: value.lstrip("0") for name, value in packet.user_properties} == {
            "ert": str(ert),
            "run": "run",
            "seq": str(seq),
        }
