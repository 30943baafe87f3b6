"""Where a protocol's sections come from: the file itself, included files, a cell's file; and its variables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from protocols.diagnostics import Mark, closest, quoted, source_of
from protocols.quantities import Quantity, QuantityError, a, read_quantity
from protocols.reading.documents import Document, Unreadable, read_document
from protocols.reading.fields import (
    ANY_NAME,
    Findings,
    Keys,
    Section,
    Variable,
    Variables,
    open_section,
    piece,
    quantity_at,
    scalar_of,
)
from protocols.syntax import Entry, Node, Scalar, Sequence, parse
from protocols.syntax import Mapping as MappingNode

SECTIONS = ("variables", "cell", "record", "safety")
PART_KEYS = Keys("an included file", SECTIONS)
MOST_INCLUDED = 10
LARGEST_PART = 1 << 16
"""Letters in an included file: a few sections, which are read whole for each protocol."""
CELL_KEYS = Keys("a cell's file", ("cell", "safety"))
NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(slots=True)
class Given:
    """Each section's entry and the documents read beside the protocol; ``complete`` False: a part is missing."""

    entries: dict[str, Entry] = field(default_factory=dict[str, Entry])
    documents: list[Document] = field(default_factory=list[Document])
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Beside:
    """What a protocol may take from elsewhere: files in its folder, and the cell given at the start.

    ``sent``: the files' texts by name where the protocol came over the network; then no file is read.
    """

    folder: Path | None
    cell: Document | None
    sent: Mapping[str, str] | None = None


def gather(findings: Findings, given: Given, top: Section, beside: Beside) -> None:
    """The sections of the protocol, its included files and the cell's file; a section given twice is an error."""
    given.entries.update({key: top.entries[key] for key in SECTIONS if key in top.entries})
    include = top.value("include")
    for number, scalar in enumerate(_names(findings, include)):
        if number == MOST_INCLUDED:
            findings.error(
                scalar.mark, "limit", f"more than {MOST_INCLUDED} files are included", "put sections together"
            )
            break
        document = _included(findings, scalar, beside)
        if document is None:
            given.complete = False
        else:
            _take(findings, given, document, PART_KEYS)
    if include is None and "include" in top.meant:
        given.complete = False
    if beside.cell is not None:
        _replace_cell(findings, given)
        _take(findings, given, beside.cell, CELL_KEYS)


def _replace_cell(findings: Findings, given: Given) -> None:
    own = given.entries.pop("cell", None)
    if own is not None:
        message = "this cell is replaced by the one given at the start"
        findings.warning(own.key.mark, "cell-replaced", message)


def _names(findings: Findings, node: Node | None) -> Iterator[Scalar]:
    nodes = node.items if isinstance(node, Sequence) else () if node is None else (node,)
    for item in nodes:
        scalar = scalar_of(findings, item, "include")
        if scalar is not None:
            yield scalar


def _included(findings: Findings, scalar: Scalar, beside: Beside) -> Document | None:
    name = scalar.value.strip()
    fault = _include_fault(name, beside)
    if fault is None:
        try:
            document = _read(name, beside)
            if len(document.text) <= LARGEST_PART:
                return document
            fault = f"{quoted(name)} is larger than {LARGEST_PART // 1024} KiB", "include only what is shared"
        except Unreadable as error:
            fault = f"cannot read {quoted(name)}: {error}", None
    findings.error(scalar.mark, "include", *fault)
    return None


def _read(name: str, beside: Beside) -> Document:
    if beside.sent is not None:
        return Document(name, beside.sent[name])
    return read_document((beside.folder or Path()) / name, name)


def _include_fault(name: str, beside: Beside) -> tuple[str, str | None] | None:
    if re.search(r"[/\\:\0]", name) or name in {"", ".", ".."}:
        return f"{quoted(name)} is not the name of a file beside this one", "give a file's name, without a folder"
    if beside.sent is not None:
        return None if name in beside.sent else (f"{quoted(name)} was not sent with this protocol", None)
    folder = beside.folder
    if folder is None:
        return (
            f"{quoted(name)} cannot be included: this protocol is not in a folder",
            "put the sections into the protocol",
        )
    if _is_file(folder / name):
        return None
    near = closest(name, sorted(path.name for path in folder.glob("*.y*ml")))
    return f"no file {quoted(name)} next to this protocol", near and f"did you mean '{near}'?"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name no file system takes, e.g. one too long
        return False


def _take(findings: Findings, given: Given, document: Document, keys: Keys) -> None:
    """Add a document's sections."""
    parsed = parse(document.text, document.name)
    findings.diagnostics.extend(parsed.diagnostics)
    given.documents.append(document)
    if parsed.root is None:
        given.complete = False
        return
    section = open_section(findings, parsed.root, keys, parsed.root.mark)
    if section is None:
        given.complete = False
        return
    for key, entry in section.entries.items():
        _add(findings, given, key, entry)


def _add(findings: Findings, given: Given, key: str, entry: Entry) -> None:
    other = given.entries.setdefault(key, entry)
    if other is not entry:
        message = f"'{key}' is already given in {other.key.mark.source.name} on line {other.key.mark.line}"
        findings.error(entry.key.mark, "include", message, "keep one of them")


def read_variables(findings: Findings, given: Given, top: Section, overrides: Mapping[str, str]) -> Variables:
    """The named quantities, after ``--set``."""
    entry = given.entries.get("variables")
    variables = {} if entry is None else _defined(findings, entry.value)
    if entry is None and not (given.complete and "variables" not in top.meant):
        variables[ANY_NAME] = Variable(None)
    for name, text in overrides.items():
        changed = _override(findings, variables, name, text)
        if changed is not None:
            variables[name] = changed
    return variables


def _defined(findings: Findings, node: Node) -> dict[str, Variable]:
    if not isinstance(node, MappingNode):
        findings.error(node.mark, "shape", "variables needs names and quantities", "write for example 'j: 0.5 mA/cm2'")
        return {ANY_NAME: Variable(None)}
    return {entry.key.value: Variable(_definition(findings, entry)) for entry in node.entries}


def _definition(findings: Findings, entry: Entry) -> Quantity | None:
    name = entry.key.value
    if NAME.fullmatch(name) is None:
        help_text = "use small letters, digits and '_', a letter first"
        findings.error(entry.key.mark, "variable", f"{quoted(name)} is not a variable's name", help_text)
    scalar = scalar_of(findings, entry.value, f"variable {name}")
    if scalar is None:
        return None
    if not scalar.value.strip():
        findings.error(entry.key.mark, "missing-value", f"{quoted(name)} has no value")
        return None
    if scalar.value.strip().startswith("$"):
        message = f"a variable cannot be defined by another variable ({quoted(scalar.value.strip())})"
        findings.error(scalar.mark, "variable", message, "write the quantity itself")
        return None
    return quantity_at(findings, piece(scalar), {}, subject=f"variable {name}")


def _override(findings: Findings, variables: Variables, name: str, text: str) -> Variable | None:
    """A quantity from the command line, of the dimension it had."""
    mark = Mark(source_of("--set", f"{name}={text}"), 1, 1)
    old = variables.get(name)
    if old is None:
        near = closest(name, variables)
        message = f"the protocol has no variable {quoted(name)} to set"
        findings.error(mark, "override", message, near and f"did you mean '{near}'?")
        return None
    try:
        quantity = read_quantity(text, subject=name)
    except QuantityError as error:
        findings.error(replace(mark, column=len(name) + 2 + error.offset), "override", error.message, error.help)
        return None
    if old.quantity is None or quantity.dimension is old.quantity.dimension:
        return Variable(quantity)
    was = old.quantity
    message = f"{name} is {a(was.dimension.value)} ({was.text}), but '{quantity.text}' is {a(quantity.dimension.value)}"
    findings.error(replace(mark, column=len(name) + 2), "override", message)
    return None
