"""From the values of a TOML file to values of the settings: each reader takes one value and says what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TypeGuard

from cycler_ctl.stationfile.positions import Path as KeyPath
from cycler_ctl.stationfile.positions import Place
from protocols.diagnostics import Diagnostic, Mark, Severity, Source, diagnostic_at, did_you_mean, quoted
from protocols.quantities import Dimension, QuantityError, need_of, parse_positive, parse_range

NAME = re.compile(r"[a-z0-9_-]+")
CHANNEL_NAME = re.compile(r"[a-z0-9-]+")


@dataclass(frozen=True, slots=True)
class Notes:
    """Collects what is wrong, each with its place in the file."""

    source: Source
    places: Mapping[KeyPath, Place]
    folder: Path
    found: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def at_value(self, path: KeyPath, code: str, message: str, help_text: str | None = None, offset: int = 0) -> None:
        place = self._place(path)
        self._add(place.value_line, place.value_column + offset, code, message, help_text)

    def at_key(self, path: KeyPath, code: str, message: str, help_text: str | None = None) -> None:
        place = self._place(path)
        self._add(place.line, place.column, code, message, help_text)

    def _place(self, path: KeyPath) -> Place:
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place(1, 1, 1, 1))

    def _add(self, line: int, column: int, code: str, message: str, help_text: str | None) -> None:
        mark = Mark(self.source, line, column)
        self.found.append(diagnostic_at(mark, Severity.ERROR, code, message, help_text))


Reader = Callable[[Notes, KeyPath, object], object]
"""Returns the value read; after noting an error, anything: no settings are made of it."""


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a table: the name of its setting, its reader, and whether it must be there."""

    target: str
    read: Reader
    required: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """The keys a table takes; ``later`` are designed but not built: they are refused, never ignored."""

    fields: Mapping[str, Field]
    later: frozenset[str] = frozenset()
    others: Reader | None = None
    """Reads a key that is none of the fields, for tables with keys of their own."""


def read_table(notes: Notes, path: KeyPath, value: object, table: Table) -> dict[str, object]:
    """The settings of one table by their names in the models."""
    if not is_table(value):
        notes.at_value(path, "shape", f"{_dotted(path)} is {_kind(value)}, not a table", f"write [{_dotted(path)}]")
        return {}
    read: dict[str, object] = {}
    for key, item in items(value):
        known = table.fields.get(key)
        if known is not None:
            read[known.target] = known.read(notes, (*path, key), item)
        elif key in table.later:
            _not_yet(notes, (*path, key))
        elif table.others is not None:
            read[key] = table.others(notes, (*path, key), item)
        else:
            message = f"{_dotted(path) or 'station.toml'} has no '{key}'"
            notes.at_key((*path, key), "unknown-key", message, did_you_mean(key, [*table.fields, *table.later]))
    _note_missing(notes, path, value, table)
    return read


def is_table(value: object) -> TypeGuard[Mapping[object, object]]:
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, list | tuple)


def items(table: Mapping[object, object]) -> list[tuple[str, object]]:
    return [(str(key), item) for key, item in table.items()]


def table_of(read: Mapping[str, object], key: str) -> dict[str, object]:
    value = read.get(key)
    return dict(items(value)) if is_table(value) else {}


def _note_missing(notes: Notes, path: KeyPath, value: Mapping[object, object], table: Table) -> None:
    """A misspelt key does not also count as a missing one."""
    strays = [str(key) for key in value if key not in table.fields]
    for key, wanted in table.fields.items():
        if wanted.required and key not in value and did_you_mean(key, strays) is None:
            notes.at_key(path, "missing-key", f"{_dotted(path) or 'station.toml'} needs '{key}'")


def _not_yet(notes: Notes, path: KeyPath) -> None:
    message = f"'{path[-1]}' is not supported by this version yet"
    notes.at_key(path, "not-supported", message, "remove it: it would have no effect, and you might rely on it")


def text(notes: Notes, path: KeyPath, value: object) -> str:
    if isinstance(value, str) and value.strip():
        return value
    shown = "empty" if value == "" else _kind(value)
    notes.at_value(path, "shape", f"{_subject(path)} is {shown}, not text", f'write {path[-1]} = "..."')
    return ""


def day(notes: Notes, path: KeyPath, value: object) -> str:
    """TOML has days of its own; written as text they are taken too."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        with suppress(ValueError):
            return date.fromisoformat(value).isoformat()
    notes.at_value(path, "shape", f"{_subject(path)} is not a day", f"write {path[-1]} = 2026-03-01")
    return ""


def slug(notes: Notes, path: KeyPath, value: object) -> str:
    name = text(notes, path, value)
    if name:
        check_name(notes, path, name, NAME)
    return name


def check_name(notes: Notes, path: KeyPath, name: str, allowed: re.Pattern[str]) -> None:
    """Names stand in file names, topics and addresses of pages."""
    if allowed.fullmatch(name):
        return
    letters = "a-z, 0-9 and -" if allowed is CHANNEL_NAME else "a-z, 0-9, _ and -"
    near = re.sub(r"[^a-z0-9-]+" if allowed is CHANNEL_NAME else r"[^a-z0-9_-]+", "-", name.lower()).strip("-")
    advice = f"write for example '{near}'" if near else None
    notes.at_value(path, "name", f"{quoted(name)} is not a name: use only {letters}", advice)


def flag(notes: Notes, path: KeyPath, value: object) -> bool:
    if isinstance(value, bool):
        return value
    notes.at_value(path, "shape", f"{_subject(path)} is {_kind(value)}", "write true or false, without quotes")
    return False


def whole(low: int, high: int) -> Reader:
    def read(notes: Notes, path: KeyPath, value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        message = f"{_subject(path)} is {_kind(value)}, not a whole number from {low} to {high}"
        notes.at_value(path, "out-of-range" if isinstance(value, int) else "shape", message)
        return low

    return read


def choice(*allowed: str) -> Reader:
    def read(notes: Notes, path: KeyPath, value: object) -> str:
        if value in allowed:
            return str(value)
        words = " or ".join(f'"{word}"' for word in allowed)
        shown = quoted(value) if isinstance(value, str) else _kind(value)
        notes.at_value(path, "choice", f"{_subject(path)} is {shown}, not {words}")
        return allowed[0]

    return read


def positive(dimension: Dimension) -> Reader:
    def read(notes: Notes, path: KeyPath, value: object) -> float:
        try:
            return parse_positive(_quantity_text(path, value, dimension), dimension, subject=_subject(path)).value
        except QuantityError as error:
            return _wrong_quantity(notes, path, value, error)

    return read


def bounds(dimension: Dimension) -> Reader:
    def read(notes: Notes, path: KeyPath, value: object) -> tuple[float, float]:
        try:
            low, high = parse_range(_quantity_text(path, value, dimension), dimension, subject=_subject(path))
        except QuantityError as error:
            return 0.0, _wrong_quantity(notes, path, value, error)
        return low.value, high.value

    return read


def _quantity_text(path: KeyPath, value: object, dimension: Dimension) -> str:
    if isinstance(value, str):
        return value
    example = need_of(dimension).example
    if isinstance(value, int | float) and not isinstance(value, bool):
        advice = f'write it as text with a unit, for example {path[-1]} = "{value} {example}"'
        raise QuantityError("unit-missing", f"{_subject(path)} {value} has no unit", advice)
    raise QuantityError("shape", f"{_subject(path)} is {_kind(value)}", f'write for example {path[-1]} = "1 {example}"')


def _wrong_quantity(notes: Notes, path: KeyPath, value: object, error: QuantityError) -> float:
    quote = 1 if isinstance(value, str) else 0
    notes.at_value(path, error.code, error.message, error.help, error.offset + quote)
    return 1.0


def file_path(notes: Notes, path: KeyPath, value: object) -> Path:
    """Relative to the folder of ``station.toml``."""
    return notes.folder / Path(text(notes, path, value)).expanduser()


def one_or_more(read_one: Reader) -> Reader:
    def read(notes: Notes, path: KeyPath, value: object) -> tuple[object, ...]:
        if is_list(value):
            return tuple(read_one(notes, (*path, index), item) for index, item in enumerate(value))
        return (read_one(notes, path, value),)

    return read


def nested(table: Table) -> Reader:
    def read(notes: Notes, path: KeyPath, value: object) -> dict[str, object]:
        return read_table(notes, path, value, table)

    return read


def anything(_notes: Notes, _path: KeyPath, value: object) -> object:
    return value


def _subject(path: KeyPath) -> str:
    """How a message calls this value: ``limits voltage``, ``sample_every``."""
    in_limits = len(path) > 3 and path[0] == "channels"
    return " ".join(map(str, path[-2:] if in_limits else path[-1:]))


def _dotted(path: KeyPath) -> str:
    return ".".join(map(str, path))


def _kind(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {quoted(value)}"
        case dict():
            return "a table"
        case list():
            return "an array"
        case _:
            return f"a {type(value).__name__}"
