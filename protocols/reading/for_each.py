"""``for_each``: a body is read once for every value, and what is wrong in it is said once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from protocols.diagnostics import Diagnostic, quoted
from protocols.model import Step
from protocols.quantities import Quantity, a
from protocols.reading.amounts import Scope
from protocols.reading.desk import Desk
from protocols.reading.fields import ANY_NAME, Findings, Piece, Section, Variable, Variables, piece, quantity_at
from protocols.reading.sections import NAME
from protocols.syntax import Entry, Mapping, Node, Scalar, Sequence

MOST_READINGS = 60_000
"""Pieces of text (a few letters each) that may be read again for other values: about half a second's work."""
PIECE = 8
OF_THE_VALUE = frozenset({"safety-conflict", "out-of-range", "alloying"})
"""Faults of one value by itself; all others are faults of the place, whatever value comes there."""
DECIMAL_COMMA = "add its unit; a decimal number has a point, because a comma begins the next value"
EXAMPLE = "write for example 'for_each: {rate: [C/10, C/5]}'"


@dataclass(frozen=True, slots=True)
class Reading:
    """The variables that a body is read with this time, and their texts for people."""

    variables: Variables
    values: tuple[tuple[str, str], ...]


def readings_of(scope: Scope, section: Section) -> tuple[Reading, ...]:
    """One for each value; a single one where the lists are faulty, so that the body is checked all the same."""
    entry = section.entries.get("for_each")
    if entry is None:
        # A misspelt or an empty for_each is reported as such: what it would have named is not.
        unread = {ANY_NAME: Variable(None)} if "for_each" in section.meant else {}
        return (Reading({**scope.variables, **unread}, ()),)
    if not isinstance(entry.value, Mapping) or not entry.value.entries:
        scope.findings.error(entry.value.mark, "shape", "for_each needs names with lists of quantities", EXAMPLE)
        return (Reading({**scope.variables, ANY_NAME: Variable(None)}, ()),)
    lists = {each.key.value: _list(scope, each) for each in entry.value.entries}
    _check_lengths(scope, entry.value, lists)
    shortest = min(len(values) for values in lists.values())
    return tuple(
        _reading(scope.variables, {name: values[index] for name, values in lists.items()}) for index in range(shortest)
    )


def _reading(outer: Variables, values: dict[str, Quantity | None]) -> Reading:
    """A name set here shadows the same name above."""
    inner = {name: Variable(quantity) for name, quantity in values.items()}
    texts = tuple((name, quantity.text) for name, quantity in values.items() if quantity is not None)
    return Reading({**outer, **inner}, texts)


def _check_lengths(scope: Scope, node: Mapping, lists: dict[str, list[Quantity | None]]) -> None:
    """Of the lists without another fault, as a decimal comma makes a list longer."""
    good = [entry.key for entry in node.entries if None not in lists[entry.key.value]]
    for key in good[1:]:
        length, first = len(lists[key.value]), len(lists[good[0].value])
        if length != first:
            message = f"the lists of for_each differ in length: {good[0].value} has {first}, {key.value} has {length}"
            scope.findings.error(key.mark, "shape", message, "give every name as many values")


def _list(scope: Scope, entry: Entry) -> list[Quantity | None]:
    """At least one value, None where it is faulty."""
    name = entry.key.value
    if NAME.fullmatch(name) is None:
        help_text = "use small letters, digits and '_', a letter first"
        scope.findings.error(entry.key.mark, "variable", f"{quoted(name)} is not a variable's name", help_text)
    if not isinstance(entry.value, Sequence) or not entry.value.items:
        help_text = "write the values between brackets, for example '[C/10, C/5]'"
        scope.findings.error(entry.value.mark, "shape", f"{quoted(name)} needs a list of quantities", help_text)
        return [None]
    read = [_value(scope, item, name) for item in entry.value.items]
    if any(quantity is None for quantity, _ in read):
        return [quantity for quantity, _ in read]
    first = read[0][0]
    return [_of_kind(scope, name, (first, quantity), at) for quantity, at in read]


def _of_kind(
    scope: Scope, name: str, kinds: tuple[Quantity | None, Quantity | None], at: Piece | None
) -> Quantity | None:
    """The second, if it is of the first one's dimension."""
    first, other = kinds
    if first is None or other is None or at is None or other.dimension is first.dimension:
        return other
    message = (
        f"the values of {name} must be of one kind, but '{other.text}' is {a(other.dimension.value)} "
        f"and '{first.text}' {a(first.dimension.value)}"
    )
    scope.findings.error(at.mark, "dimension", message, f"write every value as {a(first.dimension.value)}")
    return None


def _value(scope: Scope, node: Node, name: str) -> tuple[Quantity | None, Piece | None]:
    if not isinstance(node, Scalar):
        scope.findings.error(node.mark, "shape", f"each value of {name} is one quantity, not a list or settings")
        return None, None
    at = piece(node)
    if not at.text:
        scope.findings.error(node.mark, "missing-value", f"a value of {quoted(name)} is missing here")
        return None, None
    if at.text.isdecimal():
        scope.findings.error(node.mark, "unit-missing", f"{name} {quoted(at.text)} has no unit", DECIMAL_COMMA)
        return None, None
    return quantity_at(scope.findings, at, scope.variables, subject=name), at


Body = Callable[[Desk, Section], tuple[Step, ...]]


def read_each(
    desk: Desk, section: Section, readings: tuple[Reading, ...], read: Body
) -> tuple[tuple[Reading, tuple[Step, ...]], ...]:
    """``read`` with each reading's variables; the steps passed stand on the trail once."""
    affordable = readings if _affordable(desk, section, len(readings)) else readings[:1]
    seen, loops = len(desk.trail.seen), len(desk.trail.loops)
    news = News(desk.scope.findings)
    bodies: list[tuple[Reading, tuple[Step, ...]]] = []
    for reading in affordable:
        del desk.trail.seen[seen:], desk.trail.loops[loops:]
        found = Findings()
        try:
            scope = replace(desk.scope, findings=found, variables=reading.variables)
            bodies.append((reading, read(replace(desk, scope=scope), section)))
        finally:
            news.add(found.diagnostics)
    return tuple(bodies)


@dataclass(slots=True)
class News:
    """Passes on what earlier readings of the same text have not said yet."""

    findings: Findings
    places: frozenset[tuple[object, ...]] = frozenset()
    said: set[Diagnostic] = field(default_factory=set[Diagnostic])

    def add(self, found: list[Diagnostic]) -> None:
        new = [each for each in found if each not in self.said and self._is_new(each)]
        self.said.update(new)
        self.places |= {_place(each) for each in new}
        for each in new:
            self.findings.add(each)

    def _is_new(self, found: Diagnostic) -> bool:
        return found.code in OF_THE_VALUE or _place(found) not in self.places


def _place(found: Diagnostic) -> tuple[object, ...]:
    return found.file, found.line, found.column, found.code


def _affordable(desk: Desk, section: Section, times: int) -> bool:
    """Nested lists multiply: what they come to is bounded before it is read."""
    if times == 1:
        return True
    if desk.trail.readings > MOST_READINGS:
        return False
    steps = section.value("steps")
    desk.trail.readings += (times - 1) * (0 if steps is None else _pieces(steps))
    if desk.trail.readings <= MOST_READINGS:
        return True
    message = f"for_each would have the steps below it read {times} times, which is more than this program takes on"
    help_text = "give for_each fewer values, or take steps out of it"
    desk.scope.findings.error(section.entries["for_each"].key.mark, "limit", message, help_text)
    return False


def _pieces(node: Node) -> int:
    """How much there is to read."""
    match node:
        case Scalar():
            return 1 + len(node.value) // PIECE
        case Sequence():
            return 1 + sum(map(_pieces, node.items))
        case Mapping():
            return sum(1 + _pieces(entry.value) for entry in node.entries)
