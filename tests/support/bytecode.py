"""What python makes of a source is made once, however many workers and processes a run of the tests has, and kept for the next."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

NONE, ELSEWHERE, OURS = "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "CYCLER_CTL_TESTS"


def worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def kept(config: pytest.Config) -> None:
    """Workers and their children inherit where. Who wants no bytecode beside the sources has it in the environment."""
    if worker(config):
        return
    folder = tempfile.TemporaryDirectory(prefix="cycler-ctl-tests-", ignore_cleanup_errors=True)
    config.add_cleanup(folder.cleanup)
    os.environ[OURS] = folder.name
    if sys.dont_write_bytecode:
        lasting = Path(folder.name) if sys.prefix == sys.base_prefix else Path(sys.prefix) / "bytecode-of-tests"
        os.environ.pop(NONE, None)
        os.environ[ELSEWHERE] = sys.pycache_prefix = str(lasting)
        sys.dont_write_bytecode = False
        config.add_cleanup(lambda: forget_what_was_temporary(lasting))


def forget_what_was_temporary(lasting: Path) -> None:
    """Tests make sources of their own, which are never seen again."""
    shutil.rmtree(lasting.joinpath(*Path(tempfile.gettempdir()).parts[1:]), ignore_errors=True)


@contextmanager
def first_alone(config: pytest.Config) -> Generator[None]:
    """The first worker compiles all tests, which takes ten seconds, and the others wait for that instead of doing it too."""
    if not worker(config):
        yield
        return
    done = Path(os.environ[OURS]) / "compiled"
    lock = FileLock(done.with_suffix(".lock"))
    lock.acquire()
    if done.exists():
        lock.release()
    try:
        yield
        done.touch()
    finally:
        lock.release()
