"""The shape of every MQTT message, for schemas and for tests of real traffic; ``payloads.py`` makes the messages."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from cycler_ctl.live import ChannelState
from protocols.record import EventKind

Iso = Annotated[str, Field(description="ISO 8601, UTC", examples=["2026-11-22T10:15:00.000Z"])]
Unix = Annotated[float, Field(description="seconds since 1970 UTC")]
Cell = float | int | str | None


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Repeated(_Message):
    """A state that is said again every ``heartbeat_s``; after ``expires_at`` without that it is hearsay."""

    v: Literal[1]
    published_at: Iso
    heartbeat_s: float
    expires_at: Iso


class StationOnline(_Repeated):
    """Retained. The station is connected; ``stopping``: it will be offline soon."""

    state: Literal["online", "stopping"]
    since: Iso
    since_unix_s: Unix


class StationOffline(_Message):
    """Retained. ``since`` is null in the last will: nobody knows when the connection was lost."""

    v: Literal[1]
    state: Literal["offline"]
    since: Iso | None
    since_unix_s: Unix | None = None
    reason: str | None = None
    online_since: Iso | None = None


class Meta(BaseModel):
    """Retained. What this station is and has; more keys may be added."""

    model_config = ConfigDict(extra="allow")
    v: Literal[1]


class InstrumentMessage(_Repeated):
    """Retained. What we know of an instrument."""

    name: str
    driver: str
    address: str
    link: Literal["connected", "lost", "absent"]
    identity: dict[str, str] | None
    protection: str | None
    message: str
    last_good: Iso | None
    last_good_unix_s: Unix | None


class ChannelMessage(_Repeated):
    """Retained. Read it together with the station's status. ``energised`` null: nobody can know."""

    channel: str
    instrument: str
    state: ChannelState
    reason: str
    since: Iso
    since_unix_s: Unix
    energised: bool | None
    run: str | None
    protocol: str | None
    cell: str | None
    step: str | None
    what: str | None
    cycle: int | None
    eta: Iso | None
    eta_unix_s: Unix | None
    protection: str | None
    rows_waiting: int | None
    doing: str | None = None
    setpoint_A: float | None = Field(default=None, description="+ oxidises the working electrode; null in a hold")
    setpoint_V: float | None = Field(default=None, description="the voltage held; null where none is")
    current_limit_A: float | None = Field(default=None, description="the most a hold may take, a magnitude")


class Samples(_Message):
    """Row i of ``rows`` is seq ``first_seq`` + i; each (run, epoch, seq) denotes one row for ever. May come twice."""

    v: Literal[1]
    run: str
    epoch: int
    first_seq: int = Field(ge=1)
    columns: list[str]
    rows: list[list[Cell]] = Field(min_length=1)


class Event(_Message):
    """Something that happened; (run, epoch, n) is one event for ever. ``n`` null: a note on a refused row."""

    v: Literal[1]
    run: str
    epoch: int
    n: int | None
    kind: EventKind
    at: Iso
    unix_time_second: Unix
    test_time_second: float | None
    data: dict[str, object]


class Summary(_Message):
    """Retained. The last completed cycle; lithiation and delithiation are the working electrode's."""

    v: Literal[1]
    run: str
    epoch: int
    cycle: int
    lithiation_Ah: float
    delithiation_Ah: float
    lithiation_Wh: float
    delithiation_Wh: float
    started_s: float
    ended_s: float
    delithiation_over_lithiation_charge: float | None
    delithiation_over_lithiation_energy: float | None
    mean_lithiation_V: float | None
    mean_delithiation_V: float | None


class Manifest(_Message):
    """Which rows an ended run has. ``sha256``: over each row as compact JSON array and a line feed, in order of seq."""

    v: Literal[1]
    run: str
    epoch: int
    first: int | None
    last: int | None
    count: int
    sha256: str
