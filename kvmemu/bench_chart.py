# SPDX-License-Identifier: MIT
"""A chart of the world switch, by matplotlib: an optional extra, kvmemu[plot]."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kvmemu.bench_result import Result, clock
from kvmemu.bench_switch import KNOWN_BYTES, PREFIX, STORAGES
from kvmemu.errors import ChartError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = (".svg", ".png", ".pdf")
SIZES = (1, 4, 16)
# By what is drawn, so that every panel has the same; told apart without colours, too.
COLOURS = {"reverse": "#1b5e9c", "ascending": "#d1672b", "used": "#3c8d40"}
MARKERS = {"reverse": "o", "ascending": "^", "used": "s"}
_GREY = "#666666"


def check(path: Path, names: Sequence[str] = ()) -> None:
    """Look for reasons not to begin.

    Args:
        names: of what will be measured; none stands for everything.

    Raises:
        ChartError: matplotlib is not installed, the format is not known, there is no such
            directory, or nothing that the chart shows will be measured.
    """
    if path.suffix not in FORMATS:
        raise ChartError(f"{path}: a chart is drawn as {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise ChartError(f"{path}: there is no such directory")
    wanted = [name.replace("-", "_") for name in names]
    if wanted and not any(PREFIX.startswith(n) or n.startswith(PREFIX) for n in wanted):
        raise ChartError("the chart is of the world switch: name that, too, as world-switch")
    if importlib.util.find_spec("matplotlib") is None:
        raise ChartError("a chart needs matplotlib, which is missing: pip install 'kvmemu[plot]'")


def _points(
    results: Mapping[str, Result], names: Sequence[str], at: Sequence[int]
) -> tuple[list[int], list[float], list[list[float]]]:
    """Those that were measured: places, medians, and the way down to p10 and up to p99."""
    places, medians, ways = [], [], []
    for place, name in zip(at, names, strict=True):
        found = results.get(name)
        if found is not None and found.distribution is not None:
            of = found.distribution
            places.append(place)
            medians.append(of.median)
            ways.append([of.median - of.p10, of.p99 - of.median])
    return places, medians, [list(column) for column in zip(*ways, strict=True)]


def _lines(axes: Axes, results: Mapping[str, Result], name: str, at: Mapping[int, str]) -> None:
    """A line for each way of keeping list registers, a little apart, and memcpy.

    Args:
        name: of the result at a point, with {storage} and {n} to be filled in.
        at: the points, each with its {n}.
    """
    for shift, storage in zip((-0.12, 0.0, 0.12), STORAGES, strict=True):
        names = [name.format(n=n, storage=storage) for n in at.values()]
        places, medians, ways = _points(results, names, list(at))
        if places:
            axes.errorbar(
                [place + shift for place in places], medians, ways, label=storage,
                color=COLOURS[storage], marker=MARKERS[storage], capsize=3, linewidth=1.4,
                alpha=0.85,
            )  # fmt: skip
    copy = results.get(f"{PREFIX}.memcpy.{KNOWN_BYTES}")
    if copy is not None:
        axes.axhline(copy.value, color=_GREY, linestyle=":", label="memcpy of 128 bytes")
    axes.set_xticks(list(at))
    axes.set_ylim(bottom=0)
    axes.set_ylabel("ns, save and restore")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize="small")


def _cold(axes: Axes, results: Mapping[str, Result]) -> None:
    """Single ones: from the fastest to the 99th percentile, p10 to p90 thick."""
    rows = [
        (f"{part}, {storage}", COLOURS[storage], f"{PREFIX}.v3.lr16.{storage}.{part}.cold")
        for part in ("save", "restore")
        for storage in STORAGES
    ]
    rows += [
        (f"memcpy, {part}", _GREY, f"{PREFIX}.memcpy.164.{part}.cold")
        for part in ("save", "restore")
    ]
    labels: list[str] = []
    for label, colour, name in rows:
        found = results.get(name)
        if found is None or found.distribution is None:
            continue
        of, y = found.distribution, len(labels)
        axes.plot([of.min, of.p99], [y, y], color=colour, linewidth=1)
        axes.plot([of.p10, of.p90], [y, y], color=colour, linewidth=6, alpha=0.45)
        axes.plot([of.median], [y], color=colour, marker="|", markersize=12, markeredgewidth=2)
        labels.append(label)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("ns: fastest, p10, median, p90, p99")
    axes.grid(axis="x", alpha=0.3)


def _machine() -> str:
    """The processor's name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")


def draw(results: Sequence[Result], path: Path) -> None:
    """Write a chart of what of the world switch was measured.

    Raises:
        ChartError: none of it was.
        OSError: the file cannot be written.
    """
    from matplotlib import rc_context  # noqa: PLC0415 - is optional, and takes a while to load
    from matplotlib.figure import Figure  # noqa: PLC0415

    found = {r.name: r for r in results if r.distribution is not None}
    if not any(name.startswith(f"{PREFIX}.v") for name in found):
        raise ChartError("no world switch was measured: there is nothing to draw")
    figure = Figure(figsize=(11, 8), layout="constrained")
    own = clock()
    figure.suptitle(
        f"The world switch in kvmemu  ({_machine()}; {own.name} {own.hz / 1e9:.2f} GHz; "
        "median, p10 to p99)"
    )
    panels = figure.subplots(2, 2)
    for axes, gic in zip(panels[0], ("v3", "v2"), strict=True):
        names = f"{PREFIX}.{gic}.lr{{n}}.{{storage}}"
        _lines(axes, found, names, {n: str(n) for n in SIZES})
        axes.set_title(f"GIC{gic}: all list registers in use")
        axes.set_xlabel("list registers")
    in_use = {0: "0of16", 1: "1of16", 4: "4of16", 16: "16"}
    _lines(panels[1][0], found, f"{PREFIX}.v3.lr{{n}}.{{storage}}", in_use)
    panels[1][0].set_title("GICv3: 16 list registers, some in use")
    panels[1][0].set_xlabel("in use")
    _cold(panels[1][1], found)
    panels[1][1].set_title("GICv3, 16 in use: single ones, memory in no cache")
    # Text stays text, and the same figures make the same file.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": PREFIX}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
