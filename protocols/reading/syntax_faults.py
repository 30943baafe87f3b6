"""What YAML's own parser objects to, in its words, with a place and what to do about it."""

from __future__ import annotations

import yaml

from protocols.diagnostics import Mark, Severity, Source, diagnostic_at


class SyntaxFault(Exception):  # noqa: N818 - not an error of the program: the file's fault, with its place
    """Stops the reading; holds what to say."""

    def __init__(self, mark: Mark, code: str, message: str, help: str | None = None) -> None:  # noqa: A002 - the name of the field it fills
        super().__init__(message)
        self.diagnostic = diagnostic_at(mark, Severity.ERROR, code, message, help)


def inside(source: Source, line: int, column: int) -> Mark:
    """A parser's place, counted from 0; the end of a text without a last line break may be said to lie beyond it."""
    if line >= len(source.lines):
        return Mark(source, len(source.lines), len(source.lines[-1]) + 1)
    length = len(source.lines[line])
    return Mark(source, line + 1, (column if column < length else length) + 1)


def fault_of(error: yaml.MarkedYAMLError, source: Source) -> SyntaxFault:
    place = error.problem_mark or error.context_mark
    mark = Mark(source, 1, 1) if place is None else inside(source, place.line, place.column)
    problem = error.problem or error.context or "this is not YAML"
    if "unexpected end of stream" in problem and error.context_mark is not None:
        # What is not closed is more useful than where the file ends.
        mark = inside(source, error.context_mark.line, error.context_mark.column)
    return SyntaxFault(mark, "yaml-syntax", problem, _help(error, mark))


HELPS = (
    ("character '\\t'", "indent with spaces, not tabs"),
    ("chomping", "a value cannot begin with '|' or '>': name the quantity first, e.g. 'voltage >= 1.2 V'"),
    ("<block end>", "check the indentation, and that every step begins with '- '"),
    ("unexpected end of stream", "a quotation mark is never closed"),
    ("cannot start any token", "put quotes around text that begins with this character"),
    ("expected ',' or", "a bracket is never closed, or a comma is missing"),
    ("could not find expected ':'", "a setting is written 'name: value'"),
    ("sequence entries are not allowed here", "begin a list on a new line, each item with '- '"),
    ("<document start>", "the protocol ends at '...'; nothing may follow"),
)


def _help(error: yaml.MarkedYAMLError, mark: Mark) -> str | None:
    problem = error.problem or ""
    if "mapping values are not allowed" in problem:
        before = mark.source.lines[mark.line - 1][: mark.column - 1]
        if ": " in before:
            return """put quotes around text that contains ": \""""
        return "check the indentation: the settings of one step line up under each other"
    return next((text for part, text in HELPS if part in problem), None)
