"""Which tests go to the same worker: those of a file, and all that want the browser, which each worker would start anew."""

from __future__ import annotations

from importlib import import_module

import pytest

IN_THE_BROWSER = frozenset(
    {
        "test_accessible.py",
        "test_acting_page.py",
        "test_page.py",
        "test_queue_page.py",
        "test_run_page.py",
        "test_screenshots.py",
    }
)


def scope_of(nodeid: str) -> str:
    """What one worker takes as a whole."""
    file = nodeid.partition("::")[0]
    return "the browser" if file.rpartition("/")[2] in IN_THE_BROWSER else file


def scheduler(config: pytest.Config, log: object) -> object:
    """None: xdist's own, where another way than ``--dist loadfile`` was asked for."""
    if config.getoption("dist") != "loadfile":
        return None
    made = import_module("xdist.scheduler").LoadFileScheduling(config, log)  # it has no types
    made._split_scope = scope_of
    return made
