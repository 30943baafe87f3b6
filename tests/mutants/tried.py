"""Work in a copy of the project: one change in a new process, or all of one module in one (``trials.py``)."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path

import pytest
from altered import FAILED, Tree, copied
from hypothesis import Phase, settings

from tests.mutants.changes import Change
from tests.mutants.targets import Target
from tests.mutants.trials import Seen, Trials

UNCHANGED = (
    "aiomqtt", "numpy", "pydantic", "yaml", "serial", "pyvisa", "pytest_asyncio", "pytest_timeout", "filelock",
    "hypothesis.strategies", "sim_hardware.cli", "protocols.engine", "protocols.check", "protocols.plan",
)  # fmt: skip
LONGEST_S = 40
HOW = (
    "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore::pytest.PytestAssertRewriteWarning",
    "-k", "not far_cheaper",  # how long something takes is no matter here
)  # fmt: skip


class Worker:
    """Works in a copy of its own; nothing of ``cycler_ctl`` is imported before a change."""

    def __init__(self) -> None:
        self.tree: Tree = copied(Path(tempfile.mkdtemp(prefix="mutants-")) / "copy")
        os.chdir(self.tree.folder)
        sys.path.insert(0, str(self.tree.folder))
        os.environ["PYTHONPATH"] = str(self.tree.folder)
        for name in UNCHANGED:
            importlib.import_module(name)
        # The first example that fails is enough: to find the smallest takes long and tells nothing here.
        settings.register_profile("first", phases=(Phase.explicit, Phase.generate), derandomize=True, database=None)
        settings.load_profile("first")

    def seen(self, file: str, target: Target, changes: Sequence[Change], lanes: int) -> Seen:
        """All of these changes, tried in one process."""
        with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
            trials = Trials(self.tree.folder, file, target.functions, changes, lanes, Path(scratch))
            told = Path(scratch) / "seen.json"
            _in_child(lambda: told.write_text(trials.run([*HOW, *target.tests]).to_json(), encoding="utf-8") * 0)
            return Seen.from_json(told.read_text(encoding="utf-8"))

    def outcome(self, file: str, text: str, tests: Sequence[str]) -> int:
        """pytest's exit code with this text in the file's place."""
        before = (self.tree.folder / file).read_text(encoding="utf-8")
        self.tree.put(file, text)
        code = _in_child(lambda: int(pytest.main([*HOW, f"--timeout={LONGEST_S}", *tests])))
        self.tree.put(file, before)
        return code


def _in_child(work: Callable[[], int]) -> int:
    """What the work gave, done in a process that says nothing but why it broke."""
    child = get_context("fork").Process(target=_quietly, args=(work,))
    child.start()
    child.join()
    return FAILED if child.exitcode is None else child.exitcode


def _quietly(work: Callable[[], int]) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(2):
        os.dup2(null, stream)
    sys.exit(work())
