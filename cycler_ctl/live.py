"""What is going on now, as frozen snapshots anyone may read from any thread; reporting depends on this, control on nothing of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from protocols.record import Row


class ChannelState(StrEnum):
    """The words of interfaces for a channel; ``tripped``, ``faulted`` and ``cannot_deenergise`` are latched."""

    IDLE = "idle"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"
    ABORTED = "aborted"
    TRIPPED = "tripped"
    FAULTED = "faulted"
    INTERRUPTED = "interrupted"
    CANNOT_DEENERGISE = "cannot_deenergise"


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """What waits on a channel. ``next``: protocol and cell; ``ready``: a person said that this cell is in the channel.

    ``held``: why nothing is taken until a person releases it.
    """

    length: int
    next: str | None
    ready: bool
    held: str | None


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """``energised`` is False only when off was read back, None when nobody can know."""

    channel: str
    instrument: str
    state: ChannelState
    reason: str
    since_utc_s: float
    energised: bool | None
    run: str | None = None
    protocol: str | None = None
    cell: str | None = None
    step: str | None = None
    what: str | None = None
    cycle: int | None = None
    eta_utc_s: float | None = None
    protection: str | None = None
    rows_waiting: int | None = None
    """Durable rows that no broker has acknowledged yet; None without a broker."""
    doing: str | None = None
    """What the output was told, for people: ``hold 4.2 V, ≤ 1.6 mA``; None before any run."""
    setpoint_A: float | None = None
    """The current that is set (+ oxidises the working electrode); None in a hold and while nothing is set."""
    setpoint_V: float | None = None
    current_limit_A: float | None = None
    """In a hold, the magnitude it may take at most."""
    queue: QueueStatus | None = None
    """None where the service keeps no queue: a run in the foreground."""


def state_version(status: ChannelStatus) -> str:
    """Another one as soon as the channel is not where it was: who quotes it, means what is going on now.

    What is measured or set does not count. Text, so that every JSON reader keeps it exact.
    """
    place = (status.channel, status.state.value, status.run, status.step, status.cycle, status.since_utc_s)
    return hashlib.sha256(repr(place).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class InstrumentStatus:
    """``link`` is connected, lost or absent; ``identity`` reads ``maker model serial firmware``."""

    name: str
    driver: str
    address: str
    link: str
    identity: dict[str, str] | None
    protection: str | None
    message: str
    last_good_utc_s: float | None


class StationView(Protocol):
    """Read-only; every call returns immutable data and is safe from any thread."""

    def channels(self) -> tuple[ChannelStatus, ...]: ...
    def instruments(self) -> tuple[InstrumentStatus, ...]: ...
    def latest(self, channel: str) -> tuple[str, Row] | None:
        """(run, newest sample as a row) of a channel's current or last run; the row need not be a recorded one."""
        ...


class Observer(Protocol):
    """Told of changes on the station's loop; must return at once and never raise."""

    def channel_changed(self, status: ChannelStatus) -> None: ...
    def durable(self, run: str) -> None:
        """More of this run's rows or events are on disk now; called from the writer's thread."""
        ...
