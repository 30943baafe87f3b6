"""The steps that take time: a rest, and a current by one of the four words."""

from __future__ import annotations

from dataclasses import dataclass, replace

from protocols import cutoffs
from protocols.amounts import Scope, absolute
from protocols.conditions_text import ReadClause, ReadCondition, alternative_of, read_condition, time_alternative
from protocols.directions import Kind, Place
from protocols.envelope import Envelope, read_record
from protocols.fields import (
    Keys,
    Section,
    choice_of,
    of_dimension,
    open_section,
    piece,
    positive_at,
    quantity_at,
    quantity_field,
    scalar_of,
    text_of,
)
from protocols.later_steps import check_hold_after
from protocols.model import (
    Clause,
    Condition,
    CurrentStep,
    OnStartMet,
    Record,
    RestStep,
    Verb,
)
from protocols.quantities import ANY_CURRENT, Dimension, Quantity, need_of
from protocols.syntax import Entry, Scalar
from protocols.trail import Seen, Trail, Use, convention_fault, reference_of, resolve, take_label

TIME = need_of(Dimension.TIME)
COMMON = ("for", "until", "abort_if", "record", "label", "note")
CURRENT_KEYS = ("at", *COMMON, "then_hold_until", "on_start_met")


@dataclass(frozen=True, slots=True)
class Desk:
    """What every step is read with. ``trail`` grows."""

    scope: Scope
    envelope: Envelope
    record: Record
    trail: Trail


def read_rest(desk: Desk, entry: Entry, path: str) -> RestStep | None:
    desk.trail.seen.append(Seen(None, None))
    if isinstance(entry.value, Scalar):
        return _plain_rest(desk, entry.value, path)
    section = open_section(desk.scope.findings, entry.value, Keys("rest", COMMON), entry.key.mark)
    if section is None:
        return None
    _check_end(desk, section, entry.key, "add 'for: 10 min' or 'until: dV/dt <= 1 mV/h'")
    until = _condition(desk, section, Place("until", "rest", Kind.REST))
    cutoffs.check_cutoffs(desk.scope.findings, until, desk.envelope)
    return RestStep(
        path=path,
        until=_with_time(_resolved(desk, until), _for(desk, section)),
        abort_if=_resolved(desk, _condition(desk, section, Place("abort_if", "rest", Kind.REST))),
        record=_record(desk, section),
        window_V=cutoffs.no_window(desk.envelope),
        label=_label(desk, section),
        note=text_of(desk.scope.findings, section, "note"),
    )


def _plain_rest(desk: Desk, scalar: Scalar, path: str) -> RestStep | None:
    """``rest: 1 h``."""
    time = positive_at(desk.scope.findings, piece(scalar), desk.scope.variables, TIME, "rest")
    if time is None:
        return None
    return RestStep(path, (time_alternative(time),), (), desk.record, cutoffs.no_window(desk.envelope))


def read_current(desk: Desk, entry: Entry, path: str) -> CurrentStep | None:
    scope, word = desk.scope, entry.key.value
    verb = _verb(desk, entry.key)
    desk.trail.seen.append(Seen(verb, None, settled=verb is not None))
    section = open_section(scope.findings, entry.value, Keys(word, CURRENT_KEYS, ("at",)), entry.key.mark)
    if section is None:
        return None
    _check_end(desk, section, entry.key, "add 'until: 0.2 V', 'for: 10 h' or both")
    until = _condition(desk, section, Place("until", word, Kind.CURRENT, verb))
    _check_until(desk, section, entry.key, until)
    current_A = _at(desk, section)
    label, record = _label(desk, section), _record(desk, section)
    abort_if = _resolved(desk, _condition(desk, section, Place("abort_if", word, Kind.CURRENT, verb)))
    on_start_met = choice_of(scope.findings, section, "on_start_met", tuple(OnStartMet)) or OnStartMet.SKIP
    ends = _with_time(_resolved(desk, until), _for(desk, section))
    check_hold_after(scope, section)
    if verb is None or current_A is None:
        return None
    return CurrentStep(
        path=path,
        word=word,
        verb=verb,
        current_A=current_A if verb is Verb.DELITHIATE else -current_A,
        until=ends,
        abort_if=abort_if,
        record=record,
        window_V=cutoffs.window_of(verb, until, desk.envelope),
        on_start_met=OnStartMet(on_start_met),
        label=label,
        note=text_of(scope.findings, section, "note"),
    )


def _verb(desk: Desk, key: Scalar) -> Verb | None:
    """What the word does; a faulty ``discharge_means`` has been reported where it stands."""
    verb = resolve(key.value, desk.trail.discharge_means)
    facts = desk.scope.facts
    if verb is None:
        desk.trail.missing.append(key.value)
        if facts.known and "discharge_means" not in facts.given:
            desk.scope.findings.error(key.mark, "convention", *convention_fault(key.value, facts.cell.active_material))
    return verb


def _check_end(desk: Desk, section: Section, key: Scalar, help_text: str) -> None:
    if not section.meant & {"for", "until"}:
        desk.scope.findings.error(key.mark, "no-end", f"{key.value} has no end", help_text)


def _check_until(desk: Desk, section: Section, key: Scalar, until: ReadCondition) -> None:
    findings = desk.scope.findings
    cutoffs.check_cutoffs(findings, until, desk.envelope)
    cutoffs.warn_of_alloying(findings, until, desk.scope.facts.cell)
    if "until" in section.entries or "for" in section.entries:
        cutoffs.warn_of_cutoffs(findings, key.mark, key.value, until)


def _at(desk: Desk, section: Section) -> float | None:
    """The current's magnitude in A."""
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
    if current_A is not None:
        cutoffs.check_current(desk.scope, at, quantity, current_A, desk.envelope)
    return current_A


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


def _condition(desk: Desk, section: Section, place: Place) -> ReadCondition:
    node = section.value(place.key)
    return ReadCondition() if node is None else read_condition(desk.scope, node, place)


def _resolved(desk: Desk, read: ReadCondition) -> Condition:
    """The model's condition; its references are noted for the check at the end."""
    step = len(desk.trail.seen) - 1
    desk.trail.uses.extend(Use(clause.reference, step) for clause in read.clauses if clause.reference is not None)
    return tuple(
        alternative_of(alternative.clauses, tuple(_with_reference(desk, clause) for clause in alternative.clauses))
        for alternative in read.alternatives
    )


def _for(desk: Desk, section: Section) -> Quantity | None:
    return quantity_field(desk.scope.findings, section, "for", TIME, desk.scope.variables)


def _with_time(until: Condition, time: Quantity | None) -> Condition:
    """``for`` ends a step like an alternative written last."""
    return until if time is None else (*until, time_alternative(time))


def _record(desk: Desk, section: Section) -> Record:
    node = section.value("record")
    return desk.record if node is None else read_record(desk.scope, node) or desk.record


def _label(desk: Desk, section: Section) -> str | None:
    """The label of the step being read, noted on the trail."""
    label = own_label(desk, section)
    desk.trail.seen[-1] = replace(desk.trail.seen[-1], label=label)
    return label


def own_label(desk: Desk, section: Section) -> str | None:
    node = section.value("label")
    scalar = None if node is None else scalar_of(desk.scope.findings, node, "label")
    return None if scalar is None else take_label(desk.scope.findings, desk.trail, scalar)


def _with_reference(desk: Desk, read: ReadClause) -> Clause:
    if read.reference is None:
        return read.clause
    return replace(read.clause, reference=reference_of(desk.trail, read.reference.text))
