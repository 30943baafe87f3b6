"""The option of CI that makes a skipped test a failure, on a suite of one test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
SKIPPED = "import pytest\n\ndef test_it(): pytest.skip('no such program here')\n"
PASSED = "def test_it(): pass\n"


@pytest.mark.parametrize(
    ("suite", "options", "status"),
    [(SKIPPED, [], 0), (SKIPPED, ["--no-skips"], 1), (PASSED, ["--no-skips"], 0)],
)
def test_a_skip_fails_the_run_only_where_none_is_allowed(
    tmp_path: Path, suite: str, options: list[str], status: int
) -> None:
    shutil.copy(CONFTEST, tmp_path)
    (tmp_path / "test_suite.py").write_text(suite, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, "test_suite.py"]
    environment = os.environ | {"PYTHONPATH": str(CONFTEST.parent / "support")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    assert ("which fails this run" in done.stdout) is (status == 1)
