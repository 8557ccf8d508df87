"""The command line: ``ground COMMAND``. One entry point, one module a command in ``ground/commands``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ground.commands import decode, ingest, loadtest, missions, publish, replay, simulate, up
from ground.commands.terminal import err
from ground.errors import GroundError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = (up, ingest, simulate, publish, replay, decode, loadtest, missions)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0 done, 1 failed with a message, 2 wrong usage, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="ground", description="Mission telemetry from ground station to browser.")
    parsers = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")
    for module in COMMANDS:
        name = module.__name__.rpartition(".")[2]
        command = parsers.add_parser(name, help=module.TEXT, description=f"{module.TEXT[0].upper()}{module.TEXT[1:]}.")
        module.add(command)
        command.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    try:
        return options.run(options) or 0
    except GroundError as error:
        err.print(f"ground {options.name}: {error}", style="red", markup=False)
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
