"""What there is to tell a person: things due, decided from alarms and ended runs by pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from cycler_ctl.alarms.model import Alarm, Severity
from cycler_ctl.live import ChannelStatus
from cycler_ctl.settings import NotifyRule

HOUR_S = 3600.0
URGENT_GAP_S = 60.0
"""Between two messages of emergencies: one that comes and goes must not make a phone useless."""


class Turn(StrEnum):
    """What happened to what is told."""

    RAISED = "raised"
    STILL = "still"
    OVER = "over"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Item:
    """``alarm`` as it is now, or was last; ``ended``: the channel as its run left it."""

    turn: Turn
    alarm: Alarm | None = None
    ended: ChannelStatus | None = None
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    alarm: Alarm
    at_s: float


@dataclass(frozen=True, slots=True)
class Book:
    """What a rule has told: it is told only when a service has taken the message."""

    told: Mapping[str, Told] = field(default_factory=dict[str, Told])
    sent_s: tuple[float, ...] = ()
    urgent_s: float | None = None


def wants(rule: NotifyRule, word: str, channel: str | None) -> bool:
    """What is about no channel concerns every rule."""
    return word in rule.on and (channel is None or not rule.channels or channel in rule.channels)


def due(
    rule: NotifyRule, book: Book, alarms: Iterable[Alarm], ended: Iterable[ChannelStatus], now_s: float
) -> tuple[Item, ...]:
    """All that is not told yet, however long it has waited."""
    found = {alarm.id: alarm for alarm in alarms}
    return (*_alarms(rule, book, found, now_s), *_over(rule, book, found), *_ended(rule, ended))


def _alarms(rule: NotifyRule, book: Book, found: Mapping[str, Alarm], now_s: float) -> Iterator[Item]:
    for name, alarm in found.items():
        told, urgent = book.told.get(name), alarm.severity is Severity.EMERGENCY
        if not alarm.active or not wants(rule, alarm.severity, alarm.channel):
            continue
        if told is None or told.alarm.kind != alarm.kind:
            yield Item(Turn.RAISED, alarm, urgent=urgent or _was_urgent(told))
        elif urgent and alarm.acknowledged_by is None and now_s - told.at_s >= rule.repeat_s:
            yield Item(Turn.STILL, alarm, urgent=True)


def _over(rule: NotifyRule, book: Book, found: Mapping[str, Alarm]) -> Iterator[Item]:
    for name, told in book.told.items():
        alarm = found.get(name)
        if alarm is None or not alarm.active or not wants(rule, alarm.severity, alarm.channel):
            yield Item(Turn.OVER, told.alarm, urgent=_was_urgent(told))


def _ended(rule: NotifyRule, ended: Iterable[ChannelStatus]) -> Iterator[Item]:
    for status in ended:
        if wants(rule, status.state, status.channel):
            yield Item(Turn.ENDED, ended=status)


def _was_urgent(told: Told | None) -> bool:
    """Who was woken up is also told that it is over."""
    return told is not None and told.alarm.severity is Severity.EMERGENCY


def now_of(rule: NotifyRule, book: Book, items: tuple[Item, ...], now_s: float, minute_of_day: int) -> tuple[Item, ...]:
    """What goes out now, in one message; the rest waits until it may, and then comes together."""
    urgent = tuple(item for item in items if item.urgent)
    if urgent:
        waits = book.urgent_s is not None and now_s - book.urgent_s < URGENT_GAP_S
        return () if waits else urgent
    if is_quiet(rule.quiet, minute_of_day) or len(lately(book, now_s)) >= rule.at_most:
        return ()
    return items


def lately(book: Book, now_s: float) -> tuple[float, ...]:
    return tuple(at_s for at_s in book.sent_s if now_s - at_s < HOUR_S)


def is_quiet(quiet: tuple[int, int] | None, minute_of_day: int) -> bool:
    """``quiet``: from and to, in minutes of the day; over midnight where it begins later than it ends."""
    if quiet is None:
        return False
    begins, ends = quiet
    return begins <= minute_of_day < ends if begins < ends else minute_of_day >= begins or minute_of_day < ends


def noted(book: Book, items: Iterable[Item], now_s: float) -> Book:
    """The book after a message with these was taken."""
    items, told = tuple(items), dict(book.told)
    for item in items:
        if item.alarm is not None and item.turn is Turn.OVER:
            told.pop(item.alarm.id, None)
        elif item.alarm is not None:
            told[item.alarm.id] = Told(item.alarm, now_s)
    after = replace(book, told=told, sent_s=(*lately(book, now_s), now_s))
    return replace(after, urgent_s=now_s) if any(item.urgent for item in items) else after
