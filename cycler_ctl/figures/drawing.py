"""A figure before it is drawn: lines in panels, with words that can be set high and low."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from protocols.diagnostics import printable

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours, told apart with any colour vision (Nature Methods 8, 441 (2011))."""
VIRIDIS = ("#440154", "#482878", "#3E4A89", "#31688E", "#26828E", "#1F9E89", "#35B779")
"""The colour map of that name up to the light green and yellow that white paper swallows."""
LONGEST_NAME = 48
DASHES = ("solid", "dash", "dashdot", "dot")

Words = tuple[tuple[str, str], ...]
"""Pieces of text, each with "", "sub" or "sup"; "line" begins a new line."""
NEW_LINE = ("", "line")


@dataclass(frozen=True, slots=True)
class Line:
    """``label`` None: not in the legend. ``marker``: "", "down", "up" or "dot"; an open one is not ``filled``."""

    x: NDArray[float64]
    y: NDArray[float64]
    colour: str
    label: str | None = None
    dash: str = "solid"
    marker: str = ""
    filled: bool = True


@dataclass(frozen=True, slots=True)
class Panel:
    """``x_low`` … ``y_high``: where an axis begins and ends, None: where the lines do."""

    title: Words
    x_label: Words
    y_label: Words
    lines: tuple[Line, ...]
    x_low: float | None = None
    y_low: float | None = None
    x_high: float | None = None
    y_high: float | None = None


@dataclass(frozen=True, slots=True)
class Drawing:
    """``cycles``: first and last of the colour scale, None where a legend names the lines. ``size_in`` is of all."""

    panels: tuple[Panel, ...]
    columns: int
    size_in: tuple[float, float]
    title: str
    caption: str = ""
    cycles: tuple[int, int] | None = None
    heights: tuple[float, ...] | None = None
    share_x: bool = False
    share_y: bool = False

    @property
    def rows(self) -> int:
        return -(-len(self.panels) // self.columns)


def plain(text: str) -> Words:
    return ((text, ""),)


def one_line(text: str) -> str:
    """A name as far as there is room for it in a figure, without what cannot be drawn."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= LONGEST_NAME else f"{line[: LONGEST_NAME - 1]}…"


def formula(text: str) -> Words:
    """Text with the numbers of chemical formulae set low; one of three digits (NMC622) is a name's."""
    pieces = re.split(r"(?<=[A-Za-z)])(\d{1,2})(?!\d)", text)
    return tuple((piece, "sub" if place % 2 else "") for place, piece in enumerate(pieces) if piece)


def unit(name: str, text: str) -> Words:
    """``Capacity / mAh g^-1``: exponents set high."""
    pieces = re.split(r"\^(-?\d+)", text)
    powers = ((piece, "sup" if place % 2 else "") for place, piece in enumerate(pieces) if piece)
    return ((f"{name} / ", ""), *powers)


def mathtext(words: Words) -> str:
    """For matplotlib, whose mathematics begins with a dollar."""
    signs = {"sub": "_", "sup": "^"}
    texts = ((printable(text).replace("\\", "/").replace("$", r"\$"), kind) for text, kind in words)
    return "".join("\n" if kind == "line" else f"${signs[kind]}{{{text}}}$" if kind else text for text, kind in texts)


def markup(words: Words) -> str:
    """For plotly, which understands a little HTML."""
    texts = ((escape(printable(text)), kind) for text, kind in words)
    return "".join("<br>" if kind == "line" else f"<{kind}>{text}</{kind}>" if kind else text for text, kind in texts)


def shade(place: float) -> str:
    """The colour at ``place`` (0 to 1) of the scale."""
    at = min(max(place, 0.0), 1.0) * (len(VIRIDIS) - 1)
    low = min(int(at), len(VIRIDIS) - 2)
    pairs = zip(_channels(VIRIDIS[low]), _channels(VIRIDIS[low + 1]), strict=True)
    return "#" + "".join(f"{round(one + (other - one) * (at - low)):02X}" for one, other in pairs)


def _channels(colour: str) -> Sequence[int]:
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
