"""All changes of one module's functions, tried in one process: its tests are imported once, each change gets a child.

First every test runs once under coverage. So each change is tried only by the tests that come to its lines, the fastest
first; it is put in place of the function's code, which everybody who has imported the function calls. Changes outside
functions, and all that nobody noticed, are for a process of their own (``tried.py``).
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import select
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import coverage
import pytest
from _pytest.runner import runtestprotocol
from altered import FAILED, PASSED

from tests.mutants.changes import Change, Place

PATIENCE_S, PATIENCE = 10.0, 20.0  # and so many times as long as the tests took by themselves


class Outcome(StrEnum):
    """``AGAIN``: to be tried in a process of its own."""

    KILLED = "killed"
    ENDLESS = "endless"
    AGAIN = "again"


@dataclass(frozen=True, slots=True)
class Branches:
    """Of one module, in the tests that must notice its changes."""

    taken: int
    of: int
    missing: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Seen:
    """``outcomes`` in the order of the changes; ``failed``: a test that fails without any change."""

    failed: str
    branches: Branches
    outcomes: Sequence[Outcome]

    @classmethod
    def from_json(cls, text: str) -> Seen:
        raw = json.loads(text)
        pairs = [(first, last) for first, last in raw["branches"]["missing"]]
        branches = Branches(raw["branches"]["taken"], raw["branches"]["of"], pairs)
        return cls(raw["failed"], branches, [Outcome(one) for one in raw["outcomes"]])

    def to_json(self) -> str:
        branches = {"taken": self.branches.taken, "of": self.branches.of, "missing": list(self.branches.missing)}
        return json.dumps({"failed": self.failed, "branches": branches, "outcomes": list(self.outcomes)})


@dataclass(slots=True)
class Trials:
    """A plugin for pytest that runs the collected tests in its own way. ``scratch``: an empty folder."""

    folder: Path
    file: str
    functions: Sequence[str]
    changes: Sequence[Change]
    lanes: int
    scratch: Path
    seen: Seen = field(init=False)
    _coverage: coverage.Coverage = field(init=False)
    _items: Sequence[pytest.Item] = ()
    _took_s: dict[str, float] = field(default_factory=dict)
    _visits: Mapping[int, Sequence[str]] = field(default_factory=dict)

    @property
    def _path(self) -> str:
        return str(self.folder / self.file)

    def run(self, arguments: Sequence[str]) -> Seen:
        """What the tests of these arguments saw."""
        self._coverage = coverage.Coverage(data_file=None, config_file=False, branch=True, include=[self._path])
        self.seen = Seen("the tests were not collected", Branches(0, 0, ()), ())
        self._coverage.start()
        pytest.main([*arguments], plugins=[self])
        return self.seen

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            return True
        self._items = session.items
        failed = self._once()
        branches = self._branches()
        if not failed and self._child(self._items, self._none()) != PASSED:
            failed = "a test that fails where every function was put anew, without a change"
        self.seen = Seen(failed, branches, () if failed else self._outcomes())
        return True

    def _once(self) -> str:
        """All tests without any change; the first that fails."""
        for item, following in _with_next(self._items):
            self._coverage.switch_context(item.nodeid)
            reports = runtestprotocol(item, log=False, nextitem=following)
            self._took_s[item.nodeid] = sum(report.duration for report in reports)
            if any(report.failed for report in reports):
                return item.nodeid
        self._coverage.stop()
        self._visits = self._coverage.get_data().contexts_by_lineno(self._path)
        return ""

    def _none(self) -> list[Change]:
        """The negative control: what the module is already, in place of each of its functions."""
        same = ast.unparse(ast.parse(Path(self._path).read_text(encoding="utf-8")))
        names = sorted({change.place.function for change in self.changes} - {""})
        return [Change(0, "", "nothing", Place(name), same) for name in names]

    def _branches(self) -> Branches:
        self._coverage.stop()
        report = self.scratch / "coverage.json"
        self._coverage.json_report(outfile=str(report))
        told = json.loads(report.read_text(encoding="utf-8"))["files"]
        (one,) = told.values()
        parts = [one["functions"][name] for name in self.functions] or [one]
        pairs = [(first, last) for part in parts for first, last in part["missing_branches"]]
        sums = [sum(part["summary"][name] for part in parts) for name in ("covered_branches", "num_branches")]
        return Branches(sums[0], sums[1], pairs)

    def _outcomes(self) -> list[Outcome]:
        """Several lanes at once, each with every so-manieth change."""
        lanes = {}
        for lane in range(self.lanes):
            child = os.fork()
            if child == 0:
                self._lane(lane)
            lanes[lane] = child
        found = [Outcome.AGAIN] * len(self.changes)
        for lane, child in lanes.items():
            os.waitpid(child, 0)
            found[lane :: self.lanes] = [Outcome(one) for one in json.loads(self._notes(lane).read_text())]
        return found

    def _notes(self, lane: int) -> Path:
        return self.scratch / f"lane-{lane}.json"

    def _lane(self, lane: int) -> None:
        try:
            found = [self._tried(change) for change in self.changes[lane :: self.lanes]]
            self._notes(lane).write_text(json.dumps(found), encoding="utf-8")
        finally:
            os._exit(0)

    def _tried(self, change: Change) -> Outcome:
        items = sorted(self._who_come_to(change.place), key=lambda item: self._took_s[item.nodeid])
        if not change.place.function or not items:
            return Outcome.AGAIN
        match self._child(items, [change]):
            case code if code == FAILED:
                return Outcome.KILLED
            case None:
                return Outcome.ENDLESS
            case _:
                return Outcome.AGAIN

    def _who_come_to(self, place: Place) -> list[pytest.Item]:
        names: set[str] = set()
        for line in range(place.first, place.last + 1):
            names |= set(self._visits.get(line, ()))
        return [item for item in self._items if item.nodeid in names]

    def _child(self, items: Sequence[pytest.Item], changed: Sequence[Change]) -> int | None:
        """The exit code of these tests in a child with these changes; None: it had not ended in time."""
        child = os.fork()
        if child == 0:
            self._in_child(items, changed)
        patience_s = PATIENCE_S + PATIENCE * sum(self._took_s[item.nodeid] for item in items)
        pidfd = os.pidfd_open(child)
        ended, _, _ = select.select([pidfd], [], [], patience_s)
        os.close(pidfd)
        if not ended:
            os.killpg(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status) if ended else None

    def _in_child(self, items: Sequence[pytest.Item], changed: Sequence[Change]) -> None:
        code: int = pytest.ExitCode.INTERNAL_ERROR
        try:
            os.setpgid(0, 0)
            if sum(_put(self.file, change) for change in changed):
                code = FAILED if _any_fails(items) else PASSED
        finally:
            os._exit(code)


def _any_fails(items: Sequence[pytest.Item]) -> bool:
    return any(
        report.failed
        for item, following in _with_next(items)
        for report in runtestprotocol(item, log=False, nextitem=following)
    )


def _with_next(items: Sequence[pytest.Item]) -> Iterator[tuple[pytest.Item, pytest.Item | None]]:
    return zip(items, [*items[1:], None], strict=True)


def _put(file: str, change: Change) -> bool:
    """The function runs the changed code from now on; False where it cannot."""
    module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    live = _function(module, change.place.function)
    code = _code(compile(change.source, file, "exec", dont_inherit=True), change.place.function)
    if live is None or code is None or live.__code__.co_freevars != code.co_freevars:
        return False
    live.__code__ = code
    return True


def _function(module: ModuleType, name: str) -> FunctionType | None:
    """As the module holds it now, without what is wrapped around it."""
    found: object = module
    for part in name.split("."):
        found = vars(found).get(part)
        if isinstance(found, property):
            found = found.fget
        elif isinstance(found, staticmethod | classmethod):
            found = found.__func__
    plain = inspect.unwrap(found) if callable(found) else None
    return plain if isinstance(plain, FunctionType) else None


def _code(whole: CodeType, name: str) -> CodeType | None:
    for inner in whole.co_consts:
        if isinstance(inner, CodeType):
            if inner.co_qualname == name:
                return inner
            if name.startswith(f"{inner.co_qualname}.") and (found := _code(inner, name)) is not None:
                return found
    return None
