"""One spelling for units and comparisons in a protocol's quantities; text for people is left alone."""

from __future__ import annotations

import re
from dataclasses import replace

from protocols.describing.layout_tree import Branch, Pair, Tree
from protocols.describing.vocabulary import PARTS
from protocols.describing.vocabulary_keys import Kind
from protocols.units import UNITS, Dimension, normal_unit

PROSE = frozenset(key.name for part in PARTS.values() for key in part.keys if key.kind in {Kind.TEXT, Kind.FILES})
QUANTITY = re.compile(
    r"(?<![\w./$-])(?P<number>[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2}(?![0-9]))?)"
    r"[ \t]*(?P<unit>[^\s\d<>=≤≥$\"'(),\[\]{}+-][^\s\"',\]}]*)"
)
COMPARISONS = {"≤": "<=", "≥": ">="}


def respelt(tree: Tree, name: str = "") -> Tree:
    """The same, quantities in one spelling: µ U+00B5, cm2, °C, one blank before a unit, <= and >=."""
    if isinstance(tree, Branch):
        return replace(tree, children=tuple(_child(child, name) for child in tree.children))
    if name in PROSE or tree.is_block or len(tree.lines) != 1:
        return tree
    return replace(tree, lines=(respelt_text(tree.lines[0]),))


def _child(child: Pair | Tree, name: str) -> Pair | Tree:
    if isinstance(child, Pair):
        return replace(child, value=respelt(child.value, child.key.lines[0].strip("'\"")))
    return respelt(child, name)


def respelt_text(text: str) -> str:
    for old, new in COMPARISONS.items():
        text = text.replace(old, new)
    return QUANTITY.sub(_respelt_quantity, text)


def _respelt_quantity(match: re.Match[str]) -> str:
    unit = UNITS.get(normal_unit(match["unit"]))
    if unit is None:
        return match.group()
    gap = "" if unit.dimension is Dimension.C_RATE else " "
    return f"{match['number']}{gap}{unit.name}"
