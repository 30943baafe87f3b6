"""What a message says, or why it says nothing: pure. Of strangers' messages nothing is taken on trust but its shape.

Unknown keys are no fault: a station may be newer than its historian.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import NoReturn, TypeGuard

from cycler_ctl.fleet.said import (
    Delivery,
    Event,
    Inventory,
    Manifest,
    Said,
    Samples,
    Series,
    State,
    Stretch,
    Summary,
    Told,
)
from cycler_ctl.publish.payloads import Value
from protocols.record import JSON

_LEVEL = re.compile(r"[a-z0-9_-]{1,128}")
_NAME = re.compile(r"[A-Za-z0-9_]{1,128}")
_RUN = re.compile(r"[A-Za-z0-9._-]{1,128}")
_PERHAPS_INFINITE = re.compile(rb"[eE]\+?\d{3}|\d{300}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST = 2**62


class UnreadableError(ValueError):
    """The message is nothing a station sends; the text says what is wrong."""


def understand(delivery: Delivery) -> Said | None:
    """None: nothing for a historian. Raises UnreadableError."""
    levels = delivery.topic.split("/")
    if levels[:2] != ["cycler", "v1"] or not all(map(_LEVEL.fullmatch, levels[2:])):
        raise UnreadableError("not a topic of a station")
    match levels[2:]:
        case [site, station, ("status" | "meta") as leaf]:
            return _state(site, station, leaf, delivery.payload)
        case [site, station, "runs"]:
            return _inventory(site, station, _object(delivery.payload))
        case [site, station, "alarm", name]:
            return _state(site, station, f"alarm/{name}", delivery.payload)
        case [site, station, "instrument", name, "status"]:
            return _state(site, station, f"instrument/{name}/status", delivery.payload)
        case [site, station, "channel", channel, "state"]:
            return _state(site, station, f"channel/{channel}/state", delivery.payload)
        case [site, station, "channel", channel, ("samples" | "event" | "summary" | "manifest") as leaf]:
            return _of_run(leaf, (site, station, channel), delivery.payload)
        case _:
            return None


def _of_run(leaf: str, place: tuple[str, str, str], payload: bytes) -> Said:
    said = _object(payload)
    series = _series(place, said)
    match leaf:
        case "samples":
            return _samples(series, said)
        case "event":
            return _event(series, said, payload)
        case "summary":
            return Summary(series, _whole(said, "cycle", 0), _text(payload))
        case _:
            return _manifest(series, said)


def _state(site: str, station: str, topic: str, payload: bytes) -> State:
    """An empty one takes a retained state back."""
    if payload:
        _object(payload)
    return State(site, station, topic, _text(payload))


def _inventory(site: str, station: str, said: Mapping[str, JSON]) -> Inventory:
    parts = said.get("runs")
    return Inventory(site, station, tuple(map(_told, parts)) if isinstance(parts, list) else ())


def _told(part: JSON) -> Told:
    if not isinstance(part, dict):
        raise UnreadableError("a run is not an object")
    return Told(_run(part), _whole(part, "epoch", 0), _whole(part, "rows", 0), part.get("ended") is True)


def _object(payload: bytes) -> Mapping[str, JSON]:
    try:
        said: JSON = json.loads(payload.decode("utf-8"), parse_constant=_not_a_number)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"not JSON: {error}") from error
    if not isinstance(said, dict):
        raise UnreadableError("not a JSON object")
    if said.get("v") != 1:
        raise UnreadableError(f"v is {said.get('v')!r}, this historian reads version 1")
    if _PERHAPS_INFINITE.search(payload):
        _finite(said)
    return said


def _not_a_number(name: str) -> NoReturn:
    raise UnreadableError(f"{name} is no JSON number")


def _finite(value: JSON) -> None:
    """A number too great for a double is read as infinity."""
    match value:
        case float() if not math.isfinite(value):
            raise UnreadableError("a number is too great")
        case dict():
            for inner in value.values():
                _finite(inner)
        case list():
            for inner in value:
                _finite(inner)
        case _:
            pass


def _series(place: tuple[str, str, str], said: Mapping[str, JSON]) -> Series:
    return Series(*place, _run(said), _whole(said, "epoch", 0))


def _run(said: Mapping[str, JSON]) -> str:
    run = said.get("run")
    if not isinstance(run, str) or not _RUN.fullmatch(run):
        raise UnreadableError("run is not a run's id")
    return run


def _samples(series: Series, said: Mapping[str, JSON]) -> Samples:
    first, columns, rows = _whole(said, "first_seq", 1), said.get("columns"), said.get("rows")
    names = [name for name in columns if isinstance(name, str)] if isinstance(columns, list) else []
    if not isinstance(columns, list) or not names or len(names) != len(columns) or len(set(names)) != len(names):
        raise UnreadableError("columns are not a list of different names")
    if not all(map(_NAME.fullmatch, names)):
        raise UnreadableError("a column's name is not a word")
    if not isinstance(rows, list) or not rows:
        raise UnreadableError("rows are not a list of rows")
    return Samples(series, first, tuple(names), [_row(row, len(names)) for row in rows])


def _row(row: JSON, width: int) -> list[Value]:
    if not isinstance(row, list) or len(row) != width:
        raise UnreadableError(f"a row is not a list of {width} values")
    if not _all_plain(row):
        raise UnreadableError("a value is neither number nor text nor null")
    return row


_PLAIN = frozenset({int, float, str, type(None)})


def _all_plain(row: list[JSON]) -> TypeGuard[list[Value]]:
    return _PLAIN.issuperset(map(type, row))


def _event(series: Series, said: Mapping[str, JSON], payload: bytes) -> Event:
    number, kind, at = said.get("n"), said.get("kind"), said.get("unix_time_second")
    if not isinstance(kind, str) or not _LEVEL.fullmatch(kind):
        raise UnreadableError("kind is not a word")
    key = hashlib.sha256(payload).hexdigest() if number is None else str(_whole(said, "n", 0))
    return Event(series, key, kind, at if isinstance(at, float) else None, _text(payload))


def _manifest(series: Series, said: Mapping[str, JSON]) -> Manifest:
    count, sha256 = _whole(said, "count", 0), said.get("sha256")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise UnreadableError("sha256 is not one")
    first, last = (_whole(said, "first", 1), _whole(said, "last", 1)) if count else (1, 0)
    parts = said.get("stretches")
    stretches = tuple(map(_stretch, parts)) if isinstance(parts, list) else ()
    _check_dense(stretches, first, last)
    return Manifest(series, first, last, sha256, said.get("final") is True, stretches)


def _stretch(part: JSON) -> Stretch:
    if not isinstance(part, dict):
        raise UnreadableError("a stretch is not an object")
    return Stretch(_whole(part, "epoch", 0), _whole(part, "first", 1), _whole(part, "last", 1))


def _check_dense(stretches: Sequence[Stretch], first: int, last: int) -> None:
    following = first
    for stretch in stretches:
        if stretch.first != following or stretch.last < following:
            break
        following = stretch.last + 1
    if following != last + 1 or (stretches and stretches[-1].last != last):
        raise UnreadableError(f"the stretches are not rows {first} to {last}")


def _whole(said: Mapping[str, JSON], name: str, least: int) -> int:
    value = said.get(name)
    if type(value) is not int or not least <= value < _MOST:
        raise UnreadableError(f"{name} is not a whole number from {least} on")
    return value


def _text(payload: bytes) -> str:
    """JSON holds no NUL but as an escape, so any of it can be a text of the database."""
    return payload.decode("utf-8")
