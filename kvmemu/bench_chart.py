# SPDX-License-Identifier: MIT
"""A chart of the world switch, by matplotlib: an optional extra, kvmemu[plot]."""

from __future__ import annotations

import importlib.util
import io
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kvmemu.bench_result import Result, clock
from kvmemu.bench_switch import ENTRY_EXITS, KNOWN_BYTES, PREFIX, STORAGES
from kvmemu.errors import ChartError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".svg", ".png", ".pdf")
SIZES = (1, 4, 16)
# By what is drawn, so that every panel has the same; told apart without colours, too.
COLOURS = {"reverse": "#1b5e9c", "ascending": "#d1672b", "used": "#3c8d40"}
MARKERS = {"reverse": "o", "ascending": "^", "used": "s"}
LABELS = {"reverse": "all, in reverse", "ascending": "all, ascending", "used": "used ones only"}
_GREY = "#666666"

# Draws into a panel; False if nothing was measured that belongs there.
Panel = Callable[["Axes", Mapping[str, Result]], bool]


def check(path: Path, names: Sequence[str] = ()) -> None:
    """Look for reasons not to begin.

    Args:
        names: of what will be measured; none stands for everything.

    Raises:
        ChartError: matplotlib is not installed, the format is not known, there is no such
            directory, or nothing that the chart shows will be measured.
        OSError: the file cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise ChartError(f"{path}: a chart is drawn as {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise ChartError(f"{path}: there is no such directory")
    wanted = [name.replace("-", "_") for name in names]
    if wanted and not any(PREFIX.startswith(n) or n.startswith(PREFIX) for n in wanted):
        raise ChartError("the chart is of the world switch: name that, too, as world-switch")
    if importlib.util.find_spec("matplotlib") is None:
        raise ChartError("a chart needs matplotlib, which is missing: pip install 'kvmemu[plot]'")
    is_new = not path.exists()
    with path.open("ab"):
        pass
    if is_new:
        path.unlink()


def _points(
    results: Mapping[str, Result], names: Sequence[str], at: Sequence[float]
) -> tuple[list[float], list[float], list[list[float]]]:
    """Those that were measured: places, medians, and the way down to the fastest and up to p90."""
    places, medians, ways = [], [], []
    for place, name in zip(at, names, strict=True):
        found = results.get(name)
        if found is not None and found.distribution is not None:
            of = found.distribution
            places.append(place)
            medians.append(of.median)
            ways.append([of.median - of.min, of.p90 - of.median])
    return places, medians, [list(column) for column in zip(*ways, strict=True)]


def _lines(axes: Axes, results: Mapping[str, Result], name: str, at: Mapping[int, str]) -> bool:
    """A line for each way of keeping list registers, a little apart, and memcpy.

    Args:
        name: of the result at a point, with {storage} and {n} to be filled in.
        at: the points, each with its {n}.
    """
    drawn = False
    for shift, storage in zip((-0.2, 0.0, 0.2), STORAGES, strict=True):
        names = [name.format(n=n, storage=storage) for n in at.values()]
        places, medians, ways = _points(results, names, [place + shift for place in at])
        if places:
            drawn = True
            axes.errorbar(
                places, medians, ways, label=LABELS[storage], color=COLOURS[storage],
                marker=MARKERS[storage], markersize=5, linewidth=1.4, alpha=0.85,
            )  # fmt: skip
    if not drawn:
        return False
    copy = results.get(f"{PREFIX}.memcpy.{KNOWN_BYTES}")
    if copy is not None:
        axes.axhline(copy.value, color=_GREY, linestyle=":", label=_copy_label())
    axes.set_xticks(list(at))
    axes.set_ylim(bottom=0)
    axes.set_ylabel("ns a switch (restore and save)")
    axes.grid(axis="y", alpha=0.3)
    cycles_a_ns = clock().core_hz / 1e9

    def to_cycles(ns: Any) -> Any:
        return ns * cycles_a_ns

    def to_ns(cycles: Any) -> Any:
        return cycles / cycles_a_ns

    right = axes.secondary_yaxis("right", functions=(to_cycles, to_ns))
    right.set_ylabel("cycles of the core")
    for side in (axes, right):
        side.locator_params(axis="y", nbins=5)
    return True


def _copy_label() -> str:
    return f"memcpy of {KNOWN_BYTES} bytes, out and back"


def _all_in_use(gic: str) -> Panel:
    def draw_(axes: Axes, results: Mapping[str, Result]) -> bool:
        axes.set_title(f"GIC{gic}: all list registers in use")
        axes.set_xlabel("list registers")
        names = f"{PREFIX}.{gic}.lr{{n}}.{{storage}}"
        return _lines(axes, results, names, {n: str(n) for n in SIZES})

    return draw_


def _some_in_use(axes: Axes, results: Mapping[str, Result]) -> bool:
    axes.set_title("GICv3: 16 list registers, some in use")
    axes.set_xlabel("list registers in use")
    in_use = {0: "0of16", 1: "1of16", 4: "4of16", 16: "16"}
    return _lines(axes, results, f"{PREFIX}.v3.lr{{n}}.{{storage}}", in_use)


def _ranges(
    axes: Axes, results: Mapping[str, Result], rows: Sequence[tuple[str, str, str]]
) -> bool:
    """A row each: label, colour, name. From the fastest to p99, p10 to p90 thick.

    Returns:
        Whether there was more than memcpy.
    """
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
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("ns (thin: fastest to p99; thick: p10 to p90)")
    axes.grid(axis="x", alpha=0.3)
    return any(name in results for _, colour, name in rows if colour != _GREY)


def _by_part(suffix: str) -> list[tuple[str, str, str]]:
    """Save and restore of 16 list registers in use, and memcpy in their place."""
    rows = []
    for part in ("save", "restore"):
        rows += [
            (f"{part}, {storage}", COLOURS[storage],
             f"{PREFIX}.v3.lr16.{storage}.{part}{suffix}")
            for storage in STORAGES
        ]  # fmt: skip
        rows.append(("memcpy, 164 B", _GREY, f"{PREFIX}.memcpy.164.{part}{suffix}"))
    return rows


def _warm(axes: Axes, results: Mapping[str, Result]) -> bool:
    axes.set_title("GICv3, 16 in use, in cache: means of 32")
    return _ranges(axes, results, _by_part(""))


def _cold(axes: Axes, results: Mapping[str, Result]) -> bool:
    axes.set_title("GICv3, 16 in use, memory in no cache: single ones")
    return _ranges(axes, results, _by_part(".cold"))


def _entry_exits(axes: Axes, results: Mapping[str, Result]) -> bool:
    """Bars: whole exits and entries by how many interrupts are pending."""
    names = [f"{PREFIX}.entry_exit.{n}" for n in ENTRY_EXITS]
    places, medians, ways = _points(results, names, range(len(names)))
    axes.set_title("GICv3: exit and entry (save, sync, flush, restore)")
    if not places:
        return False
    axes.bar(places, medians, yerr=ways, width=0.6, color="#8c6bb1")
    floor = results.get("ioctl.floor")
    if floor is not None:
        axes.axhline(floor.value, color=_GREY, linestyle="--")
        axes.annotate(
            "the cheapest system call", (0, floor.value), (-6, 3), textcoords="offset points",
            color=_GREY, fontsize="small",
        )  # fmt: skip
    medians_at = dict(zip(places, medians, strict=True))
    labels = [
        f"{n}\n({medians_at[place]:.0f} ns)" if place in medians_at else str(n)
        for place, n in enumerate(ENTRY_EXITS)
    ]
    axes.set_xticks(range(len(names)), labels)
    axes.set_xlabel("interrupts pending")
    axes.set_ylabel("ns an exit and entry")
    axes.locator_params(axis="y", nbins=5)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    return True


PANELS: Sequence[Panel] = (
    _all_in_use("v3"), _all_in_use("v2"), _some_in_use, _warm, _cold, _entry_exits,
)  # fmt: skip


def _machine() -> str:
    """The processor's name, where the system tells, and how many there are."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return f"{next(names, os.uname().machine)}, {os.cpu_count()} CPUs"


def draw(results: Sequence[Result], path: Path) -> None:
    """Write a chart of what of the world switch was measured. Panels without data are left out.

    Raises:
        ChartError: none of it was.
        OSError: the file cannot be written.
    """
    from matplotlib import rc_context  # noqa: PLC0415 - is optional, and takes a while to load

    # Text stays text, in one font or whatever is there, and the same figures make the same file.
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": PREFIX}
    settings["font.sans-serif"] = ["DejaVu Sans"]
    with rc_context(settings):
        figure = _figure({result.name: result for result in results})
        if path.suffix.lower() == ".svg":
            text = io.StringIO()
            figure.savefig(text, format="svg", metadata={"Date": None})
            path.write_text(_smaller(text.getvalue()), encoding="utf-8")
        else:
            figure.savefig(path)


def _smaller(svg: str) -> str:
    """An SVG without what no one sees: indentation, millionths of a point, groups' names, turns by
    nothing.
    """
    for what, by in (
        (r"^ +", ""), (r"(\.\d\d)\d{3,}", r"\1"), (r'<g id="[^"]*">', "<g>"),
        (r' transform="rotate\(-0 [^"]*"', ""),
    ):  # fmt: skip
        svg = re.sub(what, by, svg, flags=re.M)
    return svg


def _figure(found: Mapping[str, Result]) -> Figure:
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    shown = [panel for panel in PANELS if panel(Figure().add_subplot(), found)]
    if not shown:
        raise ChartError("no world switch was measured: there is nothing to draw")
    columns = min(len(shown), 3)
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(5 * columns, 0.9 + 4 * rows), layout="constrained")
    own = clock()
    figure.suptitle(
        f"kvmemu's world switch on {_machine()}\n"
        f"(clock: {own.name} at {own.hz / 1e9:.2f} GHz; core at most {own.core_hz / 1e9:.2f} GHz; "
        "points and bars are medians, whiskers from the fastest to p90)",
        fontsize="large",
    )
    for number, panel in enumerate(shown, 1):
        panel(figure.add_subplot(rows, columns, number), found)
    labelled = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if labelled:
        figure.legend(
            labelled.values(), labelled, loc="outside lower center", ncols=min(4, 2 * columns),
            title="List registers that are moved, and how they are kept", frameon=False,
        )  # fmt: skip
    return figure
