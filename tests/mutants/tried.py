"""One change after another, each in a child of a process that has imported already what never changes."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from altered import FAILED, Tree, copied
from hypothesis import Phase, settings

UNCHANGED = (
    "aiomqtt", "numpy", "pydantic", "yaml", "serial", "pyvisa", "pytest_asyncio", "pytest_timeout", "filelock",
    "hypothesis.strategies", "sim_hardware.cli", "protocols.engine", "protocols.check", "protocols.plan",
)  # fmt: skip
LONGEST_S = 40
HOW = (
    "-x", "-q", "-p", "no:cacheprovider", f"--timeout={LONGEST_S}", "-W", "ignore::pytest.PytestAssertRewriteWarning",
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

    def outcome(self, file: str, text: str, tests: Sequence[str]) -> int:
        """pytest's exit code with this text in the file's place."""
        before = (self.tree.folder / file).read_text(encoding="utf-8")
        self.tree.put(file, text)
        child = os.fork()
        if child == 0:
            _run(tests)
        _, status = os.waitpid(child, 0)
        self.tree.put(file, before)
        return os.waitstatus_to_exitcode(status)


def _run(tests: Sequence[str]) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    code: int = FAILED
    try:
        code = int(pytest.main([*HOW, *tests]))
    finally:
        os._exit(code)
