"""A drawing for a browser: one html file with plotly's own script in it, to zoom and read values, without a network."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from cycler_ctl.errors import StoreError
from cycler_ctl.figures.drawing import VIRIDIS, Drawing, Line, Panel, markup, plain
from cycler_ctl.store.export.atomic import whole_file

MARKERS = {"down": "triangle-down", "up": "triangle-up", "dot": "circle"}
DPI = 130


def save(drawing: Drawing, out: Path, origin: str) -> None:
    graphs, subplots = _plotly("plotly.graph_objects"), _plotly("plotly.subplots")
    figure = subplots.make_subplots(
        rows=drawing.rows,
        cols=drawing.columns,
        shared_xaxes=drawing.share_x,
        shared_yaxes=drawing.share_y,
        row_heights=drawing.heights,
        subplot_titles=[markup(panel.title) for panel in drawing.panels],
        vertical_spacing=0.22 / drawing.rows,
    )
    for place, panel in enumerate(drawing.panels):
        _draw(graphs, figure, panel, (place // drawing.columns + 1, place % drawing.columns + 1))
    if drawing.cycles is not None:
        figure.add_trace(_scale(graphs, drawing.cycles))
    _lay_out(figure, drawing, origin)
    page = figure.to_html(include_plotlyjs=True, full_html=True, config={"displaylogo": False})
    with whole_file(out) as file:
        file.write(page.replace("<head>", f"<head><title>{markup(plain(drawing.title))}</title>", 1))


def _draw(graphs: ModuleType, figure: Any, panel: Panel, at: tuple[int, int]) -> None:  # noqa: ANN401 - plotly's
    row, column = at
    for line in panel.lines:
        named = any(trace.name == line.label for trace in figure.data)
        figure.add_trace(_trace(graphs, line, shown=line.label is not None and not named), row=row, col=column)
    figure.update_xaxes(title_text=markup(panel.x_label), **_limits(panel.x_low, panel.x_high), row=row, col=column)
    if any(line.marker for line in panel.lines):
        figure.update_xaxes(tickformat=",d", nticks=_whole_ticks(panel), row=row, col=column)
    figure.update_yaxes(
        title_text=markup(panel.y_label),
        exponentformat="none",
        **_limits(panel.y_low, panel.y_high),
        row=row,
        col=column,
    )


def _limits(low: float | None, high: float | None) -> dict[str, object]:
    """A side that is None is where the lines end; plotly (6.0) takes a range with one open side, but none at 0 of itself."""
    if low == 0 and high is None:
        return {"rangemode": "tozero"}
    return {} if low is None and high is None else {"range": [low, high]}


def _whole_ticks(panel: Panel) -> int:
    """So few that none falls between two cycles."""
    return min(10, max((int(line.x.max() - line.x.min()) for line in panel.lines if len(line.x)), default=1) + 1)


def _trace(graphs: ModuleType, line: Line, *, shown: bool) -> object:
    """What has one name in several panels stands in the legend once, and is hidden and shown together."""
    symbol = MARKERS.get(line.marker, "circle") + ("" if line.filled else "-open")
    label = None if line.label is None else markup(plain(line.label))
    return graphs.Scatter(
        x=line.x,
        y=line.y,
        mode="lines+markers" if line.marker else "lines",
        line={"color": line.colour, "dash": line.dash, "width": 1.4},
        marker={"symbol": symbol, "size": 6},
        name=label or "",
        legendgroup=label or "",
        showlegend=shown,
    )


def _scale(graphs: ModuleType, cycles: tuple[int, int]) -> object:
    """Plotly shows a scale of colours only beside points that have it."""
    bar = {"title": {"text": "Cycle"}, "thickness": 14, "outlinewidth": 0}
    colours = [[place / (len(VIRIDIS) - 1), colour] for place, colour in enumerate(VIRIDIS)]
    marker = {"color": list(cycles), "colorscale": colours, "cmin": cycles[0], "cmax": cycles[1], "colorbar": bar}
    return graphs.Scatter(x=[None], y=[None], mode="markers", marker={**marker, "showscale": True}, showlegend=False)


def _lay_out(figure: Any, drawing: Drawing, origin: str) -> None:  # noqa: ANN401
    about = "<br>".join(markup(plain(text)) for text in (drawing.caption, origin) if text)
    note = {"text": about, "xref": "paper", "yref": "paper", "x": 0, "y": 0, "yshift": -85, "showarrow": False}
    figure.update_layout(
        template="simple_white",
        height=max(520, drawing.size_in[1] * DPI) + 90,
        margin={"l": 75, "r": 30, "t": 50, "b": 110},
        font={"size": 14},
    )
    figure.update_annotations(font_size=14)
    figure.add_annotation(**note, align="left", font={"size": 11})
    figure.update_xaxes(mirror=True, ticks="inside", showline=True)
    figure.update_yaxes(mirror=True, ticks="inside", showline=True)


def _plotly(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        raise StoreError(
            "a figure for a browser needs plotly: pip install 'cycler-ctl[web]', or draw a .png"
        ) from error
