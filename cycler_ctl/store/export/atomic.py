"""Files that appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from enum import StrEnum
from glob import escape
from pathlib import Path
from typing import IO

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import StoreError
from cycler_ctl.store.place import sync_file, sync_folder
from cycler_ctl.store.segment import segment_path

STRAY_S = 86_400.0
"""A part that nobody has written to for so long is of a program that was killed; a younger one may be another's work."""


@contextmanager
def whole_path(path: Path) -> Generator[Path]:
    """Where to write a file; it takes the place of ``path``, durably, when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(descriptor)
    unfinished = Path(name)
    try:
        yield unfinished
        sync_file(unfinished)
        unfinished.chmod(0o644)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    sync_folder(path.parent)


def _sweep(path: Path) -> None:
    """What a killed program left of an earlier try at the same file; one that cannot be looked at stays."""
    for stray in path.parent.glob(f".{escape(path.name)}.*.part"):
        with suppress(OSError):
            if SystemClock().utc() - stray.stat().st_mtime > STRAY_S:
                stray.unlink()


@contextmanager
def whole_file(path: Path) -> Generator[IO[str]]:
    """As ``whole_path``, a text file that is open already."""
    with whole_path(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        yield file


class Overwriting(StrEnum):
    """What to do with a file that is there already."""

    REFUSED = "refused"
    FORCED = "forced"


def free_path(out: Path, overwriting: Overwriting = Overwriting.REFUSED) -> Path:
    """``out``, unless a file would be lost, or it lies in the folder of a run, where none is ever written over."""
    if outside_runs(out).exists() and overwriting is not Overwriting.FORCED:
        raise StoreError(f"{out} exists already and is not overwritten: name another file, or say --force")
    return out


def outside_runs(out: Path) -> Path:
    """``out``, unless it lies in the folder of a run: there a slip of the keyboard would cost measurements."""
    for folder in out.resolve().parents[:2]:
        if segment_path(folder, 1).exists():
            raise StoreError(f"{out} lies in the folder of a run, {folder}: write elsewhere")
    return out


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
