"""Cycles written out one after another, back to repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from protocols.importers.draft import Draft, Loop, Node

Shape = tuple[object, ...]


def folded(cycles: Sequence[Loop]) -> tuple[Loop, ...]:
    """Equal cycles in a row become one repeat; a list that is a shorter one again and again, too."""
    joined: list[Loop] = []
    shapes: list[Shape] = []
    for cycle in cycles:
        shape = _shape(cycle)
        if joined and shapes[-1] == shape and not _has_repeats(cycle):
            joined[-1] = replace(joined[-1], times=joined[-1].times + cycle.times)
        else:
            joined.append(cycle)
            shapes.append(shape)
    return _periodic(joined, [(loop.times, shape) for loop, shape in zip(joined, shapes, strict=True)])


def _periodic(loops: list[Loop], shapes: list[tuple[int, Shape]]) -> tuple[Loop, ...]:
    numbers = {shape: number for number, shape in enumerate(dict.fromkeys(shapes))}
    row = [numbers[shape] for shape in shapes]
    for length in range(2, len(row) // 2 + 1):
        if len(row) % length == 0 and row[length:] == row[:-length]:
            times = len(row) // length
            return (Loop(times, tuple(loops[:length]), f"{loops[0].comment}, and on: {times} times the same"),)
    return tuple(loops)


def _has_repeats(loop: Loop) -> bool:
    return any(isinstance(step, Loop) for step in loop.steps)


def _shape(node: Node) -> Shape:
    """What a step does, without where it stood and, for a whole cycle, without how often."""
    if isinstance(node, Loop):
        body = tuple((step.times if isinstance(step, Loop) else 1, _shape(step)) for step in node.steps)
        return ("loop", body, tuple(node.settings.items()))
    if isinstance(node, Draft):
        return (node.word, tuple(node.settings.items()))
    return ("note", node.text)
