"""``repeat``: a block, how often it runs, for which values, and what ends it early."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from protocols.model import NoteStep, RepeatStep, Step, Verb
from protocols.reading.cycles import both_ways, gives_back
from protocols.reading.desk import Desk, own_label
from protocols.reading.fields import Keys, Section, choice_of, open_section, text_of, whole_number_of
from protocols.reading.for_each import Reading, read_each, readings_of
from protocols.reading.stop_when import EFFICIENCY, read_stop_when
from protocols.reading.trail import Loop
from protocols.syntax import Entry, Node, Scalar

MOST_TIMES = 100_000
KEYS = Keys("repeat", ("times", "for_each", "stop_when", "count_cycles", "steps", "label", "note"), ("steps",))
ReadSteps = Callable[[Desk, Node, str], tuple[Step, ...]]


def read_repeat(desk: Desk, entry: Entry, path: str, read_steps: ReadSteps) -> RepeatStep | None:
    findings = desk.scope.findings
    section = open_section(findings, entry.value, KEYS, entry.key.mark)
    if section is None:
        return None
    if not section.meant & {"times", "for_each"}:
        findings.error(
            entry.key.mark, "no-end", "repeat has no end", "add 'times: 50' (a bound is needed even with stop_when)"
        )
    label = _label(desk, section)
    times = _times(desk, section)
    counts = choice_of(findings, section, "count_cycles", ("yes", "no"))
    first = len(desk.trail.seen)
    bodies = _bodies(desk, section, path, read_steps)
    after = len(desk.trail.seen)
    if times * len(bodies) != 1:
        desk.trail.loops.append(Loop(first, after))
    block = _block(path, times, counts, bodies)
    block = replace(block, label=label, note=text_of(findings, section, "note"))
    stop_when = read_stop_when(desk, section, path, _giver(desk, section, block, first))
    return replace(block, stop_when=stop_when)


def _label(desk: Desk, section: Section) -> str | None:
    label = own_label(desk, section)
    if label is not None:
        desk.trail.repeats.add(label)
    return label


def _times(desk: Desk, section: Section) -> int:
    """Once where it is not said, or wrong; then nobody knows how many cycles there will be."""
    times = whole_number_of(desk.scope.findings, section, "times", 1, MOST_TIMES)
    if times is None and "times" in section.meant:
        desk.trail.counted = False
    return times or 1


def _bodies(
    desk: Desk, section: Section, path: str, read_steps: ReadSteps
) -> tuple[tuple[Reading, tuple[Step, ...]], ...]:
    def body(desk: Desk, section: Section) -> tuple[Step, ...]:
        return _body(desk, section, path, read_steps)

    return read_each(desk, section, readings_of(desk.scope, section), body)


def _body(desk: Desk, section: Section, path: str, read_steps: ReadSteps) -> tuple[Step, ...]:
    node = section.value("steps")
    if node is None:
        return ()
    steps = read_steps(desk, node, f"{path}.")
    if steps and all(isinstance(step, NoteStep) for step in steps):
        desk.scope.findings.error(
            node.mark, "shape", "a repeat of notes alone would take no time", "add a step, for example '- rest: 10 min'"
        )
    return steps


def _block(
    path: str, times: int, counts: str | None, bodies: tuple[tuple[Reading, tuple[Step, ...]], ...]
) -> RepeatStep:
    """With ``for_each``, one pass over a repeat for each value."""
    repeats = tuple(
        RepeatStep(path, times, _counts(counts, steps), steps, values=reading.values) for reading, steps in bodies
    )
    if not repeats[0].values:
        return repeats[0]
    return RepeatStep(path, 1, counts=False, steps=repeats)


def _counts(said: str | None, steps: tuple[Step, ...]) -> bool:
    """A pass is a cycle unless it holds repeats, which count for themselves."""
    return said == "yes" if said is not None else not any(isinstance(step, RepeatStep) for step in steps)


def _giver(desk: Desk, section: Section, block: RepeatStep, first: int) -> Verb | None:
    """For a coulombic efficiency: the verb that gives the charge back."""
    node = section.value("stop_when")
    if not isinstance(node, Scalar) or EFFICIENCY not in node.value:
        return None
    if not both_ways(desk.trail.seen[first:]):
        message = "a coulombic efficiency needs both a lithiate and a delithiate in each cycle"
        desk.scope.findings.error(node.mark, "reference", message, "add the other step, or watch a capacity")
        return None
    return gives_back(desk.scope.facts.cell, block)
