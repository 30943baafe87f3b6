"""Which outputs may be on, on disk, so that they can be turned off when every process that knew is gone.

``energised.json`` holds a line for each channel that may be energised, with all that a safe-off needs; ``safe-off.json``
holds every instrument of the station, for the day the register cannot be read. Both replace whole files and are synced.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cycler_ctl.errors import StoreError

REGISTER_FILE = "energised.json"
ENTRIES_FILE = "safe-off.json"


@dataclass(frozen=True, slots=True)
class SafeOffEntry:
    """One instrument and how to reach it; nothing else is needed to turn it off."""

    name: str
    driver: str
    address: str
    backend: str | None = None
    visa_backend: str = "@py"
    relay: tuple[str, ...] = ()
    """The lab's own command that cuts its power, if there is one."""
    serial: str | None = None
    """Of the instrument that may be on; None: nobody knows it."""


def read_register(data_dir: Path) -> Mapping[str, SafeOffEntry]:
    """Channels that may be energised and their instruments; raises StoreError when nobody can know."""
    path = data_dir / REGISTER_FILE
    return {} if not path.exists() else _read(path)


def write_register(data_dir: Path, energised: Mapping[str, SafeOffEntry]) -> None:
    _write(data_dir / REGISTER_FILE, energised)


def read_entries(data_dir: Path) -> tuple[SafeOffEntry, ...]:
    """Every instrument of the station as last served; raises StoreError when nobody can know."""
    path = data_dir / ENTRIES_FILE
    return () if not path.exists() else tuple(_read(path).values())


def write_entries(data_dir: Path, entries: Iterable[SafeOffEntry]) -> None:
    _write(data_dir / ENTRIES_FILE, {entry.name: entry for entry in entries})


def _read(path: Path) -> dict[str, SafeOffEntry]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["entries"]
        return {str(key): _entry(value) for key, value in found.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from error


def _entry(value: Mapping[str, Any]) -> SafeOffEntry:
    """JSON knows no tuples."""
    entry = SafeOffEntry(**value)
    return replace(entry, relay=tuple(map(str, entry.relay)))


def _write(path: Path, entries: Mapping[str, SafeOffEntry]) -> None:
    text = json.dumps({"version": 1, "entries": {key: asdict(entry) for key, entry in entries.items()}}, indent=1)
    replace_file(path, text + "\n")


def replace_file(path: Path, text: str) -> None:
    """The whole file or the one before it, whenever the power goes; StoreError: it is not on disk."""
    fresh = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error}") from error


def _sync_folder(folder: Path) -> None:
    """A rename is durable only with its folder; Windows has no such call and needs none."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
