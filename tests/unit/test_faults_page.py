"""The page of faults names tests that exist, and leaves no fault out."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "faults.md").read_text(encoding="utf-8")
NAME = re.compile(r"`(test_\w+)`")


def test_every_test_that_the_page_names_exists() -> None:
    there = {
        name
        for file in TESTS.rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    named = set(NAME.findall(PAGE))
    assert len(named) > 90
    assert named - there == set()


def test_every_fault_has_its_line_and_says_what_shows_it_or_that_nothing_does() -> None:
    lines = re.findall(r"^\| F(\d+) \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert [int(number) for number, _, _ in lines] == list(range(1, 49))
    assert all(NAME.search(shown) or "not yet" in shown for _, _, shown in lines)
