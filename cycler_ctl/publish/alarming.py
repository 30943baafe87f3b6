"""Which alarms a broker has to be told of, and which it has to forget."""

from __future__ import annotations

from collections.abc import Iterable

from cycler_ctl.alarms.model import Alarm
from cycler_ctl.publish.topics import Topics


class AlarmTopics:
    """Of one connection: an alarm is told when it begins, changes or is over; one of an earlier life is over."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._told: dict[str, Alarm | None] = {}

    def heard(self, topic: str) -> None:
        """The broker keeps something there."""
        self._told.setdefault(topic, None)

    def news(self, active: Iterable[Alarm]) -> dict[str, Alarm | None]:
        """By topic; None: it is to be cleared."""
        now = {self._topics.alarm(alarm.id): alarm for alarm in active}
        changed: dict[str, Alarm | None] = {
            topic: alarm for topic, alarm in now.items() if self._told.get(topic) != alarm
        }
        changed |= {topic: None for topic in self._told if topic not in now}
        self._told = dict(now)
        return changed
