"""Files of a run that are made when somebody asks for them: exports, the report, figures.

Each is made by the command line in a process of its own that stands back behind everything else: minutes of work on a
long run never take turns with the control loop.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import StoreError

LOOK_EVERY_S = 0.1
MOST_S = 1800.0
UNSOUND = 1
"""What ``report`` ends with where the record itself has something to say; the page is made all the same."""
NICENESS = 10


@dataclass(frozen=True, slots=True)
class Recipe:
    """``words`` of the command line around the run's folder; ``ending`` of the file that is wanted of what they make."""

    command: str
    options: tuple[str, ...]
    ending: str
    into: str | None = None
    """The file's name after the run's; None: the command names it."""
    fine: frozenset[int] = frozenset({0})


def _export(kind: str, ending: str) -> Recipe:
    return Recipe("export", ("--format", kind), ending)


def _report(ending: str) -> Recipe:
    return Recipe("report", (), ending, f"-report{ending}", frozenset({0, UNSOUND}))


def _figure(kind: str) -> Recipe:
    return Recipe("plot", ("--kind", kind), ".svg", f"-{kind}.svg")


RECIPES: Mapping[str, Recipe] = {
    "bdf-csv": _export("bdf-csv", ".csv"),
    "bdf-parquet": _export("bdf-parquet", ".parquet"),
    "bundle": _export("bundle", ".zip"),
    "report-html": _report(".html"),
    "report-text": _report(".txt"),
    **{f"figure-{kind}": _figure(kind) for kind in ("voltage-capacity", "voltage-time", "cycles", "dqdv")},
}


class GoneError(Exception):
    """Whoever asked has gone away."""


class Workshop:
    """Makes one file at a time, whoever asks; ``pool`` starts the processes."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self._turn = asyncio.Lock()

    async def make(self, run_dir: Path, kind: str, gone: Callable[[], Awaitable[bool]]) -> Path:
        """The file, alone in a folder that is the caller's to remove. StoreError says why it could not be made."""
        async with self._turn:
            folder = Path(tempfile.mkdtemp(prefix="cycler-ctl-"))
            try:
                await self._run(run_dir, RECIPES[kind], folder, gone)
                return _made(folder, RECIPES[kind], run_dir.name)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise

    async def _run(self, run_dir: Path, recipe: Recipe, folder: Path, gone: Callable[[], Awaitable[bool]]) -> None:
        command, said = command_of(recipe, run_dir, folder), folder / "said"
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        process = await loop.run_in_executor(self._pool, _start, command, said)
        try:
            while process.poll() is None:
                if await gone():
                    raise GoneError
                if loop.time() - begun_s > MOST_S:
                    raise StoreError(f"{recipe.command} took longer than {MOST_S / 60:.0f} min and was given up")
                await real_sleep(LOOK_EVERY_S)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if process.returncode not in recipe.fine:
            raise StoreError(_last_words(said) or f"{recipe.command} ended with {process.returncode}")


def command_of(recipe: Recipe, run_dir: Path, folder: Path) -> list[str]:
    out = folder if recipe.into is None else folder / f"{run_dir.name}{recipe.into}"
    return [sys.executable, "-P", "-m", "cycler_ctl.cli", recipe.command, str(run_dir), *recipe.options, "-o", str(out)]


def _start(command: list[str], said: Path) -> subprocess.Popen[bytes]:
    with said.open("wb") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, creationflags=_stand_back()
        )
    if sys.platform != "win32":
        os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
    return process


def _stand_back() -> int:
    if sys.platform == "win32":
        return subprocess.BELOW_NORMAL_PRIORITY_CLASS
    return 0


def _made(folder: Path, recipe: Recipe, run: str) -> Path:
    found = sorted(path for path in folder.iterdir() if path.name.endswith(recipe.ending))
    if not found:
        raise StoreError(f"{recipe.command} of {run} made no {recipe.ending} file: {_last_words(folder / 'said')}")
    return found[0]


def _last_words(said: Path) -> str:
    return said.read_text(encoding="utf-8", errors="replace").strip()[-300:]
