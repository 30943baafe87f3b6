"""The alarms of a station, kept by one thread and read by any."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace

from cycler_ctl.alarms.derive import Known, advance, loudness
from cycler_ctl.alarms.model import Alarm
from cycler_ctl.errors import RefusedError


class AlarmBoard:
    """What each method returns is immutable."""

    def __init__(self, utc: Callable[[], float]) -> None:
        self._utc = utc
        self._lock = threading.Lock()
        self._known = Known()

    def look(self, found: Iterable[Alarm]) -> None:
        """What was found now: what is not among it is over."""
        with self._lock:
            self._known = advance(self._known, found, self._utc())

    def active(self) -> tuple[Alarm, ...]:
        """The loudest first."""
        return tuple(alarm for alarm in self.everything() if alarm.active)

    def everything(self) -> tuple[Alarm, ...]:
        """Also what was over within the last day."""
        with self._lock:
            return tuple(sorted(self._known.alarms.values(), key=loudness))

    def acknowledge(self, name: str, by: str) -> Alarm:
        """Somebody has seen it: it is repeated no more, and lasts as long as what it is about."""
        with self._lock:
            alarm = self._known.alarms.get(name)
            if alarm is None or not alarm.active:
                raise RefusedError(f"there is no alarm {name!r}: 'cycler-ctl alarms' lists them")
            seen = replace(alarm, acknowledged_by=by or "a person", acknowledged_utc_s=self._utc())
            self._known = Known(self._known.seen, {**self._known.alarms, name: seen})
        return seen
