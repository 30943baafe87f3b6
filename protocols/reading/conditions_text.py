"""Conditions from text: ``voltage <= 0.2 V for 5 s or 120 % of previous lithiate`` to clauses in SI.

What a bare quantity watches follows from its dimension, and which way it counts from the step it stands in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from protocols.diagnostics import closest, quoted
from protocols.habits import WATCHED
from protocols.model import Alternative, Clause, Op, Watched
from protocols.quantities import ANY_CAPACITY, ANY_CURRENT, Dimension, Need, Quantity, need_of
from protocols.reading.amounts import NOMINAL, THEORETICAL, Scope, absolute, report_missing
from protocols.reading.comparisons import AND, FOR, OR, SHARE, comparison_of
from protocols.reading.directions import SIGNED, Place, direction_fault, implied_op
from protocols.reading.fields import (
    Piece,
    above_zero_at,
    of_dimension,
    piece,
    positive_at,
    quantity_at,
    split,
)
from protocols.syntax import Node, Scalar, Sequence

NEEDS: Mapping[Watched, Need] = {
    Watched.VOLTAGE: need_of(Dimension.VOLTAGE),
    Watched.CURRENT: ANY_CURRENT,
    Watched.TIME: need_of(Dimension.TIME),
    Watched.CAPACITY: ANY_CAPACITY,
    Watched.ENERGY: need_of(Dimension.ENERGY),
    Watched.TEMPERATURE: need_of(Dimension.TEMPERATURE),
    Watched.SLOPE: need_of(Dimension.SLOPE),
}
WATCHED_BY: Mapping[Dimension, Watched] = {
    dimension: watched for watched, need in NEEDS.items() for dimension in need.dimensions
}
DIGITS = frozenset("0123456789.+-$")
EXAMPLE = "write for example 'voltage <= 0.2 V for 5 s'"
ALL_WATCHED = "it watches voltage, current, time, capacity, energy, temperature or dV/dt"


@dataclass(frozen=True, slots=True)
class ReadClause:
    """A clause, where it stands, its value as written, and the reference still to be looked up."""

    clause: Clause
    at: Piece
    value_text: str
    reference: Piece | None = None
    for_text: str = ""

    @property
    def text(self) -> str:
        return f"{self.clause.watched.value} {self.clause.op.value} {self.value_text}{self.for_text}"


@dataclass(frozen=True, slots=True)
class ReadAlternative:
    clauses: tuple[ReadClause, ...]

    @property
    def only(self) -> ReadClause | None:
        return self.clauses[0] if len(self.clauses) == 1 else None


@dataclass(frozen=True, slots=True)
class ReadCondition:
    """``complete`` is False where some part was faulty and is left out."""

    alternatives: tuple[ReadAlternative, ...] = ()
    complete: bool = True

    @property
    def clauses(self) -> tuple[ReadClause, ...]:
        return tuple(clause for alternative in self.alternatives for clause in alternative.clauses)


def read_condition(scope: Scope, node: Node, place: Place) -> ReadCondition:
    """The alternatives in written order."""
    read = [_alternative(scope, part, place) for part in _alternatives(scope, node, place)]
    good = tuple(alternative for alternative in read if alternative is not None)
    return ReadCondition(good, complete=bool(read) and len(good) == len(read))


def _alternatives(scope: Scope, node: Node, place: Place) -> tuple[Piece, ...]:
    """One piece an alternative; a list is one alternative a line."""
    if isinstance(node, Scalar):
        return _split_or(scope, piece(node))
    if isinstance(node, Sequence) and not node.items:
        scope.findings.error(node.mark, "missing-value", f"{place.key} is an empty list", EXAMPLE)
        return ()
    if isinstance(node, Sequence):
        return tuple(part for item in node.items for part in _item(scope, item, place))
    scope.findings.error(
        node.mark, "shape", f"{place.key} needs a condition, not settings", "write '- ' before each alternative"
    )
    return ()


def _item(scope: Scope, item: Node, place: Place) -> tuple[Piece, ...]:
    if isinstance(item, Scalar):
        return _split_or(scope, piece(item))
    scope.findings.error(item.mark, "shape", f"{place.key} needs one condition a line", EXAMPLE)
    return ()


def _split_or(scope: Scope, whole: Piece) -> tuple[Piece, ...]:
    if OR.search(whole.text) and AND.search(whole.text):
        help_text = "write a list: one line per alternative"
        scope.findings.error(whole.mark, "mixed-and-or", "'and' and 'or' in one line are ambiguous", help_text)
        return ()
    return split(whole, OR)


def _alternative(scope: Scope, part: Piece, place: Place) -> ReadAlternative | None:
    clauses = [_clause(scope, clause, place) for clause in split(part, AND)]
    good = tuple(clause for clause in clauses if clause is not None)
    return ReadAlternative(good) if len(good) == len(clauses) else None


def _clause(scope: Scope, at: Piece, place: Place) -> ReadClause | None:
    body, *rest = split(at, FOR)
    if not body.text or len(rest) > 1 or any(not part.text for part in rest):
        message = f"cannot read {quoted(at.text)}: something is missing" if at.text else "a condition is missing here"
        scope.findings.error(at.mark, "condition", message, EXAMPLE)
        return None
    for_ = positive_at(scope.findings, rest[0], scope.variables, NEEDS[Watched.TIME], "for") if rest else None
    if rest and for_ is None:
        return None
    read = _comparison(scope, body, place)
    if read is None or for_ is None:
        return read
    clause = read.clause
    held = Clause(clause.watched, clause.op, clause.value, for_.value, clause.reference)
    return ReadClause(held, read.at, read.value_text, read.reference, f" for {for_.text}")


def _comparison(scope: Scope, body: Piece, place: Place) -> ReadClause | None:
    """``[watched op] value``."""
    compared = comparison_of(scope.findings, body)
    if compared is None:
        return _bare(scope, body, place)
    watched = _watched(scope, compared.left)
    if watched is None or compared.op is None:
        return None
    return _with_value(scope, body, (watched, compared.op), compared.right, place)


def _watched(scope: Scope, left: Piece) -> Watched | None:
    if left.text in tuple(Watched):
        return Watched(left.text)
    near = WATCHED.get(left.text) or closest(left.text, tuple(Watched))
    help_text = f"did you mean '{near}'?" if near else ALL_WATCHED
    if left.text[:1] in DIGITS:
        help_text = "begin with what is watched, for example 'voltage <= 0.2 V'"
    message = (
        f"{quoted(left.text)} is not something a condition can watch" if left.text else "what is watched is missing"
    )
    scope.findings.error(left.mark, "condition", message, help_text)
    return None


def _with_value(
    scope: Scope, body: Piece, comparison: tuple[Watched, Op], right: Piece, place: Place
) -> ReadClause | None:
    watched, op = comparison
    share = SHARE.fullmatch(right.text)
    if share is not None:
        return _share(scope, body, (watched, op), (right, share), place)
    need = NEEDS[watched]
    quantity = quantity_at(scope.findings, right, scope.variables, subject=watched.value, example=need.example)
    if quantity is None:
        return None
    if quantity.dimension is Dimension.RATIO:
        _report_unfinished_share(scope, right, place)
        return None
    checked = of_dimension(scope.findings, right, quantity, need, watched.value)
    return None if checked is None else _plain(scope, (body, right), (watched, op), checked, place)


def _report_unfinished_share(scope: Scope, right: Piece, place: Place) -> None:
    tapers = place.key == "then_hold_until"
    help_text = (
        "write a current, for example 'C/20'" if tapers else f"write for example '{right.text} of previous lithiate'"
    )
    scope.findings.error(right.mark, "condition", f"cannot read {quoted(right.text)}", help_text)


def _report_without_sign(scope: Scope, body: Piece) -> bool:
    """Words where a comparison or a share should be: 'voltage 0.2 V', 'previous lithiate'."""
    first = body.text.split(maxsplit=1)[0] if body.text else ""
    watched = WATCHED.get(first, first)
    if first == "previous":
        missing, help_text = "how much of it", "write for example '100 % of previous lithiate'"
    elif watched in tuple(Watched):
        missing = "a comparison with <= or >="
        help_text = f"write for example '{watched} >= 0.5 {NEEDS[Watched(watched)].example}', or the amount alone"
    else:
        return False
    scope.findings.error(body.mark, "condition", f"cannot read {quoted(body.text)}: {missing} is missing", help_text)
    return True


def _bare(scope: Scope, body: Piece, place: Place) -> ReadClause | None:
    """A quantity alone: its dimension says what is watched, the step which way."""
    share = SHARE.fullmatch(body.text)
    if share is not None:
        return _share(scope, body, (Watched.CAPACITY, Op.AT_LEAST), (body, share), place)
    if _report_without_sign(scope, body):
        return None
    quantity = quantity_at(scope.findings, body, scope.variables, subject=place.key, example="V")
    if quantity is None:
        return None
    watched = WATCHED_BY.get(quantity.dimension)
    if watched is None:
        if quantity.dimension is Dimension.RATIO:
            _report_unfinished_share(scope, body, place)
            return None
        message = f"'{quantity.text}' is nothing a condition can watch"
        scope.findings.error(body.mark, "condition", message, ALL_WATCHED)
        return None
    op = _implied(scope, body, (watched, quantity), place)
    return None if op is None else _plain(scope, (body, body), (watched, op), quantity, place)


def _implied(scope: Scope, body: Piece, said: tuple[Watched, Quantity], place: Place) -> Op | None:
    watched, quantity = said
    op = implied_op(watched, place)
    if op is None and place.settled:
        help_text = f"write '{watched.value} >= {quantity.text}' or '{watched.value} <= {quantity.text}'"
        message = f"'{quantity.text}' in {place.key} does not say which way"
        scope.findings.error(body.mark, "condition", message, help_text)
    return op


def _plain(
    scope: Scope, pieces: tuple[Piece, Piece], comparison: tuple[Watched, Op], quantity: Quantity, place: Place
) -> ReadClause | None:
    (body, right), (watched, op) = pieces, comparison
    if watched not in SIGNED and above_zero_at(scope.findings, right, quantity, watched.value) is None:
        return None
    if not _direction_holds(scope, body, comparison, quantity.text, place):
        return None
    value = absolute(scope, right, quantity)
    return None if value is None else ReadClause(Clause(watched, op, value), body, quantity.text)


def _direction_holds(scope: Scope, body: Piece, comparison: tuple[Watched, Op], text: str, place: Place) -> bool:
    fault = direction_fault(comparison, text, place)
    if fault is not None:
        scope.findings.error(body.mark, "direction", *fault)
    return fault is None


def _share(
    scope: Scope, body: Piece, comparison: tuple[Watched, Op], said: tuple[Piece, re.Match[str]], place: Place
) -> ReadClause | None:
    """``number % of reference``: a fraction, or at once an amount where the reference is the cell itself."""
    watched, op = comparison
    right, match = said
    share_at = Piece(match["share"], right.scalar, right.offset)
    share = positive_at(scope.findings, share_at, scope.variables, need_of(Dimension.RATIO), watched.value)
    if share is None:
        return None
    if watched is not Watched.CAPACITY:
        message = f"a share of a step is a capacity, not a {watched.value}"
        scope.findings.error(body.mark, "condition", message, f"write 'capacity >= {right.text}'")
        return None
    name = Piece(match["name"].strip(), right.scalar, right.offset + match.start("name"))
    text = f"{share.text} of {name.text}"
    if not _direction_holds(scope, body, comparison, text, place):
        return None
    if name.text not in {"theoretical", "nominal"}:
        return ReadClause(Clause(watched, op, share.value), body, text, name)
    amount_Ah = _cell_capacity(scope, share_at, name.text)
    return None if amount_Ah is None else ReadClause(Clause(watched, op, share.value * amount_Ah), body, text)


def _cell_capacity(scope: Scope, at: Piece, name: str) -> float | None:
    cell = scope.facts.cell
    amount_Ah = cell.nominal_capacity_Ah if name == "nominal" else cell.theoretical_capacity_Ah
    if amount_Ah is None:
        report_missing(scope, at, name, NOMINAL if name == "nominal" else THEORETICAL)
    return amount_Ah


def alternative_of(clauses: tuple[ReadClause, ...], resolved: tuple[Clause, ...]) -> Alternative:
    return Alternative(resolved, " and ".join(read.text for read in clauses))


def time_alternative(quantity: Quantity) -> Alternative:
    """``for: 1 h`` as people read it elsewhere."""
    return Alternative((Clause(Watched.TIME, Op.AT_LEAST, quantity.value),), f"time >= {quantity.text}")
