"""The steps of a program as they run, one after another, to compare with what another program would run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from protocols.model import CccvStep, Condition, CurrentStep, HoldStep, RepeatStep, RestStep, Step, Watched


@dataclass(frozen=True, slots=True)
class Flat:
    """``current_A`` is positive when charging, ``ends`` the value of each lone clause by what it watches."""

    word: str
    value: float
    ends: tuple[tuple[Watched, float], ...]


def _ends(until: Condition) -> tuple[tuple[Watched, float], ...]:
    """A condition that must hold with another is none here."""
    assert all(len(each.clauses) == 1 for each in until)
    return tuple(sorted((clause.watched, clause.value) for each in until for clause in each.clauses))


def flat(steps: tuple[Step, ...]) -> Iterator[Flat]:
    for step in steps:
        match step:
            case RepeatStep():
                for _ in range(step.times):
                    yield from flat(step.steps)
            case CccvStep():
                yield from flat((step.current, step.hold))
            case CurrentStep():
                sign = 1 if step.word == "charge" else -1
                yield Flat(step.word, sign * abs(step.current_A), _ends(step.until))
            case HoldStep():
                yield Flat("hold", step.voltage_V, _ends(step.until))
            case RestStep():
                yield Flat("rest", 0.0, _ends(step.until))
            case _:
                pass


def counted_passes(steps: tuple[Step, ...]) -> int:
    """How many cycles the program counts."""
    loops = [step for step in steps if isinstance(step, RepeatStep)]
    return sum(loop.times * (counted_passes(loop.steps) + loop.counts) for loop in loops)
