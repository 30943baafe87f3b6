"""A step's ends against the run's envelope: conflicts, the hardware window, and what deserves a warning."""

from __future__ import annotations

import math
from collections.abc import Iterator

from protocols.diagnostics import Mark
from protocols.model import Cell, Op, Verb, Watched, Window
from protocols.quantities import Dimension, Quantity, format_number
from protocols.reading.amounts import Scope
from protocols.reading.conditions_text import ReadClause, ReadCondition
from protocols.reading.envelope import Envelope
from protocols.reading.fields import Findings, Piece

OUTWARD_V = 0.02
"""How far beyond its cut-off a step's hardware window lies, so that the cut-off is seen before the window holds."""

ALLOYING_V = 0.17
"""Below about this against Li, magnesium alloys with lithium."""

ROUNDING = 1 + 1e-9


def no_window(envelope: Envelope) -> Window:
    return envelope.safety.voltage_V or (-math.inf, math.inf)


def window_of(verb: Verb, until: ReadCondition, envelope: Envelope) -> Window:
    """The cut-off moved outward on its side; the run's safety voltage on the other."""
    low, high = no_window(envelope)
    cutoffs = [clause.clause.value for clause in voltage_cutoffs(until)]
    if not cutoffs:
        return low, high
    # Of several cut-offs on one side the voltage meets the innermost first.
    return (max(cutoffs) - OUTWARD_V, high) if verb is Verb.LITHIATE else (low, min(cutoffs) + OUTWARD_V)


def voltage_cutoffs(until: ReadCondition) -> Iterator[ReadClause]:
    """The voltage clauses that end a step by themselves."""
    for alternative in until.alternatives:
        only = alternative.only
        if only is not None and only.clause.watched is Watched.VOLTAGE:
            yield only


def check_current(scope: Scope, at: Piece, quantity: Quantity, current_A: float, envelope: Envelope) -> None:
    limit_A = envelope.safety.current_A
    if limit_A is None or current_A <= limit_A * ROUNDING:
        return
    said = quantity.text
    if quantity.dimension is not Dimension.CURRENT:
        said = f"{said} ({format_number(current_A * 1000)} mA)"
    message = f"{said} is above the safety current of {envelope.texts['current']}"
    scope.findings.error(at.mark, "safety-conflict", message)


def check_held(scope: Scope, at: Piece, voltage: Quantity, envelope: Envelope) -> None:
    """A voltage to hold lies inside the envelope, and magnesium is not held where it takes up lithium."""
    window = envelope.safety.voltage_V
    if window is not None and not window[0] <= voltage.value <= window[1]:
        message = f"{voltage.text} is outside the safety window {envelope.texts['voltage']}, so safety would trip"
        scope.findings.error(at.mark, "safety-conflict", message)
    if voltage.value < ALLOYING_V and _is_magnesium_against_lithium(scope.facts.cell):
        scope.findings.warning(at.mark, "alloying", _alloying(f"holding {voltage.text}"))


def check_cutoffs(findings: Findings, until: ReadCondition, envelope: Envelope) -> None:
    """A cut-off beyond the envelope could never end its step."""
    for read in until.clauses:
        window = _beyond(read, envelope)
        if window is not None:
            message = f"the cutoff {read.value_text} is {window}, so safety would trip first"
            findings.error(read.at.mark, "safety-conflict", message)


def _beyond(read: ReadClause, envelope: Envelope) -> str | None:
    """Where a clause lies that is beyond the envelope."""
    safety, clause = envelope.safety, read.clause
    match clause.watched:
        case Watched.VOLTAGE if safety.voltage_V is not None:
            low, high = safety.voltage_V
            return None if low <= clause.value <= high else f"outside the safety window {envelope.texts['voltage']}"
        case Watched.TEMPERATURE if safety.temperature_degC is not None and clause.op is Op.AT_LEAST:
            above = clause.value > safety.temperature_degC[1]
            return f"outside the safety temperature {envelope.texts['temperature']}" if above else None
        case Watched.CAPACITY if safety.step_charge_Ah is not None and read.reference is None:
            above = clause.value > safety.step_charge_Ah * ROUNDING
            return f"above the safety capacity of {envelope.texts['capacity']}" if above else None
        case _:
            return None


def warn_of_cutoffs(findings: Findings, mark: Mark, word: str, until: ReadCondition) -> None:
    """A current step should end by voltage too."""
    if until.complete and not any(True for _ in voltage_cutoffs(until)):
        findings.warning(mark, "no-voltage-cutoff", f"{word} has no voltage cutoff", "add a voltage to its until:")


def warn_of_alloying(findings: Findings, until: ReadCondition, cell: Cell) -> None:
    """Magnesium against lithium takes up lithium as an alloy once its hydride is used up."""
    if not _is_magnesium_against_lithium(cell):
        return
    for read in voltage_cutoffs(until):
        if read.clause.op is Op.AT_MOST and read.clause.value < ALLOYING_V:
            findings.warning(read.at.mark, "alloying", _alloying(f"the cutoff {read.value_text}"))


def _alloying(what: str) -> str:
    return f"Mg-Li alloying: {what} is below {ALLOYING_V} V, where Mg begins to alloy with Li"


def _is_magnesium_against_lithium(cell: Cell) -> bool:
    counter = (cell.counter_electrode or "Li").strip().lower()
    materials = {name for name, _ in cell.composition} | {cell.active_material}
    return bool(materials & {"Mg", "MgH2"}) and (
        counter in {"li", "lithium"} or counter.startswith(("li ", "li-", "li/"))
    )
