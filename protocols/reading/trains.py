"""``gitt``: a train of pulses, each a current and then a rest."""

from __future__ import annotations

from dataclasses import dataclass, replace

from protocols.model import Alternative, Condition, CurrentStep, GittStep, Op, Record, RestStep, Verb, Watched
from protocols.quantities import Quantity
from protocols.reading import cutoffs
from protocols.reading.conditions_text import ReadCondition, time_alternative
from protocols.reading.desk import (
    TIME,
    Current,
    Desk,
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
from protocols.reading.fields import Keys, Section, open_section, piece, positive_at, text_of, whole_number_of
from protocols.reading.trail import WORDS
from protocols.syntax import Entry, Scalar

GITT_KEYS = (*WORDS, "rest", "until", "pulses", "abort_if", "record", "label", "note")
MOST_PULSES = 500_000
ONE_VERB = "gitt has one current, under lithiate or delithiate (or charge or discharge)"


@dataclass(frozen=True, slots=True)
class Pulse:
    """The current of a train, as far as it could be read. ``verb`` None: unknown."""

    word: str
    verb: Verb | None
    current: Current | None = None
    time: Quantity | None = None
    record: Record | None = None


def read_gitt(desk: Desk, entry: Entry, path: str) -> GittStep | None:
    pass_step(desk, None, settled=False)
    findings = desk.scope.findings
    section = open_section(findings, entry.value, Keys("gitt", GITT_KEYS, ("rest",)), entry.key.mark)
    if section is None:
        return None
    if not section.meant & {"until", "pulses"}:
        findings.error(entry.key.mark, "no-end", "gitt has no end", "add 'until: 0.2 V', 'pulses: 60' or both")
    desk = replace(desk, record=record_of(desk, section))
    pulse = _pulse(desk, section, entry.key)
    until = condition(desk, section, Place("until", pulse.word, Kind.TRAIN, pulse.verb))
    if pulse.verb is not None:
        _check_until(desk, section, entry.key, until)
    pulses = whole_number_of(findings, section, "pulses", 1, MOST_PULSES)
    abort_if = resolved(desk, condition(desk, section, Place("abort_if", pulse.word, Kind.TRAIN, pulse.verb)))
    ends, rest = resolved(desk, until), _rest(desk, section, path)
    step = _pulse_step(desk, pulse, until, path)
    label, note = label_of(desk, section), text_of(findings, section, "note")
    if step is None or rest is None:
        return None
    return GittStep(path, step, rest, ends, pulses, abort_if, label, note)


def _check_until(desk: Desk, section: Section, key: Scalar, until: ReadCondition) -> None:
    findings = desk.scope.findings
    cutoffs.check_cutoffs(findings, until, desk.envelope)
    cutoffs.warn_of_alloying(findings, until, desk.scope.facts.cell)
    if "until" in section.entries or ("until" not in section.meant and "pulses" in section.meant):
        cutoffs.warn_of_cutoffs(findings, key.mark, key.value, until)


def _pulse(desk: Desk, section: Section, key: Scalar) -> Pulse:
    """The one current; a misspelt or an empty verb has been reported as such."""
    given = [word for word in WORDS if word in section.meant]
    if len(given) == 1 and given[0] in section.entries:
        return _read_pulse(desk, section.entries[given[0]])
    if not given:
        desk.scope.findings.error(
            key.mark, "missing-key", ONE_VERB, "add for example 'lithiate: {at: C/20, for: 30 min}'"
        )
    elif len(given) > 1:
        there = [section.entries[word].key for word in given if word in section.entries]
        there.sort(key=lambda each: (each.mark.line, each.mark.column))
        mark = there[-1].mark if there else key.mark
        desk.scope.findings.error(mark, "conflict", ONE_VERB, "write a second gitt for the other direction")
    return Pulse("gitt", None)


def _read_pulse(desk: Desk, entry: Entry) -> Pulse:
    verb = verb_of(desk, entry.key)
    desk.trail.seen[-1] = replace(desk.trail.seen[-1], verb=verb, settled=verb is not None)
    word = entry.key.value
    keys = Keys(f"the {word} of a gitt", ("at", "for", "record"), ("at", "for"))
    section = open_section(desk.scope.findings, entry.value, keys, entry.key.mark)
    if section is None:
        return Pulse(word, verb)
    return Pulse(word, verb, current_of(desk, section), time_of(desk, section), record_of(desk, section))


def _pulse_step(desk: Desk, pulse: Pulse, until: ReadCondition, path: str) -> CurrentStep | None:
    """A pulse ends by its time; the train's ``until`` is watched beside it."""
    if pulse.verb is None or pulse.current is None or pulse.time is None:
        return None
    return CurrentStep(
        path=f"{path}.p",
        word=pulse.word,
        verb=pulse.verb,
        current_A=pulse.current.signed_A(pulse.verb),
        until=(time_alternative(pulse.time),),
        abort_if=(),
        record=pulse.record or desk.record,
        window_V=cutoffs.window_of(pulse.verb, until, desk.envelope),
    )


def _rest(desk: Desk, section: Section, path: str) -> RestStep | None:
    """The rest after each pulse."""
    entry = section.entries.get("rest")
    until = None if entry is None else _rest_until(desk, entry)
    if not until:
        return None
    return RestStep(f"{path}.r", until, (), desk.record, cutoffs.no_window(desk.envelope))


def _rest_until(desk: Desk, entry: Entry) -> Condition | None:
    findings = desk.scope.findings
    if isinstance(entry.value, Scalar):
        time = positive_at(findings, piece(entry.value), desk.scope.variables, TIME, "rest")
        return None if time is None else (time_alternative(time),)
    section = open_section(findings, entry.value, Keys("the rest of a gitt", ("until", "for")), entry.key.mark)
    if section is None:
        return None
    until = condition(desk, section, Place("until", "rest", Kind.REST))
    cutoffs.check_cutoffs(findings, until, desk.envelope)
    ends = resolved(desk, until)
    if "for" not in section.meant and until.complete and not any(map(_is_time, ends)):
        message = "the rest of a gitt needs a longest time, or one rest that never settles holds up the train"
        findings.error(entry.key.mark, "no-end", message, "add 'for: 4 h'")
    return with_time(ends, time_of(desk, section))


def _is_time(alternative: Alternative) -> bool:
    return [(clause.watched, clause.op) for clause in alternative.clauses] == [(Watched.TIME, Op.AT_LEAST)]
