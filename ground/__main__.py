"""The command line: ``ground COMMAND``. One entry point, one module a command in ``ground/commands``."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

from ground.commands.terminal import err
from ground.errors import GroundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COMMANDS: Final = {
    "up": "run everything on this machine: broker, simulators, ingest, store and dashboard",
    "ingest": "record, decode and store what stations publish",
    "dashboard": "serve the page for an ingest that runs elsewhere",
    "simulate": "simulate a spacecraft and its ground stations, and publish their telemetry",
    "passes": "predict when the ground stations hear a spacecraft",
    "publish": "send a file of raw frames to the broker, as a station would",
    "replay": "show a recording again, in a dashboard of its own that touches nothing live",
    "decode": "decode a file of raw frames to CSV, JSON lines or Parquet, or count what is in it",
    "export": "write what is stored to CSV, JSON lines or Parquet, exactly and all of it",
    "rebuild": "store a recording anew: after a change of the definitions, or where the database is old or damaged",
    "loadtest": "offer telemetry at a known rate, measure the whole path, and verify that all of it is stored",
    "missions": "list the missions, or check the definitions of one",
    "influx": "prepare an InfluxDB 2 server, or make its roll-ups anew",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0 done, 1 failed with a message, 2 wrong usage, 130 interrupted."""
    given = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="ground", description="Mission telemetry from ground station to browser.")
    parsers = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        command = parsers.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        if name in given[:1]:
            # Only this one: orbits and web servers take longer to import than most files to decode.
            module = import_module(f"ground.commands.{name}")
            module.add(command)
            command.set_defaults(run=module.run)
    options = parser.parse_args(given)
    try:
        return options.run(options) or 0
    except GroundError as error:
        return _failed(options.name, error)
    except ExceptionGroup as group:
        # Of tasks that ran side by side: what is ours is said as if it had come alone, anything else is a defect.
        _, defects = group.split(GroundError)
        if defects:
            raise
        return _failed(options.name, *_alone(group))
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130


def _alone(group: ExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _alone(error)
        else:
            yield error


def _failed(command: str, *errors: Exception) -> int:
    for text in dict.fromkeys(map(str, errors)):
        err.print(f"ground {command}: {text}", style="red", markup=False)
    return 1


if __name__ == "__main__":
    sys.exit(main())
