"""What a run's record tells of the measurement itself: the resistance at each step's edge, and clocks that were set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cycler_ctl.errors import BadReply, InstrumentError
from cycler_ctl.instrument import Ratings, Reading
from cycler_ctl.running.fittings import Fittings
from cycler_ctl.running.retries import Retries
from protocols.events import Sampled
from protocols.model import ConstantCurrent, ConstantVoltage, Setpoint
from protocols.record import JSON, EventKind
from protocols.running.state import Phase, State

RAW_BYTES = 256
CLOCK_STEP_S = 1.0
"""Between two readings: more than any clock drifts, and than time servers slew."""
EDGE_S = 10.0
"""A step's first sample comes this soon after the last of the one before, or something else happened between."""
EDGE_SHARE = 0.05
"""A smaller change of the current, as a share of the larger of both, says nothing about a resistance."""

Notice = tuple[EventKind, Mapping[str, JSON]]


@dataclass(slots=True)
class Clocks:
    """Compares the wall clock with the monotonic one, which alone decides."""

    ahead_s: float | None = None
    """By how much the wall clock was ahead at the last look."""

    def look(self, now_s: float, utc_s: float) -> tuple[Notice, ...]:
        ahead_s, before_s = utc_s - now_s, self.ahead_s
        self.ahead_s = ahead_s
        if before_s is None or abs(ahead_s - before_s) <= CLOCK_STEP_S:
            return ()
        step_s = round(ahead_s - before_s, 3)
        text = "the computer's clock was set; run times and charges do not follow it"
        return ((EventKind.WARNING, {"text": text, "clock_step_s": step_s}),)


class Notices:
    """What each reading gives cause to tell."""

    def __init__(self, fit: Fittings) -> None:
        self._fit = fit
        self._clocks = Clocks()
        self._retries = Retries()

    def of(self, before: State, after: State, reading: Reading, setpoint: Setpoint | None) -> tuple[Notice, ...]:
        return (
            *edge(before, after, reading, setpoint, self._fit.channel.ratings),
            *self._clocks.look(self._fit.clock.now(), self._fit.clock.utc()),
            *self._retries.over(after.course.step_count),
        )

    def lost(self, state: State, error: InstrumentError) -> tuple[Notice, ...]:
        """A reading that did not come, or could not be read."""
        answer: Mapping[str, JSON] = {"raw": escaped(error.raw)} if isinstance(error, BadReply) else {}
        return self._retries.one_more(state.course.step_count, str(error), **answer)


def escaped(raw: bytes) -> str:
    """What was answered, to the byte, in characters that any log can hold."""
    return repr(raw[:RAW_BYTES])[2:-1]


def edge(
    before: State, after: State, reading: Reading, setpoint: Setpoint | None, ratings: Ratings
) -> tuple[Notice, ...]:
    """At the first sample of a step: the change of voltage over that of the current, and how the instrument measures."""
    first, last = after.live.sample, before.live.sample
    if first is None or after.step is None or after.step.first is not first or first is last:
        return ()
    resistance_ohm = None if last is None or before.phase is not Phase.RUNNING else _resistance_ohm(last, first)
    data: dict[str, JSON] = {
        "step_count": after.course.step_count,
        "resistance_ohm": resistance_ohm,
        "from_V": None if last is None else last.voltage_V,
        "from_A": None if last is None else last.current_A,
        "to_V": first.voltage_V,
        "to_A": first.current_A,
        "after_s": None if last is None else first.at_s - last.at_s,
        "range_A": range_A(setpoint, ratings),
        "flags": list[JSON](sorted(flag.value for flag in reading.flags)),
    }
    return ((EventKind.EDGE, data),)


def _resistance_ohm(last: Sampled, first: Sampled) -> float | None:
    change_A = first.current_A - last.current_A
    largest_A = max(abs(first.current_A), abs(last.current_A))
    if first.at_s - last.at_s > EDGE_S or not abs(change_A) > EDGE_SHARE * largest_A:
        return None
    return (first.voltage_V - last.voltage_V) / change_A


def range_A(setpoint: Setpoint | None, ratings: Ratings) -> float | None:
    """Full scale of the range that the driver takes for the setpoint; it stays the same through a step. None: not known."""
    match setpoint:
        case ConstantCurrent(current_A=current_A):
            most_A = abs(current_A)
        case ConstantVoltage(current_limit_A=current_limit_A):
            most_A = current_limit_A
        case _:
            return None
    held = ratings.range_for(most_A)
    return None if held is None else held.range_A
