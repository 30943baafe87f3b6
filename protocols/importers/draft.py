"""Translated steps before they are text, and their text: one comment a step that says what it was."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

PLAIN = re.compile(r"(?:[A-Za-z$]|-?[0-9])[A-Za-z0-9 ._/%°µ²<>=()+-]*(?<! )")
LONGEST_COMMENT = 160
LONGEST_TEXT = 1000


@dataclass(frozen=True, slots=True)
class Draft:
    """A step of the language: its word and the text of each setting. ``cutoff`` is the voltage alone in ``until``.

    ``then``: the comment of the hold that has become part of it.
    """

    word: str
    comment: str
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    cutoff: str | None = None
    then: str | None = None


@dataclass(frozen=True, slots=True)
class Remark:
    """A ``note:`` in the place of what could not be kept."""

    text: str
    comment: str


@dataclass(frozen=True, slots=True)
class Loop:
    """A repeat."""

    times: int
    steps: tuple[Node, ...]
    comment: str
    settings: Mapping[str, str] = field(default_factory=dict[str, str])


Node = Draft | Remark | Loop


@dataclass(frozen=True, slots=True)
class Joined:
    """Steps after each hold at the cut-off before it has become ``then_hold_until``; what changed by that."""

    steps: tuple[Node, ...]
    changed: tuple[str, ...]


def join_holds(steps: Sequence[Node]) -> Joined:
    """Holds that follow a current to the same voltage belong to it."""
    joined: list[Node] = []
    changed: list[str] = []
    for step in steps:
        before = joined[-1] if joined else None
        if isinstance(step, Draft) and isinstance(before, Draft) and _belongs(before, step):
            joined[-1] = _joined(before, step)
            changed.extend(_change(before, step))
        else:
            joined.append(step)
    return Joined(tuple(joined), tuple(changed))


def without_idle_loops(steps: Sequence[Node]) -> Iterator[Node]:
    """A repeat of nothing but notes would take no time; its notes stand alone."""
    for step in steps:
        if not isinstance(step, Loop):
            yield step
            continue
        body = tuple(without_idle_loops(step.steps))
        if all(isinstance(each, Remark) for each in body):
            yield from body
        else:
            yield replace(step, steps=body)


def _belongs(current: Draft, hold: Draft) -> bool:
    """Only where the pair can be said as one step: nothing of the hold's own but its ends."""
    mine = set(hold.settings) <= {"at", "until", "for", "record", "abort_if", "note"}
    same = all(current.settings.get(key) == hold.settings.get(key) for key in ("record", "abort_if", "note"))
    fresh = current.cutoff is not None and "then_hold_until" not in current.settings
    return hold.word == "hold" and mine and same and fresh and hold.settings["at"] == current.cutoff


def _joined(current: Draft, hold: Draft) -> Draft:
    ends = [hold.settings[key] for key in ("until", "for") if key in hold.settings]
    settings = {**current.settings, "then_hold_until": " or ".join(ends)}
    return replace(current, settings=settings, then=f"then {hold.comment}")


def _change(current: Draft, hold: Draft) -> Iterator[str]:
    if "for" in current.settings:
        yield (
            f"{hold.comment}: becomes then_hold_until of the step before it, so it is left out when that step "
            f"ends by its time ({current.settings['for']}) and not at {current.cutoff}"
        )


ORDER = (
    *("times", "count_cycles", "stop_when", "at", "until", "for", "then_hold_until", "abort_if", "on_start_met"),
    *("record", "note"),
)


def step_lines(steps: Iterable[Node], indent: str) -> Iterator[str]:
    for step in steps:
        yield f"{indent}# {comment_text(step.comment)}"
        if isinstance(step, Draft) and step.then is not None:
            yield f"{indent}# {comment_text(step.then)}"
        match step:
            case Remark():
                yield f"{indent}- note: {yaml_text(step.text)}"
            case Draft() if step.word == "rest" and set(step.settings) == {"for"}:
                yield f"{indent}- rest: {step.settings['for']}"
            case Draft():
                yield f"{indent}- {step.word}:"
                yield from _setting_lines(step.settings, f"{indent}    ")
            case Loop():
                yield f"{indent}- repeat:"
                yield from _setting_lines({"times": str(step.times), **step.settings}, f"{indent}    ")
                yield f"{indent}    steps:"
                yield from step_lines(step.steps, f"{indent}      ")


def _setting_lines(settings: Mapping[str, str], indent: str) -> Iterator[str]:
    for key in ORDER:
        if key in settings:
            yield f"{indent}{key}: {yaml_text(settings[key])}"


def comment_text(text: str) -> str:
    """One line that a terminal and a YAML reader survive."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text[: 2 * LONGEST_COMMENT])
    return shown if len(shown) <= LONGEST_COMMENT else f"{shown[: LONGEST_COMMENT - 1]}…"


def yaml_text(text: str) -> str:
    """``text`` as one YAML scalar, in quotes where it needs them."""
    text = text[:LONGEST_TEXT]
    if PLAIN.fullmatch(text):
        return text
    return f'"{"".join(map(_letter, text))}"'


def _letter(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    if letter.isprintable():
        return letter
    code = ord(letter)
    if 0xD800 <= code <= 0xDFFF:  # half a letter is none
        return "\ufffd"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
