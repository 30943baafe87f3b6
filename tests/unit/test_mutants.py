"""The harness of small changes itself: what it changes and where, and that it tells what lives from what is noticed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the harness forks")

ROOT = Path(__file__).resolve().parents[2]
MODULE = dedent("""\
    from contextlib import contextmanager

    LIMIT = 3

    def held(value):
        return value < LIMIT

    class Box:
        @property
        def size(self):
            return 1 + 1

        def unseen(self):
            return 5

        @contextmanager
        def inside(self):
            def inner(value):
                return -value

            yield inner(2)
    """)
TESTS = dedent("""\
    from small import Box, held

    def test_all_but_the_limit_itself():
        assert held(2) and not held(4)

    def test_box():
        assert Box().size == 2
        with Box().inside() as inner:
            assert inner == -2
    """)
SCRIPT = dedent("""\
    import json, pathlib, sys
    folder = pathlib.Path(sys.argv[1])
    sys.path[:0] = [str(folder), "tests/support"]
    from tests.mutants.changes import changes
    from tests.mutants.trials import Trials
    told, tried = folder / "told.json", list(changes((folder / "small.py").read_text()))
    seen = Trials(folder, "small.py", (), tried, 2, folder).run(["-q", "-p", "no:cacheprovider", str(folder)])
    outcomes = [[one.place.function, one.what, outcome] for one, outcome in zip(tried, seen.outcomes)]
    told.write_text(json.dumps([seen.failed, outcomes]))
    """)


def seen(folder: Path, tests: str) -> tuple[str, dict[tuple[str, str], str]]:
    """The test that fails without a change, and what became of each change."""
    (folder / "small.py").write_text(MODULE, encoding="utf-8")
    (folder / "test_small.py").write_text(tests, encoding="utf-8")
    command = (sys.executable, "-c", SCRIPT, str(folder))
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    failed, outcomes = json.loads((folder / "told.json").read_text(encoding="utf-8"))
    return failed, {(function, what): outcome for function, what, outcome in outcomes}


def test_a_change_that_a_test_notices_is_killed_and_any_other_is_tried_again_by_itself(tmp_path: Path) -> None:
    failed, outcomes = seen(tmp_path, TESTS)
    assert failed == ""
    assert outcomes["held", "Lt -> GtE"] == "killed"
    assert outcomes["held", "Lt -> LtE"] == "again"  # nobody asks for 3
    assert outcomes["", "3 -> 4"] == "again"  # outside functions
    assert outcomes["Box.unseen", "5 -> 6"] == "again"
    assert outcomes["Box.size", "Add -> Sub"] == "killed"
    assert outcomes["Box.inside", "- dropped from -value"] == "killed"


def test_nothing_is_tried_where_a_test_fails_without_a_change(tmp_path: Path) -> None:
    failed, outcomes = seen(tmp_path, TESTS + "\ndef test_wrong():\n    assert held(3)\n")
    assert failed.endswith("test_wrong")
    assert outcomes == {}
