"""Which way a condition counts, and which conditions can never end the step they stand in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from protocols.model import Op, Verb, Watched

SIGNED = frozenset({Watched.VOLTAGE, Watched.TEMPERATURE})
GROWING = frozenset({Watched.TIME, Watched.CAPACITY, Watched.ENERGY})


class Kind(StrEnum):
    """How a step regulates, as far as conditions care."""

    CURRENT = "current"
    REST = "rest"
    HOLD = "hold"
    TRAIN = "train"
    """Pulses of a current: as a current, but no hold can follow."""

    @property
    def drives(self) -> bool:
        """A current of known direction moves the voltage one way."""
        return self in {Kind.CURRENT, Kind.TRAIN}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a condition stands. ``verb`` None in a current step: its word could not be resolved."""

    key: str
    word: str
    kind: Kind
    verb: Verb | None = None

    @property
    def aborts(self) -> bool:
        return self.key == "abort_if"

    @property
    def settled(self) -> bool:
        """False while nobody knows what the step's word does to the electrode."""
        return not self.kind.drives or self.verb is not None


def toward(verb: Verb) -> Op:
    """How a voltage cut-off is reached: the voltage falls while lithium goes in."""
    return Op.AT_MOST if verb is Verb.LITHIATE else Op.AT_LEAST


def implied_op(watched: Watched, place: Place) -> Op | None:
    """What a bare quantity means here; None where it must be said."""
    if watched in GROWING:
        return Op.AT_LEAST
    if place.aborts:
        return None
    if watched is Watched.VOLTAGE and place.kind.drives:
        return None if place.verb is None else toward(place.verb)
    # A voltage during a hold is refused whichever way it counts.
    falls = watched in {Watched.CURRENT, Watched.SLOPE} or (watched is Watched.VOLTAGE and place.kind is Kind.HOLD)
    return Op.AT_MOST if falls else None


def direction_fault(comparison: tuple[Watched, Op], text: str, place: Place) -> tuple[str, str | None] | None:
    """Why this clause can never end (or at once ends) the step it stands in, and what to write."""
    watched, op = comparison
    said = f"{watched.value} {op.value} {text}"
    if watched in GROWING and op is Op.AT_MOST:
        return (
            f"the {watched.value} only grows, so '{said}' holds from the start",
            f"did you mean '{watched.value} >= {text}'?",
        )
    if place.aborts:
        return None
    return _fault_in(comparison, said, text, place)


def _fault_in(comparison: tuple[Watched, Op], said: str, text: str, place: Place) -> tuple[str, str | None] | None:
    watched, op = comparison
    match place.kind:
        case Kind.REST if watched in {Watched.CURRENT, Watched.CAPACITY, Watched.ENERGY}:
            return (
                f"no current flows during {place.word}, so '{said}' cannot end it",
                "use time, dV/dt, voltage or temperature",
            )
        case Kind.HOLD if watched in {Watched.VOLTAGE, Watched.SLOPE}:
            fixed = f"the voltage is fixed during {place.word}, so '{said}' cannot end it"
            return fixed, "use current, time, capacity or temperature, for example 'C/20 or 2 h'"
        case Kind.CURRENT | Kind.TRAIN if watched is Watched.CURRENT:
            fixed = f"the current is fixed during {place.word}, so it cannot end the step"
            taper = f"for a taper, use then_hold_until: {text}"
            return fixed, taper if place.kind is Kind.CURRENT else "use voltage, capacity, time, temperature or dV/dt"
        case Kind.CURRENT | Kind.TRAIN if watched is Watched.VOLTAGE:
            return _wrong_way(op, said, text, place)
        case _:
            return None


def _wrong_way(op: Op, said: str, text: str, place: Place) -> tuple[str, str | None] | None:
    if place.verb is None or op is toward(place.verb):
        return None
    moves = "falls" if place.verb is Verb.LITHIATE else "rises"
    message = f"the voltage {moves} during {place.word}, so '{said}' holds from the start or never"
    return message, f"did you mean 'voltage {toward(place.verb).value} {text}'?"
