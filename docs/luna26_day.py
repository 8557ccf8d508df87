"""A day of Luna 26 as the ground gets it, in one picture: writes ``luna26-day.png`` beside this file.

The frames of a simulated day go through ``ground decode``; nothing is taken from the simulator but them and the passes.
Needs matplotlib, which is no part of the project's environment: ``pip install matplotlib``, then
``python docs/luna26_day.py``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pyarrow.parquet as pq

from ground.__main__ import main as ground
from ground.mission import load_mission
from simulators.ephemeris import SECOND
from simulators.luna26 import LUNA26
from simulators.passes import find
from simulators.run import generate

mpl.use("agg")
from matplotlib import pyplot as plt

DAY = 86_400 * SECOND
INK, NIGHT, HEARD = "#1c2733", "#c9d2dc", "#2f7d4f"


def fly(file: Path) -> None:
    """The frames of a day, without the idle ones, into ``file``."""
    with file.open("wb") as out:
        for _, messages in generate("luna26", DAY / SECOND):
            out.writelines(one.payload for one in messages if not one.topic.endswith(f"/{LUNA26.idle_vcid}"))


def column(folder: Path, container: str, *names: str) -> tuple[np.ndarray, ...]:
    """Hours since the start and columns of ``container``, in order of time."""
    table = pq.read_table(next(folder.glob(f"{container}.*"))).sort_by("time")
    hours = (table["time"].to_numpy().astype("datetime64[ns]").astype(np.int64) - LUNA26.start) / (3600 * SECOND)
    return hours, *(table[name].to_numpy() for name in names)


def plot(folder: Path, target: Path) -> None:
    """Five panels over one clock."""
    stations = load_mission("luna26").stations
    path = LUNA26.trajectory(load_mission("luna26").folder, LUNA26.start, None)
    passes = find(LUNA26, path, stations, LUNA26.start, LUNA26.start + DAY)
    plt.rcParams.update({"font.size": 9, "axes.edgecolor": INK, "text.color": INK, "axes.labelcolor": INK})
    figure, axes = plt.subplots(
        5, 1, figsize=(11, 9.5), sharex=True, height_ratios=[1.1, 1.3, 1.3, 1.3, 1.5], layout="constrained"
    )
    hours, power, charge, eclipse = column(folder, "Power", "array_power", "battery_charge", "eclipse")
    edges = np.flatnonzero(np.diff(eclipse.astype(int), prepend=0, append=0))
    for panel in axes:
        for begin, end in zip(edges[::2], edges[1::2], strict=True):
            panel.axvspan(hours[begin], hours[min(end, len(hours) - 1)], color=NIGHT, lw=0)
        panel.spines[["top", "right"]].set_visible(False)

    for row, name in enumerate(stations):
        for one in passes:
            if one.station == name:
                cuts = [one.aos, *(edge for gap in one.interruptions for edge in (gap.begin, gap.end)), one.los]
                spans = [
                    ((a - LUNA26.start) / 3.6e12, (b - a) / 3.6e12) for a, b in zip(cuts[::2], cuts[1::2], strict=True)
                ]
                axes[0].broken_barh(spans, (row - 0.35, 0.7), color=HEARD)
    axes[0].set_yticks(range(len(stations)), [station.title for station in stations.values()])
    axes[0].set_title("Stations that hear Luna 26 (gaps: behind the Moon); grey: in the Moon's shadow", loc="left")

    axes[1].plot(hours, charge, color=INK, lw=1)
    axes[1].set_ylabel("battery charge, %")
    twin = axes[1].twinx()
    twin.plot(hours, power, color="#d08a1d", lw=0.7)
    twin.set_ylabel("array power, W", color="#d08a1d")
    twin.spines[["top"]].set_visible(False)

    hours, array, tank, tracker = column(
        folder, "Thermal", "array_temperature", "tank_temperature", "tracker_temperature"
    )
    axes[2].plot(hours, array, color="#b3403a", lw=0.9, label="solar array")
    axes[2].plot(hours, tracker, color="#5a6ea8", lw=0.9, label="star tracker (heater)")
    axes[2].plot(hours, tank, color=INK, lw=0.9, label="tank (heater)")
    axes[2].set_ylabel("temperature, °C")
    axes[2].legend(loc="lower right", bbox_to_anchor=(1, 0.97), frameon=False, ncols=3)

    hours, altitude, latitude = column(folder, "Navigation", "altitude", "latitude")
    axes[3].plot(hours, altitude, color=INK, lw=0.9)
    axes[3].set_ylabel("altitude, km")

    when, counts = column(folder, "Neutrons", "neutrons_epithermal")
    axes[4].plot(when, counts, ".", ms=0.4, color="#9aa7b5", alpha=0.5)
    width = 60
    mean = np.convolve(counts, np.ones(width) / width, "same")
    axes[4].plot(when[width:-width], mean[width:-width], color="#2a5fa5", lw=0.9)
    polar = np.interp(when, hours, np.abs(latitude)) > 86
    axes[4].plot(when[polar], np.full(polar.sum(), counts.min()), "|", color="#2a5fa5", ms=5)
    axes[4].set_ylabel("epithermal neutrons, 1/s")
    axes[4].set_title("Fewer where hydrogen is (ticks: within 4° of a pole), fewer the higher the orbit", loc="left")
    axes[4].set_xlabel("hours since 2028-09-13 01:45 UTC, onboard time; what no station heard was played back later")
    axes[4].set_xlim(0, 24)
    figure.savefig(target, dpi=110, metadata={"Software": None})


def main() -> None:
    """Fly, decode, plot."""
    with tempfile.TemporaryDirectory() as temporary:
        frames, tables = Path(temporary) / "day.u8", Path(temporary) / "tables"
        fly(frames)
        arguments = ["decode", str(frames), "--mission", "luna26", "--format", "parquet", "--output", str(tables)]
        if ground(arguments) != 0:
            raise SystemExit(1)
        plot(tables, Path(__file__).with_name("luna26-day.png"))


if __name__ == "__main__":
    main()
