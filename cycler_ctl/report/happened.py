"""What happened in a run, in words: trips, faults, gaps, people, retries, clocks, and what it was warned of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from cycler_ctl.records.stepfacts import retries_by_step
from cycler_ctl.report.facts import Facts, counted_texts, text_of
from protocols.quantities import format_duration, format_number
from protocols.record import EventKind, EventRecord

MOST_LINES = 20
"""Of one kind; more are counted, and are all in the run file."""
ACTIONS = {
    "start": "started",
    "pause": "paused",
    "resume": "resumed",
    "skip": "skipped a step",
    "stop": "stopped",
    "amend": "protocol amended",
}
Teller = Callable[[EventRecord], str]


def happened(facts: Facts) -> Iterator[tuple[str, str]]:
    yield from _listed("trips", facts.of(EventKind.TRIP), _told)
    yield from _listed("faults", facts.of(EventKind.FAULT), _told)
    yield from _listed("gaps", facts.of(EventKind.GAP), _gap)
    yield from _listed("people", facts.of(EventKind.OPERATOR), _action)
    yield from _overshoot(facts)
    yield from _clock(facts)
    yield from _counted("warnings", facts.of(EventKind.WARNING))
    yield from _counted("notes", facts.of(EventKind.NOTE))
    yield from _retries(facts)


def _overshoot(facts: Facts) -> Iterator[tuple[str, str]]:
    found = facts.overshoot
    if found is None:
        yield "overshoot", "no voltage cut-off ended a step"
        return
    where = f"step {found.worst.step_id}, cycle {found.worst.cycle}"
    middle, worst = (f"{format_number(value * 1e3, 3)} mV" for value in (found.median_V, found.worst_V))
    yield "overshoot", f"of {plural(found.count, 'voltage cut-off')}: median {middle}, worst {worst} ({where})"


def _retries(facts: Facts) -> Iterator[tuple[str, str]]:
    """One by one; of very many in a step only their number is recorded."""
    counted = sum(retries_by_step(facts.events).values())
    yield "retries", f"{plural(counted, 'reading')} lost and asked for again" if counted else "none"
    found = facts.of(EventKind.RETRY)
    for event in found[:MOST_LINES]:
        yield (
            "",
            f"{at_text(event)}: no. {event.data.get('count')} of step {event.data.get('step_count')}: {text_of(event.data)}",
        )
    yield from left_over(len(found))


def _clock(facts: Facts) -> Iterator[tuple[str, str]]:
    clocks, untold = facts.scan.clocks, facts.clocks_untold
    yield "clock steps", str(clocks.steps_found) if clocks.steps_found else "none above 1 s"
    for step in clocks.steps[:MOST_LINES]:
        yield "", f"before row {step.seq} ({format_duration(step.time_s)}): the wall clock moved by {step.by_s:+.1f} s"
    yield from left_over(clocks.steps_found)
    agree = "row times agree with both clocks, and with the events that say that one was set"
    yield "clocks", agree if not untold else "THEY DISAGREE"
    for sentence in untold[:MOST_LINES]:
        yield "", sentence
    yield from left_over(len(untold))


def _listed(label: str, events: Sequence[EventRecord], told: Teller) -> Iterator[tuple[str, str]]:
    yield label, str(len(events)) if events else "none"
    for event in events[:MOST_LINES]:
        yield "", told(event)
    yield from left_over(len(events))


def _counted(label: str, events: Sequence[EventRecord]) -> Iterator[tuple[str, str]]:
    texts = counted_texts(events)
    yield label, str(len(events)) if events else "none"
    for text, count, first_s in texts[:MOST_LINES]:
        yield "", f"{format_duration(first_s)}: {text}" + (f" ({count} times)" if count > 1 else "")
    yield from left_over(len(texts))


def _gap(event: EventRecord) -> str:
    """How long, and the charge that was not measured but reckoned with."""
    gap_s, charge_Ah = event.data.get("gap_s"), event.data.get("inferred_Ah")
    known = format_duration(gap_s) if isinstance(gap_s, int | float) else "of unknown length"
    charge = f", {format_number(charge_Ah * 1e3)} mAh inferred" if isinstance(charge_Ah, int | float) else ""
    why = f": {event.data['text']}" if event.data.get("text") else ""
    return f"{at_text(event)}: {known} without a reading{charge}{why}"


def _action(event: EventRecord) -> str:
    action, paused_s = str(event.data.get("action")), event.data.get("paused_s")
    after = f" after {format_duration(paused_s)}" if isinstance(paused_s, int | float) else ""
    done = f"{ACTIONS.get(action, action)} by {event.data.get('by') or 'a person'}"
    return f"{at_text(event)}: {done}{after}{_amended(event)}"


def _amended(event: EventRecord) -> str:
    """What was changed, and which texts: the run file holds both."""
    changes = event.data.get("changes")
    if not isinstance(changes, list):
        return ""
    before, now = (str(event.data.get(name))[:12] for name in ("replaced_sha256", "protocol_sha256"))
    return f" (sha256 {before} -> {now}): {'; '.join(map(str, changes))}"


def _told(event: EventRecord) -> str:
    return f"{at_text(event)}: {text_of(event.data)}"


def left_over(found: int) -> Iterator[tuple[str, str]]:
    if found > MOST_LINES:
        yield "", f"... and {found - MOST_LINES} more: see the run file"


def at_text(event: EventRecord) -> str:
    return f"{utc_text(event.utc_s)} ({format_duration(event.time_s)})"


def utc_text(utc_s: float) -> str:
    return f"{datetime.fromtimestamp(utc_s, UTC):%Y-%m-%d %H:%M:%S} UTC"


def plural(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
