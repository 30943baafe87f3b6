"""The part of an imported file above its steps: where it came from, its cell, record and safety."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from protocols.diagnostics import render
from protocols.importers.draft import Node, comment_text, step_lines, without_idle_loops, yaml_text
from protocols.importers.limits import section, tightest
from protocols.importers.report import Imported, Notebook, Problem, Refused, Request
from protocols.syntax import Mapping as MappingNode
from protocols.syntax import Node as SyntaxNode
from protocols.syntax import Scalar, parse

UNNAMED = "unnamed"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the foreign file says besides its steps, as texts of this language."""

    program: str
    name: str
    cell: Mapping[str, str] = field(default_factory=dict[str, str])
    record: str | None = None
    safety: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Given:
    """What a cell's file says: the lines of its ``cell:`` and the limits of its ``safety:``."""

    cell: Mapping[str, str]
    safety: Mapping[str, str]


def whole(request: Request, notebook: Notebook, facts: Facts, steps: Sequence[Node]) -> Imported:
    """The protocol's file; raises ``Refused`` where a problem was noted."""
    given = _given(request, notebook)
    cell = _cell(request, notebook, facts, given)
    own = {key: yaml_text(text) for key, text in facts.safety.items()}
    safety = own if given is None else tightest(notebook, cell, own, given.safety)
    if notebook.problems:
        raise Refused(notebook.problems)
    lines = [*_head(request, facts), *section("cell", cell)]
    if facts.record is not None:
        lines.append(f"record: {facts.record}")
    lines += [*section("safety", safety), "steps:", *step_lines(without_idle_loops(steps), "  ")]
    return Imported("\n".join(lines) + "\n", tuple(notebook.kept), tuple(notebook.changed), tuple(notebook.lost))


def _head(request: Request, facts: Facts) -> Iterator[str]:
    file_name = request.document.name.replace("\\", "/").rsplit("/", 1)[-1]
    source = f"{file_name} ({facts.program}), sha256 {request.sha256}"
    yield from ("protocol: 1", f"name: {yaml_text(facts.name)}", f"source: {yaml_text(source)}")
    yield f"# imported; {comment_text('each comment below is the step as it was there')}"


def _given(request: Request, notebook: Notebook) -> Given | None:
    """The cell's file as text, value by value."""
    if request.cell is None:
        return None
    parsed = parse(request.cell.text, request.cell.name)
    if parsed.diagnostics or not isinstance(parsed.root, MappingNode):
        words = render(parsed.diagnostics[0]) if parsed.diagnostics else f"{request.cell.name}: this is not a cell file"
        notebook.problems.append(Problem("", words))
        return None
    top = {entry.key.value: entry.value for entry in parsed.root.entries}
    for key in sorted(set(top) - {"cell", "safety"}):
        notebook.problems.append(Problem("", f"{request.cell.name}: a cell's file may have cell and safety, not {key}"))
    return Given(_entries(top.get("cell")), _entries(top.get("safety")))


def _entries(node: SyntaxNode | None) -> Mapping[str, str]:
    return {entry.key.value: _flow(entry.value) for entry in node.entries} if isinstance(node, MappingNode) else {}


def _flow(node: SyntaxNode) -> str:
    if isinstance(node, Scalar):
        return yaml_text(node.value)
    if isinstance(node, MappingNode):
        return "{" + ", ".join(f"{yaml_text(each.key.value)}: {_flow(each.value)}" for each in node.entries) + "}"
    return "[" + ", ".join(_flow(item) for item in node.items) + "]"


def _cell(request: Request, notebook: Notebook, facts: Facts, given: Given | None) -> Mapping[str, str]:
    """The cell's file wins over what the foreign file says; what it does not say is added."""
    own = {key: yaml_text(text) for key, text in facts.cell.items()}
    own["discharge_means"] = request.discharge_means
    if given is None:
        notebook.changed.append(_convention(request.discharge_means))
        if "name" not in own:
            notebook.changed.append(f"cell: it has no name there; written as '{UNNAMED}'")
        return {"name": UNNAMED, **own}
    for key in sorted(set(given.cell) & set(own)):
        if given.cell[key] != own[key]:
            notebook.changed.append(f"cell.{key}: {given.cell[key]}, as the cell's file says, not {own[key]}")
    means = given.cell.get("discharge_means", request.discharge_means)
    notebook.changed.append(_convention(means))
    return {**own, **given.cell}


def _convention(means: str) -> str:
    said = f"charge and discharge keep their names; 'discharge_means: {means}' says what they do to the electrode"
    if means == "lithiate":
        return said
    return f"{said}, so that a charge lowers the voltage: check the sign and the direction of every voltage"
