"""A drawing on paper: png, svg or pdf by matplotlib, on objects of our own (nothing touches pyplot's global state)."""

# matplotlib's own stubs leave **kwargs untyped, which taints every drawing call:
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import textwrap
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from cycler_ctl.errors import StoreError
from cycler_ctl.figures.drawing import VIRIDIS, Drawing, Line, Panel, mathtext

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LETTERS_PER_IN = 22
"""Of a caption, whose letters have 6 pt."""
ENDINGS = (".png", ".svg", ".pdf")
DASHES = {"solid": "-", "dash": "--", "dashdot": "-.", "dot": ":"}
MARKERS = {"": "", "down": "v", "up": "^", "dot": "o"}


def save(drawing: Drawing, out: Path, runs: str) -> None:
    """``runs`` and the caption are in the file's own metadata, so that a figure can be traced."""
    try:
        style = _style()
    except ImportError as error:
        raise StoreError("a figure needs matplotlib: pip install 'cycler-ctl[plot]'") from error
    with style:
        figure = _figure(drawing)
        figure.savefig(out, dpi=300, metadata=_metadata(out.suffix, drawing, runs))


def _style() -> AbstractContextManager[None]:
    """8 pt is the least that journals take; letters stay letters in vector files."""
    import matplotlib as mpl

    return mpl.rc_context(
        {
            "font.size": 8.0,
            "axes.titlesize": 8.0,
            "legend.fontsize": 7.0,
            "axes.linewidth": 0.6,
            "lines.linewidth": 1.0,
            "lines.markersize": 3.5,
            "xtick.direction": "in",
            "ytick.direction": "in",
            "xtick.top": True,
            "ytick.right": True,
            "svg.fonttype": "none",
            "pdf.fonttype": 42,
            "svg.hashsalt": "cycler-ctl",
        }
    )


def _figure(drawing: Drawing) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=drawing.size_in, layout="constrained")
    FigureCanvasAgg(figure)
    grid: list[Axes] = (
        figure.subplots(
            drawing.rows,
            drawing.columns,
            squeeze=False,
            sharex=drawing.share_x,
            sharey=drawing.share_y,
            height_ratios=drawing.heights,
        )
        .ravel()
        .tolist()
    )
    for axes, panel in zip(grid, drawing.panels, strict=False):
        _draw(axes, panel)
        axes.tick_params(labelbottom=bool(panel.x_label[0][0]), labelleft=True)
    for axes in grid[len(drawing.panels) :]:
        axes.axis("off")
    if drawing.cycles is not None:
        _scale(figure, grid, drawing.cycles)
    caption = textwrap.fill(drawing.caption, int(drawing.size_in[0] * LETTERS_PER_IN))
    figure.supxlabel(caption, fontsize=6, style="italic")
    return figure


def _draw(axes: Axes, panel: Panel) -> None:
    from matplotlib.ticker import MaxNLocator

    for line in panel.lines:
        _plot(axes, line)
    axes.set_title(mathtext(panel.title), loc="left")
    axes.set_xlabel(mathtext(panel.x_label))
    axes.set_ylabel(mathtext(panel.y_label))
    axes.set_xlim(left=panel.x_low)
    if panel.y_low is not None:
        axes.set_ylim(panel.y_low, panel.y_low + 1.25 * (_highest(panel) - panel.y_low))
    if any(line.marker for line in panel.lines):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if any(line.label for line in panel.lines):
        axes.legend(frameon=False, handlelength=1.8, labelspacing=0.3)


def _highest(panel: Panel) -> float:
    """With room above it for a legend."""
    return max((float(line.y.max()) for line in panel.lines if len(line.y)), default=1.0) or 1.0


def _plot(axes: Axes, line: Line) -> None:
    many = len(line.x) > 60
    axes.plot(
        line.x,
        line.y,
        color=line.colour,
        linestyle=DASHES[line.dash],
        linewidth=0.6 if line.marker else None,
        marker=MARKERS[line.marker] if not (many and line.marker) else ".",
        markerfacecolor=line.colour if line.filled else "white",
        markeredgewidth=0.6,
        label=None if line.label is None else mathtext(((line.label, ""),)),
    )


def _scale(figure: Figure, grid: list[Axes], cycles: tuple[int, int]) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.ticker import MaxNLocator

    colours = LinearSegmentedColormap.from_list("cycles", VIRIDIS)
    mappable = ScalarMappable(Normalize(*cycles), colours)
    figure.colorbar(mappable, ax=grid, label="Cycle", pad=0.02, aspect=30, ticks=MaxNLocator(6, integer=True))


def _metadata(ending: str, drawing: Drawing, runs: str) -> dict[str, str | None]:
    about = ". ".join(text for text in (drawing.caption, f"cycler-ctl runs {runs}") if text)
    match ending:
        case ".pdf":
            return {"Title": drawing.title, "Subject": about, "Creator": "cycler-ctl", "CreationDate": None}
        case ".svg":
            return {"Title": drawing.title, "Description": about, "Creator": "cycler-ctl", "Date": None}
        case _:
            return {"Title": drawing.title, "Description": about, "Software": "cycler-ctl"}
