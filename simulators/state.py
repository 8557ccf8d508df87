"""What a simulation must not forget: its clock, its counters, and where its physics stood.

The file is written before the frames of a step are published. A kill in between loses that step (a gap that the
counters show, as they should) and never uses a count twice.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ground.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


FORM = 3
"""Of the state file; an older one is refused."""


@dataclass
class State:
    """The persistent part of a simulation: all that it takes to make the chunk under way again.

    ``epoch``: ns since 1970 UTC at which it began; ``time``: up to where it was sent. ``run``: the publisher's start,
    kept as long as ``seq`` goes on. ``faults``: all that were ever asked for.

    The rest is as it was at ``begin``, where the chunk under way begins: ``seq``, frames published by each station;
    ``vcfc``, next frame count of each virtual channel; ``counts``, next sequence count of each APID; ``idle``, that of
    the idle packets of each virtual channel; ``station``, which one listened; ``waiting``, packets (hexadecimal) that
    had no room yet; ``recorder``, octets ever ``written`` to it and ``read`` from it; ``held``, what stuck sensors
    show; ``bus`` (see :class:`~simulators.bus.Bus`) and ``arc`` (see :class:`~simulators.orbit.Trajectory`).
    """

    mission: str
    seed: int
    epoch: int
    time: int
    run: str = field(default_factory=lambda: secrets.token_hex(8))
    faults: list[dict[str, Any]] = field(default_factory=list)
    begin: int = -1
    seq: dict[str, int] = field(default_factory=dict)
    vcfc: dict[int, int] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    idle: dict[int, int] = field(default_factory=dict)
    station: str | None = None
    waiting: list[str] = field(default_factory=list)
    recorder: dict[str, int] = field(default_factory=lambda: {"written": 0, "read": 0})
    held: dict[str, float] = field(default_factory=dict)
    bus: dict[str, Any] | None = None
    arc: dict[str, Any] | None = None
    form: int = FORM

    def __post_init__(self) -> None:
        if self.begin < 0:
            self.begin = self.time

    @property
    def backlog(self) -> int:
        """Octets that wait in the recorder for their playback."""
        return self.recorder["written"] - self.recorder["read"]

    def take(self, counter: dict[Any, int], key: str | int, n: int, modulo: int = 1 << 63) -> int:
        """The next value of ``counter[key]``, which moves on by ``n``."""
        value = counter.get(key, 0)
        counter[key] = (value + n) % modulo
        return value

    def save(self, path: Path) -> None:
        """Replace the file at ``path`` in one go."""
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(asdict(self)), "utf-8")
        os.replace(beside, path)  # noqa: PTH105 - the call that POSIX guarantees to be atomic


def load_state(path: Path) -> State | None:
    """The state in the file at ``path``, or None where there is none.

    Raises :class:`~ground.errors.ConfigError` for a file that isn't one.
    """
    try:
        values = json.loads(path.read_text("utf-8"))
        if values.get("form") != FORM:
            raise ValueError("it is of another version")  # noqa: TRY301 - one message for all that is wrong with it
        state = State(**values)
        for name in ("vcfc", "counts", "idle"):
            setattr(state, name, {int(key): int(value) for key, value in getattr(state, name).items()})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} is not a simulation's state ({error}); remove it to begin anew") from error
    return state
