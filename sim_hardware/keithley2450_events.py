"""The event log of a 2450: errors, warnings and information in one list, 1000 deep (p. 6-101)."""

from __future__ import annotations

from typing import NamedTuple

DEPTH = 1000
ERROR, WARNING = 1, 2
OVERFLOW = -350
LIMIT_RAISED = 5091  # the number is invented: the manuals only say "a warning is generated"
TEXTS = {
    -104: "Data type error", -108: "Parameter not allowed", -109: "Missing parameter",
    -112: "Program mnemonic too long", -113: "Undefined header", -141: "Invalid character data",
    -150: "String data error", -221: "Settings conflict", -222: "Parameter data out of range",
    -285: "TSP Syntax error at line 1", -350: "Queue overflow", -363: "Input buffer overrun",
    LIMIT_RAISED: "Source limit was changed to fit the range",
}  # fmt: skip


class Event(NamedTuple):
    code: int
    kind: int
    at_s: float


def spelled(event: Event) -> str:
    """As firmware of 2017 and later does: the text holds separators of its own (2470 p. 12-111)."""
    minutes, seconds = divmod(event.at_s, 60.0)
    stamp = f"2026/01/01 {int(minutes) // 60 % 24:02d}:{int(minutes) % 60:02d}:{seconds:06.3f}"
    return f'{event.code},"{TEXTS.get(event.code, "Unknown")};{event.kind};{stamp}"'


class EventLog:
    """Oldest first; when it is full the last place says so."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def push(self, code: int, kind: int, at_s: float) -> None:
        if len(self._events) < DEPTH:
            self._events.append(Event(code, kind, at_s))
        else:
            self._events[-1] = Event(OVERFLOW, ERROR, at_s)

    def clear(self) -> None:
        self._events.clear()

    def errors(self) -> int:
        return sum(event.kind == ERROR for event in self._events)

    def __len__(self) -> int:
        return len(self._events)

    def next_error(self) -> str:
        """:SYSTem:ERRor?, after which the warnings before it are gone as well (p. 6-101)."""
        while self._events:
            event = self._events.pop(0)
            if event.kind == ERROR:
                return spelled(event)
        return '0,"No error;0;0 0"'

    def next_event(self) -> str:
        return spelled(self._events.pop(0)) if self._events else '0,"No error;0,0,0"'
