"""A drawing on paper: png, svg or pdf by matplotlib, on objects of our own (nothing touches pyplot's global state)."""

# matplotlib's own stubs leave **kwargs untyped, which taints every drawing call:
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cycler_ctl.errors import StoreError
from cycler_ctl.figures.drawing import VIRIDIS, Drawing, Line, Panel, mathtext
from cycler_ctl.store.export.atomic import whole_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

LETTERS_PER_IN = 22
"""Of a caption, whose letters have 6 pt."""
ENDINGS = (".png", ".svg", ".pdf")
DASHES = {"solid": "-", "dash": "--", "dashdot": "-.", "dot": ":"}
MARKERS = {"": "", "down": "v", "up": "^", "dot": "o"}
PAPER: Mapping[RcKeyType, object] = {
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
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "svg.hashsalt": "cycler-ctl",
}
"""8 pt is the least that journals take. No file needs a font of the reader's: a pdf has it inside, an svg outlines."""
SLIDES: Mapping[RcKeyType, object] = {
    **PAPER,
    "font.size": 11.0,
    "axes.titlesize": 11.0,
    "legend.fontsize": 10.0,
    "axes.linewidth": 1.0,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
}
STYLES = {"paper": PAPER, "slides": SLIDES}


@dataclass(frozen=True, slots=True)
class Ink:
    """``style``: one of ours, or the path of a style file that counts over ours."""

    style: str = "paper"
    dpi: int = 300


def save(drawing: Drawing, out: Path, origin: str, ink: Ink) -> None:
    """``origin`` and the caption are in the file's own metadata, so that a figure can be traced."""
    try:
        style = _style(ink.style)
    except ImportError as error:
        raise StoreError("a figure needs matplotlib: pip install 'cycler-ctl[plot]'") from error
    with style:
        figure = _figure(drawing)
        with whole_path(out) as unfinished:
            figure.savefig(
                unfinished, format=out.suffix[1:], dpi=ink.dpi, metadata=_metadata(out.suffix, drawing, origin)
            )


def _style(name: str) -> AbstractContextManager[None]:
    import matplotlib as mpl

    own = STYLES.get(name)
    if own is not None:
        return mpl.rc_context(dict(own))
    try:
        asked = mpl.rc_params_from_file(name, use_default_template=False)
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{name} is not a style of matplotlib: {error}") from error
    return mpl.rc_context({**PAPER, **asked})


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
    _panels(grid, drawing)
    for axes in grid[len(drawing.panels) :]:
        axes.axis("off")
    _legends(grid, drawing)
    if drawing.cycles is not None:
        _scale(figure, grid, drawing.cycles)
    caption = textwrap.fill(drawing.caption, int(drawing.size_in[0] * LETTERS_PER_IN))
    figure.supxlabel(caption, fontsize=6, style="italic")
    return figure


def _panels(grid: Sequence[Axes], drawing: Drawing) -> None:
    """Limits come after all lines: axes that are shared would else end where the first panel's lines do."""
    for axes, panel in zip(grid, drawing.panels, strict=False):
        _draw(axes, panel)
    for place, (axes, panel) in enumerate(zip(grid, drawing.panels, strict=False)):
        _limit(axes, panel)
        _name_axes(axes, panel, drawing, place)


def _draw(axes: Axes, panel: Panel) -> None:
    from matplotlib.ticker import MaxNLocator

    for line in panel.lines:
        _plot(axes, line)
    axes.set_title(mathtext(panel.title), loc="left")
    if any(line.marker for line in panel.lines):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _limit(axes: Axes, panel: Panel) -> None:
    axes.set_xlim(panel.x_low, panel.x_high)
    high = panel.y_high
    if high is None and panel.y_low is not None and any(line.label for line in panel.lines):
        high = panel.y_low + 1.25 * (_highest(panel) - panel.y_low)  # room above for the legend
    axes.set_ylim(panel.y_low, high)


def _name_axes(axes: Axes, panel: Panel, drawing: Drawing, place: int) -> None:
    """Panels that share both axes are named at the left and below, where no panel follows."""
    shared = drawing.share_x and drawing.share_y
    below = not shared or place + drawing.columns >= len(drawing.panels)
    left = not shared or place % drawing.columns == 0
    if below:
        axes.set_xlabel(mathtext(panel.x_label))
    if left:
        axes.set_ylabel(mathtext(panel.y_label))
    axes.tick_params(labelbottom=below and bool(panel.x_label[0][0]), labelleft=left)


def _legends(grid: Sequence[Axes], drawing: Drawing) -> None:
    """One for panels that share their axes, in a free place where there is one."""
    drawn = grid[: len(drawing.panels)]
    if not (drawing.share_x and drawing.share_y):
        for axes in drawn:
            _legend(axes, [axes], "best")
    elif len(grid) > len(drawn):
        _legend(grid[len(drawn)], drawn, "upper left")
    else:
        _legend(drawn[0], drawn, "best")


def _legend(axes: Axes, of: Sequence[Axes], where: Literal["best", "upper left"]) -> None:
    named = {label: handle for one in of for handle, label in zip(*one.get_legend_handles_labels(), strict=True)}
    if named:
        axes.legend(list(named.values()), list(named), loc=where, frameon=False, handlelength=2.4, labelspacing=0.3)


def _highest(panel: Panel) -> float:
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


def _scale(figure: Figure, grid: Sequence[Axes], cycles: tuple[int, int]) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.ticker import MaxNLocator

    colours = LinearSegmentedColormap.from_list("cycles", VIRIDIS)
    mappable = ScalarMappable(Normalize(*cycles), colours)
    figure.colorbar(mappable, ax=list(grid), label="Cycle", pad=0.02, aspect=30, ticks=MaxNLocator(6, integer=True))


def _metadata(ending: str, drawing: Drawing, origin: str) -> dict[str, str | None]:
    about = ". ".join(text for text in (drawing.caption, origin) if text)
    match ending:
        case ".pdf":
            return {"Title": drawing.title, "Subject": about, "Creator": "cycler-ctl", "CreationDate": None}
        case ".svg":
            return {"Title": drawing.title, "Description": about, "Creator": "cycler-ctl", "Date": None}
        case _:
            return {"Title": drawing.title, "Description": about, "Software": "cycler-ctl"}
