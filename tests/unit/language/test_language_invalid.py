"""Faulty protocols beyond the examples of the language's design: each is caught at its place, with what to write."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from protocols.check import check_text
from protocols.diagnostics import Severity

HERE = "§"
"""Stands in the faulty text where the caret must be."""

FOLDER = Path(__file__).parent
BASE = (FOLDER / "everything.yaml").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Fault:
    """``old`` of the base becomes ``new``; what the first error then says, at the mark in ``new`` or at the text ``at``.

    ``more``: how many others follow from it.
    """

    old: str
    new: str
    code: str
    message: str
    help: str | None = None
    more: int = 0
    at: str = HERE


def _faults() -> tuple[Fault, ...]:
    read: list[dict[str, Any]] = json.loads((FOLDER / "faults.json").read_text(encoding="utf-8"))
    return tuple(Fault(**each) for each in read)


FAULTS = _faults()
CODES = frozenset(
    [
        "yaml-syntax",
        "yaml-feature",
        "duplicate-key",
        "unknown-key",
        "missing-key",
        "missing-value",
        "shape",
        "version",
        "choice",
        "number",
        "unit-missing",
        "unit-unknown",
        "dimension",
        "out-of-range",
        "unknown-variable",
        "variable",
        "unknown-step",
        "condition",
        "mixed-and-or",
        "direction",
        "no-end",
        "conflict",
        "reference",
        "duplicate-label",
        "cell-data",
        "convention",
        "inconsistent",
        "include",
        "safety-conflict",
    ]
)
"""All but limit and override, which no small change of this file can cause."""


def faulty(fault: Fault) -> tuple[str, int, int]:
    """The faulty file, and the line and column where the caret must stand."""
    assert BASE.count(fault.old) == 1, fault.old
    marked = BASE.replace(fault.old, fault.new)
    assert marked.count(fault.at) == 1, fault.at
    before = marked[: marked.index(fault.at)]
    return marked.replace(HERE, ""), before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def test_the_base_is_valid_and_without_warnings() -> None:
    checked = check_text(BASE, "p.yaml")
    assert checked.diagnostics == ()
    assert checked.program is not None


def test_every_code_has_a_fault() -> None:
    assert {fault.code for fault in FAULTS} == CODES
    assert len(FAULTS) >= 100


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.code}: {fault.new.strip()[:40]}")
def test_a_fault_is_named_at_its_place_with_what_to_write(fault: Fault) -> None:
    text, line, column = faulty(fault)
    checked = check_text(text, "p.yaml", folder=FOLDER)
    assert checked.program is None
    first, *others = [each for each in checked.diagnostics if each.severity is Severity.ERROR]
    assert (first.code, first.message, first.help) == (fault.code, fault.message, fault.help)
    assert (first.line, first.column) == (line, column)
    assert len(others) == fault.more
