"""What is wrong in a file and where: one form for protocols and ``station.toml``, for people and as JSON.

Knows nothing of YAML or TOML: whoever reads a file makes a ``Source`` of it and says where in it the fault is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from heapq import nsmallest
from itertools import islice

# YAML ends a line at each of these, so that a line number means the same to its parser and to us.
LINE_END = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
LONGEST_QUOTE = 80
MOST_LISTED, MOST_COMPARED, LONGEST_COMPARED = 1000, 80, 24
"""A help is worth no more time than this: comparing two words costs the product of their lengths."""
LONGEST_LINE = 200


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One fault. ``line`` and ``column`` count from 1, in characters; ``source_line`` is the text of that line."""

    file: str
    line: int
    column: int
    severity: Severity
    code: str
    message: str
    help: str | None = None
    source_line: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A file's name, as people know it, and its lines."""

    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a source."""

    source: Source
    line: int
    column: int


def source_of(name: str, text: str) -> Source:
    return Source(name, tuple(LINE_END.split(text)))


def diagnostic_at(mark: Mark, severity: Severity, code: str, message: str, help: str | None = None) -> Diagnostic:  # noqa: A002 - the name of the field
    """A diagnostic with its line's text; ``message`` and ``help`` may quote the file and are made printable."""
    lines = mark.source.lines
    line = lines[mark.line - 1] if 0 < mark.line <= len(lines) else ""
    return Diagnostic(
        mark.source.name,
        mark.line,
        mark.column,
        severity,
        code,
        printable(message),
        None if help is None else printable(help),
        line,
    )


def printable(text: str) -> str:
    """``text`` without anything that could steer a terminal; tabs stay, they are often the fault itself."""
    return "".join(letter if letter.isprintable() or letter == "\t" else "\ufffd" for letter in text)


def quoted(text: str) -> str:
    """``text`` in quotes, cut where it is too long to be read."""
    return f"'{text}'" if len(text) <= LONGEST_QUOTE else f"'{text[: LONGEST_QUOTE - 1]}\u2026'"


def render(diagnostic: Diagnostic) -> str:
    """``file:line:column: error[code]: message``, the line, a caret and the help."""
    place = f"{printable(diagnostic.file)}:{diagnostic.line}:{diagnostic.column}"
    lines = [f"{place}: {diagnostic.severity.value}[{diagnostic.code}]: {diagnostic.message}"]
    lines.extend(_excerpt(diagnostic))
    if diagnostic.help is not None:
        lines.append(f"      = help: {diagnostic.help}")
    return "\n".join(lines)


def render_all(diagnostics: Iterable[Diagnostic]) -> str:
    return "\n".join(render(diagnostic) for diagnostic in diagnostics)


def _excerpt(diagnostic: Diagnostic) -> tuple[str, str]:
    """The line and a caret under its column; a very long line is shown around the column."""
    line, at = diagnostic.source_line, diagnostic.column - 1
    if len(line) > LONGEST_LINE:
        start = max(0, at - LONGEST_LINE // 2)
        line, at = line[start : start + LONGEST_LINE], at - start
    line = printable(line)
    # A tab before the caret stays a tab, or the caret would stand in the wrong column.
    indent = "".join("\t" if letter == "\t" else " " for letter in line[:at].ljust(at))
    return f"{diagnostic.line:5} | {line}".rstrip(), f"      | {indent}^"


def as_json(diagnostic: Diagnostic) -> Mapping[str, str | int | None]:
    """The form ``check --json`` prints."""
    return {
        "file": diagnostic.file,
        "line": diagnostic.line,
        "column": diagnostic.column,
        "severity": diagnostic.severity.value,
        "code": diagnostic.code,
        "message": diagnostic.message,
        "help": diagnostic.help,
    }


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    return any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)


def closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word most like ``word``; None where nothing is near."""
    listed = nsmallest(MOST_COMPARED, islice(known, MOST_LISTED), key=lambda other: _unlikeness(word, other))
    by_beginning = {other[:LONGEST_COMPARED]: other for other in reversed(listed)}
    found = get_close_matches(word[:LONGEST_COMPARED], by_beginning, n=1, cutoff=cutoff)
    return by_beginning[found[0]] if found else None


def _unlikeness(word: str, other: str) -> int:
    """Cheap: other length, other beginning."""
    return abs(len(word) - len(other)) + (word[:1] != other[:1])


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A help line that proposes the nearest known word."""
    near = closest(word, known)
    return None if near is None else f"did you mean '{near}'?"
