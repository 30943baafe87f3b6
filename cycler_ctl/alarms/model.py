"""An alarm: one thing that needs a person, from when it began until it is over."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """Emergency: an output may be on and nobody can turn it off from here. Warning: nothing is stopped by it yet."""

    EMERGENCY = "emergency"
    ALARM = "alarm"
    WARNING = "warning"


LOUDEST_FIRST = tuple(Severity)


@dataclass(frozen=True, slots=True)
class Alarm:
    """``what`` is one line: channel, cell, what happened, whether current may flow. ``action``: what to do about it.

    ``id`` is [a-z0-9_-]+ and names what it is about; ``kind`` says what is wrong with it, and may change while it lasts.
    """

    id: str
    severity: Severity
    kind: str
    what: str
    action: str
    since_utc_s: float
    detail: str = ""
    """The instrument's, the guard's or the library's own words; may be long."""
    channel: str | None = None
    instrument: str | None = None
    run: str | None = None
    cell: str | None = None
    energised: bool | None = None
    """Of the channel, as in its status: False only when off was read back, None when nobody can know."""
    acknowledged_by: str | None = None
    acknowledged_utc_s: float | None = None
    cleared_utc_s: float | None = None

    @property
    def active(self) -> bool:
        return self.cleared_utc_s is None
