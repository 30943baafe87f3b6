"""A copy of this project in which something is wrong on purpose, and whether its own tests notice."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPIED = (
    "cycler_ctl",
    "drivers",
    "protocols",
    "sim_hardware",
    "tests",
    "docs",
    "deploy",
    "pyproject.toml",
    "README.md",
)
SKIPPED = shutil.ignore_patterns("__pycache__", ".pytest_cache", ".hypothesis")
PASSED, FAILED = 0, 1  # pytest's exit codes; any other means that nothing was tested
TAIL = 2000
NO_TEST = ("SyntaxError", "NameError", "ImportError", "ModuleNotFoundError", "IndentationError", "UnboundLocalError")


class Verdict(StrEnum):
    """``BROKEN``: the change made nonsense of the program, which proves nothing."""

    CAUGHT = "caught"
    SURVIVED = "SURVIVED"
    BROKEN = "BROKEN"


@dataclass(frozen=True, slots=True)
class Tree:
    """A copy of the project. One test run at a time."""

    folder: Path

    def put(self, file: str, text: str) -> None:
        """The file's compiled form goes too: its time stamp may not tell it from the new one."""
        path = self.folder / file
        path.write_text(text, encoding="utf-8")
        Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)

    def tested(self, tests: Sequence[str], timeout_s: float) -> tuple[Verdict, str]:
        """What the tests made of it, and the end of what they said. Tests that never end have noticed."""
        command = (sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests)
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Verdict.CAUGHT, f"no end within {timeout_s:.0f} s"
        said = done.stdout[-TAIL:] + done.stderr[-TAIL:]
        if done.returncode == PASSED:
            return Verdict.SURVIVED, said
        broken = done.returncode != FAILED or any(f"E   {word}" in done.stdout for word in NO_TEST)
        return (Verdict.BROKEN if broken else Verdict.CAUGHT), said


def copied(to: Path) -> Tree:
    """The project as it is now, in a folder that does not exist yet."""
    to.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=SKIPPED)
        elif source.exists():
            shutil.copy2(source, to / name)
    return Tree(to)
