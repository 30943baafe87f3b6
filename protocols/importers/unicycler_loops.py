"""Loops that jump back in a list of steps, to blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from protocols.importers.draft import Loop, Node, Remark
from protocols.importers.report import Problem, Wrong


@dataclass(frozen=True, slots=True)
class Jump:
    """``target``: a tag, or a 1-based place with tags counted."""

    target: str | int
    times: int
    comment: str


@dataclass(frozen=True, slots=True)
class Placed:
    """What stands at one place of the list: a step, a tag, a loop, or (skipped, faulty) nothing of these."""

    place: str
    step: Node | None = None
    tag: str | None = None
    jump: Jump | None = None

    @classmethod
    def skipped(cls, problem: Problem) -> Placed:
        text = f"left out: {problem.place}: {problem.message}"
        return cls(problem.place, Remark(text, f"{problem.place}: could not be kept"))


@dataclass(frozen=True, slots=True)
class _Block:
    """A step or a whole loop, and the indices of its first and last place."""

    first: int
    last: int
    node: Node


def nested(placed: Sequence[Placed]) -> tuple[Node, ...]:
    """The steps as blocks; raises ``Wrong`` where loops cross or lead nowhere."""
    tags: dict[str, int] = {}
    blocks: list[_Block] = []
    for index, each in enumerate(placed):
        if each.tag is not None:
            if each.tag in tags:
                raise Wrong(each.place, f"the tag {each.tag!r} is given twice")
            tags[each.tag] = index
        elif each.jump is not None:
            _fold(blocks, tags, each, each.jump, index)
        elif each.step is not None:
            blocks.append(_Block(index, index, each.step))
    return tuple(block.node for block in blocks)


def _fold(blocks: list[_Block], tags: dict[str, int], at: Placed, jump: Jump, index: int) -> None:
    """Take the blocks from the jump's target on into one."""
    first = _target(tags, at, jump, index)
    body: list[_Block] = []
    while blocks and blocks[-1].last >= first:
        body.insert(0, blocks.pop())
    if not body:
        raise Wrong(at.place, "this loop has nothing to repeat")
    if body[0].first < first:
        raise Wrong(at.place, "this loop crosses another one: it begins inside it and ends outside")
    blocks.append(_Block(first, index, Loop(jump.times, tuple(block.node for block in body), jump.comment)))


def _target(tags: dict[str, int], at: Placed, jump: Jump, index: int) -> int:
    if isinstance(jump.target, str):
        if jump.target not in tags:
            raise Wrong(f"{at.place}.loop_to", f"there is no tag {jump.target!r} above this loop")
        return tags[jump.target]
    if not 1 <= jump.target <= index:
        raise Wrong(f"{at.place}.loop_to", f"{jump.target} is not the place of a step above this loop (1 to {index})")
    return jump.target - 1
