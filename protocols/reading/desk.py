"""What every step is read with, and the settings that many kinds of step share."""

from __future__ import annotations

from dataclasses import dataclass, replace

from protocols.model import Clause, Condition, Record, Verb
from protocols.quantities import ANY_CURRENT, Dimension, Quantity, need_of
from protocols.reading import cutoffs
from protocols.reading.amounts import Scope, absolute
from protocols.reading.conditions_text import (
    ReadClause,
    ReadCondition,
    alternative_of,
    read_condition,
    time_alternative,
)
from protocols.reading.directions import Place
from protocols.reading.envelope import Envelope, read_record
from protocols.reading.fields import Section, of_dimension, piece, quantity_at, quantity_field, scalar_of
from protocols.reading.trail import Seen, Trail, Use, convention_fault, reference_of, resolve, take_label
from protocols.syntax import Scalar

TIME = need_of(Dimension.TIME)


@dataclass(frozen=True, slots=True)
class Desk:
    """What every step is read with. ``trail`` grows."""

    scope: Scope
    envelope: Envelope
    record: Record
    trail: Trail


@dataclass(frozen=True, slots=True)
class Current:
    """A current's magnitude in A, and as written."""

    amount_A: float
    quantity: Quantity

    def signed_A(self, verb: Verb) -> float:
        """Positive current oxidises the working electrode."""
        return self.amount_A if verb is Verb.DELITHIATE else -self.amount_A


def verb_of(desk: Desk, key: Scalar) -> Verb | None:
    """What the word does; a faulty ``discharge_means`` has been reported where it stands."""
    verb = resolve(key.value, desk.trail.discharge_means)
    facts = desk.scope.facts
    if verb is None:
        desk.trail.missing.append(key.value)
        if facts.known and "discharge_means" not in facts.given:
            desk.scope.findings.error(key.mark, "convention", *convention_fault(key.value, facts.cell.active_material))
    return verb


def check_end(desk: Desk, section: Section, key: Scalar, help_text: str) -> None:
    if not section.meant & {"for", "until"}:
        desk.scope.findings.error(key.mark, "no-end", f"{key.value} has no end", help_text)


def current_of(desk: Desk, section: Section) -> Current | None:
    """``at`` of a step with a current."""
    node = section.value("at")
    scalar = None if node is None else scalar_of(desk.scope.findings, node, "at")
    if scalar is None:
        return None
    at = piece(scalar)
    read = quantity_at(desk.scope.findings, at, desk.scope.variables, subject="at", example=ANY_CURRENT.example)
    quantity = None if read is None else of_dimension(desk.scope.findings, at, read, ANY_CURRENT, "at")
    if quantity is None or not _is_magnitude(desk, scalar, quantity):
        return None
    current_A = absolute(desk.scope, at, quantity)
    if current_A is None:
        return None
    cutoffs.check_current(desk.scope, at, quantity, current_A, desk.envelope)
    return Current(current_A, quantity)


def _is_magnitude(desk: Desk, scalar: Scalar, quantity: Quantity) -> bool:
    if quantity.value > 0:
        return True
    if quantity.value < 0:
        which = "negative"
        help_text = "say lithiate or delithiate (charge or discharge); the sign follows from the verb"
    else:
        which, help_text = "zero", "to pass no current, write '- rest: 10 min'"
    desk.scope.findings.error(scalar.mark, "out-of-range", f"at '{quantity.text}' is {which}", help_text)
    return False


def condition(desk: Desk, section: Section, place: Place) -> ReadCondition:
    node = section.value(place.key)
    return ReadCondition() if node is None else read_condition(desk.scope, node, place)


def resolved(desk: Desk, read: ReadCondition) -> Condition:
    """The model's condition; its references are noted for the check at the end."""
    step = len(desk.trail.seen) - 1
    desk.trail.uses.extend(Use(clause.reference, step) for clause in read.clauses if clause.reference is not None)
    return tuple(
        alternative_of(alternative.clauses, tuple(_with_reference(desk, clause) for clause in alternative.clauses))
        for alternative in read.alternatives
    )


def _with_reference(desk: Desk, read: ReadClause) -> Clause:
    if read.reference is None:
        return read.clause
    return replace(read.clause, reference=reference_of(desk.trail, read.reference.text))


def time_of(desk: Desk, section: Section) -> Quantity | None:
    """``for``."""
    return quantity_field(desk.scope.findings, section, "for", TIME, desk.scope.variables)


def with_time(until: Condition, time: Quantity | None) -> Condition:
    """``for`` ends a step like an alternative written last."""
    return until if time is None else (*until, time_alternative(time))


def record_of(desk: Desk, section: Section) -> Record:
    node = section.value("record")
    return desk.record if node is None else read_record(desk.scope, node) or desk.record


def label_of(desk: Desk, section: Section) -> str | None:
    """The label of the step being read, noted on the trail."""
    label = own_label(desk, section)
    desk.trail.seen[-1] = replace(desk.trail.seen[-1], label=label)
    return label


def own_label(desk: Desk, section: Section) -> str | None:
    node = section.value("label")
    scalar = None if node is None else scalar_of(desk.scope.findings, node, "label")
    return None if scalar is None else take_label(desk.scope.findings, desk.trail, scalar)


def pass_step(desk: Desk, verb: Verb | None, *, settled: bool = True, charge: bool = True) -> None:
    """Note on the trail that a step begins here."""
    desk.trail.seen.append(Seen(verb, None, settled, charge))
