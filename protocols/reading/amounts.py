"""Currents and capacities of any kind to A and Ah, by what is known of the cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from protocols.model import Cell
from protocols.quantities import Dimension, Quantity
from protocols.reading.fields import Findings, Piece, Variables


@dataclass(frozen=True, slots=True)
class CellFacts:
    """The cell as far as it could be read. ``given``: keys written, also those whose value is faulty.

    ``known`` is False where the cell's section could not be read at all, so that nothing is said to be missing.
    """

    cell: Cell
    given: frozenset[str] = frozenset()
    known: bool = True


@dataclass(frozen=True, slots=True)
class Scope:
    """What every reader of a quantity needs: where to report, the variables, the cell."""

    findings: Findings
    variables: Variables
    facts: CellFacts


@dataclass(frozen=True, slots=True)
class Datum:
    """What a kind of quantity needs of the cell: how to say it, what to add, and the sets of keys that would give it."""

    words: str
    add: str
    ways: tuple[frozenset[str], ...]


def _ways(*ways: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(way.split()) for way in ways)


AREA = Datum("area (or diameter)", "area", _ways("area", "diameter"))
ACTIVE_MASS = Datum(
    "active_mass (or electrode_mass, composition and active_material)",
    "active_mass",
    _ways("active_mass", "electrode_mass composition active_material"),
)
NOMINAL = Datum("nominal_capacity", "nominal_capacity", _ways("nominal_capacity"))
THEORETICAL = Datum("theoretical_capacity", "theoretical_capacity", _ways("theoretical_capacity"))

NEEDED: Mapping[Dimension, Datum] = {
    Dimension.CURRENT_DENSITY: AREA,
    Dimension.AREAL_CAPACITY: AREA,
    Dimension.SPECIFIC_CURRENT: ACTIVE_MASS,
    Dimension.SPECIFIC_CAPACITY: ACTIVE_MASS,
    Dimension.C_RATE: NOMINAL,
}


def absolute(scope: Scope, at: Piece, quantity: Quantity) -> float | None:
    """A current in A or a capacity in Ah; None where the cell's data for it are missing."""
    if quantity.dimension not in NEEDED:
        return quantity.value
    factor = _factor(quantity.dimension, scope.facts.cell)
    if factor is None:
        report_missing(scope, at, quantity.text, NEEDED[quantity.dimension])
        return None
    return quantity.value * factor


def _factor(dimension: Dimension, cell: Cell) -> float | None:
    if dimension in {Dimension.CURRENT_DENSITY, Dimension.AREAL_CAPACITY}:
        return cell.area_cm2
    if dimension is Dimension.C_RATE:
        return cell.nominal_capacity_Ah
    return cell.active_mass_g


def report_missing(scope: Scope, at: Piece, text: str, datum: Datum) -> None:
    """Say what the cell lacks, unless it is there with a fault of its own, already reported."""
    facts = scope.facts
    if facts.known and not any(facts.given.issuperset(keys) for keys in datum.ways):
        message = f"'{text}' needs the cell's {datum.words}, which is not given"
        scope.findings.error(at.mark, "cell-data", message, f"add '{datum.add}: ...' under cell:")
