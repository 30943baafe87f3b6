"""No test ends with an abused cell unnoticed: whatever simulator noted an act, in this process or another, is heard.

A test that provokes acts on purpose, or plays whoever was there before us, names them: ``provokes(TWO_WIRES)``. Nothing
else may happen, and some of it must.
Where a test itself plays the host, or another program does, ``pytestmark = pytest.mark.not_our_driver`` says that nobody
is judged.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from sim_hardware.cli import ABUSE_FILE

NOT_OUR_DRIVER = "not_our_driver"
WORDS = "abuse of a cell: "


class Judge(logging.Handler):
    """Collects the acts of this process from its log, and of every cycler-sim from a file it appends to."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file
        self._read_to = 0
        self._heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._heard.append(record.getMessage())

    def acts(self) -> set[str]:
        """What was heard since last asked."""
        heard, self._heard = [*self._heard, *self._appended()], []
        return {line.removeprefix(WORDS) for line in heard}

    def _appended(self) -> list[str]:
        if not self._file.exists():
            return []
        with self._file.open(encoding="utf-8") as file:
            file.seek(self._read_to)
            lines = file.read().splitlines()
            self._read_to = file.tell()
        return lines


class Provokes(Protocol):
    def __call__(self, *acts: str) -> None: ...


@pytest.fixture(autouse=True, scope="session")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    """Hears everything, also while fixtures of a module or session are made and left."""
    file = tmp_path_factory.mktemp("judged") / "abuse"
    judge = Judge(file)
    log = logging.getLogger("sim_hardware.abuse")
    log.addHandler(judge)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ABUSE_FILE, str(file))
        yield judge
    log.removeHandler(judge)
    if acts := judge.acts():
        pytest.fail(f"after the last test: {', '.join(sorted(acts))}")


@pytest.fixture(autouse=True)
def no_cell_is_harmed(judge: Judge, request: pytest.FixtureRequest) -> Iterator[set[str]]:
    """Judges each test by the acts that it named beforehand, which it yields."""
    named: set[str] = set()
    yield named
    acts = judge.acts()
    if request.node.get_closest_marker(NOT_OUR_DRIVER) is not None:
        return
    if acts - named:
        pytest.fail(f"a cell was abused: {', '.join(sorted(acts - named))}")
    if named and not acts:
        pytest.fail(f"said to provoke, but did not: {', '.join(sorted(named))}")


@pytest.fixture
def provokes(no_cell_is_harmed: set[str]) -> Provokes:
    """Names the acts that a test provokes on purpose."""

    def name(*acts: str) -> None:
        no_cell_is_harmed.update(acts)

    return name
