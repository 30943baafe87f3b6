"""What an output is told to do, as people say it, and how far its program may go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cycler_ctl.instrument import Protection
from cycler_ctl.live import ChannelStatus
from protocols.model import (
    CccvStep,
    ConstantCurrent,
    ConstantVoltage,
    CurrentStep,
    GittStep,
    HoldStep,
    NoteStep,
    RepeatStep,
    Rest,
    RestStep,
    Setpoint,
    Step,
)

SCALES = ((1.0, "A"), (1e-3, "mA"), (1e-6, "µA"), (1e-9, "nA"))


def doing(word: str, setpoint: Setpoint | None) -> str:
    """``lithiate 0.3927 mA``, ``hold 4.2 V, ≤ 1.6 mA``, ``rest``; the word alone while nothing is set."""
    match setpoint:
        case ConstantCurrent(current_A=current_A):
            return f"{word} {amperes(abs(current_A))}"
        case ConstantVoltage(voltage_V=voltage_V, current_limit_A=limit_A):
            return f"hold {voltage_V:.5g} V, ≤ {amperes(limit_A)}"
        case Rest() | None:
            return word


def still(may_do: Sequence[Setpoint], protection: Protection) -> str:
    """Where off is not confirmed, what may be going on: `` at -0.3927 mA, floor 0.03 V``; of two settings both."""
    return " or".join(dict.fromkeys(_still(one, protection) for one in may_do))


def _still(setpoint: Setpoint, protection: Protection) -> str:
    match setpoint:
        case ConstantCurrent(current_A=current_A, window_V=(lowest_V, highest_V)):
            edge = f"ceiling {highest_V:.4g} V" if current_A > 0 else f"floor {lowest_V:.4g} V"
            return f" at {amperes(current_A)}, {'no limit of voltage' if protection is Protection.C else edge}"
        case ConstantVoltage(voltage_V=voltage_V, current_limit_A=limit_A):
            return f" held at {voltage_V:.5g} V, at most {amperes(limit_A)}"
        case Rest():
            return " at 0 A"


def amperes(current_A: float) -> str:
    """Four digits in the unit that suits the size."""
    scale, unit = next((one for one in SCALES if abs(current_A) >= 0.09999 * one[0]), SCALES[-1])
    return f"{current_A / scale:.4g} {unit}"


def with_setpoint(status: ChannelStatus, word: str, setpoint: Setpoint | None) -> ChannelStatus:
    """The status with what the instrument was told."""
    said = doing(word, setpoint)
    match setpoint:
        case ConstantCurrent(current_A=current_A):
            return replace(status, doing=said, setpoint_A=current_A)
        case ConstantVoltage(voltage_V=voltage_V, current_limit_A=limit_A):
            return replace(status, doing=said, setpoint_V=voltage_V, current_limit_A=limit_A)
        case Rest():
            return replace(status, doing=said, setpoint_A=0.0)
        case None:
            return replace(status, doing=said)


def step_total(steps: tuple[Step, ...]) -> int:
    """How many steps a program executes at most."""
    total = 0
    for step in steps:
        match step:
            case RepeatStep():
                total += step.times * step_total(step.steps)
            case RestStep() | CurrentStep() | HoldStep():
                total += 1
            case CccvStep():
                total += 2
            case GittStep():
                total += 2 * (step.pulses or 1)
            case NoteStep():
                pass
    return total
