"""The ``steps`` of a protocol: one key each, resolved to the engine's steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from protocols.diagnostics import closest, quoted
from protocols.fields import (
    Keys,
    Section,
    choice_of,
    open_section,
    scalar_of,
    text_of,
    whole_number_of,
)
from protocols.later_steps import UNSUPPORTED_STEPS, check_for_each, check_later_step, check_stop_when
from protocols.model import (
    NoteStep,
    RepeatStep,
    Step,
)
from protocols.syntax import Entry, Node, Scalar, Sequence
from protocols.syntax import Mapping as MappingNode
from protocols.timed_steps import Desk, own_label, read_current, read_rest
from protocols.trail import WORDS, Loop

MOST_TIMES = 100_000
REPEAT_KEYS = ("times", "for_each", "stop_when", "count_cycles", "steps", "label", "note")
# What other programs call these steps.
HABITS: Mapping[str, str] = {
    **dict.fromkeys(("ocv", "ocp", "open_circuit_voltage", "open_circuit", "wait", "pause", "relax"), "rest"),
    **dict.fromkeys(("loop", "cycle", "for", "times"), "repeat"),
    **dict.fromkeys(("cv", "constant_voltage", "CV"), "hold"),
    **dict.fromkeys(("cc", "CC", "constant_current"), "lithiate"),
    **dict.fromkeys(("comment", "message", "log"), "note"),
}


def read_steps(desk: Desk, node: Node, prefix: str = "") -> tuple[Step, ...]:
    """The steps that could be read, in order; faults are reported."""
    if not isinstance(node, Sequence):
        desk.scope.findings.error(node.mark, "shape", "steps needs a list", "begin each step with '- '")
        return ()
    if not node.items:
        desk.scope.findings.error(
            node.mark, "shape", "steps is empty", "write at least one step, for example '- rest: 10 min'"
        )
    read = [_item(desk, item, f"{prefix}{number}") for number, item in enumerate(node.items, start=1)]
    return tuple(step for step in read if step is not None)


def _item(desk: Desk, node: Node, path: str) -> Step | None:
    findings = desk.scope.findings
    if not isinstance(node, MappingNode):
        shown = quoted(node.value) if isinstance(node, Scalar) and node.value else "this"
        word = _first_word(node)
        findings.error(node.mark, "shape", f"{shown} is not a step", f"write it as '- {word}: ...' with a colon")
        return None
    if len(node.entries) != 1:
        at = node.entries[1].key.mark if node.entries else node.mark
        message = f"a step is one name with its settings under it, but here are {len(node.entries)} names"
        findings.error(at, "shape", message, "indent the settings under the step, or begin a new step with '- '")
        return None
    return _step(desk, node.entries[0], path)


def _first_word(node: Node) -> str:
    words = node.value.split() if isinstance(node, Scalar) else []
    return words[0] if words and words[0] in KNOWN else "rest"


def _step(desk: Desk, entry: Entry, path: str) -> Step | None:
    findings, word = desk.scope.findings, entry.key.value
    if isinstance(entry.value, Scalar) and not entry.value.value.strip() and word in KNOWN:
        findings.error(entry.key.mark, "missing-value", f"{quoted(word)} has no value")
        return None
    if word in READERS:
        return READERS[word](desk, entry, path)
    if word in UNSUPPORTED_STEPS:
        check_later_step(desk.scope, entry)
        return None
    near = HABITS.get(word) or closest(word, KNOWN)
    findings.error(
        entry.key.mark, "unknown-step", f"{quoted(word)} is not a kind of step", near and f"did you mean '{near}'?"
    )
    return None


def _note(desk: Desk, entry: Entry, path: str) -> NoteStep | None:
    scalar = scalar_of(desk.scope.findings, entry.value, "note")
    return None if scalar is None else NoteStep(path, scalar.value.strip())


def _repeat(desk: Desk, entry: Entry, path: str) -> RepeatStep | None:
    findings = desk.scope.findings
    section = open_section(findings, entry.value, Keys("repeat", REPEAT_KEYS, ("steps",)), entry.key.mark)
    if section is None:
        return None
    if not section.meant & {"times", "for_each"}:
        findings.error(
            entry.key.mark, "no-end", "repeat has no end", "add 'times: 50' (a bound is needed even with stop_when)"
        )
    times = whole_number_of(findings, section, "times", 1, MOST_TIMES)
    label = own_label(desk, section)
    scope = replace(desk.scope, variables=check_for_each(desk.scope, section))
    check_stop_when(scope, section)
    counts = choice_of(findings, section, "count_cycles", ("yes", "no"))
    steps = _body(replace(desk, scope=scope), section, path, times)
    inner = any(isinstance(step, RepeatStep) for step in steps)
    return RepeatStep(
        path=path,
        times=times or 1,
        counts=not inner if counts is None else counts == "yes",
        steps=steps,
        label=label,
        note=text_of(findings, section, "note"),
    )


def _body(desk: Desk, section: Section, path: str, times: int | None) -> tuple[Step, ...]:
    node = section.value("steps")
    if node is None:
        return ()
    first = len(desk.trail.seen)
    steps = read_steps(desk, node, f"{path}.")
    after = len(desk.trail.seen)
    if times != 1:
        desk.trail.loops.append(Loop(first, after))
    if steps and all(isinstance(step, NoteStep) for step in steps):
        desk.scope.findings.error(node.mark, "shape", "a repeat of notes alone would take no time", "add a step")
    return steps


READERS: Mapping[str, Callable[[Desk, Entry, str], Step | None]] = {
    "rest": read_rest,
    **dict.fromkeys(WORDS, read_current),
    "repeat": _repeat,
    "note": _note,
}
KNOWN = (*READERS, *UNSUPPORTED_STEPS)
