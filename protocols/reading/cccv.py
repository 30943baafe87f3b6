"""``then_hold_until``: the voltage that ended a current is held until the current has tapered off."""

from __future__ import annotations

from dataclasses import dataclass, replace

from protocols.model import CccvStep, Condition, CurrentStep, HoldStep, Op, Watched
from protocols.reading import cutoffs
from protocols.reading.conditions_text import ReadClause, ReadCondition
from protocols.reading.desk import Current, Desk, condition, resolved
from protocols.reading.directions import Kind, Place
from protocols.reading.fields import Findings, Section


@dataclass(frozen=True, slots=True)
class Taper:
    """The voltage to hold, the alternative of ``until`` that leads to it, and what ends the hold."""

    voltage_V: float
    after: int
    until: Condition


def read_taper(desk: Desk, section: Section, until: ReadCondition, current: Current | None) -> Taper | None:
    """None where it is absent or faulty."""
    entry = section.entries.get("then_hold_until")
    if entry is None:
        return None
    findings = desk.scope.findings
    taper = condition(desk, section, Place("then_hold_until", "the hold", Kind.HOLD))
    cutoffs.check_cutoffs(findings, taper, desk.envelope)
    check_taper(findings, taper, current)
    ends = resolved(desk, taper)
    held = _held(until)
    if len(held) == 1 and taper.complete:
        return Taper(held[0][1].clause.value, held[0][0], ends)
    if len(held) > 1:
        first, second = held[0][1], held[1][1]
        message = f"until has two voltages ({first.value_text} and {second.value_text}), and only one can be held"
        findings.error(second.at.mark, "conflict", message, "keep the one that then_hold_until shall hold")
    elif not held and until.complete and _says_no_voltage(section):
        message = f"then_hold_until needs a voltage to hold, but {section.title} has none by itself in its until"
        findings.error(entry.key.mark, "condition", message, "add a voltage to until:, for example 'until: 0.2 V'")
    return None


def _says_no_voltage(section: Section) -> bool:
    """An ``until`` that is misspelt, empty or missing together with ``for`` is reported for itself."""
    return "until" in section.entries or ("until" not in section.meant and "for" in section.meant)


def check_taper(findings: Findings, until: ReadCondition, limit: Current | None) -> None:
    """The current of a hold never passes its limit, so the limit itself is no taper."""
    if limit is None:
        return
    for read in until.clauses:
        clause = read.clause
        never = clause.op is Op.AT_LEAST and clause.value > limit.amount_A
        at_once = clause.op is Op.AT_MOST and clause.value >= limit.amount_A
        if clause.watched is Watched.CURRENT and (never or at_once):
            when = "can never be met" if never else "holds from the start"
            message = f"the hold passes at most {limit.quantity.text}, so 'current {clause.op.value} {read.value_text}' {when}"
            findings.error(read.at.mark, "direction", message, f"take a current below {limit.quantity.text}")


def _held(until: ReadCondition) -> list[tuple[int, ReadClause]]:
    """The alternatives that are one voltage and nothing else."""
    alone = [(index, each.only) for index, each in enumerate(until.alternatives)]
    return [(index, only) for index, only in alone if only is not None and only.clause.watched is Watched.VOLTAGE]


def with_hold(step: CurrentStep, taper: Taper) -> CccvStep:
    """The whole; its parts have no label and no ``abort_if`` of their own."""
    hold = HoldStep(
        path=f"{step.path}.cv",
        word="hold",
        voltage_V=taper.voltage_V,
        current_limit_A=abs(step.current_A),
        until=taper.until,
        abort_if=(),
        record=step.record,
        verb=step.verb,
    )
    current = replace(step, path=f"{step.path}.cc", abort_if=(), label=None, note=None)
    return CccvStep(step.path, current, hold, (taper.after,), step.abort_if, step.label, step.note)
