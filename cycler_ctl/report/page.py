"""The report of a run, in the form asked for."""

from __future__ import annotations

import json
from dataclasses import asdict

from cycler_ctl.records.stepfacts import StepFacts
from cycler_ctl.records.uncertainty import COVERAGE_FACTOR, CYCLE_DEFINITION, DEFINITION
from cycler_ctl.report.facts import Facts
from cycler_ctl.report.html import render_html
from cycler_ctl.report.sections import Section, sections
from cycler_ctl.report.text import render_text
from protocols.record import JSON, EventKind, EventRecord

PLAIN = frozenset({EventKind.RUN_STARTED, EventKind.STEP_STARTED, EventKind.STEP_ENDED, EventKind.CYCLE_ENDED})
"""What runs as written tell of: the rest is listed."""


def head_of(facts: Facts) -> str:
    return f"Report of run {facts.info.run}"


def report_text(facts: Facts, bundle: Section | None = None) -> str:
    return render_text(head_of(facts), _all(facts, bundle))


def report_html(facts: Facts, bundle: Section | None = None) -> str:
    return render_html(head_of(facts), _all(facts, bundle))


def _all(facts: Facts, bundle: Section | None) -> list[Section]:
    return [*sections(facts), *([] if bundle is None else [bundle])]


def report_json(facts: Facts) -> dict[str, JSON]:
    """The same facts with units in the keys; whatever is listed is listed whole."""
    info, state, scan = facts.info, facts.state, facts.scan
    return {
        "v": 1,
        "run": info.run,
        "protocol": info.protocol_name,
        "protocol_sha256": info.protocol_sha256,
        "protocol_sha256_matches": facts.protocol_is_its_hash,
        "cell": info.cell,
        "site": info.site,
        "station": info.station,
        "channel": info.channel,
        "instrument": info.instrument,
        "settings": info.settings,
        "versions": info.versions,
        "discharge_means": info.discharge_means,
        "started_utc_s": info.started_utc_s,
        "ended_utc_s": state.ended_utc_s,
        "state": state.state,
        "outcome": state.outcome,
        "reason": state.reason,
        "cycles": [asdict(cycle) for cycle in facts.cycles],
        "steps": len(facts.steps),
        "each_step": [_step(one) for one in facts.steps],
        "uncertainty": {"coverage_factor": COVERAGE_FACTOR, "definition": f"{DEFINITION} {CYCLE_DEFINITION}"},
        "ends": _ends(facts),
        "overshoot": _overshoot(facts),
        "events": [_event(one) for one in facts.events if one.kind not in PLAIN],
        "clock_steps": [asdict(step) for step in scan.clocks.steps],
        "clocks_disagree": list(facts.clocks_untold),
        "rows": {
            "count": scan.rows,
            "missing": scan.missing,
            "backwards": scan.clocks.backwards,
            "sha256": scan.sha256,
            "voltage_V": None if scan.voltage_V is None else list(scan.voltage_V),
            "temperature_degC": None if scan.temperature_degC is None else list(scan.temperature_degC),
        },
        "files": [asdict(file) for file in facts.files],
        "seals": [asdict(seal) for seal in facts.seals],
        "seal_trouble": facts.seal_trouble,
    }


def _step(one: StepFacts) -> JSON:
    """The summary with what was added to it; the step is called as elsewhere in this document."""
    return {**asdict(one.step), **{key: value for key, value in asdict(one).items() if key != "step"}}


def _event(event: EventRecord) -> JSON:
    return {"time_s": event.time_s, "utc_s": event.utc_s, "kind": event.kind, "data": event.data}


def _ends(facts: Facts) -> list[JSON]:
    return [
        {
            "step": ends.step_id,
            "what": ends.word,
            "reasons": dict(ends.reasons),
            "exceptions": [
                {"cycle": one.cycle, "step": one.step_id, "ended_s": one.ended_s, "reason": one.end_reason}
                for one in ends.exceptions
            ],
        }
        for ends in facts.ends
    ]


def _overshoot(facts: Facts) -> JSON:
    found = facts.overshoot
    if found is None:
        return None
    where: dict[str, JSON] = {"step": found.worst.step_id, "cycle": found.worst.cycle}
    return {"count": found.count, "median_V": found.median_V, "worst_V": found.worst_V, "worst": where}


def json_text(document: dict[str, JSON]) -> str:
    return json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n"
