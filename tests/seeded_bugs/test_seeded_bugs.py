"""The seeded bugs are of the program as it is now. Here two are truly put in; ``python -m tests.seeded_bugs`` tries all."""

from __future__ import annotations

import pytest
from altered import Verdict

from tests.seeded_bugs.bug import Bug
from tests.seeded_bugs.judged_bugs import ALL, tried, with_bug

QUICK = ("NaN-blind voltage", "off said on a sent command")


@pytest.mark.parametrize("bug", ALL, ids=lambda bug: bug.name)
def test_the_place_of_each_bug_is_there_once_and_a_program_comes_of_it(bug: Bug) -> None:
    assert with_bug(bug)


def test_there_are_enough_of_them_and_each_has_its_name_and_its_tests() -> None:
    assert len({bug.name for bug in ALL}) == len(ALL) >= 30
    assert all(bug.tests for bug in ALL)


@pytest.mark.parametrize("name", QUICK)
def test_a_bug_is_caught_by_a_test_that_fails(name: str) -> None:
    bug = next(bug for bug in ALL if bug.name == name)
    assert tried(Bug(bug.name, bug.rule, bug.file, bug.old, bug.new, bug.tests[:1])) == (Verdict.CAUGHT, "")


def test_a_change_that_breaks_no_rule_survives_and_one_that_makes_nonsense_proves_nothing() -> None:
    """The negative controls: the harness tells neither for caught."""
    file, tests = "cycler_ctl/guarding/stuck.py", ("tests/unit/test_guard_boundaries.py",)
    same = Bug("none", "", file, "NEW = Same()", "NEW = Same(count=0)", tests)
    assert tried(same)[0] is Verdict.SURVIVED
    broken = Bug("nonsense", "", file, "NEW = Same()", "NEW = Sane()", tests)
    assert tried(broken)[0] is Verdict.BROKEN
