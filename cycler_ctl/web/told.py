"""Events of a run as a page lists them: one short sentence each, and how serious it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from protocols.quantities import format_duration, format_number
from protocols.record import JSON, EventKind, EventRecord

QUIET = frozenset({EventKind.STEP_STARTED, EventKind.STEP_ENDED, EventKind.CYCLE_ENDED, EventKind.EDGE})
"""Thousands in a long run; the table of steps and the record itself have them."""
TONES = {
    EventKind.TRIP: "bad",
    EventKind.FAULT: "bad",
    EventKind.GAP: "wait",
    EventKind.WARNING: "wait",
    EventKind.RETRY: "wait",
}
Data = Mapping[str, JSON]


def told(event: EventRecord) -> dict[str, JSON]:
    words = _SENTENCES.get(event.kind, _text)(event.data) or _pairs(event.data)
    return {
        "time_s": event.time_s,
        "utc_s": event.utc_s,
        "kind": event.kind,
        "tone": TONES.get(event.kind, "calm"),
        "words": words,
    }


def _text(data: Data) -> str:
    return str(data.get("text") or data.get("reason") or "")


def _pairs(data: Data) -> str:
    return ", ".join(f"{name} {value}" for name, value in data.items() if value is not None)


def _started(data: Data) -> str:
    return f"{data.get('protocol')} on cell {data.get('cell')}" if data.get("cell") else str(data.get("protocol"))


def _ended(data: Data) -> str:
    return ": ".join(str(data[name]) for name in ("outcome", "reason") if data.get(name))


def _gap(data: Data) -> str:
    gap_s = data.get("gap_s")
    known = format_duration(gap_s) if isinstance(gap_s, int | float) else "of unknown length"
    charge_Ah = data.get("inferred_Ah")
    charge = f", {format_number(charge_Ah * 1e3)} mAh inferred" if isinstance(charge_Ah, int | float) else ""
    return f"{known} without a reading{charge}" + (f": {_text(data)}" if _text(data) else "")


def _operator(data: Data) -> str:
    action, by = data.get("action"), data.get("by")
    return " by ".join(str(value) for value in (action, by) if value)


def _repeat(data: Data) -> str:
    return _text(data) or f"the repeat {data.get('step_id') or data.get('path') or ''} ended"


_SENTENCES: Mapping[EventKind, Callable[[Data], str]] = {
    EventKind.RUN_STARTED: _started,
    EventKind.RUN_ENDED: _ended,
    EventKind.GAP: _gap,
    EventKind.OPERATOR: _operator,
    EventKind.REPEAT_ENDED: _repeat,
}
