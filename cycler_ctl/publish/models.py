"""The shape of every MQTT message, for schemas and for tests of real traffic; ``payloads.py`` makes the messages."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from cycler_ctl.alarms.model import Severity
from cycler_ctl.live import ChannelState
from cycler_ctl.store.info import RUN_ID
from protocols.record import EventKind

Iso = Annotated[str, Field(description="ISO 8601, UTC", examples=["2026-11-22T10:15:00.000Z"])]
Unix = Annotated[float, Field(description="seconds since 1970 UTC")]
Cell = float | int | str | None
RunId = Annotated[str, Field(pattern=f"^{RUN_ID.pattern}$", max_length=200)]
Client = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$", description="who asks, as one topic level")]
Count = Annotated[int, Field(ge=1, lt=2**53)]


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


class QueueMessage(_Message):
    """What waits on a channel; it begins when a person has marked its cell ready."""

    length: int = Field(ge=0)
    next: str | None = Field(description="protocol and cell of the first one")
    ready: bool = Field(description="a person said that the cell of the first one is in the channel")
    held: str | None = Field(description="why nothing is taken until a person releases it")


class ChannelMessage(_Repeated):
    """Retained. Read it together with the station's status. ``energised`` null: nobody can know."""

    channel: str
    instrument: str
    state: ChannelState
    state_version: str = Field(description="another one as soon as the channel is not where it was; commands quote it")
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
    queue: QueueMessage | None = None


class Samples(_Message):
    """Row i of ``rows`` is seq ``first_seq`` + i; each (run, epoch, seq) denotes one row for ever. May come twice."""

    v: Literal[1]
    run: str
    epoch: int
    first_seq: int = Field(ge=1)
    columns: list[str]
    rows: list[list[Cell]] = Field(min_length=1)


class _Happened(_Message):
    """(run, epoch, n) is one event for ever."""

    v: Literal[1]
    run: str
    epoch: int
    n: int | None = Field(description="null: a note on a row or event that the broker refused")
    at: Iso
    unix_time_second: Unix
    test_time_second: float | None


class StepEndedData(BaseModel):
    """Where the crossing of a cut-off can be interpolated, t and q are those of it, not of the sample that saw it."""

    model_config = ConfigDict(extra="allow")
    step_id: str
    step_count: int
    cycle: int
    word: str
    label: str | None
    reason: str
    also_met: list[str]
    charge_Ah: float
    energy_Wh: float
    t_cross_s: float | None
    q_cross_Ah: float | None
    overshoot_V: float | None


class StepEnded(_Happened):
    """A step ended, and why."""

    kind: Literal[EventKind.STEP_ENDED]
    data: StepEndedData


class Event(_Happened):
    """Anything else that happened."""

    kind: Literal[
        EventKind.RUN_STARTED,
        EventKind.STEP_STARTED,
        EventKind.CYCLE_ENDED,
        EventKind.REPEAT_ENDED,
        EventKind.NOTE,
        EventKind.WARNING,
        EventKind.GAP,
        EventKind.TRIP,
        EventKind.FAULT,
        EventKind.RETRY,
        EventKind.OPERATOR,
        EventKind.EDGE,
        EventKind.RUN_ENDED,
    ]
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
    efficiency: float | None = Field(description="charge given back over charge put in before")
    energy_efficiency: float | None = Field(description="discharge over charge; null where discharge is not said")
    delithiation_over_lithiation_charge: float | None
    delithiation_over_lithiation_energy: float | None
    mean_lithiation_V: float | None
    mean_delithiation_V: float | None


class ManifestStretch(_Message):
    """Rows ``first`` to ``last`` belong to ``epoch``; what a reader has of that epoch beyond, a disk took back."""

    epoch: int
    first: int
    last: int


class Manifest(_Message):
    """Which rows a run has: ``final`` at its end, else of all so far, once a day.

    ``sha256``: over each row as compact JSON array and a line feed, in order of seq.
    """

    v: Literal[1]
    run: str
    epoch: int
    first: int | None
    last: int | None
    count: int
    sha256: str
    final: bool
    stretches: list[ManifestStretch]


class AlarmMessage(_Repeated):
    """Retained while active; an empty message clears it."""

    id: str
    severity: Severity
    kind: str
    what: str
    detail: str
    action: str
    since: Iso
    since_unix_s: Unix
    channel: str | None
    instrument: str | None
    run: str | None
    cell: str | None
    energised: bool | None
    acknowledged_by: str | None
    acknowledged: Iso | None
    acknowledged_unix_s: Unix | None


class Need(_Message):
    """A reader asks for rows it has not; they come again on ``samples``, after everything that is new.

    With ``to_seq`` beyond the end of an ended run its events, summaries and manifest come again too.
    """

    v: Literal[1]
    run: RunId
    epoch: int
    from_seq: Count
    to_seq: Count
    client: Client


class NeedRuns(_Message):
    """A reader that may have missed whole runs asks which there are after this one; the answer comes on ``runs``."""

    v: Literal[1]
    after: str = Field(max_length=200, pattern=f"^({RUN_ID.pattern})?$")
    client: Client


class ListedRun(_Message):
    """Rows up to ``rows`` of this epoch went out; ``ended``: and all else of the run."""

    run: RunId
    epoch: int
    rows: int = Field(ge=0, lt=2**53)
    ended: bool


class Runs(_Message):
    v: Literal[1]
    runs: list[ListedRun]


class SinkReport(_Message):
    """Retained. A reader keeps every row of this run and epoch up to ``seq``."""

    v: Literal[1]
    client: Client
    run: RunId
    epoch: int
    seq: int = Field(ge=0, lt=2**53)
    at: Iso
