"""Where in a protocol's text each step stands, so that the page can mark the one being executed."""

from __future__ import annotations

from collections.abc import Iterator

from protocols.syntax import Mapping, Node, Sequence, parse


def step_lines(text: str) -> dict[str, int]:
    """The line each step begins on, by the step's id; nothing of steps that stand in an included file."""
    root = parse(text, "protocol").root
    return dict(_below(root, ""))


def _below(node: Node | None, path: str) -> Iterator[tuple[str, int]]:
    """Of the list under ``steps``; a repeat has another list in it."""
    steps = _value(node, "steps")
    if not isinstance(steps, Sequence):
        return
    for number, step in enumerate(steps.items, start=1):
        here = f"{path}{number}"
        yield here, step.mark.line
        if isinstance(step, Mapping):
            for entry in step.entries:
                yield from _below(entry.value, f"{here}.")


def _value(node: Node | None, name: str) -> Node | None:
    entries = node.entries if isinstance(node, Mapping) else ()
    return next((entry.value for entry in entries if entry.key.value == name), None)
