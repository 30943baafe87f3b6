"""A run's facts in words: sections of labelled lines and small tables, the same for a terminal and for a browser."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from cycler_ctl.records.curves import fills_first
from cycler_ctl.records.uncertainty import CYCLE_DEFINITION, DEFINITION
from cycler_ctl.report.facts import Facts, StepEnds, first_of_each
from cycler_ctl.report.happened import MOST_LINES, at_text, happened, left_over, plural, utc_text
from cycler_ctl.report.tables import Table, cycle_table, step_table
from protocols.model import Verb
from protocols.quantities import format_duration, format_number
from protocols.record import JSON, EventKind

CALIBRATED_DAYS = 366


@dataclass(frozen=True, slots=True)
class Section:
    """``lines``: (label, text); a label that is empty belongs to the line above."""

    title: str
    lines: tuple[tuple[str, str], ...] = ()
    table: Table | None = None


def sections(facts: Facts) -> list[Section]:
    """The page, top to bottom."""
    return [
        Section("Run", tuple(_run(facts))),
        Section("How it ended", tuple(_ending(facts))),
        Section("Capacities", tuple(_cycle_lines(facts)), cycle_table(facts.cycles)),
        Section("Steps", tuple(_step_lines(facts)), step_table(facts.steps)),
        Section("Why steps ended", tuple(line for ends in facts.ends for line in _ends(ends))),
        Section("What happened", tuple(happened(facts))),
        Section("The record", tuple(_record(facts))),
        Section("Programs", tuple(_programs(facts))),
    ]


def _run(facts: Facts) -> Iterator[tuple[str, str]]:
    info = facts.info
    yield "run", info.run
    yield "protocol", info.protocol_name or "without a name"
    matches = "" if facts.protocol_is_its_hash else " - DOES NOT MATCH THE STORED TEXT"
    yield "", f"sha256 {info.protocol_sha256 or 'not recorded'}{matches}"
    for name, value in _pairs(info.settings.get("variables")):
        yield "", f"{name} = {value}"
    for document in _tables(info.settings.get("documents")):
        yield "", f"with {document.get('name')}, sha256 {document.get('sha256')}"
    yield "cell", " | ".join(_cell(info.cell))
    yield "channel", f"{info.channel} of station {info.station}, {info.site}"
    yield "instrument", " | ".join(_instrument(info.instrument)) or "not recorded"
    yield "calibration", _calibration(info.instrument.get("calibration"), info.started_utc_s)
    yield "verified", _verified(info.settings.get("verification"))
    if "protection" in info.instrument:
        yield "protection", f"class {info.instrument['protection']}: {info.instrument.get('protection_why') or ''}"
    yield "sign", _sign(info.discharge_means)
    yield "started", f"{utc_text(info.started_utc_s)}, a sample every {format_duration(info.sample_every_s)}"


def _cell(cell: Mapping[str, JSON]) -> Iterator[str]:
    yield str(cell.get("name") or "without a name")
    for key in ("working_electrode", "counter_electrode", "electrolyte"):
        if cell.get(key):
            yield f"{key.replace('_', ' ')} {cell[key]}"
    for key, label, unit, factor in (
        ("area_cm2", "area", "cm2", 1.0),
        ("active_mass_g", f"active mass ({cell.get('active_material') or 'active material'})", "mg", 1e3),
        ("theoretical_capacity_Ah", "theoretical", "mAh", 1e3),
        ("nominal_capacity_Ah", "nominal", "mAh", 1e3),
        ("temperature_degC", "at", "°C", 1.0),
    ):
        value = cell.get(key)
        if isinstance(value, int | float):
            yield f"{label} {format_number(value * factor)} {unit}"


def _instrument(instrument: Mapping[str, JSON]) -> Iterator[str]:
    identity = " ".join(str(instrument[key]) for key in ("maker", "model") if instrument.get(key))
    if identity:
        yield identity
    for key in ("serial", "firmware", "driver", "address", "output"):
        if instrument.get(key):
            yield f"{key} {instrument[key]}"


def _sign(means: Verb | None) -> str:
    words = "positive current oxidises (delithiates) the working electrode"
    return words if means is None else f"{words}; discharge = {means.value}"


def _calibration(day: JSON, started_utc_s: float) -> str:
    """Data sheets state accuracies for a year after it."""
    if not isinstance(day, str):
        return "not known: station.toml names no day (calibrated = ...)"
    try:
        age = datetime.fromtimestamp(started_utc_s, UTC) - datetime.fromisoformat(day).replace(tzinfo=UTC)
    except ValueError:
        return day
    late = "" if age.days <= CALIBRATED_DAYS else ": accuracies are stated for a year"
    return f"{day}, {age.days} days before the run{late}"


def _verified(told: JSON) -> str:
    """The last comparison of this output with a known resistor before the run."""
    if not isinstance(told, Mapping):
        return "never compared with a known resistor"
    if "trouble" in told:
        return f"not known: {told['trouble']}"
    share, ohm = told.get("worst_of_allowed"), told.get("resistor_ohm")
    worst = f", largest error {share * 100:.0f} % of what is allowed" if isinstance(share, int | float) else ""
    resistor = f" with {format_number(ohm)} Ω" if isinstance(ohm, int | float) else ""
    other = "" if told.get("same_instrument") else f" - ANOTHER INSTRUMENT, serial {told.get('serial')}"
    return f"{told.get('date')}{resistor}: {'passed' if told.get('passed') else 'FAILED'}{worst}{other}"


def _ending(facts: Facts) -> Iterator[tuple[str, str]]:
    state = facts.state
    if state.state == "running":
        yield "NOT ENDED", "the run goes on, or its program ended without a word"
    else:
        yield (state.outcome.value if state.outcome else state.state).upper(), state.reason or "no reason recorded"
    if state.ended_utc_s is not None:
        took = format_duration(max(0.0, state.ended_utc_s - facts.info.started_utc_s))
        yield "ended", f"{utc_text(state.ended_utc_s)}, after {took}"
    yield "done", f"{plural(len(facts.steps), 'step')}, {plural(len(facts.cycles), 'whole cycle')}"
    for event in facts.of(EventKind.REPEAT_ENDED):
        yield "", f"{at_text(event)}: {event.data.get('reason')} at cycle {event.data.get('cycle')}"


def _cycle_lines(facts: Facts) -> Iterator[tuple[str, str]]:
    if not facts.cycles:
        yield "cycles", "none was completed"
    elif facts.cycles[0].efficiency is not None:
        lithiates_first = fills_first(facts.info) is Verb.LITHIATE
        back_over_in = "delithiation / lithiation" if lithiates_first else "lithiation / delithiation"
        yield "CE", f"{back_over_in} of the same cycle"
        if facts.info.discharge_means is not None:
            yield "EE", "energy efficiency: discharge / charge of the same cycle"


def _step_lines(facts: Facts) -> Iterator[tuple[str, str]]:
    if not facts.steps:
        yield "steps", "none was ended"
        return
    if any(one.uncertainty_Ah is not None for one in facts.steps):
        yield "± mAh", f"uncertainty of the charge. {DEFINITION} {CYCLE_DEFINITION}"
    else:
        yield "uncertainty", "not stated: the instrument's accuracy on its ranges is not in the record"
    yield (
        "mAh",
        "from the step's first sample on; what passed between the setting and it counts in the cycle alone (see Edge)",
    )
    yield "edge Ω", "change of voltage over change of current from the last sample before to the step's first"
    yield (
        "past mV",
        "how far the voltage was past its cut-off at the end; crossed: when it met it, in run time, interpolated",
    )
    yield (
        "flags",
        "what the instrument said at the first sample: 4, it senses at the cell; compliance, it limits the current",
    )
    yield "range", "of the current, the same through the step; lost: readings asked for again"


def _ends(ends: StepEnds) -> Iterator[tuple[str, str]]:
    usual, *others = ends.reasons
    more = "".join(f"; {count} x {reason}" for reason, count in others)
    yield f"{ends.step_id} {ends.word}", f"{usual[1]} x {usual[0]}{more}"
    exceptions = first_of_each(ends.exceptions)
    for step, alike in exceptions[:MOST_LINES]:
        again = f", and {alike - 1} more after it" if alike > 1 else ""
        yield "", f"cycle {step.cycle}, at {format_duration(step.ended_s)}: {step.end_reason}{again}"
    yield from left_over(len(exceptions))


def _record(facts: Facts) -> Iterator[tuple[str, str]]:
    scan = facts.scan
    whole = f"{scan.missing} MISSING" if scan.missing else "none missing"
    order = f", run time falls at {scan.clocks.backwards} of them" if scan.clocks.backwards else ""
    yield "rows", f"{scan.rows}, {whole}{order}"
    if scan.voltage_V is not None:
        yield "voltage", f"{format_number(scan.voltage_V[0])} V to {format_number(scan.voltage_V[1])} V"
    seen = scan.temperature_degC
    yield "temperature", "not measured" if seen is None else f"{seen[0]:.1f} °C to {seen[1]:.1f} °C"
    yield "rows' sha256", f"{scan.sha256} (the manifest's: of the rows as published)"
    for file in facts.files:
        yield "file", f"{file.name}, {file.byte_size} bytes, sha256 {file.sha256 or 'not yet: it may be written to'}"
    yield "seals", _seals(facts)


def _seals(facts: Facts) -> str:
    if facts.seal_trouble is not None:
        return f"THE RECORD IS NOT AS IT WAS SEALED: {facts.seal_trouble}"
    if not facts.seals:
        return "there are no sealed days beside the run file"
    first, last = facts.seals[0], facts.seals[-1]
    return f"{plural(len(facts.seals), 'sealed file')}, rows {first.first_seq} to {last.last_seq}: the run file's are the same"


def _programs(facts: Facts) -> Iterator[tuple[str, str]]:
    versions = ", ".join(f"{name} {version}" for name, version in facts.info.versions.items())
    yield "versions", versions or "not recorded"


def _pairs(value: JSON) -> Iterable[tuple[JSON, JSON]]:
    found = value if isinstance(value, list) else []
    return [(pair[0], pair[1]) for pair in found if isinstance(pair, list) and len(pair) == 2]


def _tables(value: JSON) -> Iterable[Mapping[str, JSON]]:
    found = value if isinstance(value, list) else []
    return [one for one in found if isinstance(one, Mapping)]
