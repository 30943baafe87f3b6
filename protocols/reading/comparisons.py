"""The words and signs between the quantities of a condition: ``or``, ``and``, ``for``, ``<=``, ``% of``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from protocols.model import Op
from protocols.reading.fields import Findings, Piece, trimmed

OR = re.compile(r"(?:^|\s)or(?=\s|$)")
AND = re.compile(r"(?:^|\s)and(?=\s|$)")
FOR = re.compile(r"(?:^|\s)for(?=\s|$)")
OPERATOR = re.compile("<=|>=|=<|=>|==|!=|[<>=≤≥]")
SHARE = re.compile(r"(?P<share>[^%\s]*\s*%|\$\S+)\s+of\s+(?P<name>.+)", re.DOTALL)
OPS: Mapping[str, Op] = {"<=": Op.AT_MOST, "<": Op.AT_MOST, "≤": Op.AT_MOST, "=<": Op.AT_MOST} | {
    ">=": Op.AT_LEAST,
    ">": Op.AT_LEAST,
    "≥": Op.AT_LEAST,
    "=>": Op.AT_LEAST,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """``left op right``; ``op`` None: an operator nothing can be asked with, which has been reported."""

    left: Piece
    op: Op | None
    right: Piece


def comparison_of(findings: Findings, body: Piece) -> Comparison | None:
    """The two sides of the first operator; None where there is none."""
    operator = OPERATOR.search(body.text)
    if operator is None:
        return None
    op = OPS.get(operator.group())
    if op is None:
        where = Piece(operator.group(), body.scalar, body.offset + operator.start())
        message = f"'{operator.group()}' would almost never be met exactly"
        findings.error(where.mark, "condition", message, "use <= or >=")
    left = Piece(body.text[: operator.start()].strip(), body.scalar, body.offset)
    return Comparison(left, op, trimmed(body.text[operator.end() :], body.scalar, body.offset + operator.end()))
