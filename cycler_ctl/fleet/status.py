"""``cycler-ctl status --fleet``: all stations as the database knows them, with how old that knowledge is."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import psycopg

from cycler_ctl.fleet.errors import HistorianError
from cycler_ctl.fleet.settings import conninfo, load
from protocols.record import JSON

_STATE = (
    "SELECT site, station, topic, payload, extract(epoch FROM now() - heard_at)::float8 FROM state ORDER BY 1, 2, 3"
)
_RUNS = """
    SELECT run.site, run.station, run.channel, run.run, run.rows, coalesce(run.last_seq, 0) - run.rows AS missing,
           coalesce(run.verdict, 'running'), run.heard_at FROM run ORDER BY run.heard_at DESC NULLS LAST LIMIT 1000"""
_REFUSED = "SELECT count(*) FROM alarm"
_DEAD = "SELECT coalesce(sum(times), 0) FROM dead_letter"
UNHEARD_S = 75.0
"""Of a state that does not say how often it is repeated: two and a half of the usual heartbeats."""


@dataclass(frozen=True, slots=True)
class Channel:
    """``state`` is what the station said last; if ``stale``, nobody knows whether it still holds."""

    channel: str
    state: str
    run: str | None
    reason: str
    heard_s_ago: float
    stale: bool


@dataclass(frozen=True, slots=True)
class Station:
    site: str
    station: str
    state: str
    heard_s_ago: float | None
    stale: bool
    channels: tuple[Channel, ...]
    alarms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """``verdict``: running (no manifest yet), open (rows are missing), complete, or differs from the station's."""

    site: str
    station: str
    channel: str
    run: str
    rows: int
    missing: int
    verdict: str
    heard_at: str | None


@dataclass(frozen=True, slots=True)
class Fleet:
    stations: tuple[Station, ...]
    runs: tuple[Run, ...]
    refused: int
    dead_letters: int


@dataclass(frozen=True, slots=True)
class Said:
    """A retained state. ``age_s``: since the broker had it."""

    topic: str
    payload: Mapping[str, JSON]
    age_s: float

    @property
    def stale(self) -> bool:
        beat = self.payload.get("heartbeat_s")
        return self.age_s > (2.5 * beat if isinstance(beat, int | float) else UNHEARD_S)

    def text(self, name: str) -> str:
        value = self.payload.get(name)
        return value if isinstance(value, str) else ""


def read(connection: psycopg.Connection) -> Fleet:
    heard: dict[tuple[str, str], list[Said]] = {}
    for site, station, topic, payload, age_s in connection.execute(_STATE):
        said = heard.setdefault((site, station), [])
        if payload:
            said.append(Said(topic, json.loads(payload), max(0.0, age_s)))
    runs = [Run(r[0], r[1], r[2], r[3], int(r[4]), int(r[5]), r[6], _iso(r[7])) for r in connection.execute(_RUNS)]
    stations = tuple(station_of(*where, found) for where, found in heard.items())
    return Fleet(stations, tuple(runs), _count(connection, _REFUSED), _count(connection, _DEAD))


def station_of(site: str, station: str, said: Sequence[Said]) -> Station:
    """Of a station that is gone or stale, what its channels said last is stale too."""
    status = next((each for each in said if each.topic == "status"), None)
    state = status.text("state") if status else "unknown"
    stale = status is None or (state != "offline" and status.stale)
    lost = stale or state == "offline"
    channels = tuple(
        _channel(each, lost=lost)
        for each in said
        if each.topic.startswith("channel/") and each.topic.endswith("/state")
    )
    alarms = tuple(_alarm(each) for each in said if each.topic.startswith("alarm/"))
    return Station(site, station, state, status.age_s if status else None, stale, channels, alarms)


def _channel(said: Said, *, lost: bool) -> Channel:
    run = said.text("run") or None
    name = said.topic.split("/")[1]
    return Channel(name, said.text("state"), run, said.text("reason"), said.age_s, lost or said.stale)


def _alarm(said: Said) -> str:
    words = said.text("message") or said.text("reason") or said.text("what")
    return f"{said.topic.removeprefix('alarm/')}: {words}".removesuffix(": ")


def _count(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def show(to: str, config: Path | None, *, as_json: bool) -> int:
    try:
        with psycopg.connect(conninfo(to, load(config).database, "any")) as connection:
            fleet = read(connection)
    except psycopg.errors.UndefinedTable as error:
        raise HistorianError("there are no tables of a historian in this database: has a collector run?") from error
    except psycopg.Error as error:
        raise HistorianError(f"PostgreSQL: {' '.join(str(error).split())}") from error
    sys.stdout.write(json.dumps(asdict(fleet), indent=2) + "\n" if as_json else "\n".join(table(fleet)) + "\n")
    return 0


def table(fleet: Fleet) -> list[str]:
    """For people: stations with their channels, then the runs that are not complete."""
    written = [line for station in fleet.stations for line in _lines(station)] or ["no station was heard yet"]
    open_runs = [run for run in fleet.runs if run.verdict != "complete"]
    written.append(f"runs: {len(fleet.runs) - len(open_runs)} complete, {len(open_runs)} not")
    written += [
        f"  {run.site}/{run.station} {run.channel:8} {run.run}  {run.verdict}, {run.rows} rows, {run.missing} missing"
        for run in open_runs
    ]
    if fleet.refused:
        written.append(f"{fleet.refused} messages said something else than what is here, and were refused: table alarm")
    if fleet.dead_letters:
        written.append(f"{fleet.dead_letters} messages could not be read: table dead_letter")
    return written


def _lines(station: Station) -> list[str]:
    heard = "never heard" if station.heard_s_ago is None else f"heard {station.heard_s_ago:.0f} s ago"
    written = [f"{station.site}/{station.station}  {station.state}, {heard}{', STALE' if station.stale else ''}"]
    written += [f"  ALARM {alarm}" for alarm in station.alarms]
    written += [
        f"  {channel.channel:8} {channel.state:12} {channel.run or '':32} {channel.reason}"
        f"{f'  (said {channel.heard_s_ago:.0f} s ago)' if channel.stale else ''}".rstrip()
        for channel in station.channels
    ]
    return written
