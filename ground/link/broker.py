"""The embedded broker: rumqttd (by way of iotcore) in a child process, on this machine's loopback only.

It keeps messages, sessions and retained messages in memory: they survive a reconnection, not the broker's own end. As
measured of rumqttd: after a reconnection it delivers again, in order, what was not acknowledged, without the DUP flag;
it delivers a QoS 0 message with the subscription's QoS; it disconnects who acknowledges out of order.
"""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING, Final

import iotcore

from ground.errors import ConfigError, LinkError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

HOST: Final = "127.0.0.1"

_ROUTER: Final = """\
id = 0

[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
"""

_LISTENER: Final = """
[{table}]
name = "{name}"
listen = "{host}:{port}"
next_connection_delay_ms = 1

[{table}.connections]
connection_timeout_ms = 60000
max_payload_size = 33554432
max_inflight_count = 200
dynamic_filters = true
"""


class EmbeddedBroker:
    """A broker for this machine, a context manager. It ends with this process, however that ends.

    ``folder``: where its configuration is written. ``port``: of MQTT 5; ``port_v4``: of MQTT 3.1.1, which a listener of
    its own serves. 0 takes a free one. :attr:`port` and :attr:`port_v4` tell which, once it is started.
    """

    def __init__(self, folder: Path, port: int = 0, port_v4: int = 0) -> None:
        self.folder = folder
        self.port = port
        self.port_v4 = port_v4
        self._broker: iotcore.Broker | None = None

    @property
    def url(self) -> str:
        """Of the MQTT 5 listener."""
        return f"mqtt://{HOST}:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the child process lives."""
        return self._broker is not None and self._broker.is_running

    def start(self) -> None:
        """Start it and wait until it listens (blocking, well under a second). May be called again when it has ended; it
        keeps its ports.

        Raises :class:`~ground.errors.LinkError` where a port is taken or it doesn't come up,
        :class:`~ground.errors.ConfigError` where the folder takes no file.
        """
        self.stop()
        self.port = self.port or _free_port()
        self.port_v4 = self.port_v4 or _free_port()
        config = self.folder / "broker.toml"
        listeners = (("v5.1", "MQTT 5", self.port), ("v4.1", "MQTT 3.1.1", self.port_v4))
        tables = [_LISTENER.format(table=table, name=name, host=HOST, port=port) for table, name, port in listeners]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            config.write_text(_ROUTER + "".join(tables), "utf-8")
        except OSError as error:
            raise ConfigError(f"{self.folder}: not writable ({error.strerror}); choose another folder") from error
        try:
            self._broker = iotcore.Broker(config_path=str(config))
            # Ctrl-C reaches every process of the terminal. The child must not die of it before we have disconnected
            # from it, nor print a traceback; it inherits that the signal is blocked.
            unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                self._broker.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        except (OSError, RuntimeError, ValueError) as error:
            ports = f"{HOST}:{self.port} (MQTT 5) and {HOST}:{self.port_v4} (MQTT 3.1.1)"
            raise LinkError(f"the embedded broker cannot listen on {ports}: {error}") from error

    def stop(self) -> None:
        """End it. May be called twice."""
        if self._broker:
            self._broker.stop()

    def __enter__(self) -> EmbeddedBroker:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
