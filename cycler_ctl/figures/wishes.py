"""What a person may ask of a figure, read from the words of a command line."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cycler_ctl.errors import StoreError
from cycler_ctl.figures.drawing import Drawing, Panel
from cycler_ctl.figures.source import Per, Source

if TYPE_CHECKING:
    from numpy import bool_, float64
    from numpy.typing import NDArray

STYLES = ("paper", "slides")
STYLE_FILE = ".mplstyle"
MM_PER_IN = 25.4
WIDTHS_MM = {"single": 89.0, "double": 183.0}
"""The width of one column and of two, as most journals print them."""
SMALLEST_MM, LARGEST_MM = 20.0, 1500.0
LEAST_DPI, MOST_DPI = 50, 2400
SPAN = re.compile(r"(?P<low>[-+.\deE]*):(?P<high>[-+.\deE]*)")
CYCLES = re.compile(r"(?P<first>\d+)(?:-(?P<last>\d+))?")
SIZE = re.compile(r"(?P<width>single|double|[\d.]+)(?:x(?P<height>[\d.]+))?")

Span = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Wish:
    """None, or nothing, where the figure's own choice is right. ``size_in`` is (width, height)."""

    per: Per | None = None
    cycles: tuple[tuple[int, int], ...] = ()
    x: Span = (None, None)
    y: Span = (None, None)
    size_in: Span = (None, None)
    dpi: int = 300
    style: str = STYLES[0]
    note: str = ""

    def __post_init__(self) -> None:
        if not LEAST_DPI <= self.dpi <= MOST_DPI:
            raise StoreError(f"--dpi {self.dpi}: it may be {LEAST_DPI} to {MOST_DPI}")
        if self.style not in STYLES and not (self.style.endswith(STYLE_FILE) and Path(self.style).is_file()):
            raise StoreError(
                f"--style {self.style}: it may be {', '.join(STYLES)} or a file {STYLE_FILE} of matplotlib"
            )


def cycles_of(text: str) -> tuple[tuple[int, int], ...]:
    """``1-3,10``: the first three and the tenth."""
    found: list[tuple[int, int]] = []
    for part in text.split(",") if text else ():
        match = CYCLES.fullmatch(part.strip())
        first, last = (int(match["first"]), int(match["last"] or match["first"])) if match else (1, 0)
        if last < first:
            raise StoreError(f"--cycles {text}: write for example 1-3,10")
        found.append((first, last))
    return tuple(found)


def span_of(option: str, text: str) -> Span:
    """``0:1500``; a side that is left out is the figure's own."""
    match = SPAN.fullmatch(text) if text else None
    try:
        low, high = (float(match[side]) if match and match[side] else None for side in ("low", "high"))
    except ValueError as error:
        raise StoreError(f"{option} {text}: write for example 0:1500") from error
    if (text and not match) or (low is not None and high is not None and not low < high):
        raise StoreError(f"{option} {text}: write for example 0:1500, the lower number first")
    return low, high


def size_of(text: str) -> Span:
    """``single``, ``double`` or millimetres, ``89x60``; the height may be left out."""
    match = SIZE.fullmatch(text) if text else None
    if text and not match:
        raise StoreError(f"--size {text}: it may be single, double or millimetres, for example 89x60")
    if match is None:
        return None, None
    width, height = match["width"], match["height"]
    try:
        found_mm = (WIDTHS_MM.get(width) or float(width), float(height) if height else None)
    except ValueError as error:
        raise StoreError(f"--size {text}: it may be single, double or millimetres, for example 89x60") from error
    if any(one is not None and not SMALLEST_MM <= one <= LARGEST_MM for one in found_mm):
        raise StoreError(f"--size {text}: a side may be {SMALLEST_MM:g} to {LARGEST_MM:g} mm")
    return found_mm[0] / MM_PER_IN, None if found_mm[1] is None else found_mm[1] / MM_PER_IN


def chosen(source: Source, wish: Wish) -> Source:
    """Only the cycles asked for; StoreError where the run has none of them."""
    if not wish.cycles:
        return source
    rows = _inside(source.data["cycle"], wish.cycles)
    if not rows.any():
        raise StoreError(f"{source.run} has none of these cycles")
    data = {name: column[rows] for name, column in source.data.items()}
    return replace(
        source, data=data, held=source.held[rows], cycles=source.cycles[_inside(source.cycles[:, 0], wish.cycles)]
    )


def _inside(cycles: NDArray[float64], spans: tuple[tuple[int, int], ...]) -> NDArray[bool_]:
    import numpy as np

    found: NDArray[bool_] = np.zeros(len(cycles), dtype=np.bool_)
    for first, last in spans:
        found |= (cycles >= first) & (cycles <= last)
    return found


def as_asked(drawing: Drawing, wish: Wish) -> Drawing:
    """With the size, limits and note of ``wish``; limits of y are the upper panel's where two share one x."""
    lonely = drawing.share_x and not drawing.share_y
    panels = tuple(
        _limited(panel, wish.x, (None, None) if lonely and place else wish.y)
        for place, panel in enumerate(drawing.panels)
    )
    width_in, height_in = (asked or own for asked, own in zip(wish.size_in, drawing.size_in, strict=True))
    caption = ". ".join(text for text in (wish.note, drawing.caption) if text)
    return replace(drawing, panels=panels, size_in=(width_in, height_in), caption=caption)


def _limited(panel: Panel, x: Span, y: Span) -> Panel:
    return replace(
        panel,
        x_low=panel.x_low if x[0] is None else x[0],
        x_high=x[1],
        y_low=panel.y_low if y[0] is None else y[0],
        y_high=y[1],
    )
