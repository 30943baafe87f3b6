"""The ``steps`` of a protocol: one key each, resolved to the engine's steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from protocols.diagnostics import closest, quoted
from protocols.habits import STEPS
from protocols.model import NoteStep, RepeatStep, Step
from protocols.reading.desk import Desk
from protocols.reading.fields import scalar_of
from protocols.reading.repeats import read_repeat
from protocols.reading.timed_steps import read_current, read_hold, read_rest
from protocols.reading.trail import WORDS
from protocols.reading.trains import read_gitt
from protocols.syntax import Entry, Node, Scalar, Sequence
from protocols.syntax import Mapping as MappingNode


# What other programs call these steps.
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
    desk.trail.counted = False
    near = STEPS.get(word.casefold()) or closest(word.casefold(), KNOWN)
    help_text = f"did you mean '{near}'?" if near else f"the steps are {', '.join(KNOWN)}"
    findings.error(entry.key.mark, "unknown-step", f"{quoted(word)} is not a kind of step", help_text)
    return None


def _note(desk: Desk, entry: Entry, path: str) -> NoteStep | None:
    scalar = scalar_of(desk.scope.findings, entry.value, "note")
    return None if scalar is None else NoteStep(path, scalar.value.strip())


def _repeat(desk: Desk, entry: Entry, path: str) -> RepeatStep | None:
    return read_repeat(desk, entry, path, read_steps)


READERS: Mapping[str, Callable[[Desk, Entry, str], Step | None]] = {
    "rest": read_rest,
    **dict.fromkeys(WORDS, read_current),
    "hold": read_hold,
    "gitt": read_gitt,
    "repeat": _repeat,
    "note": _note,
}
KNOWN = tuple(READERS)
