"""Every benchmark that this machine can run, one after the other, each in a process of its own.

    python -m benchmarks [NAME ...]

What a machine lacks is said and no failure. Without names the soak is left out: it takes ten minutes by itself.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SUPPORT = {"__init__", "__main__", "services", "table", "turns", "work"}
LONG = {"soak"}


def main() -> int:
    known = sorted({path.stem for path in Path(__file__).parent.glob("*.py")} - SUPPORT)
    names = sys.argv[1:] or [name for name in known if name not in LONG]
    if unknown := set(names) - set(known):
        print(f"no benchmark is called {', '.join(sorted(unknown))}: there are {', '.join(known)}", file=sys.stderr)
        return 2
    failed = []
    for name in names:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
