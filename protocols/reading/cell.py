"""The ``cell`` section: what is known of the test object, checked against itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from protocols.diagnostics import Mark, did_you_mean
from protocols.model import Cell, Verb
from protocols.quantities import ANY_CAPACITY, Dimension, format_number, need_of
from protocols.reading.amounts import CellFacts, Scope, absolute
from protocols.reading.fields import (
    Findings,
    Keys,
    Section,
    Variables,
    choice_of,
    open_section,
    piece,
    positive_at,
    quantity_field,
    scalar_of,
    text_of,
)
from protocols.syntax import Entry, Node, Scalar
from protocols.syntax import Mapping as MappingNode

KEYS = Keys(
    "the cell",
    (
        *("name", "area", "diameter", "electrode_mass", "composition", "active_material", "active_mass"),
        *("theoretical_capacity", "nominal_capacity", "discharge_means", "as_built", "working_electrode"),
        *("counter_electrode", "electrolyte", "temperature", "notes"),
    ),
    ("name",),
)
NO_NAME = "unnamed"
WHOLE_TOLERANCE = 0.001
MASS_TOLERANCE = 0.02


def read_cell(findings: Findings, node: Node, mark: Mark, variables: Variables) -> CellFacts:
    """The cell in the model's units; facts it lacks are None."""
    section = open_section(findings, node, KEYS, mark)
    if section is None:
        return CellFacts(Cell(NO_NAME), known=False)
    composition = _composition(findings, section)
    active_material = _active_material(findings, section, composition)
    electrode_g = _positive(findings, section, "electrode_mass", Dimension.MASS, variables)
    active_g = _active_mass(findings, section, electrode_g, composition.get(active_material or ""), variables)
    per_g = _positive(findings, section, "theoretical_capacity", Dimension.SPECIFIC_CAPACITY, variables)
    means = choice_of(findings, section, "discharge_means", tuple(Verb))
    cell = Cell(
        name=text_of(findings, section, "name") or NO_NAME,
        area_cm2=_area(findings, section, variables),
        electrode_mass_g=electrode_g,
        active_mass_g=active_g,
        active_material=active_material,
        composition=tuple(composition.items()),
        theoretical_specific_capacity_Ah_per_g=per_g,
        theoretical_capacity_Ah=None if per_g is None or active_g is None else per_g * active_g,
        discharge_means=None if means is None else Verb(means),
        as_built=choice_of(findings, section, "as_built", ("lithiated", "delithiated")),
        working_electrode=text_of(findings, section, "working_electrode"),
        counter_electrode=text_of(findings, section, "counter_electrode"),
        electrolyte=text_of(findings, section, "electrolyte"),
        temperature_degC=_temperature(findings, section, variables),
        notes=text_of(findings, section, "notes"),
    )
    return _with_nominal(findings, section, CellFacts(cell, section.meant), variables)


def _positive(
    findings: Findings, section: Section, key: str, dimension: Dimension, variables: Variables
) -> float | None:
    quantity = quantity_field(findings, section, key, need_of(dimension), variables)
    return None if quantity is None else quantity.value


def _temperature(findings: Findings, section: Section, variables: Variables) -> float | None:
    need = need_of(Dimension.TEMPERATURE)
    quantity = quantity_field(findings, section, "temperature", need, variables, positive=False)
    return None if quantity is None else quantity.value


def _area(findings: Findings, section: Section, variables: Variables) -> float | None:
    area = _positive(findings, section, "area", Dimension.AREA, variables)
    diameter = _positive(findings, section, "diameter", Dimension.LENGTH, variables)
    if "area" in section.entries and "diameter" in section.entries:
        marks = [section.entries[key].key.mark for key in ("area", "diameter")]
        second = max(marks, key=lambda mark: (mark.line, mark.column))
        findings.error(second, "conflict", "area and diameter are both given", "keep one of them")
    if diameter is None or area is not None:
        return area
    return math.pi * diameter**2 / 4


def _composition(findings: Findings, section: Section) -> Mapping[str, float]:
    """Fractions by weight; empty where it is absent or faulty."""
    entry = section.entries.get("composition")
    if entry is None:
        return {}
    if not isinstance(entry.value, MappingNode):
        findings.error(
            entry.value.mark, "shape", "composition needs names and percentages", "write '{MgH2: 70 %, C: 30 %}'"
        )
        return {}
    parts = {part.key.value: _fraction(findings, part) for part in entry.value.entries}
    fractions = {name: fraction for name, fraction in parts.items() if fraction is not None}
    if len(fractions) == len(parts):
        _check_sum(findings, entry, sum(fractions.values()))
    return fractions


def _fraction(findings: Findings, part: Entry) -> float | None:
    scalar = scalar_of(findings, part.value, part.key.value)
    if scalar is None:
        return None
    quantity = positive_at(findings, piece(scalar), {}, need_of(Dimension.RATIO), part.key.value)
    return None if quantity is None else quantity.value


def _check_sum(findings: Findings, entry: Entry, total: float) -> None:
    if abs(total - 1) > WHOLE_TOLERANCE * (1 + 1e-9):
        message = f"the composition adds up to {format_number(total * 100)} %, not 100 %"
        findings.error(entry.key.mark, "inconsistent", message)


def _active_material(findings: Findings, section: Section, composition: Mapping[str, float]) -> str | None:
    name = text_of(findings, section, "active_material")
    node = section.value("active_material")
    if name is None or not isinstance(node, Scalar) or not composition or name in composition:
        return name
    message = f"active_material '{name}' is not in the composition"
    findings.error(node.mark, "reference", message, did_you_mean(name, composition))
    return None


def _active_mass(
    findings: Findings, section: Section, electrode_g: float | None, fraction: float | None, variables: Variables
) -> float | None:
    """As given, or the electrode's mass times the active material's share; both must agree."""
    given = _positive(findings, section, "active_mass", Dimension.MASS, variables)
    derived = None if electrode_g is None or fraction is None else electrode_g * fraction
    if given is None or derived is None:
        return derived if given is None else given
    if abs(given - derived) > MASS_TOLERANCE * derived:
        message = (
            f"active_mass is {format_number(given * 1000)} mg, but electrode_mass and composition give "
            f"{format_number(derived * 1000)} mg"
        )
        findings.error(section.entries["active_mass"].key.mark, "inconsistent", message, "keep the one you weighed")
    return given


def _with_nominal(findings: Findings, section: Section, facts: CellFacts, variables: Variables) -> CellFacts:
    """The same with what 1C means, which may itself be per area or mass."""
    node = section.value("nominal_capacity")
    quantity = quantity_field(findings, section, "nominal_capacity", ANY_CAPACITY, variables)
    if quantity is None or not isinstance(node, Scalar):
        return facts
    nominal_Ah = absolute(Scope(findings, variables, facts), piece(node), quantity)
    return CellFacts(replace(facts.cell, nominal_capacity_Ah=nominal_Ah), facts.given)
