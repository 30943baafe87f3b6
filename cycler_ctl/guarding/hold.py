"""What the guard makes of a voltage that is held: the charge it may have passed, and contact or regulation lost.

A source that limits its current to ``current_limit_A`` shows one of two things: the voltage it was told, or its limit
flowing towards it. Anything else is no regulation: one such reading may be a fault of the line and is not believed (the
engine, which would take a small current for the end of the hold, never sees it); some in a row are a fault of the cell's
connection. Pure decisions on frozen data, part of ``guard.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cycler_ctl.instrument import Reading
from protocols.model import ConstantVoltage

OPEN = "open-circuit"
TOLERANCE_V, TOLERANCE = 0.010, 1e-3  # more than an SMU's source and meter are off by together, and that share of V
AT_LIMIT = 0.9  # of the limit: an instrument that limits is nearer to it than this
OVER, OVER_A = 1.1, 10e-9  # beyond its limit; the latter is the offset of the lowest ranges
LOST_V = 0.1  # a voltage once held falls no further while its limit flows, unless the cell is shorted
ODD_SAMPLES = 3
# A lifted lead: a current that was steady and well above the noise is next to nothing one reading later. A cell that
# fills up falls more slowly, and the charging of its surfaces falls just as steeply one reading before.
OPEN_FROM, OPEN_DROP, STEADY = 0.01, 20.0, 2.0
OPEN_SAMPLES = 2


@dataclass(frozen=True, slots=True)
class Held:
    """Seen so far: the last two currents believed (magnitudes, None before), whether the voltage was ever reached.

    ``odd``: readings in a row that are not believed, for they show no regulation.
    """

    last_A: float | None = None
    before_A: float | None = None
    reached: bool = False
    odd: int = 0


NEW = Held()


def worst_A(held: Held, setpoint: ConstantVoltage, current_A: float) -> float:
    """What to count with since the last reading: the larger of the currents at its two ends.

    A held cell's current falls, so that is never less than flowed. To count with the limit, as for a constant
    current, would end every long taper at the ceiling of its charge. Before the first reading the limit may flow.
    """
    last_A = setpoint.current_limit_A if held.last_A is None else held.last_A
    return max(abs(current_A), last_A)


def seen(held: Held, setpoint: ConstantVoltage, reading: Reading) -> Held:
    """What is known with this reading."""
    if _fault(held, setpoint, reading) is not None:
        return replace(held, odd=held.odd + 1)
    return Held(abs(reading.current_A), held.last_A, held.reached or _is_held(setpoint, reading))


def contact(held: Held, setpoint: ConstantVoltage, reading: Reading) -> tuple[str, str] | None:
    """(code, reason) of a hold that is none; ``held`` is what is known with this reading."""
    fault = _fault(held, setpoint, reading) if held.odd else None
    if fault is None or held.odd < (OPEN_SAMPLES if fault[0] == OPEN else ODD_SAMPLES):
        return None
    return fault


def _fell_open(held: Held, setpoint: ConstantVoltage, current_A: float) -> bool:
    """With the engine this current would end the hold as if it had tapered off."""
    if held.last_A is None or held.before_A is None or not held.last_A >= OPEN_FROM * setpoint.current_limit_A:
        return False
    return current_A * OPEN_DROP <= held.last_A and held.before_A <= STEADY * held.last_A


def _fault(held: Held, setpoint: ConstantVoltage, reading: Reading) -> tuple[str, str] | None:
    wanted = f"{setpoint.voltage_V:.5g} V with at most {amps(setpoint.current_limit_A)}"
    if not abs(reading.current_A) <= max(OVER * setpoint.current_limit_A, setpoint.current_limit_A + OVER_A):
        return "current-limit", f"{_now(reading)}: the instrument does not keep the limit of {wanted}"
    if _is_held(setpoint, reading):
        return _open(held, reading) if _fell_open(held, setpoint, abs(reading.current_A)) else None
    if not _limits(setpoint, reading):
        return (
            "not-held",
            f"{_now(reading)} instead of {wanted}: the voltage is not held; check sense leads and polarity",
        )
    if held.reached and not abs(reading.voltage_V - setpoint.voltage_V) <= LOST_V:
        return "not-held", f"{_now(reading)}: the voltage was held and has broken down ({wanted}); is the cell shorted?"
    return None


def _open(held: Held, reading: Reading) -> tuple[str, str]:
    reason = (
        f"open circuit: {_now(reading)} where {amps(held.last_A or 0.0)} flowed before; "
        "check the leads and the cell's contacts"
    )
    return OPEN, reason


def _is_held(setpoint: ConstantVoltage, reading: Reading) -> bool:
    tolerance_V = TOLERANCE_V + TOLERANCE * abs(setpoint.voltage_V)
    return abs(reading.voltage_V - setpoint.voltage_V) <= tolerance_V


def _limits(setpoint: ConstantVoltage, reading: Reading) -> bool:
    """The limit flows towards the voltage: the cell is on its way there."""
    towards_A = reading.current_A if reading.voltage_V < setpoint.voltage_V else -reading.current_A
    return towards_A >= AT_LIMIT * setpoint.current_limit_A


def _now(reading: Reading) -> str:
    return f"{reading.voltage_V:.5g} V and {amps(reading.current_A)}"


def amps(current_A: float) -> str:
    return f"{current_A:.5g} A" if abs(current_A) >= 0.1 else f"{current_A * 1e3:.5g} mA"
