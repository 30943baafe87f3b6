"""The steps in file order, for what points from one to another: labels and references such as ``previous lithiate``."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from protocols.diagnostics import Mark, closest, quoted
from protocols.model import LabelOf, PreviousOf, Reference, Verb
from protocols.reading.fields import Findings, Piece
from protocols.syntax import Scalar

WORDS = ("lithiate", "delithiate", "charge", "discharge")
PREVIOUS = re.compile(r"previous\s+(?P<word>lithiate|delithiate|charge|discharge|step)")
CYCLE = re.compile(r"cycle\s+[0-9]+")
MISREAD = re.compile(
    r"(?:^|\s)(?:and|or|for|of)(?:\s|$)|^previous\s|^(?:theoretical|nominal)$|^cycle\s+[0-9]+$|[%<>=≤≥$]"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """A step that takes time. ``verb`` None: a rest, a hold, or a word nobody could resolve (``settled`` False).

    ``charge`` is False for a rest, which passes none.
    """

    verb: Verb | None
    label: str | None
    settled: bool = True
    charge: bool = True


@dataclass(frozen=True, slots=True)
class Loop:
    """Steps ``first`` up to, not including, ``after`` may run more than once, so a later one may come before."""

    first: int
    after: int


@dataclass(frozen=True, slots=True)
class Use:
    """A reference and the step it stands in."""

    at: Piece
    step: int


@dataclass(frozen=True, slots=True)
class StopAt:
    """Where a ``stop_when`` names a cycle (``cycle``, None if it names none) and how many in a row it wants."""

    at: Piece
    cycle: Piece | None
    of_cycle: int | None
    run: Piece | None
    cycles: int


@dataclass(slots=True)
class Trail:
    """What was passed while reading; grows in file order."""

    discharge_means: Verb | None
    seen: list[Seen] = field(default_factory=list[Seen])
    loops: list[Loop] = field(default_factory=list[Loop])
    uses: list[Use] = field(default_factory=list[Use])
    labels: dict[str, Mark] = field(default_factory=dict[str, Mark])
    repeats: set[str] = field(default_factory=set[str])
    """Labels of repeats, which have no capacity of their own."""
    stops: dict[str, StopAt] = field(default_factory=dict[str, StopAt])
    """By the path of their repeat."""
    counted: bool = True
    """False: a repeat could not be read, so that nobody knows how many cycles there are."""
    readings: int = 0
    """Pieces of text read again for another value of a ``for_each``."""
    missing: list[str] = field(default_factory=list[str])
    """Words that could not be resolved, already reported where they stand."""


def resolve(word: str, discharge_means: Verb | None) -> Verb | None:
    """What a word does to the working electrode."""
    if word in tuple(Verb):
        return Verb(word)
    if discharge_means is None:
        return None
    other = Verb.DELITHIATE if discharge_means is Verb.LITHIATE else Verb.LITHIATE
    return discharge_means if word == "discharge" else other


def take_label(findings: Findings, trail: Trail, scalar: Scalar) -> str | None:
    """The label, if it is new and cannot be misread where it is used."""
    label = scalar.value.strip()
    if MISREAD.search(label):
        message = f"the label {quoted(label)} would be misread in a condition"
        findings.error(scalar.mark, "conflict", message, "use letters, digits and '_'")
        return None
    # A body is read once for each value of its for_each: the same place is the same label.
    first = trail.labels.setdefault(label, scalar.mark)
    if (first.line, first.column) != (scalar.mark.line, scalar.mark.column):
        message = f"the label {quoted(label)} is already used on line {first.line}"
        findings.error(scalar.mark, "duplicate-label", message, "give each step a label of its own")
        return None
    return label


def reference_of(trail: Trail, name: str) -> Reference:
    """The model's reference for a name; whether it points anywhere is checked at the end."""
    previous = PREVIOUS.fullmatch(name)
    if previous is None:
        return LabelOf(name)
    return PreviousOf(None if previous["word"] == "step" else resolve(previous["word"], trail.discharge_means))


@dataclass(frozen=True, slots=True)
class Order:
    """Where each verb and label stands, and for each step the end of the outermost loop around it."""

    places: Mapping[str, list[int]]
    reach: list[int]

    def runs_before(self, name: str, step: int) -> bool:
        """Another step of that name stands earlier, or later in a common loop, so that it may come round earlier."""
        places = self.places.get(name, [])
        later = bisect_right(places, step)
        return bool(places and places[0] < step) or (later < len(places) and places[later] < self.reach[step])


def check_references(findings: Findings, trail: Trail) -> None:
    """Every reference must name a step that can have run before."""
    order = Order(_places(trail), _reach(trail))
    # Read again for another value, a reference stands where it stood.
    for use in {(use.at.mark.line, use.at.mark.column): use for use in trail.uses}.values():
        _check_use(findings, trail, use, order)


def _reach(trail: Trail) -> list[int]:
    reach = list(range(len(trail.seen)))
    for loop in trail.loops:
        for step in range(loop.first, loop.after):
            reach[step] = max(reach[step], loop.after)
    return reach


def _places(trail: Trail) -> Mapping[str, list[int]]:
    """In file order; a step of an unresolved word may be any verb."""
    places: dict[str, list[int]] = {}
    for index, step in enumerate(trail.seen):
        verbs: set[str] = set(Verb) if not step.settled else set() if step.verb is None else {step.verb}
        named = {"step", f"label {step.label}"} if step.charge else set[str]()
        for name in named | verbs:
            places.setdefault(name, []).append(index)
    return places


def _check_use(findings: Findings, trail: Trail, use: Use, order: Order) -> None:
    previous = PREVIOUS.fullmatch(use.at.text)
    if previous is None:
        if not order.runs_before(f"label {use.at.text}", use.step):
            _report_unknown(findings, trail, use)
        return
    word = previous["word"]
    verb = None if word == "step" else resolve(word, trail.discharge_means)
    if word != "step" and verb is None:
        _report_unsettled(findings, trail, use, word)
    elif not order.runs_before(word if verb is None else verb.value, use.step):
        what = "step with a current" if word == "step" else word
        findings.error(use.at.mark, "reference", f"there is no {what} before this step")


def _report_unsettled(findings: Findings, trail: Trail, use: Use, word: str) -> None:
    """``previous discharge`` while nobody knows what discharge means: said once, at a step if one has the word."""
    if not trail.missing:
        findings.error(use.at.mark, "convention", *convention_fault(word, None))


def convention_fault(word: str, active_material: str | None) -> tuple[str, str]:
    half_cell = f"a Li | {active_material} half cell" if active_material else "a Li half cell"
    message = (
        f"'{word}' needs cell: discharge_means, because discharge lithiates {half_cell} "
        "but delithiates the same electrode in a full cell"
    )
    return message, "add 'discharge_means: lithiate' to cell:, or say lithiate / delithiate"


def _report_unknown(findings: Findings, trail: Trail, use: Use) -> None:
    findings.error(use.at.mark, "reference", *_unknown(trail, use))


def _unknown(trail: Trail, use: Use) -> tuple[str, str | None]:
    name = use.at.text
    if CYCLE.fullmatch(name):
        return f"a share of {quoted(name)} can only be asked for in stop_when", "write it as stop_when: of the repeat"
    if name in trail.repeats:
        return f"{quoted(name)} is a repeat, which has no capacity of its own", "label a step inside it"
    own = [index for index, seen in enumerate(trail.seen) if seen.label == name]
    if own and not trail.seen[own[0]].charge:
        return f"{quoted(name)} is a rest, which passes no charge", "name a step with a current"
    if own and own[0] == use.step:
        return f"{quoted(name)} is this step itself", "name a step before it"
    if own:
        return f"{quoted(name)} comes after this step, so it has no capacity yet", "name a step before it"
    return f"{quoted(name)} names no earlier step", _reference_help(name, trail.labels)


def _reference_help(name: str, labels: Collection[str]) -> str | None:
    label = closest(name, [label for label in labels if label != name])
    if label is not None:
        return f"did you mean '{label}'?"
    if closest(name, ("theoretical", "nominal")):
        return f"did you mean '{closest(name, ('theoretical', 'nominal'))}'?"
    word = closest(name.removeprefix("previous").strip(), WORDS)
    return "give the step a label, or write 'previous lithiate'" if word is None else f"did you mean 'previous {word}'?"
