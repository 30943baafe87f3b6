"""How an export is called: ``LAB__CELL__YYYYMMDD_NNN__technique__ambient.bdf.csv``, as the format's guide recommends.

A run's exports differ in their suffix only, so that they share the one metadata file the format knows.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from cycler_ctl.errors import StoreError
from cycler_ctl.store.export.atomic import Overwriting, outside_runs
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.reader import list_runs

CSV, PARQUET = ".bdf.csv", ".bdf.parquet"
METADATA = ".bdf.metadata.json"
JSONLD = ".bdf.jsonld"
TECHNIQUE = "cycling"
LONGEST_PART = 60
"""With two of them, and what is put around a name while it is written, far below the 255 bytes of a file name."""


def export_path(folder: Path, run_dir: Path, info: RunInfo, suffix: str = CSV) -> Path:
    """Where this run's export is in ``folder``, or may be made: never the place of another run's."""
    before, after = "__".join((*_parts(info), info.run[:8])), f"__{TECHNIQUE}__{_ambient(info)}"
    for path in sorted(folder.glob(f"{before}_*{after}{METADATA}")):
        if _run_of(path) == info.run:
            return folder / f"{path.name.removesuffix(METADATA)}{suffix}"
    number = _number_of_the_day(run_dir, info)
    while _taken(folder, stem := f"{before}_{number:03d}{after}"):
        number += 1
    return folder / f"{stem}{suffix}"


def chosen_path(out: Path, info: RunInfo, overwriting: Overwriting = Overwriting.REFUSED) -> Path:
    """The file that a person named for this run's export, unless another file would be lost."""
    metadata = metadata_path(outside_runs(out))
    if overwriting is Overwriting.REFUSED and (out.exists() or metadata.exists()) and _run_of(metadata) != info.run:
        raise StoreError(f"{out} is there already and no export of this run: name another file, or say --force")
    return out


def _taken(folder: Path, stem: str) -> bool:
    return any((folder / f"{stem}{suffix}").exists() for suffix in (CSV, PARQUET, METADATA))


def _run_of(metadata: Path) -> str | None:
    """The run an export was made of."""
    try:
        found = json.loads(metadata.read_text(encoding="utf-8"))
        return str(found["battinfo_test"]["test"]["identifier"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def metadata_path(export: Path) -> Path:
    """``x.bdf.metadata.json`` beside ``x.bdf.csv``."""
    return export.with_name(f"{_stem(export)}{METADATA}")


def jsonld_path(export: Path) -> Path:
    """``x.bdf.jsonld`` beside ``x.bdf.csv``."""
    return export.with_name(f"{_stem(export)}{JSONLD}")


def siblings(export: Path) -> list[Path]:
    """The same run's exports of another format beside this one."""
    others = (export.with_name(f"{_stem(export)}{suffix}") for suffix in (CSV, PARQUET))
    return [path for path in others if path != export and path.is_file()]


def _stem(export: Path) -> str:
    return export.name.removesuffix(export.suffix).removesuffix(".bdf")


def part(text: str) -> str:
    """Text as one part of the name: letters, digits and single hyphens, never empty, never too long."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:LONGEST_PART].rstrip("-") or "unknown"


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
