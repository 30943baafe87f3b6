"""What alarms are derived from: frozen snapshots of the station and of what surrounds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cycler_ctl.live import ChannelStatus, InstrumentStatus


@dataclass(frozen=True, slots=True)
class Sensor:
    """``age_s`` None: there was never a value. ``channels``: those that it watches."""

    name: str
    age_s: float | None
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Disk:
    """``trouble``: why the folder of the run files could not be looked at."""

    folder: str
    free_bytes: int | None = None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Broker:
    """How MQTT goes. ``unreadable``: runs whose files the publisher could not read, and why."""

    connected: bool
    message: str = ""
    dead_letters: int = 0
    unreadable: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """``name`` is the setting, as ``http``; ``trouble``: why it could not be read."""

    name: str
    path: str
    expires_utc_s: float | None = None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class ClockStep:
    step_s: float
    at_utc_s: float


@dataclass(frozen=True, slots=True)
class Facts:
    """``notify``: rules whose messages do not arrive, and why."""

    utc_s: float
    channels: tuple[ChannelStatus, ...] = ()
    instruments: tuple[InstrumentStatus, ...] = ()
    sensors: tuple[Sensor, ...] = ()
    disk: Disk | None = None
    broker: Broker | None = None
    certificates: tuple[Certificate, ...] = ()
    clock_step: ClockStep | None = None
    share_trouble: str | None = None
    notify: Mapping[str, str] | None = None
    commands_trouble: str | None = None
    """Why no command can come over MQTT, where commands are on."""
