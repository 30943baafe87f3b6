"""The sidecar of an export: which cell, which protocol, what did not go as planned, and which sign the current has.

Its shape is that of the format's reference implementation (bdf.Metadata, BattINFO test and cell records): keys that it
does not know are forbidden inside the records, so all that is our own stands under ``extras``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cycler_ctl.store.export.passed import passed
from cycler_ctl.store.reader import RunReader, RunState
from protocols.model import Verb
from protocols.record import JSON, Counters, EventKind, EventRecord, Outcome

_CATEGORIES = {
    EventKind.GAP: "communication_loss",
    EventKind.TRIP: "out_of_tolerance",
    EventKind.FAULT: "equipment_failure",
    EventKind.OPERATOR: "operator_intervention",
    EventKind.RETRY: "communication_loss",
}
_MINOR = "minor"


@dataclass(frozen=True, slots=True)
class Table:
    """A file that was written."""

    name: str
    byte_size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Seen:
    """In the rows: what of their clocks no event explains, and what passed by the last row of each step and cycle."""

    rows: int
    clocks_untold: Sequence[str]
    steps: Mapping[int, Counters]
    cycles: Mapping[int, Counters]


def metadata(reader: RunReader, tables: Sequence[Table], seen: Seen) -> dict[str, JSON]:
    """The whole document; ``tables`` are the run's files in the formats there are."""
    info = reader.info
    return {
        "battinfo_test": {"test": _test(reader, seen), "artifacts": _artifacts(reader, tables)},
        "battinfo_cell": {"cell_instance": {"name": str(info.cell.get("name", ""))}},
        "bdf": {"source": f"cycler-ctl run {info.run}"},
        "extras": {
            "cycler_ctl": {
                "run": info.run,
                "epoch": info.epoch,
                "site": info.site,
                "station": info.station,
                "channel": info.channel,
                "rows": seen.rows,
                "sign_convention": _sign(info.discharge_means),
                "discharge_means": info.discharge_means or Verb.LITHIATE,
                "sample_every_s": info.sample_every_s,
                "protocol_text": info.protocol_text,
                "cell": info.cell,
                "plan": info.plan,
                "settings": info.settings,
                "instrument": info.instrument,
                "versions": info.versions,
                **passed(reader, seen.steps, seen.cycles),
            }
        },
    }


def metadata_text(document: dict[str, JSON]) -> str:
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def _test(reader: RunReader, seen: Seen) -> dict[str, JSON]:
    info, state = reader.info, reader.state
    deviations = _deviations(reader, seen)
    return {
        "identifier": info.run,
        "kind": "cycling",
        "status": _status(state),
        "started_at": int(info.started_utc_s),
        "ended_at": None if state.ended_utc_s is None else int(state.ended_utc_s),
        "instrument_name": _instrument(info.instrument),
        "protocol_name": info.protocol_name or None,
        "conditions": _conditions(reader),
        "conformance": {
            "status": _conformance(state, deviations),
            "deviations": deviations,
            "note": f"{state.reason or state.state}. {_sign(info.discharge_means)}",
        },
    }


def _instrument(instrument: Mapping[str, JSON]) -> str | None:
    known = (instrument.get(name) for name in ("maker", "model", "serial"))
    return " ".join(str(value) for value in known if value) or None


def _status(state: RunState) -> str:
    if state.state == "running":
        return "running"
    return "completed" if state.outcome is Outcome.FINISHED else "aborted"


def _conformance(state: RunState, deviations: list[JSON]) -> str:
    """A reading that was lost and came when it was asked for again is told, and is none of these: the protocol was kept."""
    if any(isinstance(one, Mapping) and one.get("impact") != _MINOR for one in deviations):
        return "non-conformant"
    return "conformant" if state.outcome is Outcome.FINISHED else "unknown"


def _conditions(reader: RunReader) -> dict[str, JSON]:
    temperature_degC = reader.info.cell.get("temperature_degC")
    return {} if temperature_degC is None else {"temperature_degree_celsius": temperature_degC}


def _deviations(reader: RunReader, seen: Seen) -> list[JSON]:
    found: list[JSON] = [_deviation(event) for event in reader.events() if event.kind in _CATEGORIES]
    state = reader.state
    if state.state == "interrupted" or state.outcome not in {None, Outcome.FINISHED}:
        found.append(
            {
                "category": "premature_termination",
                "type": str(state.outcome or state.state),
                "description": state.reason,
                "occurred_at": int(state.ended_utc_s or 0),
            }
        )
    found += [{"category": "software_error", "type": "test_time", "description": one} for one in seen.clocks_untold]
    return found


def _deviation(event: EventRecord) -> JSON:
    """A gap is told where it ends and stands where it began."""
    gap_s = event.data.get("gap_s")
    duration_s = float(gap_s) if isinstance(gap_s, int | float) and gap_s >= 0 else None
    return {
        "category": _CATEGORIES[event.kind],
        "type": str(event.kind),
        "description": _described(event.data, duration_s),
        "occurred_at": int(event.utc_s - (duration_s or 0.0)),
        "duration_s": None if duration_s is None else round(duration_s),
        **({"impact": _MINOR} if event.kind is EventKind.RETRY else {}),
    }


def _described(data: Mapping[str, JSON], gap_s: float | None) -> str:
    """What the event says of itself, as a sentence for people."""
    if "action" in data:
        return f"{data['action']} by {data.get('by') or 'a person'}"
    said = data.get("text") or data.get("reason")
    if said is None and gap_s is not None:
        return f"no reading for {gap_s:g} s"
    return str(said or json.dumps(data))


def _artifacts(reader: RunReader, tables: Sequence[Table]) -> list[JSON]:
    run_file = f"runs/{reader.info.run}/run.sqlite"
    protocol: JSON = {
        "role": "source_protocol",
        "sha256": reader.info.protocol_sha256,
        "locator": f"{run_file}#run.protocol_text",
        "media_type": "application/yaml",
    }
    return [protocol, *(_artifact(table, run_file) for table in tables)]


def _artifact(table: Table, run_file: str) -> JSON:
    return {
        "role": "other",
        "sha256": table.sha256,
        "byte_size": table.byte_size,
        "locator": table.name,
        "media_type": media_type(table.name),
        "generated_from": run_file,
    }


def media_type(name: str) -> str:
    return "application/vnd.apache.parquet" if name.endswith(".parquet") else "text/csv"


def _sign(means: Verb | None) -> str:
    """One sentence, because a reader of the numbers must not have to guess."""
    if means is Verb.DELITHIATE:
        return (
            "Positive current charges the test object, which reduces (lithiates) the working electrode; "
            "the run file has the opposite sign."
        )
    return (
        "Positive current charges the test object, which oxidises (delithiates) the working electrode; "
        "the run file has the same sign."
    )
