"""What is known of a run before its first row, and how a run is called."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime

from cycler_ctl.errors import StoreError
from protocols.model import Verb
from protocols.record import JSON

RUN_ID = re.compile(r"\d{8}-\d{6}-[a-z0-9-]+-[a-z0-9]{4}")


@dataclass(frozen=True, slots=True)
class RunInfo:
    """Everything needed to understand a run's numbers later, kept in the run file itself.

    ``epoch`` makes (run, epoch, seq) denote one row for ever; random, never reused for a run. ``cell`` is the cell of
    the program (``protocols.model.Cell`` as JSON), ``plan`` and ``settings`` are JSON of any shape.
    """

    run: str
    epoch: int
    channel: str
    station: str
    site: str
    started_utc_s: float
    protocol_name: str
    protocol_text: str
    protocol_sha256: str
    cell: Mapping[str, JSON]
    plan: Mapping[str, JSON]
    settings: Mapping[str, JSON]
    instrument: Mapping[str, JSON]
    versions: Mapping[str, JSON]
    discharge_means: Verb | None
    sample_every_s: float


INFO_COLUMNS = tuple(field.name for field in fields(RunInfo))
_JSON_COLUMNS = frozenset({"cell", "plan", "settings", "instrument", "versions"})


def new_run_id(channel: str, utc_s: float, random4: str) -> str:
    """``YYYYMMDD-hhmmss-<channel>-<random4>`` in UTC; refuses what could not be a folder or a topic level."""
    run = f"{datetime.fromtimestamp(utc_s, UTC):%Y%m%d-%H%M%S}-{channel}-{random4}"
    return checked_run_id(run)


def checked_run_id(run: str) -> str:
    if RUN_ID.fullmatch(run) is None:
        raise StoreError(f"{run!r} is not a run id: YYYYMMDD-hhmmss-<channel>-<4 random>, of a-z, 0-9 and -")
    return run


def to_json(value: JSON) -> str:
    """JSON as stored: no NaN, no ASCII escapes."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def info_values(info: RunInfo) -> tuple[str | int | float | None, ...]:
    """The values of ``INFO_COLUMNS`` as SQLite takes them."""
    return tuple(
        to_json(getattr(info, name)) if name in _JSON_COLUMNS else getattr(info, name) for name in INFO_COLUMNS
    )


def info_from(values: Mapping[str, str | int | float | None]) -> RunInfo:
    """The inverse of ``info_values``, from a row of the table ``run``."""
    means = values["discharge_means"]
    return RunInfo(
        run=str(values["run"]),
        epoch=int(values["epoch"] or 0),
        channel=str(values["channel"]),
        station=str(values["station"]),
        site=str(values["site"]),
        started_utc_s=float(values["started_utc_s"] or 0),
        protocol_name=str(values["protocol_name"]),
        protocol_text=str(values["protocol_text"]),
        protocol_sha256=str(values["protocol_sha256"]),
        cell=json.loads(str(values["cell"])),
        plan=json.loads(str(values["plan"])),
        settings=json.loads(str(values["settings"])),
        instrument=json.loads(str(values["instrument"])),
        versions=json.loads(str(values["versions"])),
        discharge_means=None if means is None else Verb(str(means)),
        sample_every_s=float(values["sample_every_s"] or 0),
    )
