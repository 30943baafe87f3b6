"""From snapshots to alarms and from alarms to alarms: pure functions; whatever asks gets the same answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from cycler_ctl.alarms import surroundings
from cycler_ctl.alarms.channels import ACTIVE, of_channel
from cycler_ctl.alarms.facts import Facts
from cycler_ctl.alarms.model import LOUDEST_FIRST, Alarm

HOLD_S: Mapping[str, float] = {
    "broker_unreachable": 60.0,
    "commands": 60.0,
    "instrument_absent": 10.0,
    "instrument_lost": 10.0,
    "sensor_lost": 10.0,
    "share": 600.0,
}
"""What comes and goes by itself, and is no alarm before it has lasted so long."""
REMEMBERED_S = 86_400.0
"""How long an alarm that is over is still shown."""


def derive(facts: Facts) -> tuple[Alarm, ...]:
    """All there is to say now, the loudest first."""
    return tuple(sorted(_found(facts), key=loudness))


def loudness(alarm: Alarm) -> tuple[int, str]:
    return LOUDEST_FIRST.index(alarm.severity), alarm.id


def _found(facts: Facts) -> Iterator[Alarm]:
    utc_s = facts.utc_s
    links = {one.name: one.link for one in facts.instruments}
    for status in facts.channels:
        yield from of_channel(status, links.get(status.instrument, "absent"))
    for instrument in facts.instruments:
        yield from surroundings.of_instrument(instrument, utc_s)
    busy = {status.channel for status in facts.channels if status.state in ACTIVE}
    for sensor in facts.sensors:
        yield from surroundings.of_sensor(sensor, busy, utc_s)
    for certificate in facts.certificates:
        yield from surroundings.of_certificate(certificate, utc_s)
    if facts.disk is not None:
        yield from surroundings.of_disk(facts.disk, utc_s)
    if facts.broker is not None:
        yield from surroundings.of_broker(facts.broker, utc_s)
    if facts.clock_step is not None:
        yield from surroundings.of_clock(facts.clock_step, utc_s)
    yield from surroundings.of_services(facts)


@dataclass(frozen=True, slots=True)
class Known:
    """``seen``: when each alarm that is there now was first found. ``alarms``: what is told, over ones included."""

    seen: Mapping[str, float] = field(default_factory=dict[str, float])
    alarms: Mapping[str, Alarm] = field(default_factory=dict[str, Alarm])


def advance(known: Known, found: Iterable[Alarm], utc_s: float) -> Known:
    """What is known after another look at ``utc_s``: new ones, lasting ones with their beginning, and what is over."""
    now = {alarm.id: alarm for alarm in found}
    seen = {name: known.seen.get(name, utc_s) for name in now}
    due = {name: alarm for name, alarm in now.items() if _is_due(known, alarm, seen[name])}
    told = {name: _lasting(known.alarms.get(name), alarm, seen[name]) for name, alarm in due.items()}
    over = {name: _over(alarm, utc_s) for name, alarm in known.alarms.items() if name not in told}
    kept = {name: alarm for name, alarm in over.items() if utc_s - (alarm.cleared_utc_s or utc_s) <= REMEMBERED_S}
    return Known(seen, kept | told)


def _is_due(known: Known, alarm: Alarm, seen_utc_s: float) -> bool:
    """A clock that is set back must not hold an alarm."""
    before = known.alarms.get(alarm.id)
    lasts_s = alarm.since_utc_s - seen_utc_s
    return (before is not None and before.active) or not 0 <= lasts_s < HOLD_S.get(alarm.kind, 0.0)


def _lasting(before: Alarm | None, alarm: Alarm, seen_utc_s: float) -> Alarm:
    """It began when it did; an acknowledgement is of what was known then, and of nothing else."""
    since_utc_s = alarm.since_utc_s if alarm.channel else min(alarm.since_utc_s, seen_utc_s)
    if before is None or not before.active or before.kind != alarm.kind:
        return replace(alarm, since_utc_s=since_utc_s)
    return replace(
        alarm,
        since_utc_s=since_utc_s,
        acknowledged_by=before.acknowledged_by,
        acknowledged_utc_s=before.acknowledged_utc_s,
    )


def _over(alarm: Alarm, utc_s: float) -> Alarm:
    return alarm if not alarm.active else replace(alarm, cleared_utc_s=utc_s)
