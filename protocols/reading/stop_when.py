"""``stop_when`` of a repeat: ``delithiate capacity <= 80 % of cycle 4 for 2 cycles``, ``coulombic efficiency <= 95 %``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from protocols.diagnostics import did_you_mean, quoted
from protocols.model import Retention, StopWhen, Verb
from protocols.quantities import ANY_CAPACITY, Dimension, Quantity, format_number, need_of
from protocols.reading.amounts import absolute
from protocols.reading.comparisons import AND, FOR, OR, SHARE, Comparison, comparison_of
from protocols.reading.desk import Desk
from protocols.reading.fields import (
    Findings,
    Piece,
    Section,
    of_dimension,
    piece,
    positive_at,
    quantity_at,
    scalar_of,
    split,
)
from protocols.reading.trail import CYCLE, WORDS, StopAt, convention_fault, resolve

EXAMPLE = "write for example 'delithiate capacity <= 80 % of cycle 3'"
EFFICIENCY_EXAMPLE = "write for example 'coulombic efficiency <= 95 % for 3 cycles'"
EFFICIENCY = "coulombic efficiency"
WATCHED = (*(f"{word} capacity" for word in WORDS), EFFICIENCY)
FRACTION = re.compile(r"[01](?:\.[0-9]{1,6})?")
RUN = re.compile(r"(?P<cycles>[0-9]{1,9})\s+cycles?")
RATIO = need_of(Dimension.RATIO)
MOST_CYCLES = 1_000_000


@dataclass(frozen=True, slots=True)
class Threshold:
    """What a cycle is compared with: Ah, or a fraction of the cycle named."""

    value: float
    text: str
    cycle: Piece | None = None
    of_cycle: int | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """How many cycles in a row; ``at`` None: not said."""

    cycles: int = 1
    at: Piece | None = None


def read_stop_when(desk: Desk, section: Section, path: str, gives_back: Verb | None) -> StopWhen | None:
    """``gives_back``: the verb whose capacity an efficiency counts; None where it cannot be said."""
    node = section.value("stop_when")
    findings = desk.scope.findings
    scalar = None if node is None else scalar_of(findings, node, "stop_when")
    if scalar is None:
        return None
    whole = piece(scalar)
    body, *runs = split(whole, FOR)
    if OR.search(body.text) or AND.search(body.text):
        findings.error(whole.mark, "condition", "stop_when takes one condition, without 'or' and 'and'", EXAMPLE)
        return None
    run = _run(findings, whole, runs)
    comparison = comparison_of(findings, body)
    if comparison is None:
        findings.error(whole.mark, "condition", f"cannot read {quoted(whole.text)}", EXAMPLE)
    if comparison is None or run is None:
        return None
    word = " ".join(comparison.left.text.split())
    if word not in WATCHED:
        help_text = None if word in {"capacity", ""} else did_you_mean(word, WATCHED)
        help_text = help_text or f"say 'lithiate capacity', 'delithiate capacity' or '{EFFICIENCY}'"
        what = f"{quoted(comparison.left.text)} is not something stop_when can watch"
        message = what if comparison.left.text else "what is watched is missing"
        findings.error(comparison.left.mark, "condition", message, help_text)
        return None
    return _stop(desk, path, (word, gives_back), comparison, run)


def _stop(desk: Desk, path: str, watched: tuple[str, Verb | None], comparison: Comparison, run: Run) -> StopWhen | None:
    word, gives_back = watched
    is_efficiency = word == EFFICIENCY
    threshold = _efficiency(desk, comparison.right) if is_efficiency else _capacity(desk, comparison.right)
    verb = gives_back if is_efficiency else _verb(desk, comparison.left, word.split()[0])
    if comparison.op is None or threshold is None:
        return None
    desk.trail.stops[path] = StopAt(comparison.left, threshold.cycle, threshold.of_cycle, run.at, run.cycles)
    if verb is None:
        return None
    return StopWhen(
        watched=Retention.EFFICIENCY if is_efficiency else Retention.CAPACITY,
        verb=verb,
        op=comparison.op,
        value=threshold.value,
        text=f"{word} {comparison.op.value} {threshold.text}" + ("" if run.at is None else f" for {run.cycles} cycles"),
        of_cycle=threshold.of_cycle,
        cycles=run.cycles,
    )


def _run(findings: Findings, whole: Piece, runs: list[Piece]) -> Run | None:
    """``for n cycles``."""
    if not runs:
        return Run()
    match = RUN.fullmatch(runs[0].text)
    if match is None or len(runs) > 1:
        message = f"cannot read {quoted(whole.text)}: 'for' needs a number of cycles"
        findings.error(runs[0].mark, "condition", message, "write for example 'for 2 cycles'")
        return None
    cycles = int(match["cycles"])
    if not 1 <= cycles <= MOST_CYCLES:
        findings.error(
            runs[0].mark,
            "out-of-range",
            f"'for {runs[0].text}' must be between 1 and {MOST_CYCLES} cycles",
            "write for example 'for 2 cycles'",
        )
        return None
    return Run(cycles, runs[0])


def _verb(desk: Desk, at: Piece, word: str) -> Verb | None:
    """What the word does; what nobody can say is said once, at a step if one has the word."""
    verb = resolve(word, desk.trail.discharge_means)
    facts = desk.scope.facts
    unsaid = verb is None and facts.known and "discharge_means" not in facts.given
    if unsaid and not desk.trail.missing:
        desk.scope.findings.error(at.mark, "convention", *convention_fault(word, facts.cell.active_material))
    return verb


def _efficiency(desk: Desk, right: Piece) -> Threshold | None:
    if not right.text or SHARE.fullmatch(right.text):
        missing = "a percentage is missing here"
        message = (
            f"an efficiency is compared with a percentage, not with {quoted(right.text)}" if right.text else missing
        )
        desk.scope.findings.error(right.mark, "condition", message, EFFICIENCY_EXAMPLE)
        return None
    fraction = FRACTION.fullmatch(right.text)
    if fraction is not None:
        percent = f"write '{format_number(100 * float(right.text), 6)} %'"
        message = f"{EFFICIENCY} {quoted(right.text)} has no unit"
        desk.scope.findings.error(right.mark, "unit-missing", message, percent)
        return None
    share = positive_at(desk.scope.findings, right, desk.scope.variables, RATIO, EFFICIENCY)
    return None if share is None else Threshold(share.value, share.text)


def _capacity(desk: Desk, right: Piece) -> Threshold | None:
    share = SHARE.fullmatch(right.text)
    if share is not None:
        name = Piece(share["name"].strip(), right.scalar, right.offset + share.start("name"))
        return _of_cycle(desk, Piece(share["share"], right.scalar, right.offset), name)
    findings = desk.scope.findings
    quantity = (
        quantity_at(findings, right, desk.scope.variables, subject="stop_when", example="mAh") if right.text else None
    )
    if not right.text or (quantity is not None and quantity.dimension is Dimension.RATIO):
        message = f"cannot read {quoted(right.text)}" if right.text else "a capacity is missing here"
        findings.error(right.mark, "condition", message, EXAMPLE)
        return None
    return None if quantity is None else _amount(desk, right, quantity)


def _amount(desk: Desk, right: Piece, quantity: Quantity) -> Threshold | None:
    findings = desk.scope.findings
    good = of_dimension(findings, right, quantity, ANY_CAPACITY, "stop_when")
    if good is None or positive_at(findings, right, desk.scope.variables, ANY_CAPACITY, "stop_when") is None:
        return None
    amount_Ah = absolute(desk.scope, right, quantity)
    return None if amount_Ah is None else Threshold(amount_Ah, quantity.text)


def _of_cycle(desk: Desk, at: Piece, name: Piece) -> Threshold | None:
    findings = desk.scope.findings
    share = positive_at(findings, at, desk.scope.variables, RATIO, "stop_when")
    if CYCLE.fullmatch(name.text) is None:
        message = f"stop_when compares with a cycle by its number, not with {quoted(name.text)}"
        findings.error(name.mark, "condition", message, EXAMPLE)
        return None
    number = int(name.text.split()[1][:9])
    if not 1 <= number <= MOST_CYCLES:
        findings.error(name.mark, "out-of-range", f"there is no {quoted(name.text)}: cycles count from 1", EXAMPLE)
        return None
    return None if share is None else Threshold(share.value, f"{share.text} of cycle {number}", name, number)
