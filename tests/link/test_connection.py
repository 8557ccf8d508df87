from __future__ import annotations

import socket

from ground.link.connection import acknowledge_now


def test_what_has_come_is_acknowledged_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        acknowledge_now(sock)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK) == 1


def test_a_connection_that_is_gone_is_left_alone() -> None:
    acknowledge_now(None)
