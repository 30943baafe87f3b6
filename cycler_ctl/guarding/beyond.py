"""A cell that is beyond the voltage window of the current that comes next: none may flow, and the step's conditions decide.

Driven to the window's edge from the wrong side, its current would flow against the verb; instruments refuse that. It is
read at 0 A instead, and what is read is the step's first reading. Pure decisions, part of ``runner.py``.
"""

from __future__ import annotations

from cycler_ctl.running.fittings import Fittings, narrowed, rest_of
from protocols.model import Condition, ConstantCurrent, Program, Setpoint, Watched
from protocols.running.place import doing, train_until
from protocols.running.state import State, Streaks

NEAR_V = 0.002  # two readings of an instrument, this one and the one it goes by itself, differ by less
WAITS = "the cell is beyond the step's voltage window: it is read at 0 A first"


def let_through(fit: Fittings, setpoint: Setpoint, voltage_V: float | None) -> tuple[Setpoint, ConstantCurrent | None]:
    """What is set, inside the channel's limits; and the current that waits while that is only 0 A."""
    allowed = narrowed(setpoint, fit.limits_V, fit.hold_limit_A)
    if isinstance(allowed, ConstantCurrent) and beyond(allowed, voltage_V):
        return rest_of(fit), allowed
    return allowed, None


def beyond(setpoint: Setpoint, voltage_V: float | None) -> bool:
    """Whether the cell is past the edge that this current drives it to; ``None``: nobody knows where it is."""
    if not isinstance(setpoint, ConstantCurrent) or voltage_V is None or setpoint.current_A == 0.0:
        return False
    return not (_within_V(setpoint, voltage_V) > NEAR_V)


def _within_V(setpoint: ConstantCurrent, voltage_V: float) -> float:
    low_V, high_V = setpoint.window_V
    return high_V - voltage_V if setpoint.current_A > 0 else voltage_V - low_V


def is_ending(program: Program, state: State) -> bool:
    """Whether it is only a matter of time until the step ends, or safety ends the run: a cut-off or a limit is passed."""
    what, live = doing(program, state.course.place), state.live
    if what is None:
        return False
    train, until = len(train_until(what)), what.step.until
    return bool(live.beyond) or _is_passed(until[:train], live.train) or _is_passed(until[train:], live.until)


def _is_passed(condition: Condition, streaks: Streaks) -> bool:
    """An alternative that is nothing but a voltage holds, but not for long enough yet."""
    clauses = [(clause, len(one.clauses) == 1) for one in condition for clause in one.clauses]
    return any(
        lone and clause.watched is Watched.VOLTAGE and streak is not None and streak.samples > 0
        for (clause, lone), streak in zip(clauses, streaks, strict=False)  # no streaks: nothing held yet
    )


def no_current(setpoint: ConstantCurrent, voltage_V: float) -> str:
    """Why the run ends, and what to write instead."""
    edge_V = setpoint.window_V[1 if setpoint.current_A > 0 else 0]
    return (
        f"the cell has {voltage_V:.4g} V at 0 A, at or beyond the {edge_V:.4g} V to which this step may drive it, and "
        "nothing in its 'until' ends it there: give it a voltage cut-off of its own, or a step before it that leads back"
    )
