"""Where in a TOML text each key and value stands, which ``tomllib`` does not tell.

The text must have been read by ``tomllib`` already: this finds places in valid TOML and checks nothing.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

Path = tuple[str | int, ...]
"""Keys from the top of the document; numbers are places in an array, counted from 0."""

_BETWEEN = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_STRING = re.compile(
    r"""
    \"{3} (?: \\. | [^\\] )*? \"{3} \"{0,2}
    | '{3} .*? '{3} '{0,2}
    | \" (?: \\. | [^\"\\\n] )* \"
    | ' [^'\n]* '
    """,
    re.DOTALL | re.VERBOSE,
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\r\n]*")


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column, from 1, of a key and of its value; for a table the value's place is its header's."""

    line: int
    column: int
    value_line: int
    value_column: int


def find_places(text: str) -> Mapping[Path, Place]:
    """The place of every key; a table written in several pieces stands where it is first named."""
    scanner = _Scanner(text)
    scanner.document()
    starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def line_and_column(offset: int) -> tuple[int, int]:
        line = bisect_right(starts, offset)
        return line, offset - starts[line - 1] + 1

    return {
        path: Place(*line_and_column(key), *line_and_column(value)) for path, (key, value) in scanner.offsets.items()
    }


class _Scanner:
    """Walks the text once; ``offsets`` holds where the key and the value of each path begin."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lengths: dict[Path, int] = {}
        self.offsets: dict[Path, tuple[int, int]] = {}

    def document(self) -> None:
        table: Path = ()
        self._skip(_BETWEEN)
        while self._at < len(self._text):
            table = self._header() if self._next() == "[" else self._pair(table)
            self._skip(_BETWEEN)

    def _header(self) -> Path:
        brackets = 2 if self._text.startswith("[[", self._at) else 1
        self._at += brackets
        keys = self._keys()
        path = self._resolved(tuple(name for name, _ in keys))
        if brackets == 2:
            self._lengths[path] = self._lengths.get(path, 0) + 1
            path = (*path, self._lengths[path] - 1)
        self._note_parents((), keys, keys[-1][1])
        self.offsets.setdefault(path, (keys[-1][1], keys[-1][1]))
        self._at += brackets
        return path

    def _resolved(self, names: tuple[str, ...]) -> Path:
        """An array of tables is gone on with in its last table."""
        path: Path = ()
        for last, name in enumerate(names, 1 - len(names)):
            path = (*path, name)
            if path in self._lengths and last:
                path = (*path, self._lengths[path] - 1)
        return path

    def _pair(self, table: Path) -> Path:
        """One ``key = value``; returns the table it belongs to."""
        keys = self._keys()
        self._at += 1  # the equals sign
        self._skip(_BLANK)
        path = (*table, *(name for name, _ in keys))
        self._note_parents(table, keys, self._at)
        self.offsets[path] = (keys[-1][1], self._at)
        self._value(path)
        return table

    def _note_parents(self, table: Path, keys: list[tuple[str, int]], value: int) -> None:
        for count in range(1, len(keys)):
            path = (*table, *(name for name, _ in keys[:count]))
            self.offsets.setdefault(path, (keys[count - 1][1], value))

    def _keys(self) -> list[tuple[str, int]]:
        """A dotted key: each part with its offset."""
        keys: list[tuple[str, int]] = []
        while True:
            self._skip(_BLANK)
            start = self._at
            raw = self._take(_STRING) or self._take(_BARE_KEY)
            name = tomllib.loads(f"name = {raw}")["name"] if raw[0] in "\"'" else raw
            keys.append((name, start))
            self._skip(_BLANK)
            if self._next() != ".":
                return keys
            self._at += 1

    def _value(self, path: Path) -> None:
        match self._next():
            case "{":
                self._inline_table(path)
            case "[":
                self._array(path)
            case '"' | "'":
                self._take(_STRING)
            case _:
                self._take(_SCALAR)

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        self._skip(_BETWEEN)
        while self._next() != "}":
            self._pair(path)
            self._skip_comma()
        self._at += 1

    def _array(self, path: Path) -> None:
        self._at += 1
        self._skip(_BETWEEN)
        index = 0
        while self._next() != "]":
            self.offsets[*path, index] = (self._at, self._at)
            self._value((*path, index))
            self._skip_comma()
            index += 1
        self._at += 1

    def _skip_comma(self) -> None:
        self._skip(_BETWEEN)
        if self._next() == ",":
            self._at += 1
            self._skip(_BETWEEN)

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip(self, pattern: re.Pattern[str]) -> None:
        self._take(pattern)

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found.group()
