"""Where missions are, and reading them by name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ground.errors import ConfigError
from ground.mission.folder import read_folder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ground.mission.declarations import Mission

SHIPPED: Final = Path(__file__).parent.parent / "missions"


def search_path() -> list[Path]:
    """The directories that hold mission folders, first match wins."""
    extra = os.environ.get("GROUND_MISSIONS", "")
    return [*(Path(part) for part in extra.split(os.pathsep) if part), SHIPPED]


def mission_names() -> list[str]:
    """The names of all missions on the search path, sorted; those whose folder can't be used too."""
    found = {toml.parent.name for directory in search_path() for toml in directory.glob("*/mission.toml")}
    return sorted(found)


def load_mission(name: str) -> Mission:
    """Read a mission by name, or by the path of its folder.

    Raises :class:`~ground.errors.ConfigError` naming the file, the line and the key where something is missing or
    wrong.
    """
    for folder in [directory / name for directory in search_path()] + ([Path(name)] if os.sep in name else []):
        # os.path: where a name is too long to be a file's, a Path raises.
        if os.path.isfile(folder / "mission.toml"):  # noqa: PTH113
            return read_folder(folder)
    raise ConfigError(f"there is no mission {name!r}; known: {', '.join(mission_names())}")


def load_missions(names: Iterable[str] | None = None) -> tuple[list[Mission], dict[str, str]]:
    """All missions on the search path, or those of ``names``: those that can be used, and of the others, by name, why
    not.
    """
    missions: list[Mission] = []
    unusable: dict[str, str] = {}
    for name in mission_names() if names is None else names:
        try:
            missions.append(load_mission(name))
        except ConfigError as error:
            unusable[name] = str(error)
    return missions, unusable
