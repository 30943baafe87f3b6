"""What belongs to the language but not yet to this version: read, its spelling checked, then refused by name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from protocols.amounts import Scope
from protocols.conditions_text import read_condition
from protocols.diagnostics import Mark, quoted
from protocols.directions import Kind, Place
from protocols.envelope import read_record
from protocols.fields import (
    Keys,
    Section,
    Variable,
    Variables,
    open_section,
    piece,
    positive_at,
    quantity_at,
    quantity_field,
    scalar_of,
    whole_number_of,
)
from protocols.quantities import ANY_CURRENT, Dimension, Quantity, need_of
from protocols.syntax import Entry, Node, Scalar, Sequence
from protocols.syntax import Mapping as MappingNode
from protocols.trail import WORDS

UNSUPPORTED_STEPS = ("hold", "gitt")
TIME = need_of(Dimension.TIME)
HOLD_KEYS = Keys("hold", ("at", "for", "until", "current_limit", "abort_if", "record", "label", "note"), ("at",))
GITT_KEYS = Keys("gitt", (*WORDS, "rest", "until", "pulses", "abort_if", "record", "label", "note"), ("rest",))
NAME = re.compile(r"[a-z][a-z0-9_]*")
STOP_CAPACITY = re.compile(rf"(?:{'|'.join(WORDS)}) capacity\s*(?:<=|>=|<|>|≤|≥)\s*(?P<value>.*)")
STOP_EFFICIENCY = re.compile(
    r"coulombic efficiency\s*(?:<=|>=|<|>|≤|≥)\s*(?P<value>[0-9]+(?:\.[0-9]+)?\s*%)(?:\s+for [0-9]+ cycles?)?"
)
STOP_RUN = re.compile(r"\sfor [0-9]+ cycles?$")
SHARE_OF_CYCLE = re.compile(r"[0-9]+(?:\.[0-9]+)?\s*% of cycle [0-9]+")


def refuse(scope: Scope, mark: Mark, code: str, name: str) -> None:
    """One wording for all of them."""
    scope.findings.error(mark, code, f"'{name}' belongs to the language but is not supported by this version yet")


def _count(scope: Scope) -> int:
    return len(scope.findings.diagnostics)


def check_later_step(scope: Scope, entry: Entry) -> None:
    """``hold`` and ``gitt``: faults inside first; without any, the refusal."""
    before = _count(scope)
    if entry.key.value == "hold":
        _check_hold(scope, entry)
    else:
        _check_gitt(scope, entry)
    if _count(scope) == before:
        refuse(scope, entry.key.mark, "unknown-step", entry.key.value)


def _check_hold(scope: Scope, entry: Entry) -> None:
    section = open_section(scope.findings, entry.value, HOLD_KEYS, entry.key.mark)
    if section is None:
        return
    voltage = need_of(Dimension.VOLTAGE)
    quantity_field(scope.findings, section, "at", voltage, scope.variables, positive=False)
    quantity_field(scope.findings, section, "current_limit", ANY_CURRENT, scope.variables)
    _check_common(scope, section, "hold", Kind.HOLD)
    if not section.meant & {"for", "until"}:
        scope.findings.error(entry.key.mark, "no-end", "hold has no end", "add 'until: C/50', 'for: 2 h' or both")


def _check_common(scope: Scope, section: Section, word: str, kind: Kind) -> None:
    if "for" in section.entries:
        quantity_field(scope.findings, section, "for", TIME, scope.variables)
    for key in ("until", "abort_if"):
        node = section.value(key)
        if node is not None:
            read_condition(scope, node, Place(key, word, kind))
    record = section.value("record")
    if record is not None:
        read_record(scope, record)


def _check_gitt(scope: Scope, entry: Entry) -> None:
    section = open_section(scope.findings, entry.value, GITT_KEYS, entry.key.mark)
    if section is None:
        return
    verbs = [word for word in WORDS if word in section.entries]
    if len(verbs) != 1:
        scope.findings.error(entry.key.mark, "shape", f"gitt needs exactly one of {', '.join(WORDS)}")
    for verb in verbs:
        _check_pulse(scope, section.entries[verb])
    whole_number_of(scope.findings, section, "pulses", 1, 1_000_000)
    _check_common(scope, section, "gitt", Kind.CURRENT)
    if not section.meant & {"until", "pulses"}:
        scope.findings.error(entry.key.mark, "no-end", "gitt has no end", "add 'until: 0.2 V', 'pulses: 60' or both")


def _check_pulse(scope: Scope, entry: Entry) -> None:
    keys = Keys(entry.key.value, ("at", "for", "record"), ("at", "for"))
    section = open_section(scope.findings, entry.value, keys, entry.key.mark)
    if section is not None:
        quantity_field(scope.findings, section, "at", ANY_CURRENT, scope.variables)
        quantity_field(scope.findings, section, "for", TIME, scope.variables)


def check_hold_after(scope: Scope, section: Section) -> None:
    """``then_hold_until``."""
    entry = section.entries.get("then_hold_until")
    if entry is None:
        return
    before = _count(scope)
    read_condition(scope, entry.value, Place("then_hold_until", section.title, Kind.HOLD))
    if _count(scope) == before:
        refuse(scope, entry.key.mark, "unknown-key", "then_hold_until")


def check_stop_when(scope: Scope, section: Section) -> None:
    entry = section.entries.get("stop_when")
    scalar = None if entry is None else scalar_of(scope.findings, entry.value, "stop_when")
    if entry is None or scalar is None:
        return
    before = _count(scope)
    _check_stop_text(scope, scalar)
    if _count(scope) == before:
        refuse(scope, entry.key.mark, "unknown-key", "stop_when")


def _check_stop_text(scope: Scope, scalar: Scalar) -> None:
    if STOP_EFFICIENCY.fullmatch(scalar.value):
        return
    help_text = "write for example 'delithiate capacity <= 80 % of cycle 3'"
    run = STOP_RUN.search(scalar.value)
    match = STOP_CAPACITY.fullmatch(scalar.value[: run.start()].rstrip() if run else scalar.value)
    if match is None:
        scope.findings.error(scalar.mark, "condition", f"cannot read {quoted(scalar.value)}", help_text)
    elif SHARE_OF_CYCLE.fullmatch(match["value"]) is None:
        _check_stop_quantity(scope, scalar, match, help_text)


def _check_stop_quantity(scope: Scope, scalar: Scalar, match: re.Match[str], help_text: str) -> None:
    if "%" in match["value"] or not match["value"]:
        where = scalar.at(match.start("value"))
        scope.findings.error(where, "condition", f"cannot read {quoted(match['value'])}", help_text)
        return
    value = scalar.at(match.start("value"))
    part = piece(Scalar(match["value"], value))
    positive_at(scope.findings, part, scope.variables, need_of(Dimension.CAPACITY), "stop_when")


def check_for_each(scope: Scope, section: Section) -> Variables:
    """The variables inside the repeat: those above, shadowed by the first value of each list."""
    entry = section.entries.get("for_each")
    if entry is None:
        return scope.variables
    before = _count(scope)
    lists = _lists(scope, entry.value)
    if _count(scope) == before:
        refuse(scope, entry.key.mark, "unknown-key", "for_each")
    return {**scope.variables, **lists}


def _lists(scope: Scope, node: Node) -> Mapping[str, Variable]:
    if not isinstance(node, MappingNode):
        help_text = "write for example 'for_each: {rate: [C/10, C/5]}'"
        scope.findings.error(node.mark, "shape", "for_each needs names with lists", help_text)
        return {}
    lengths = {len(entry.value.items) for entry in node.entries if isinstance(entry.value, Sequence)}
    if len(lengths) > 1:
        scope.findings.error(node.mark, "shape", "the lists of for_each differ in length")
    return {entry.key.value: Variable(_first(scope, entry)) for entry in node.entries}


def _first(scope: Scope, entry: Entry) -> Quantity | None:
    if NAME.fullmatch(entry.key.value) is None:
        scope.findings.error(entry.key.mark, "variable", f"{quoted(entry.key.value)} is not a variable's name")
    if not isinstance(entry.value, Sequence) or not entry.value.items:
        scope.findings.error(entry.value.mark, "shape", f"{entry.key.value} needs a list of quantities")
        return None
    read = [_value(scope, item, entry.key.value) for item in entry.value.items]
    good = [quantity for quantity in read if quantity is not None]
    if len({quantity.dimension for quantity in good}) > 1:
        scope.findings.error(entry.value.mark, "dimension", f"the values of {entry.key.value} are not all of one kind")
    return good[0] if good else None


def _value(scope: Scope, node: Node, name: str) -> Quantity | None:
    scalar = scalar_of(scope.findings, node, name)
    return None if scalar is None else quantity_at(scope.findings, piece(scalar), {}, subject=name)
