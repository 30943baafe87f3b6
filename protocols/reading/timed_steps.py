"""The steps that take time: a rest, a current by one of the four words, a voltage held."""

from __future__ import annotations

import math

from protocols.model import CccvStep, CurrentStep, HoldStep, OnStartMet, RestStep, Verb
from protocols.quantities import ANY_CURRENT, Dimension, Quantity, need_of
from protocols.reading import cutoffs
from protocols.reading.amounts import absolute
from protocols.reading.cccv import Taper, check_taper, read_taper, with_hold
from protocols.reading.conditions_text import ReadCondition, time_alternative
from protocols.reading.desk import (
    TIME,
    Current,
    Desk,
    check_end,
    condition,
    current_of,
    label_of,
    pass_step,
    record_of,
    resolved,
    time_of,
    verb_of,
    with_time,
)
from protocols.reading.directions import Kind, Place
from protocols.reading.fields import (
    Keys,
    Section,
    choice_of,
    needed_at,
    open_section,
    piece,
    positive_at,
    scalar_of,
    text_of,
)
from protocols.syntax import Entry, Scalar

VOLTAGE = need_of(Dimension.VOLTAGE)
COMMON = ("for", "until", "abort_if", "record", "label", "note")
CURRENT_KEYS = ("at", *COMMON, "then_hold_until", "on_start_met")
HOLD_KEYS = ("at", *COMMON, "current_limit")


def read_rest(desk: Desk, entry: Entry, path: str) -> RestStep | None:
    pass_step(desk, None, charge=False)
    if isinstance(entry.value, Scalar):
        return _plain_rest(desk, entry.value, path)
    section = open_section(desk.scope.findings, entry.value, Keys("rest", COMMON), entry.key.mark)
    if section is None:
        return None
    check_end(desk, section, entry.key, "add 'for: 10 min' or 'until: dV/dt <= 1 mV/h'")
    until = condition(desk, section, Place("until", "rest", Kind.REST))
    cutoffs.check_cutoffs(desk.scope.findings, until, desk.envelope)
    return RestStep(
        path=path,
        until=with_time(resolved(desk, until), time_of(desk, section)),
        abort_if=resolved(desk, condition(desk, section, Place("abort_if", "rest", Kind.REST))),
        record=record_of(desk, section),
        window_V=cutoffs.no_window(desk.envelope),
        label=label_of(desk, section),
        note=text_of(desk.scope.findings, section, "note"),
    )


def _plain_rest(desk: Desk, scalar: Scalar, path: str) -> RestStep | None:
    """``rest: 1 h``."""
    time = positive_at(desk.scope.findings, piece(scalar), desk.scope.variables, TIME, "rest")
    if time is None:
        return None
    return RestStep(path, (time_alternative(time),), (), desk.record, cutoffs.no_window(desk.envelope))


def read_current(desk: Desk, entry: Entry, path: str) -> CurrentStep | CccvStep | None:
    scope, word = desk.scope, entry.key.value
    verb = verb_of(desk, entry.key)
    pass_step(desk, verb, settled=verb is not None)
    section = open_section(scope.findings, entry.value, Keys(word, CURRENT_KEYS, ("at",)), entry.key.mark)
    if section is None:
        return None
    check_end(desk, section, entry.key, "add 'until: 0.2 V', 'for: 10 h' or both")
    until = condition(desk, section, Place("until", word, Kind.CURRENT, verb))
    _check_until(desk, section, entry.key, until)
    current = current_of(desk, section)
    taper = read_taper(desk, section, until, current)
    step = _current_step(desk, section, (path, word, verb), until, current)
    return step if step is None or "then_hold_until" not in section.entries else _with_taper(step, taper)


def _with_taper(step: CurrentStep, taper: Taper | None) -> CccvStep | None:
    return None if taper is None else with_hold(step, taper)


def _current_step(
    desk: Desk, section: Section, who: tuple[str, str, Verb | None], until: ReadCondition, current: Current | None
) -> CurrentStep | None:
    path, word, verb = who
    findings = desk.scope.findings
    label, record = label_of(desk, section), record_of(desk, section)
    abort_if = resolved(desk, condition(desk, section, Place("abort_if", word, Kind.CURRENT, verb)))
    on_start_met = choice_of(findings, section, "on_start_met", tuple(OnStartMet)) or OnStartMet.SKIP
    ends = with_time(resolved(desk, until), time_of(desk, section))
    note = text_of(findings, section, "note")
    if verb is None or current is None:
        return None
    return CurrentStep(
        path=path,
        word=word,
        verb=verb,
        current_A=current.signed_A(verb),
        until=ends,
        abort_if=abort_if,
        record=record,
        window_V=cutoffs.window_of(verb, until, desk.envelope),
        on_start_met=OnStartMet(on_start_met),
        label=label,
        note=note,
    )


def _check_until(desk: Desk, section: Section, key: Scalar, until: ReadCondition) -> None:
    """Without a cut-off ``then_hold_until`` is an error of its own, so that no warning is needed."""
    findings = desk.scope.findings
    cutoffs.check_cutoffs(findings, until, desk.envelope)
    cutoffs.warn_of_alloying(findings, until, desk.scope.facts.cell)
    if section.entries.keys() & {"until", "for"} and "then_hold_until" not in section.meant:
        cutoffs.warn_of_cutoffs(findings, key.mark, key.value, until)


def read_hold(desk: Desk, entry: Entry, path: str) -> HoldStep | None:
    """A voltage by itself; its current flows whichever way the cell takes it."""
    pass_step(desk, None)
    findings = desk.scope.findings
    section = open_section(findings, entry.value, Keys("hold", HOLD_KEYS, ("at",)), entry.key.mark)
    if section is None:
        return None
    check_end(desk, section, entry.key, "add 'until: C/50', 'for: 2 h' or both")
    voltage = _held(desk, section)
    limit = _current_limit(desk, section)
    until = condition(desk, section, Place("until", "hold", Kind.HOLD))
    cutoffs.check_cutoffs(findings, until, desk.envelope)
    check_taper(findings, until, limit)
    step = HoldStep(
        path=path,
        word="hold",
        voltage_V=0.0 if voltage is None else voltage.value,
        current_limit_A=_allowed_A(desk, limit),
        until=with_time(resolved(desk, until), time_of(desk, section)),
        abort_if=resolved(desk, condition(desk, section, Place("abort_if", "hold", Kind.HOLD))),
        record=record_of(desk, section),
        label=label_of(desk, section),
        note=text_of(findings, section, "note"),
    )
    return None if voltage is None else step


def _held(desk: Desk, section: Section) -> Quantity | None:
    node = section.value("at")
    scalar = None if node is None else scalar_of(desk.scope.findings, node, "at")
    if scalar is None:
        return None
    voltage = needed_at(desk.scope.findings, piece(scalar), desk.scope.variables, VOLTAGE, "at")
    if voltage is not None:
        cutoffs.check_held(desk.scope, piece(scalar), voltage, desk.envelope)
    return voltage


def _current_limit(desk: Desk, section: Section) -> Current | None:
    node = section.value("current_limit")
    scalar = None if node is None else scalar_of(desk.scope.findings, node, "current_limit")
    if scalar is None:
        return None
    at, scope = piece(scalar), desk.scope
    quantity = positive_at(scope.findings, at, scope.variables, ANY_CURRENT, "current_limit")
    limit_A = None if quantity is None else absolute(scope, at, quantity)
    if quantity is None or limit_A is None:
        return None
    cutoffs.check_current(scope, at, quantity, limit_A, desk.envelope)
    return Current(limit_A, quantity)


def _allowed_A(desk: Desk, limit: Current | None) -> float:
    """As written; else the run's safety current; else whatever the channel allows."""
    if limit is not None:
        return limit.amount_A
    safety_A = desk.envelope.safety.current_A
    return math.inf if safety_A is None else safety_A
