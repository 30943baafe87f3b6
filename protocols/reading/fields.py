"""Reading one section of a protocol: known keys, required keys, and each value as what it should be.

A reader reports what is wrong and returns None; so one fault never hides another, and none is reported twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from protocols.diagnostics import Diagnostic, Mark, Severity, closest, diagnostic_at, did_you_mean, quoted
from protocols.habits import key_habit, settings_example
from protocols.quantities import Need, Quantity, QuantityError, a, above_zero, read_quantity, require
from protocols.syntax import Entry, Node, Scalar
from protocols.syntax import Mapping as MappingNode

VARIABLE = re.compile(r"\$(?P<name>\S*)")


MOST_DIAGNOSTICS = 200


class TooMany(Exception):  # noqa: N818 - ends a check that would only go on counting
    """More is wrong than anybody will read."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What the check has found so far; the only thing in it that grows."""

    diagnostics: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def error(self, mark: Mark, code: str, message: str, help: str | None = None) -> None:  # noqa: A002 - the name of the field it fills
        self.add(diagnostic_at(mark, Severity.ERROR, code, message, help))

    def warning(self, mark: Mark, code: str, message: str, help: str | None = None) -> None:  # noqa: A002
        self.add(diagnostic_at(mark, Severity.WARNING, code, message, help))

    def add(self, diagnostic: Diagnostic) -> None:
        self.diagnostics.append(diagnostic)
        if len(self.diagnostics) > MOST_DIAGNOSTICS:
            raise TooMany

    def quantity_error(self, scalar: Scalar, error: QuantityError, offset: int = 0) -> None:
        self.error(scalar.at(offset + error.offset), error.code, error.message, error.help)


@dataclass(frozen=True, slots=True)
class Variable:
    """A named quantity; None where its definition is faulty, which is reported there and not where it is used."""

    quantity: Quantity | None


Variables = Mapping[str, Variable]

ANY_NAME = "*"
"""Stands for every variable while the section that would define them is missing, which is reported there."""

DECIMAL_COMMA = "a comma begins a new key here: write a decimal number with a point, for example '0.5 mA'"


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping whose keys are all known. ``meant``: the keys written, and those meant by a misspelt one."""

    title: str
    mark: Mark
    entries: Mapping[str, Entry]
    meant: frozenset[str]

    def value(self, key: str) -> Node | None:
        entry = self.entries.get(key)
        return None if entry is None else entry.value


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a section and how to name the section."""

    title: str
    known: tuple[str, ...]
    required: tuple[str, ...] = ()


def open_section(findings: Findings, node: Node, keys: Keys, mark: Mark) -> Section | None:
    """``node`` as a section; ``mark`` is where to say what is missing."""
    if not isinstance(node, MappingNode):
        shown = f", not {quoted(node.value)}" if isinstance(node, Scalar) and node.value else ""
        help_text = settings_example(keys.title, keys.known[0])
        findings.error(node.mark, "shape", f"{keys.title} needs settings{shown}", help_text)
        return None
    meant = {near for entry in node.entries if (near := _known_or_reported(findings, entry, keys))}
    entries = {entry.key.value: entry for entry in node.entries if entry.key.value in keys.known}
    for key in keys.required:
        if key not in meant:
            findings.error(mark, "missing-key", f"{keys.title} needs '{key}'")
    filled = {key: entry for key, entry in entries.items() if not _is_empty(findings, entry)}
    return Section(keys.title, mark, filled, frozenset(meant))


def _known_or_reported(findings: Findings, entry: Entry, keys: Keys) -> str | None:
    """The known key that ``entry`` has or seems to mean."""
    name = entry.key.value
    if name in keys.known:
        return name
    near = key_habit(keys.title, name, keys.known) or closest(name, keys.known)
    known = f"did you mean '{near}'?" if near else f"it may have {', '.join(keys.known)}"
    help_text = DECIMAL_COMMA if name[:1].isdigit() else known
    findings.error(entry.key.mark, "unknown-key", f"{keys.title} has no {quoted(name)}", help_text)
    return near


def _is_empty(findings: Findings, entry: Entry) -> bool:
    if not isinstance(entry.value, Scalar) or entry.value.value.strip():
        return False
    findings.error(entry.key.mark, "missing-value", f"{quoted(entry.key.value)} has no value")
    return True


def scalar_of(findings: Findings, node: Node, what: str) -> Scalar | None:
    if isinstance(node, Scalar):
        return node
    findings.error(
        node.mark, "shape", f"{what} needs one value, not a list or settings of its own", "write one value on this line"
    )
    return None


def text_of(findings: Findings, section: Section, key: str) -> str | None:
    """The text under ``key``; None where it is absent."""
    node = section.value(key)
    scalar = None if node is None else scalar_of(findings, node, key)
    return None if scalar is None else scalar.value.strip()


def choice_of(findings: Findings, section: Section, key: str, choices: Collection[str]) -> str | None:
    node = section.value(key)
    scalar = None if node is None else scalar_of(findings, node, key)
    if scalar is None or scalar.value in choices:
        return None if scalar is None else scalar.value
    listed = " or ".join(f"'{choice}'" for choice in choices)
    findings.error(
        scalar.mark, "choice", f"{key} is {listed}, not {quoted(scalar.value)}", did_you_mean(scalar.value, choices)
    )
    return None


def whole_number_of(findings: Findings, section: Section, key: str, lowest: int, highest: int) -> int | None:
    node = section.value(key)
    scalar = None if node is None else scalar_of(findings, node, key)
    if scalar is None:
        return None
    if re.fullmatch(r"[+-]?[0-9]{1,18}", scalar.value) is None:
        findings.error(
            scalar.mark,
            "number",
            f"{key} needs a whole number, not {quoted(scalar.value)}",
            f"write for example '{key}: 3'",
        )
        return None
    number = int(scalar.value)
    if not lowest <= number <= highest:
        message = f"{key} must be between {lowest} and {highest}, not {scalar.value}"
        findings.error(scalar.mark, "out-of-range", message)
        return None
    return number


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a scalar, by itself: what a condition or a record is made of."""

    text: str
    scalar: Scalar
    offset: int

    @property
    def mark(self) -> Mark:
        return self.scalar.at(self.offset)


def piece(scalar: Scalar) -> Piece:
    return trimmed(scalar.value, scalar, 0)


def trimmed(text: str, scalar: Scalar, offset: int) -> Piece:
    return Piece(text.strip(), scalar, offset + len(text) - len(text.lstrip()))


def split(whole: Piece, separator: re.Pattern[str]) -> tuple[Piece, ...]:
    """The parts of ``whole`` between the separators, each at its place."""
    parts: list[Piece] = []
    start = 0
    for match in separator.finditer(whole.text):
        parts.append(trimmed(whole.text[start : match.start()], whole.scalar, whole.offset + start))
        start = match.end()
    if not parts:
        return (whole,)
    parts.append(trimmed(whole.text[start:], whole.scalar, whole.offset + start))
    return tuple(parts)


def quantity_at(
    findings: Findings, at: Piece, variables: Variables, *, subject: str = "", example: str = "V"
) -> Quantity | None:
    """The quantity a piece says, itself or by a variable."""
    variable = VARIABLE.fullmatch(at.text)
    if variable is not None:
        return _variable(findings, at, variables, variable["name"])
    try:
        return read_quantity(at.text, subject=subject, example=example)
    except QuantityError as error:
        if at.text in variables:
            error = QuantityError(error.code, error.message, f"did you mean '${at.text}'?", error.offset)
        findings.quantity_error(at.scalar, error, at.offset)
        return None


def _variable(findings: Findings, at: Piece, variables: Variables, name: str) -> Quantity | None:
    found = variables.get(name) or variables.get(ANY_NAME)
    if found is not None:
        return found.quantity
    near = closest(name, variables)
    help_text = (
        f"define it under variables:, for example '{name}: 0.2 V'" if near is None else f"did you mean '${near}'?"
    )
    findings.error(at.mark, "unknown-variable", f"no variable {quoted(name)} is defined", help_text)
    return None


def needed_at(findings: Findings, at: Piece, variables: Variables, need: Need, subject: str) -> Quantity | None:
    """As ``quantity_at``, of the dimension needed."""
    quantity = quantity_at(findings, at, variables, subject=subject, example=need.example)
    return None if quantity is None else of_dimension(findings, at, quantity, need, subject)


def of_dimension(findings: Findings, at: Piece, quantity: Quantity, need: Need, subject: str) -> Quantity | None:
    shown = None
    if at.text.startswith("$"):
        shown = f"{at.text} is {a(quantity.dimension.value)} ({quantity.text})"
    return _checked(findings, at, lambda: require(quantity, need, subject, shown))


def positive_at(findings: Findings, at: Piece, variables: Variables, need: Need, subject: str) -> Quantity | None:
    """As ``needed_at``, above zero."""
    quantity = needed_at(findings, at, variables, need, subject)
    return None if quantity is None else above_zero_at(findings, at, quantity, subject)


def above_zero_at(findings: Findings, at: Piece, quantity: Quantity, subject: str) -> Quantity | None:
    return _checked(findings, at, lambda: above_zero(quantity, subject))


def _checked(findings: Findings, at: Piece, check: Callable[[], Quantity]) -> Quantity | None:
    try:
        return check()
    except QuantityError as error:
        findings.error(at.mark, error.code, error.message, error.help)
        return None


def quantity_field(
    findings: Findings, section: Section, key: str, need: Need, variables: Variables, *, positive: bool = True
) -> Quantity | None:
    """The quantity under ``key``; None where it is absent or faulty."""
    node = section.value(key)
    scalar = None if node is None else scalar_of(findings, node, key)
    if scalar is None:
        return None
    read = positive_at if positive else needed_at
    return read(findings, piece(scalar), variables, need, key)
