"""What a start will do to a cell, in one sentence: for who is about to say yes, on the page or at a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from cycler_ctl.config import ChannelSettings
from cycler_ctl.guarding.for_a_run import milliamps, span
from cycler_ctl.running.arming import hold_limit_A
from protocols.plan import Plan
from protocols.quantities import format_duration


def sentence(plan: Plan, channel: str, settings: ChannelSettings) -> str:
    """Names the cell, the largest current as an absolute number and the window that the guard keeps."""
    safety = plan.program.safety
    window = span(safety.voltage_V or settings.limits.voltage_V)
    most_A = max(_currents_A(plan, settings), default=0.0)
    what = f"passes at most {milliamps(most_A)}" if most_A else "passes no current"
    head = f"Channel {channel} ({settings.instrument}) {what} through cell {plan.program.cell.name}"
    return f"{head}, within {window}, {_duration(plan)}."


def _currents_A(plan: Plan, settings: ChannelSettings) -> Iterator[float]:
    """Magnitudes; a hold without a limit of its own may take what the channel allows."""
    for step in plan.steps:
        if step.current_A is not None:
            yield abs(step.current_A)
        if step.hold_V is not None:
            yield hold_limit_A(settings, plan.program.safety) if step.limit_A is None else step.limit_A


def _duration(plan: Plan) -> str:
    expected, most = format_duration(plan.expected_s), format_duration(plan.at_most_s)
    if not plan.bounded:
        return f"for about {expected}, with no longest time"
    return f"for at most {most}" if most == expected else f"for about {expected}, at most {most}"
