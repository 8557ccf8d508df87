"""Where real recordings lie that are not part of the project, and what must come out of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(os.environ.get("GROUND_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))

RECORDINGS = {
    "change5": "change5/2020-11-28.u8",
    "danuri": "danuri/2022-08-05T08-44.u8",
    "hera": "hera/2024-10-07T16-25.u8",
    "mars2020": "mars2020/2020-07-31.u8",
    "stereo-a": "stereo-a/2022-09-24T10-35.u8",
    "tianwen2": "tianwen2/2026-05-25T15-52.u8",
}

requires_real_data = pytest.mark.skipif(
    not ROOT.is_dir(), reason=f"real recordings: not found at {ROOT}; set GROUND_REAL_DATA to their folder"
)


def recording(mission: str) -> Path:
    return ROOT / "recordings" / RECORDINGS[mission]


def counts(mission: str) -> dict[str, Any]:
    """The table that an independent parser made of the recording (Danuri's is prose: it is given here)."""
    if mission == "danuri":
        vcs = {
            str(vcid): {"n": n, "gaps": lost, "missing": lost, "packets": n, "apids": {str(640 + vcid): [n, [212]]}}
            for vcid, n, lost in ((33, 346, 1), (34, 348, 0), (35, 346, 1), (36, 346, 1))
        }
        return {"frames": 1387, "good": 1386, "vcs": vcs}
    table: dict[str, Any] = json.loads((ROOT / "recordings" / "counts.json").read_text())[RECORDINGS[mission]]
    return table
