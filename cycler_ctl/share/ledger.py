"""What was copied to the share and what stands in the way: a small file in the data folder that anyone may read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from cycler_ctl.errors import StoreError
from cycler_ctl.store.export.atomic import whole_file

FOLDER, FILE = "share", "share.json"


class _Document(BaseModel):
    model_config = ConfigDict(extra="ignore")
    v: int = 1
    folder: str = ""
    done: dict[str, dict[str, str]] = {}
    trouble: str | None = None
    trouble_since_utc_s: float | None = None
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Ledger:
    """``done``: sha256 of each file by run and name. ``trouble``: why ``waiting`` runs are not there yet, since when."""

    folder: str = ""
    done: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    trouble: str | None = None
    trouble_since_utc_s: float | None = None
    waiting: int = 0

    def with_run(self, run: str, files: Mapping[str, str]) -> Self:
        return replace(self, done={**self.done, run: files})

    def with_trouble(self, trouble: str | None, waiting: int, utc_s: float) -> Self:
        since = None if trouble is None else self.trouble_since_utc_s or utc_s
        return replace(self, trouble=trouble, trouble_since_utc_s=since, waiting=waiting)


def read_ledger(data_dir: Path) -> Ledger:
    """Empty before the first copy. A damaged one is StoreError: copying again finds the same files there."""
    path = data_dir / FOLDER / FILE
    if not path.is_file():
        return Ledger()
    try:
        found = _Document.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise StoreError(f"{path} cannot be read; remove it, what is on the share already is recognised") from error
    return Ledger(found.folder, found.done, found.trouble, found.trouble_since_utc_s, found.waiting)


def write_ledger(data_dir: Path, ledger: Ledger) -> None:
    document = _Document(
        folder=ledger.folder,
        done={run: dict(files) for run, files in ledger.done.items()},
        trouble=ledger.trouble,
        trouble_since_utc_s=ledger.trouble_since_utc_s,
        waiting=ledger.waiting,
    )
    with whole_file(data_dir / FOLDER / FILE) as file:
        file.write(document.model_dump_json(indent=1) + "\n")
