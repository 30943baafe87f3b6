"""The alarms of what surrounds the channels: instruments, sensors, disk, clock, broker, certificates, services."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from cycler_ctl.alarms.facts import Broker, Certificate, ClockStep, Disk, Facts, Sensor
from cycler_ctl.alarms.model import Alarm, Severity
from cycler_ctl.guard import TEMPERATURE_MAX_AGE_S
from cycler_ctl.live import InstrumentStatus
from cycler_ctl.store.place import MINIMUM_FREE_BYTES

LOW_BYTES = 5 * MINIMUM_FREE_BYTES
SOON_S = 14 * 86_400.0
CLOCK_FOR_S = 86_400.0
"""How long a step of the clock is told: nothing later undoes it."""


def of_instrument(status: InstrumentStatus, utc_s: float) -> Iterator[Alarm]:
    if status.link == "connected":
        return
    yield Alarm(
        id=f"instrument-{status.name}",
        severity=Severity.WARNING,
        kind=f"instrument_{status.link}",
        what=f"instrument {status.name} does not answer",
        action=f"Is it on, and its cable plugged in at both ends? It is tried again by itself ({status.address}).",
        since_utc_s=utc_s,
        detail=status.message,
        instrument=status.name,
    )


def of_sensor(sensor: Sensor, busy: Collection[str], utc_s: float) -> Iterator[Alarm]:
    if sensor.age_s is not None and sensor.age_s <= TEMPERATURE_MAX_AGE_S:
        return
    used = [name for name in sensor.channels if name in busy]
    age = "gave no value yet" if sensor.age_s is None else f"gave no value for {sensor.age_s:.0f} s"
    yield Alarm(
        id=f"sensor-{sensor.name}",
        severity=Severity.ALARM if used else Severity.WARNING,
        kind="sensor_lost",
        what=f"temperature sensor {sensor.name} {'is lost' if sensor.age_s is not None else 'is not there'}; "
        f"it watches {', '.join(sensor.channels)}",
        action="Look at the sensor and its cable: without it runs with temperature limits do not begin, or end.",
        since_utc_s=utc_s,
        detail=age,
        instrument=sensor.name,
    )


def of_disk(disk: Disk, utc_s: float) -> Iterator[Alarm]:
    action = "Free space on this disk: without it runs wait, with the output off, and none begins."
    if disk.trouble is not None:
        what = f"the disk of the run files fails ({disk.folder})"
        action = (
            "Look at the disk: what cannot be written is kept in memory for a minute, then runs wait with output off."
        )
        yield Alarm("disk", Severity.ALARM, "disk_failing", what, action, utc_s, disk.trouble)
    elif disk.free_bytes is not None and disk.free_bytes < LOW_BYTES:
        full = disk.free_bytes < MINIMUM_FREE_BYTES
        what = f"only {disk.free_bytes / 1e9:.2f} GB are free for run files ({disk.folder})"
        severity, kind = (Severity.ALARM, "disk_full") if full else (Severity.WARNING, "disk_low")
        yield Alarm("disk", severity, kind, what, action, utc_s)


def of_broker(broker: Broker, utc_s: float) -> Iterator[Alarm]:
    if not broker.connected:
        what, action = "no MQTT broker is reached", "Nothing is lost: what is recorded is sent when one is back."
        yield Alarm("broker", Severity.WARNING, "broker_unreachable", what, action, utc_s, broker.message)
    if broker.dead_letters:
        what = f"the MQTT broker refuses {broker.dead_letters} rows or events; they are in the run files only"
        action = "Look at the broker's size limits and rights; 'cycler-ctl export' has the rows."
        yield Alarm("dead-letters", Severity.WARNING, "dead_letters", what, action, utc_s)
    if broker.unreadable:
        run, why = next(iter(broker.unreadable.items()))
        what = f"{len(broker.unreadable)} run files cannot be read, the first is {run}"
        action = f"'cycler-ctl repair {run}' looks at it and deletes nothing."
        yield Alarm("unreadable-runs", Severity.ALARM, "unreadable_runs", what, action, utc_s, why)


def of_certificate(certificate: Certificate, utc_s: float) -> Iterator[Alarm]:
    action = f"Put a new certificate in its place ({certificate.path}) and start the service again when no run is on."
    name, left_s = f"certificate-{certificate.name}", (certificate.expires_utc_s or 0.0) - utc_s
    if certificate.trouble is not None:
        what = f"the certificate of {certificate.name} cannot be read"
        yield Alarm(name, Severity.WARNING, "certificate_unreadable", what, action, utc_s, certificate.trouble)
    elif left_s <= 0:
        what = f"the certificate of {certificate.name} has expired: who checks it is not connected"
        yield Alarm(name, Severity.ALARM, "certificate_expired", what, action, utc_s)
    elif left_s < SOON_S:
        what = f"the certificate of {certificate.name} expires in {left_s / 86_400:.0f} days"
        yield Alarm(name, Severity.WARNING, "certificate_expires", what, action, utc_s)


def of_clock(step: ClockStep, utc_s: float) -> Iterator[Alarm]:
    if utc_s - step.at_utc_s > CLOCK_FOR_S:
        return
    what = f"the computer's clock was set by {step.step_s:+.0f} s; run times and charges do not follow it"
    action = "Look whether it is synchronised ('cycler-ctl doctor'): the dates of rows before and after differ by that."
    yield Alarm("clock", Severity.WARNING, "clock_stepped", what, action, step.at_utc_s)


def of_services(facts: Facts) -> Iterator[Alarm]:
    if facts.share_trouble is not None:
        what, action = "ended runs are not copied to the group's folder", "Is the share connected? It is tried again."
        yield Alarm("share", Severity.WARNING, "share", what, action, facts.utc_s, facts.share_trouble)
    if facts.commands_trouble:
        what = "no command can come over MQTT: nobody can stop a channel that way"
        action = "The page, 'cycler-ctl stop' and the instrument's own button do not need it. It is tried again."
        yield Alarm("commands", Severity.WARNING, "commands", what, action, facts.utc_s, facts.commands_trouble)
    for rule, why in (facts.notify or {}).items():
        what = f"notifications of rule {rule} do not arrive"
        action = f"'cycler-ctl notify test --rule {rule}' says what each service answers."
        yield Alarm(f"notify-{rule}", Severity.WARNING, "notify", what, action, facts.utc_s, why)
