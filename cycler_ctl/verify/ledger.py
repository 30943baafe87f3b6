"""The last verification of each channel, beside the runs: shown by doctor and status, told in each run's settings."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from cycler_ctl.errors import StoreError
from cycler_ctl.instrument import Identity
from cycler_ctl.store.place import sync_folder
from cycler_ctl.verify.judge import Row
from protocols.record import JSON

FOLDER = "verifications"


@dataclass(frozen=True, slots=True)
class Verification:
    """``worst``: the largest error as a share of what is allowed, so that above 1 it has failed."""

    mark: str
    channel: str
    output: str
    by: str
    utc_s: float
    resistor_ohm: float
    tolerance: float
    identity: Identity
    rows: tuple[Row, ...]

    @property
    def passed(self) -> bool:
        return bool(self.rows) and all(row.passed for row in self.rows)

    @property
    def worst(self) -> float:
        return max((abs(row.error) / row.allowed for row in self.rows), default=float("inf"))

    @property
    def date(self) -> str:
        return f"{datetime.fromtimestamp(self.utc_s, UTC):%Y-%m-%d}"


def path_of(data_dir: Path, channel: str) -> Path:
    return data_dir / FOLDER / f"{channel}.json"


def write_verification(data_dir: Path, made: Verification) -> None:
    """The whole file at once, synced: a run started a moment later tells of it."""
    path = path_of(data_dir, made.channel)
    fresh = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("w", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps({"version": 1, **verification_json(made)}, indent=1, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        sync_folder(path.parent)
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be written: {error}") from error


def verification_json(made: Verification) -> dict[str, JSON]:
    rows: list[JSON] = [{**asdict(row), "passed": row.passed} for row in made.rows]
    return {**asdict(made), "rows": rows, "date": made.date, "passed": made.passed}


def last_verification(data_dir: Path, channel: str) -> Verification | None:
    """None: never verified here. StoreError: nobody can read it."""
    path = path_of(data_dir, channel)
    try:
        written = path.read_bytes()
        return TypeAdapter(Verification).validate_json(written)  # made only where there is one: that takes a while
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from error


def told_of(data_dir: Path, channel: str, identity: Identity) -> JSON:
    """For a run's settings: when this output was verified, by what, and whether it was this instrument."""
    try:
        last = last_verification(data_dir, channel)
    except StoreError as error:
        return {"trouble": str(error)}
    if last is None:
        return None
    return {
        "date": last.date,
        "utc_s": last.utc_s,
        "passed": last.passed,
        "resistor_ohm": last.resistor_ohm,
        "worst_of_allowed": last.worst,
        "serial": last.identity.serial,
        "same_instrument": last.identity.serial == identity.serial and last.identity.model == identity.model,
    }


def in_words(data_dir: Path, channel: str) -> str:
    """For status and doctor: ``2026-11-22``, ``FAILED 2026-11-22``, ``never``."""
    try:
        last = last_verification(data_dir, channel)
    except StoreError:
        return "unreadable"
    if last is None:
        return "never"
    return last.date if last.passed else f"FAILED {last.date}"
