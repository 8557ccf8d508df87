"""What is measured on board while faults act."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from simulators.ephemeris import SECOND
from simulators.faults import Fault, parse
from tests.simulators.flight import begin

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from simulators.spacecraft import Moments, Spacecraft

    Telemetry = dict[str, NDArray[Any]]


def asked(text: str, start: int) -> Fault:
    """As on the command line, but times may lie before the start."""
    head, _, at = text.partition("@-")
    one = parse(head, start)
    return replace(one, begin=start - int(at) * SECOND) if at else parse(text, start)


def captured(craft: Spacecraft, *faults: str) -> Telemetry:
    """All values of the first chunk as they go into the encoders, and the true instants, with ``faults``."""
    seen: Telemetry = {}

    def watch(name: str, values: Any) -> Any:
        def spy(moments: Moments) -> Any:
            seen[f"{name}/instant"] = moments.time
            return values(moments)

        return spy

    def listen(name: str, encode: Any) -> Any:
        def spy(values: dict[str, Any], time: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.uint8]:
            for parameter, value in values.items():
                if not isinstance(value, bytes):
                    seen[f"{name}/{parameter}"] = np.broadcast_to(np.asarray(value), time.shape).copy()
            seen[f"{name}/time"], seen[f"{name}/count"] = time, count
            octets: NDArray[np.uint8] = encode(values, time, count)
            return octets

        return spy

    watched = {name: replace(one, values=watch(name, one.values)) for name, one in craft.telemetry.items()}
    simulation = begin(replace(craft, telemetry=watched))
    for name, encoder in simulation._sampler.encoders.items():
        encoder.encode = listen(name, encoder.encode)  # type: ignore[method-assign]
    simulation.inject(*[asked(text, simulation.state.time) for text in faults or ("mispointing=0",)])
    return seen
