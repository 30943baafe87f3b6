"""The invalid protocols of the language's design: each changes the base in one place and must print one exact error."""

import json
from pathlib import Path
from typing import TypedDict

import pytest

from protocols.check import check_text
from protocols.diagnostics import render

DATA = Path(__file__).parent / "data" / "protocols"
BASE = (DATA / "base.yaml").read_text(encoding="utf-8")


class Case(TypedDict):
    old: str
    new: str
    first_error: list[str]


CASES: list[Case] = json.loads((DATA / "invalid.json").read_text(encoding="utf-8"))


def test_the_base_is_valid_and_without_warnings() -> None:
    checked = check_text(BASE, "base.yaml", folder=DATA)
    assert checked.diagnostics == ()
    assert checked.program is not None


def test_all_44_examples_are_here() -> None:
    assert len(CASES) == 44


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["new"][:40] or f"without {case['old'].strip()}")
def test_the_first_error_reads_exactly_so(case: Case) -> None:
    assert BASE.count(case["old"]) == 1
    checked = check_text(BASE.replace(case["old"], case["new"]), "base.yaml", folder=DATA)
    assert checked.program is None
    assert render(checked.diagnostics[0]) == "\n".join(case["first_error"])


FOLLOWED_BY_ANOTHER = {"  diameter: 10 mm\n"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["new"][:40] or f"without {case['old'].strip()}")
def test_one_fault_gives_one_message(case: Case) -> None:
    checked = check_text(BASE.replace(case["old"], case["new"]), "base.yaml", folder=DATA)
    assert len(checked.diagnostics) == (2 if case["old"] in FOLLOWED_BY_ANOTHER else 1)
