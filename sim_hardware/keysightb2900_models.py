"""The B2900 family as data: channels, ranges, and what a channel can do.

SCPI command reference of the B2961A (Ed. 6) p. 2-36, the same output stage; B2900 user's guide (Ed. 5) p. 2-14 and its
data sheet p. 16. The B-series is taken to be like the A-series, for no data sheet of it was at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

VOLT, CURR, RES = "VOLT", "CURR", "RES"
VOLTS = (0.2, 2.0, 20.0, 200.0)
AMPERES = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 1.5, 3.0)  # 10 A is for pulses only
# (up to this voltage, so much current), p. 2-36.
ENVELOPE = ((6.0, 3.03), (21.0, 1.515), (210.0, 0.105))


@dataclass(frozen=True, slots=True)
class Model:
    """``ranges`` by quantity, ascending."""

    name: str
    channels: int
    ranges: Mapping[str, tuple[float, ...]]


def _model(name: str) -> Model:
    """The last digit counts channels; a 1 in the third place means the finer instrument, with 10 nA."""
    currents = (1e-8, *AMPERES) if name[3] == "1" else AMPERES
    return Model(name, int(name[4]), {VOLT: VOLTS, CURR: currents})


NAMES = tuple(f"B29{number}{series}" for series in "AB" for number in ("01", "02", "11", "12"))
FAMILY: Mapping[str, Model] = {name: _model(name) for name in NAMES}


def most_current(voltage_V: float) -> float:
    """What a channel may carry at this voltage; nothing beyond its highest."""
    return next((current_A for bound_V, current_A in ENVELOPE if abs(voltage_V) <= bound_V), 0.0)
