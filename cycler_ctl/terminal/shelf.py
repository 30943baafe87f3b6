"""``cycler-ctl library``: the protocols that ship with the program, listed, and copied to where people change them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cycler_ctl.errors import ConfigError
from protocols.check import load_protocol
from protocols.shipped import library, library_files


def list_library(*, as_json: bool) -> int:
    found = [(name, _title(path), path) for name, path in library().items()]
    if as_json:
        shown = [{"name": name, "title": title, "path": str(path)} for name, title, path in found]
        sys.stdout.write(json.dumps(shown, ensure_ascii=False) + "\n")
        return 0
    for name, title, _ in found:
        sys.stdout.write(f"{name:<18} {title}\n")
    sys.stdout.write("copy them with: cycler-ctl library FOLDER\n")
    return 0


def _title(path: Path) -> str:
    program = load_protocol(path).program
    return "" if program is None else program.name


def copy_library(folder: Path) -> int:
    """Nothing that exists is written over: a copy somebody has changed is theirs. Said when all is done."""
    kept = [source for source in library_files() if (folder / source.name).exists()]
    made = [source for source in library_files() if source not in kept]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source in made:
            (folder / source.name).write_bytes(source.read_bytes())
    except OSError as error:
        raise ConfigError(f"{folder} cannot take the files: {error}") from error
    for source in kept:
        sys.stderr.write(f"{folder / source.name} exists already and stays as it is\n")
    for source in made:
        sys.stdout.write(f"{folder / source.name}\n")
    return 0
