"""What stations say, as a historian takes it: plain data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime

from cycler_ctl.publish.payloads import Value

_MONTH = re.compile(r"(20\d\d)(0[1-9]|1[0-2])\d\d-")
UNDATED = date(1970, 1, 1)
"""Month of a run whose id does not begin with a date."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as the broker handed it over. ``receipt`` is what the source needs to acknowledge it."""

    topic: str
    payload: bytes
    heard_at: datetime
    receipt: str | int


@dataclass(frozen=True, slots=True)
class Series:
    """Whose rows: an epoch of a run. ``channel`` tells where it ran and is no part of what it is."""

    site: str
    station: str
    channel: str
    run: str
    epoch: int

    @property
    def key(self) -> tuple[str, str, str, int]:
        return self.site, self.station, self.run, self.epoch

    @property
    def began(self) -> date:
        """First day of the month in the run's id."""
        found = _MONTH.match(self.run)
        return date(int(found[1]), int(found[2]), 1) if found else UNDATED


@dataclass(frozen=True, slots=True)
class Samples:
    series: Series
    first_seq: int
    columns: tuple[str, ...]
    rows: list[list[Value]]


@dataclass(frozen=True, slots=True)
class Event:
    series: Series
    key: str
    kind: str
    unix_time_second: float | None
    payload: str


@dataclass(frozen=True, slots=True)
class Summary:
    series: Series
    cycle: int
    payload: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows ``first`` to ``last``, both included, of one epoch."""

    epoch: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """``first`` 1 and ``last`` 0: of a run without rows."""

    series: Series
    first: int
    last: int
    sha256: str
    final: bool
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True)
class State:
    """``topic``: what comes after the station's own levels."""

    site: str
    station: str
    topic: str
    payload: str


@dataclass(frozen=True, slots=True)
class Told:
    """Up to which row the station has published an epoch of a run; ``ended``: and everything else of the run."""

    run: str
    epoch: int
    rows: int
    ended: bool


@dataclass(frozen=True, slots=True)
class Inventory:
    """Which runs a station has, or some of them."""

    site: str
    station: str
    runs: tuple[Told, ...]


Said = Inventory | Samples | Event | Summary | Manifest | State
