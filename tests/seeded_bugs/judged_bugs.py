"""All bugs, and what the tests make of one."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from altered import ROOT, Verdict, copied

from tests.seeded_bugs import driving, guarding, recording
from tests.seeded_bugs.bug import Bug

ALL: tuple[Bug, ...] = (*guarding.BUGS, *driving.BUGS, *recording.BUGS)
LONGEST_S = 300.0


def with_bug(bug: Bug) -> str:
    """The file's text with the bug in it; ValueError where the place is not to be found, or no program comes of it."""
    text = (ROOT / bug.file).read_text(encoding="utf-8")
    if (times := text.count(bug.old)) != 1:
        raise ValueError(f"{bug.name}: its place is there {times} times in {bug.file}")
    changed = text.replace(bug.old, bug.new)
    compile(changed, bug.file, "exec")
    return changed


def tried(bug: Bug) -> tuple[Verdict, str]:
    """Caught only where each of the tests it names notices; else what the first that does not has said.

    Where its place is gone it proves nothing, and stops no other.
    """
    try:
        changed = with_bug(bug)
    except ValueError as error:
        return Verdict.BROKEN, str(error)
    with tempfile.TemporaryDirectory(prefix="seeded-") as folder:
        tree = copied(Path(folder) / "copy")
        tree.put(bug.file, changed)
        for test in bug.tests:
            verdict, said = tree.tested([test], LONGEST_S)
            if verdict is not Verdict.CAUGHT:
                return verdict, f"{test}\n{said}"
    return Verdict.CAUGHT, ""


def control(bugs: Sequence[Bug]) -> tuple[str, str]:
    """The negative control: without any bug all the tests named pass."""
    with tempfile.TemporaryDirectory(prefix="sound-") as folder:
        tests = sorted({test for bug in bugs for test in bug.tests})
        verdict, said = copied(Path(folder) / "copy").tested(tests, LONGEST_S * 4)
    return ("pass" if verdict is Verdict.SURVIVED else "FAIL"), said
