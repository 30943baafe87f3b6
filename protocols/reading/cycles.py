"""Cycles as they will be counted: what a ``stop_when`` can refer to, and which verb gives the charge back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from protocols.model import CccvStep, Cell, CurrentStep, GittStep, RepeatStep, Step, Verb
from protocols.reading.fields import Findings
from protocols.reading.trail import Seen, StopAt, Trail


@dataclass(frozen=True, slots=True)
class Counted:
    """The cycles a repeat counts each time it runs, and the highest number the last of them can have."""

    inside: int
    highest: int


def check_stops(findings: Findings, trail: Trail, steps: Sequence[Step]) -> None:
    """Every cycle a ``stop_when`` names must be one that can have been completed."""
    if not trail.counted or not trail.stops:
        return
    counted = dict(_counted(steps, 0))
    for path, stop in trail.stops.items():
        if path in counted:
            _check_stop(findings, stop, counted[path])


def _check_stop(findings: Findings, stop: StopAt, counted: Counted) -> None:
    if not counted.inside:
        message = "nothing in this repeat counts as a cycle, so stop_when is never asked"
        help_text = "take 'count_cycles: no' from the repeat that is one cycle a pass"
        findings.error(stop.at.mark, "reference", message, help_text)
    elif stop.cycle is not None and (stop.of_cycle or 0) > counted.highest:
        message = (
            f"there can be no cycle {stop.of_cycle}: the last that this repeat can count is cycle {counted.highest}"
        )
        findings.error(stop.cycle.mark, "reference", message, f"name one of the cycles 1 to {counted.highest}")
    elif stop.run is not None and stop.cycles > counted.inside:
        message = f"stop_when wants {stop.cycles} cycles in a row, but this repeat counts {counted.inside}"
        findings.error(stop.run.mark, "out-of-range", message, "take fewer cycles, or raise times:")


def _counted(steps: Sequence[Step], before: int) -> Iterator[tuple[str, Counted]]:
    """Each repeat by its path, as it runs for the last time; of equal paths (``for_each``) the outer one comes last."""
    for step in steps:
        if isinstance(step, RepeatStep):
            one_pass = int(step.counts) + cycles_in(step.steps)
            yield from _counted(step.steps, before + (step.times - 1) * one_pass + int(step.counts))
            before += step.times * one_pass
            yield step.path, Counted(step.times * one_pass, before)


def cycles_in(steps: Sequence[Step]) -> int:
    return sum(
        step.times * (int(step.counts) + cycles_in(step.steps)) for step in steps if isinstance(step, RepeatStep)
    )


def gives_back(cell: Cell, repeat: RepeatStep) -> Verb | None:
    """The verb that takes out what the other put in: by how the cell was built, else the second of a cycle."""
    if cell.as_built is not None:
        return Verb.LITHIATE if cell.as_built == "lithiated" else Verb.DELITHIATE
    for counting in _counting(repeat):
        verbs = [*dict.fromkeys(_verbs(counting.steps))]
        if len(verbs) > 1:
            return verbs[1]
    return None


def _counting(repeat: RepeatStep) -> Iterator[RepeatStep]:
    if repeat.counts:
        yield repeat
    for step in repeat.steps:
        if isinstance(step, RepeatStep):
            yield from _counting(step)


def _verbs(steps: Sequence[Step]) -> Iterator[Verb]:
    for step in steps:
        match step:
            case RepeatStep():
                yield from _verbs(step.steps)
            case CurrentStep():
                yield step.verb
            case CccvStep():
                yield step.current.verb
            case GittStep():
                yield step.pulse.verb
            case _:
                pass


def both_ways(seen: Sequence[Seen]) -> bool:
    """Whether the steps may pass charge in and out; a word nobody could resolve may be either."""
    return any(not each.settled for each in seen) or len({each.verb for each in seen} - {None}) > 1
