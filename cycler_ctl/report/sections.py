"""A run's facts in words: sections of labelled lines and small tables, the same for a terminal and for a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cycler_ctl.curves import fills_first
from cycler_ctl.report.facts import Facts, StepEnds, counted_texts, first_of_each, text_of
from cycler_ctl.report.tables import Table, cycle_table
from protocols.model import Verb
from protocols.quantities import format_duration, format_number
from protocols.record import JSON, EventKind, EventRecord

MOST_LINES = 20
"""Of one kind; more are counted, and are all in the run file."""
ACTIONS = {"start": "started", "pause": "paused", "resume": "resumed", "skip": "skipped a step", "stop": "stopped"}


Teller = Callable[[EventRecord], str]


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
        Section("Why steps ended", tuple(line for ends in facts.ends for line in _ends(ends))),
        Section("What happened", tuple(_happened(facts))),
        Section("The record", tuple(_record(facts))),
        Section("Programs", tuple(_programs(facts))),
    ]


def utc_text(utc_s: float) -> str:
    return f"{datetime.fromtimestamp(utc_s, UTC):%Y-%m-%d %H:%M:%S} UTC"


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
    yield "calibration", str(info.instrument.get("calibration") or "not known: the instrument does not tell")
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


def _ending(facts: Facts) -> Iterator[tuple[str, str]]:
    state = facts.state
    if state.state == "running":
        yield "NOT ENDED", "the run goes on, or its program ended without a word"
    else:
        yield (state.outcome.value if state.outcome else state.state).upper(), state.reason or "no reason recorded"
    if state.ended_utc_s is not None:
        took = format_duration(max(0.0, state.ended_utc_s - facts.info.started_utc_s))
        yield "ended", f"{utc_text(state.ended_utc_s)}, after {took}"
    yield "done", f"{_plural(facts.steps, 'step')}, {_plural(len(facts.cycles), 'whole cycle')}"
    for event in facts.of(EventKind.REPEAT_ENDED):
        yield "", f"{_at(event)}: {event.data.get('reason')} at cycle {event.data.get('cycle')}"


def _cycle_lines(facts: Facts) -> Iterator[tuple[str, str]]:
    if not facts.cycles:
        yield "cycles", "none was completed"
    elif facts.cycles[0].efficiency is not None:
        lithiates_first = fills_first(facts.info) is Verb.LITHIATE
        back_over_in = "delithiation / lithiation" if lithiates_first else "lithiation / delithiation"
        yield "CE", f"{back_over_in} of the same cycle"
        if facts.info.discharge_means is not None:
            yield "EE", "energy efficiency: discharge / charge of the same cycle"


def _ends(ends: StepEnds) -> Iterator[tuple[str, str]]:
    usual, *others = ends.reasons
    more = "".join(f"; {count} x {reason}" for reason, count in others)
    yield f"{ends.step_id} {ends.word}", f"{usual[1]} x {usual[0]}{more}"
    exceptions = first_of_each(ends.exceptions)
    for step, alike in exceptions[:MOST_LINES]:
        again = f", and {alike - 1} more after it" if alike > 1 else ""
        yield "", f"cycle {step.cycle}, at {format_duration(step.ended_s)}: {step.end_reason}{again}"
    yield from _left_over(len(exceptions))


def _happened(facts: Facts) -> Iterator[tuple[str, str]]:
    yield from _listed("trips", facts.of(EventKind.TRIP), _told)
    yield from _listed("faults", facts.of(EventKind.FAULT), _told)
    yield from _listed("gaps", facts.of(EventKind.GAP), _gap)
    yield from _listed("people", facts.of(EventKind.OPERATOR), _action)
    yield from _overshoot(facts)
    yield from _clock(facts)
    yield from _counted("warnings", facts.of(EventKind.WARNING))
    yield from _counted("notes", facts.of(EventKind.NOTE))
    yield "retries", "not recorded one by one: a late or garbled answer costs a row, three in a row end the run"


def _listed(label: str, events: Sequence[EventRecord], told: Teller) -> Iterator[tuple[str, str]]:
    yield label, str(len(events)) if events else "none"
    for event in events[:MOST_LINES]:
        yield "", told(event)
    yield from _left_over(len(events))


def _counted(label: str, events: Sequence[EventRecord]) -> Iterator[tuple[str, str]]:
    texts = counted_texts(events)
    yield label, str(len(events)) if events else "none"
    for text, count, first_s in texts[:MOST_LINES]:
        yield "", f"{format_duration(first_s)}: {text}" + (f" ({count} times)" if count > 1 else "")
    yield from _left_over(len(texts))


def _left_over(found: int) -> Iterator[tuple[str, str]]:
    if found > MOST_LINES:
        yield "", f"... and {found - MOST_LINES} more: see the run file"


def _at(event: EventRecord) -> str:
    return f"{utc_text(event.utc_s)} ({format_duration(event.time_s)})"


def _told(event: EventRecord) -> str:
    return f"{_at(event)}: {text_of(event.data)}"


def _gap(event: EventRecord) -> str:
    """How long, and the charge that was not measured but reckoned with."""
    gap_s, charge_Ah = event.data.get("gap_s"), event.data.get("inferred_Ah")
    known = format_duration(gap_s) if isinstance(gap_s, int | float) else "of unknown length"
    charge = f", {format_number(charge_Ah * 1e3)} mAh inferred" if isinstance(charge_Ah, int | float) else ""
    why = f": {event.data['text']}" if event.data.get("text") else ""
    return f"{_at(event)}: {known} without a reading{charge}{why}"


def _action(event: EventRecord) -> str:
    action, paused_s = str(event.data.get("action")), event.data.get("paused_s")
    after = f" after {format_duration(paused_s)}" if isinstance(paused_s, int | float) else ""
    return f"{_at(event)}: {ACTIONS.get(action, action)} by {event.data.get('by') or 'a person'}{after}"


def _overshoot(facts: Facts) -> Iterator[tuple[str, str]]:
    found = facts.overshoot
    if found is None:
        yield "overshoot", "no voltage cut-off ended a step"
        return
    where = f"step {found.worst.step_id}, cycle {found.worst.cycle}"
    middle, worst = (f"{format_number(value * 1e3, 3)} mV" for value in (found.median_V, found.worst_V))
    yield "overshoot", f"of {_plural(found.count, 'voltage cut-off')}: median {middle}, worst {worst} ({where})"


def _clock(facts: Facts) -> Iterator[tuple[str, str]]:
    scan = facts.scan
    yield "clock steps", str(scan.clock_steps_found) if scan.clock_steps_found else "none above 1 s"
    for step in scan.clock_steps[:MOST_LINES]:
        yield "", f"before row {step.seq} ({format_duration(step.time_s)}): the wall clock moved by {step.by_s:+.1f} s"
    yield from _left_over(scan.clock_steps_found)


def _record(facts: Facts) -> Iterator[tuple[str, str]]:
    scan = facts.scan
    whole = f"{scan.missing} MISSING" if scan.missing else "none missing"
    order = f", run time falls at {scan.backwards} of them" if scan.backwards else ""
    yield "rows", f"{scan.rows}, {whole}{order}"
    if scan.voltage_V is not None:
        yield "voltage", f"{format_number(scan.voltage_V[0])} V to {format_number(scan.voltage_V[1])} V"
    seen = scan.temperature_degC
    yield "temperature", "not measured" if seen is None else f"{seen[0]:.1f} °C to {seen[1]:.1f} °C"
    yield "rows' sha256", f"{scan.sha256} (the manifest's: of the rows as exported)"
    for file in facts.files:
        yield "file", f"{file.name}, {file.byte_size} bytes, sha256 {file.sha256 or 'not yet: it may be written to'}"
    yield "seals", _seals(facts)


def _seals(facts: Facts) -> str:
    if facts.seal_trouble is not None:
        return facts.seal_trouble
    if not facts.seals:
        return "there are no sealed days beside the run file"
    first, last = facts.seals[0], facts.seals[-1]
    return f"{_plural(len(facts.seals), 'sealed file')}, rows {first.first_seq} to {last.last_seq}"


def _programs(facts: Facts) -> Iterator[tuple[str, str]]:
    versions = ", ".join(f"{name} {version}" for name, version in facts.info.versions.items())
    yield "versions", versions or "not recorded"


def _plural(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _pairs(value: JSON) -> Iterable[tuple[JSON, JSON]]:
    found = value if isinstance(value, list) else []
    return [(pair[0], pair[1]) for pair in found if isinstance(pair, list) and len(pair) == 2]


def _tables(value: JSON) -> Iterable[Mapping[str, JSON]]:
    found = value if isinstance(value, list) else []
    return [one for one in found if isinstance(one, Mapping)]
