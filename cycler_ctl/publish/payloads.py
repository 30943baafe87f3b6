"""What each MQTT message says: pure functions from snapshots to JSON bytes. Not measured is null, never NaN.

Times are ISO 8601 UTC for people and ``…_unix_s`` for machines. ``expires_at`` is when a state that is not repeated
has become hearsay: a per-channel state outlives the station that published it, so readers also look at ``status``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime

from cycler_ctl.alarms.model import Alarm
from cycler_ctl.live import ChannelStatus, InstrumentStatus, QueueStatus, state_version
from cycler_ctl.publish.cursors import Listed
from protocols.record import JSON, CycleSummary, EventKind, EventRecord

VERSION = 1
EXPIRES_AFTER_HEARTBEATS = 2.5
Value = str | int | float | None
_SAID_SHORTER = {"end_reason": "reason", "crossing_s": "t_cross_s", "crossing_charge_Ah": "q_cross_Ah"}
"""Names of an ended step's facts in the record, and in messages."""


_LONG = frozenset({"protocol_text", "replaced_text", "documents", "plan"})


@dataclass(frozen=True, slots=True)
class Efficiency:
    """Of one cycle, as everywhere: charge given back over charge put in before; energy of discharge over charge."""

    charge: float | None
    energy: float | None


@dataclass(frozen=True, slots=True)
class Beat:
    """When a state is published (UTC s) and how often it is repeated (s)."""

    utc_s: float
    heartbeat_s: float

    def fields(self) -> dict[str, JSON]:
        return {
            "published_at": iso(self.utc_s),
            "heartbeat_s": self.heartbeat_s,
            "expires_at": iso(self.utc_s + EXPIRES_AFTER_HEARTBEATS * self.heartbeat_s),
        }


def iso(utc_s: float | None) -> str | None:
    """``2026-11-22T11:53:27.000Z``."""
    if utc_s is None or not math.isfinite(utc_s):
        return None
    return datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def encode(payload: JSON) -> bytes:
    """Compact JSON that every parser takes: what is not finite is null."""
    try:
        return _dump(payload)
    except ValueError:
        return _dump(_finite(payload))


def station_status(state: str, since_utc_s: float, beat: Beat) -> bytes:
    """``state`` is online, stopping or offline (said before a clean disconnect)."""
    said: dict[str, JSON] = {"v": VERSION, "state": state, "since": iso(since_utc_s), "since_unix_s": since_utc_s}
    return encode(said if state == "offline" else said | beat.fields())


def will(online_since_utc_s: float) -> bytes:
    """Left with the broker at connect time: nobody can know then when the connection will be lost."""
    said: dict[str, JSON] = {"v": VERSION, "state": "offline", "reason": "connection lost", "since": None}
    return encode(said | {"online_since": iso(online_since_utc_s)})


def station_meta(meta: Mapping[str, JSON]) -> bytes:
    return encode({"v": VERSION, **meta})


def channel_state(status: ChannelStatus, beat: Beat) -> bytes:
    said: dict[str, JSON] = {"v": VERSION, "state_version": state_version(status), **_fields(status)}
    said |= _times(since=said.pop("since_utc_s"), eta=said.pop("eta_utc_s"))
    return encode(said | beat.fields())


def instrument_status(status: InstrumentStatus, beat: Beat) -> bytes:
    said: dict[str, JSON] = {"v": VERSION, **_fields(status)}
    said |= _times(last_good=said.pop("last_good_utc_s"))
    return encode(said | beat.fields())


def _fields(status: ChannelStatus | InstrumentStatus) -> dict[str, JSON]:
    """As ``asdict``, which copies each text and number and so takes longer than all the rest."""
    values = ((each.name, getattr(status, each.name)) for each in fields(status))
    return {name: asdict(value) if isinstance(value, QueueStatus) else value for name, value in values}


def alarm(alarm: Alarm, beat: Beat) -> bytes:
    said: dict[str, JSON] = {"v": VERSION, **asdict(alarm)}
    del said["cleared_utc_s"]  # it is active as long as this is said
    said |= _times(since=said.pop("since_utc_s"), acknowledged=said.pop("acknowledged_utc_s"))
    return encode(said | beat.fields())


def latest(run: str, seq: int, columns: Sequence[str], values: Sequence[Value]) -> bytes:
    """The newest sample, flat at top level under the machine names of the Battery Data Format."""
    return encode({**dict(zip(columns, values, strict=True)), "run": run, "seq": seq})


def samples(run: str, epoch: int, first_seq: int, columns: Sequence[str], rows: Iterable[Sequence[Value]]) -> bytes:
    """Consecutive rows from ``first_seq`` on; each (run, epoch, seq) denotes one row for ever."""
    return encode(
        {
            "v": VERSION,
            "run": run,
            "epoch": epoch,
            "first_seq": first_seq,
            "columns": list(columns),
            "rows": [list(row) for row in rows],
        }
    )


def event(run: str, epoch: int, number: int, record: EventRecord) -> bytes:
    """``n`` is the event's number in its run: the same event twice has the same one."""
    return encode(
        {
            "v": VERSION,
            "run": run,
            "epoch": epoch,
            "n": number,
            "kind": str(record.kind),
            "at": iso(record.utc_s),
            "unix_time_second": record.utc_s,
            "test_time_second": record.time_s,
            "data": _said(record),
        }
    )


def _said(record: EventRecord) -> Mapping[str, JSON]:
    """An amendment's texts may be long: they are in the run file, their hashes say which."""
    if record.kind is EventKind.STEP_ENDED:
        return _step_ended(record.data)
    if record.data.get("action") != "amend":
        return record.data
    return {name: value for name, value in record.data.items() if name not in _LONG}


def _step_ended(data: Mapping[str, JSON]) -> Mapping[str, JSON]:
    return {_SAID_SHORTER.get(name, name): value for name, value in data.items()}


def summary(run: str, epoch: int, cycle: CycleSummary, efficiency: Efficiency) -> bytes:
    """One completed cycle; the ratios with long names are there for who sees the cell the other way round."""
    said: dict[str, JSON] = {"v": VERSION, "run": run, "epoch": epoch, **asdict(cycle)}
    said |= {
        "efficiency": efficiency.charge,
        "energy_efficiency": efficiency.energy,
        "delithiation_over_lithiation_charge": _ratio(cycle.delithiation_Ah, cycle.lithiation_Ah),
        "delithiation_over_lithiation_energy": _ratio(cycle.delithiation_Wh, cycle.lithiation_Wh),
        "mean_lithiation_V": _ratio(cycle.lithiation_Wh, cycle.lithiation_Ah),
        "mean_delithiation_V": _ratio(cycle.delithiation_Wh, cycle.delithiation_Ah),
    }
    return encode(said)


def manifest(run: str, count: int, sha256: str, stretches: Sequence[tuple[int, int]], *, final: bool) -> bytes:
    """Which rows a run has, of all its epochs: ``stretches`` is (epoch, first row) of each; ``sha256`` as in ``digest.py``."""
    said: dict[str, JSON] = {"v": VERSION, "run": run, "epoch": stretches[-1][0], "first": 1 if count else None}
    said |= {"last": count or None, "count": count, "sha256": sha256, "final": final}
    ends = [*(first - 1 for _, first in stretches[1:]), count]
    parts = [(epoch, first, min(last, count)) for (epoch, first), last in zip(stretches, ends, strict=True)]
    found: list[JSON] = [
        {"epoch": epoch, "first": first, "last": last} for epoch, first, last in parts if first <= last
    ]
    return encode(said | {"stretches": found})


def runs(listed: Sequence[Listed]) -> bytes:
    return encode({"v": VERSION, "runs": [asdict(each) for each in listed]})


def dead_letter(run: str, epoch: int, what: str, number: int, utc_s: float) -> bytes:
    """Tells those who read along that the broker refused one row or event; it is only in the run file."""
    data: dict[str, JSON] = {"what": "refused by the broker", "of": what, "number": number}
    said: dict[str, JSON] = {"v": VERSION, "run": run, "epoch": epoch, "n": None, "kind": "gap", "at": iso(utc_s)}
    return encode(said | {"unix_time_second": utc_s, "test_time_second": None, "data": data})


def _ratio(above: float, below: float) -> float | None:
    return above / below if below else None


def _times(**utc_s: JSON) -> dict[str, JSON]:
    named: dict[str, JSON] = {}
    for name, value in utc_s.items():
        named[name] = iso(value) if isinstance(value, int | float) else None
        named[f"{name}_unix_s"] = value
    return named


def _dump(payload: JSON) -> bytes:
    return json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(
        errors="backslashreplace"
    )


def _finite(value: JSON) -> JSON:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {key: _finite(inner) for key, inner in value.items()}
        case list():
            return [_finite(inner) for inner in value]
        case _:
            return value
