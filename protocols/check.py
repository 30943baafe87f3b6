"""A protocol's text to a ``Program``: every error of the language, with file, line and column.

>>> checked = check_text("protocol: 1", "p.yaml")
>>> print(render(checked.diagnostics[0]).splitlines()[0])
p.yaml:1:1: error[missing-key]: the protocol needs 'name'
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from protocols.diagnostics import Diagnostic, Mark, Severity, diagnostic_at, has_errors, quoted, render, source_of
from protocols.model import CccvStep, Cell, GittStep, Program, RepeatStep, Step
from protocols.reading.amounts import CellFacts, Scope
from protocols.reading.cell import NO_NAME, read_cell
from protocols.reading.cycles import check_stops
from protocols.reading.desk import Desk
from protocols.reading.documents import Document, Unreadable, read_document
from protocols.reading.envelope import DEFAULT_RECORD, NO_ENVELOPE, Envelope, read_record, read_safety
from protocols.reading.fields import (
    MOST_DIAGNOSTICS,
    Findings,
    Keys,
    Section,
    TooMany,
    open_section,
    scalar_of,
    text_of,
)
from protocols.reading.sections import SECTIONS, Beside, Given, gather, read_variables
from protocols.reading.steps_text import read_steps
from protocols.reading.trail import Trail, check_references
from protocols.syntax import Mapping as MappingNode
from protocols.syntax import Parsed, parse

__all__ = ["Checked", "Document", "check_text", "load_protocol", "render"]

VERSION = "1"
KEYS = Keys(
    "the protocol",
    ("protocol", "name", "description", "author", "source", "include", *SECTIONS, "steps"),
    ("protocol", "name", "steps"),
)
MOST_EXECUTED_STEPS = 1_000_000


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of a check. ``program`` is None where there is an error; diagnostics are in file order.

    ``text`` and ``sha256`` are the protocol's own; ``documents`` are the included files and the cell's file as read.
    """

    program: Program | None
    diagnostics: tuple[Diagnostic, ...]
    text: str
    sha256: str
    documents: tuple[Document, ...] = ()


def load_protocol(path: Path, *, overrides: Mapping[str, str] | None = None, cell_path: Path | None = None) -> Checked:
    """Check the file at ``path``, with files it includes from its folder and the cell in ``cell_path``."""
    try:
        text = read_document(path).text
        cell = None if cell_path is None else read_document(cell_path)
    except Unreadable as error:
        return _unreadable(str(path), f"cannot read this file: {error}")
    return check_text(text, str(path), overrides=overrides, cell=cell, folder=path.parent)


def _unreadable(name: str, message: str) -> Checked:
    diagnostic = diagnostic_at(Mark(source_of(name, ""), 1, 1), Severity.ERROR, "file", message)
    return Checked(None, (diagnostic,), "", _sha256(""))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def check_text(
    text: str,
    file_name: str,
    *,
    overrides: Mapping[str, str] | None = None,
    cell: Document | None = None,
    folder: Path | None = None,
    sent: Mapping[str, str] | None = None,
) -> Checked:
    """Check a protocol; never raises. ``folder`` None: it may not include other files, but for those ``sent`` along."""
    findings, given, program = Findings(), Given(), None
    try:
        top = _top(findings, parse(text, file_name))
        if top is not None:
            gather(findings, given, top, Beside(folder, cell, sent))
            program = _program(findings, top, given, overrides or {})
    except TooMany:
        program = None
    diagnostics = _in_file_order(findings.diagnostics, file_name)
    good = None if has_errors(diagnostics) or len(diagnostics) > MOST_DIAGNOSTICS else program
    return Checked(good, diagnostics, text, _sha256(text), tuple(given.documents))


def _in_file_order(diagnostics: list[Diagnostic], file_name: str) -> tuple[Diagnostic, ...]:
    """The protocol's own first, each file by line and column."""
    return tuple(sorted(diagnostics, key=lambda each: (each.file != file_name, each.file, each.line, each.column)))


def _top(findings: Findings, parsed: Parsed) -> Section | None:
    findings.diagnostics.extend(parsed.diagnostics)
    if parsed.root is None:
        if not parsed.diagnostics:
            findings.error(Mark(parsed.source, 1, 1), "shape", "the file is empty", "begin with 'protocol: 1'")
        return None
    if not isinstance(parsed.root, MappingNode):
        findings.error(parsed.root.mark, "shape", "this is not a protocol", "begin with 'protocol: 1'")
        return None
    if parsed.root.entries and {entry.key.value for entry in parsed.root.entries} <= set(SECTIONS):
        file_name = parsed.source.name.replace("\\", "/").rsplit("/", 1)[-1]
        help_text = f"check the protocol that says 'include: {file_name}', or begin with 'protocol: 1'"
        findings.error(parsed.root.mark, "shape", "this is no protocol, but a file for one to include", help_text)
        return None
    return open_section(findings, parsed.root, KEYS, parsed.root.mark)


def _program(findings: Findings, top: Section, given: Given, overrides: Mapping[str, str]) -> Program:
    """The program as far as it can be read; worth something only if nothing was found wrong."""
    _check_version(findings, top)
    variables = read_variables(findings, given, top, overrides)
    facts = _facts(top, given, Scope(findings, variables, CellFacts(Cell(NO_NAME))))
    desk = _desk(findings, top, given, Scope(findings, variables, facts))
    steps = _steps(desk, top)
    check_references(findings, desk.trail)
    check_stops(findings, desk.trail, steps)
    return Program(
        name=text_of(findings, top, "name") or "",
        cell=facts.cell,
        safety=desk.envelope.safety,
        steps=steps,
        description=text_of(findings, top, "description") or "",
        author=text_of(findings, top, "author") or "",
        source=text_of(findings, top, "source") or "",
        variables=tuple((name, each.quantity.text) for name, each in variables.items() if each.quantity is not None),
    )


def _check_version(findings: Findings, top: Section) -> None:
    node = top.value("protocol")
    scalar = None if node is None else scalar_of(findings, node, "protocol")
    if scalar is not None and scalar.value != VERSION:
        message = f"this program reads protocol version {VERSION}, not {quoted(scalar.value)}"
        findings.error(scalar.mark, "version", message)


def _facts(top: Section, given: Given, scope: Scope) -> CellFacts:
    """The cell; where its name is misspelt or a file that may hold it is missing, nothing is said to lack."""
    entry = given.entries.get("cell")
    if entry is None:
        return CellFacts(Cell(NO_NAME), known=given.complete and "cell" not in top.meant)
    return read_cell(scope.findings, entry.value, entry.key.mark, scope.variables)


def _desk(findings: Findings, top: Section, given: Given, scope: Scope) -> Desk:
    record = None
    entry = given.entries.get("record")
    if entry is not None:
        record = read_record(scope, entry.value)
    elif given.complete and "record" not in top.meant:
        message = "no record: is given, so a point is kept every 10 s or 5 mV"
        findings.warning(top.mark, "no-record", message, "add 'record: every 10 s or 5 mV'")
    envelope = _envelope(findings, top, given, scope)
    return Desk(scope, envelope, record or DEFAULT_RECORD, Trail(scope.facts.cell.discharge_means))


def _envelope(findings: Findings, top: Section, given: Given, scope: Scope) -> Envelope:
    entry = given.entries.get("safety")
    if entry is not None:
        return read_safety(scope, entry.value, entry.key.mark)
    if given.complete and "safety" not in top.meant:
        message = "no safety: is given, so only the channel's own limits protect the cell"
        findings.warning(top.mark, "no-safety", message, "add 'safety: {voltage: -0.1 V to 2.5 V, current: 2 mA}'")
    return NO_ENVELOPE


def _steps(desk: Desk, top: Section) -> tuple[Step, ...]:
    entry = top.entries.get("steps")
    if entry is None:
        return ()
    steps = read_steps(desk, entry.value)
    executed = _executed(steps)
    if executed > MOST_EXECUTED_STEPS:
        message = f"the protocol runs {executed} steps, more than {MOST_EXECUTED_STEPS}"
        desk.scope.findings.error(entry.key.mark, "limit", message, "lower times: (or pulses:)")
    return steps


def _executed(steps: tuple[Step, ...]) -> int:
    return sum(map(_executed_of, steps))


def _executed_of(step: Step) -> int:
    """Steps of the record; a train without a number of pulses is ended by its ``until``, nobody knows when."""
    match step:
        case RepeatStep():
            return step.times * _executed(step.steps)
        case GittStep():
            return 2 * (step.pulses or 1)
        case CccvStep():
            return 2
        case _:
            return 1
