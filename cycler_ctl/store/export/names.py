"""How an export is called: ``LAB__CELL__YYYYMMDD_NNN__technique__ambient.bdf.csv``, as the format's guide recommends."""

from __future__ import annotations

import json
import re
from pathlib import Path

from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.reader import list_runs

SUFFIX = ".bdf.csv"
TECHNIQUE = "cycling"


def export_path(folder: Path, run_dir: Path, info: RunInfo) -> Path:
    """Where this run's export is in ``folder``, or may be made: never the place of another run's."""
    before, after = "__".join((*_parts(info), info.run[:8])), f"__{TECHNIQUE}__{_ambient(info)}{SUFFIX}"
    for path in sorted(folder.glob(f"{before}_*{after}")):
        if _run_of(path) == info.run:
            return path
    number = _number_of_the_day(run_dir, info)
    while (path := folder / f"{before}_{number:03d}{after}").exists():
        number += 1
    return path


def _run_of(export: Path) -> str | None:
    """The run an export was made of, by its metadata."""
    try:
        found = json.loads(metadata_path(export).read_text(encoding="utf-8"))
        return str(found["battinfo_test"]["test"]["identifier"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def metadata_path(export: Path) -> Path:
    """``x.bdf.metadata.json`` beside ``x.bdf.csv``."""
    stem = export.name.removesuffix(".csv").removesuffix(".bdf")
    return export.with_name(f"{stem}.bdf.metadata.json")


def part(text: str) -> str:
    """Text as one part of the name: letters, digits and single hyphens, never empty."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-") or "unknown"


def _parts(info: RunInfo) -> tuple[str, str]:
    return part(info.site), part(str(info.cell.get("name", "")))


def _ambient(info: RunInfo) -> str:
    temperature_degC = info.cell.get("temperature_degC")
    if not isinstance(temperature_degC, int | float):
        return "unknown"
    return f"{temperature_degC:g}degC".replace("-", "minus").replace(".", "p")


def _number_of_the_day(run_dir: Path, info: RunInfo) -> int:
    """Which of the day's runs of this name this is, from 1; runs are only ever added after the others.

    Two cells may have one name in a file's letters ("A 1" and "A-1"): they count together, or one's export would
    replace the other's.
    """
    others = list_runs(run_dir.parent.parent, beginning=info.run[:8])
    same_name = [found.run for found in others if found.info is not None and _parts(found.info) == _parts(info)]
    return 1 + sum(run < info.run for run in same_name)
