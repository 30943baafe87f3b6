"""Rules for every test: nothing is left behind, and in CI nothing is skipped."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

GONE_WITHIN_S = 5.0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a skipped test fails the run (CI)")
    parser.addoption(
        "--campaign", action="store_true", help="the long form of the campaigns: the same code, more of it"
    )


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """A thread that outlives its test belongs to nobody. (Tasks and sockets left behind warn, and warnings fail.)"""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(GONE_WITHIN_S)
        if thread.is_alive():
            pytest.fail(f"thread {thread.name!r} was left behind")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == 0 and session.config.getoption("--no-skips") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
