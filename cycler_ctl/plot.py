"""Figures of runs, for a screen and for paper. Drawn on objects of our own: nothing here touches pyplot's global state."""

# matplotlib's own stubs leave **kwargs untyped, which taints every drawing call:
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from cycler_ctl.errors import StoreError
from cycler_ctl.figures.drawing import one_line
from cycler_ctl.records.curves import (
    Curve,
    CycleCapacity,
    active_mass_g,
    capacity_table,
    currents_A,
    currents_text,
    curves,
    voltage_trace,
)
from cycler_ctl.store.reader import RunReader, open_run
from protocols.model import Verb

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")
ROOM_V = 0.2  # between two curves, for their names
STYLES = ("-", "--", "-.", ":")
FEW = 6
"""So many cycles get a legend; more get a scale of colours."""


def plot_runs(run_dirs: Sequence[Path], out: Path, note: str = "") -> None:
    """For each run: voltage over capacity, voltage over time, capacity over cycles; ``note`` stands below."""
    _check(out)
    with _paper():
        figure = _figure(7.1, 2.6 * max(len(run_dirs), 1))
        axes: list[list[Axes]] = figure.subplots(len(run_dirs), 3, squeeze=False).tolist()
        for line, run_dir in zip(axes, run_dirs, strict=True):
            with open_run(run_dir) as reader:
                found = curves(reader)
                _voltage_capacity(line[0], found)
                line[0].set_xlim(0, _widest(found))
                _name_directions(line[0], found, reader.info.discharge_means)
                _axis_names(line[0], reader)
                line[0].set_title(title(reader), loc="left")
                _voltage_time(line[1], reader)
                _cycle_life(line[2], capacity_table(reader))
        figure.supxlabel(note, fontsize=7, style="italic")
        figure.savefig(out, dpi=200)


def plot_fig_s3(run_dirs: Mapping[str, Path], outs: Sequence[Path], note: str = "") -> None:
    """The five panels in the paper's order, one run each by its letter; ``note`` says for instance that cells are simulated."""
    for out in outs:
        _check(out)
    with _paper():
        figure = _figure(7.1, 4.9)
        grid = figure.subplots(2, 3, sharex=True, sharey=True).ravel().tolist()
        legend: Axes = grid.pop()
        results: list[str] = []
        widest = 0.0
        for axes, (letter, run_dir) in zip(grid, sorted(run_dirs.items()), strict=False):
            with open_run(run_dir) as reader:
                widest = max(widest, _panel(axes, letter, reader))
                results += _result_lines(letter, capacity_table(reader))
        grid[0].set_xlim(0, widest)
        _fill_last(legend, grid[0], results)
        figure.supxlabel(note, fontsize=7, style="italic")
        for out in outs:
            figure.savefig(out, dpi=200)


def title(reader: RunReader) -> str:
    """Composition and current density, as far as the run knows them: ``MgH2:AB = 70:30, 0.5 mA/cm2``."""
    cell = reader.info.cell
    what = one_line(str(cell.get("working_electrode") or cell.get("name") or reader.info.run))
    flowed, area_cm2 = currents_A(reader), cell.get("area_cm2")
    if flowed is None:
        return formula(what)
    if isinstance(area_cm2, int | float) and area_cm2 > 0:
        return f"{formula(what)}\n{currents_text(flowed, area_cm2)} mA cm$^{{-2}}$"
    return f"{formula(what)}\n{currents_text(flowed, 1)} mA"


def formula(text: str) -> str:
    """Text with the numbers of chemical formulae set low; one of three digits (NMC622) is a name's."""
    return re.sub(r"(?<=[A-Za-z)])(\d{1,2})(?!\d)", r"$_{\1}$", text.replace("\\", "/").replace("$", r"\$"))


def _paper() -> AbstractContextManager[None]:
    """A two-column figure on paper is 7.1 in wide, and 8 pt is the least that journals take."""
    import matplotlib as mpl

    return mpl.rc_context(
        {
            "font.size": 8.0,
            "axes.titlesize": 8.0,
            "lines.markersize": 4.0,
            "axes.linewidth": 0.6,
            "lines.linewidth": 1.2,
            "svg.fonttype": "none",
        }
    )


def _check(out: Path) -> None:
    if out.suffix not in FORMATS:
        raise StoreError(f"{out}: a figure ends in {', '.join(FORMATS)}")
    out.parent.mkdir(parents=True, exist_ok=True)


def _figure(width_in: float, height_in: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _panel(axes: Axes, letter: str, reader: RunReader) -> float:
    """Draw one run; the capacity its axis has to reach."""
    found = curves(reader)
    _voltage_capacity(axes, found)
    _axis_names(axes, reader)
    axes.set_title(f"({letter}) {title(reader)}", loc="left")
    axes.tick_params(labelbottom=True, labelleft=True)
    if letter == "a":
        _name_directions(axes, found, reader.info.discharge_means)
    return _widest(found)


def _voltage_capacity(axes: Axes, found: Sequence[Curve]) -> None:
    from matplotlib import colormaps

    cycles = sorted({curve.cycle for curve in found})
    for curve in found:
        place = cycles.index(curve.cycle)
        axes.plot(
            curve.capacity,
            curve.voltage_V,
            color=colormaps["viridis"](0.8 * place / max(len(cycles) - 1, 1)),
            linestyle=STYLES[place % len(STYLES)] if len(cycles) <= FEW else "-",
            label=f"cycle {curve.cycle}" if curve.direction < 0 else None,
        )
    axes.grid(visible=True, linewidth=0.3, alpha=0.6)


def _name_directions(axes: Axes, found: Sequence[Curve], means: Verb | None) -> None:
    """Which curve is which, written between the first cycle's two where there is room, else on their outer sides."""
    cycle = min((curve.cycle for curve in found), default=0)
    first = [curve for curve in found if curve.cycle == cycle]
    apart_V = _apart_V(first)
    share, inside = (10, False) if apart_V < 0 else (4, apart_V > ROOM_V)
    for curve in first:
        lithiates = curve.direction < 0
        discharges = lithiates != (means is Verb.DELITHIATE)
        words = ("discharge" if discharges else "charge", "lithiation" if lithiates else "delithiation")
        beside, above = len(curve.capacity) // share, lithiates == (inside or apart_V < 0)
        axes.annotate(
            f"{words[0]} ({words[1]})",
            (curve.capacity[beside], curve.voltage_V[beside]),
            xytext=(4, 4 if above else -4),
            textcoords="offset points",
            va="bottom" if above else "top",
            fontsize=6.5,
        )


def _apart_V(first: Sequence[Curve]) -> float:
    """How far the delithiation runs above the lithiation early on; below 0 for a full cell, whose curves cross later."""
    early_V = {curve.direction: float(curve.voltage_V[len(curve.voltage_V) // 4]) for curve in first}
    return early_V[1] - early_V[-1] if len(early_V) > 1 else 0.0


def _widest(found: Sequence[Curve]) -> float:
    return 1.05 * max((float(curve.capacity[-1]) for curve in found), default=1.0)


def _axis_names(axes: Axes, reader: RunReader) -> None:
    cell = reader.info.cell
    active = formula(str(cell.get("active_material") or "active material"))
    per_gram = active_mass_g(cell) is not None
    axes.set_xlabel(f"Capacity / mAh g$^{{-1}}$ ({active})" if per_gram else "Capacity / mAh")
    counter = cell.get("counter_electrode")
    axes.set_ylabel(f"Voltage vs. {formula(str(counter))} / V" if counter else "Voltage / V")


def _voltage_time(axes: Axes, reader: RunReader) -> None:
    hours, voltage_V = voltage_trace(reader)
    axes.plot(hours, voltage_V, color="tab:blue", linewidth=0.8)
    axes.set_xlabel("Time / h")
    axes.set_ylabel("Voltage / V")
    axes.grid(visible=True, linewidth=0.3, alpha=0.6)


def _cycle_life(axes: Axes, table: Sequence[CycleCapacity]) -> None:
    from matplotlib.ticker import MaxNLocator

    cycles = [line.cycle for line in table]
    axes.plot(cycles, [line.lithiation_mAh for line in table], "v-", color="tab:blue", label="lithiation")
    axes.plot(cycles, [line.delithiation_mAh for line in table], "^-", color="tab:orange", label="delithiation")
    axes.set_xlabel("Cycle")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("Capacity / mAh g$^{-1}$" if all(line.per_gram for line in table) else "Capacity / mAh")
    axes.set_ylim(0, 1.15 * max((max(line.lithiation_mAh, line.delithiation_mAh) for line in table), default=1.0))
    axes.legend(frameon=False)


def _result_lines(letter: str, table: Sequence[CycleCapacity]) -> list[str]:
    """First and last completed cycle."""
    chosen = table if len(table) < 2 else (table[0], table[-1])
    return [
        f"{letter} {line.cycle:4d} {_figure_of(line.lithiation_mAh)} {_figure_of(line.delithiation_mAh)}"
        f" {'mAh/g' if line.per_gram else 'mAh':5} "
        + (f"{'-':>6}" if line.efficiency is None else f"{line.efficiency:6.1%}")
        for line in chosen
    ]


def _figure_of(capacity: float) -> str:
    return f"{capacity:8.0f}" if capacity >= 100 else f"{capacity:8.3g}"


def _fill_last(axes: Axes, first: Axes, results: Sequence[str]) -> None:
    """The sixth place: which colour is which cycle, and the results in figures."""
    axes.axis("off")
    handles, labels = first.get_legend_handles_labels()
    if len(labels) > FEW:
        handles, labels = [handles[0], handles[-1]], [labels[0], labels[-1]]
    axes.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(-0.04, 1.04),
        frameon=False,
        ncols=3,
        columnspacing=0.8,
        handlelength=1.6,
        handletextpad=0.4,
    )
    table = "\n".join(("  cycle   lith.  delith.           CE", *results))
    axes.text(0.0, 0.86, table, transform=axes.transAxes, va="top", family="monospace", fontsize=6.5)
