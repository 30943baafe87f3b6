"""What one reading after another tells of leads and cell: contact resistance, slew, power, a short, a reversed cell.

Limits that a channel may set; none of them is there by default but the polarity, where the cell allows it. The first
reading after a setpoint stands at an edge: it tells the resistance, and is no slew. Pure decisions, part of ``guard.py``.
"""

from __future__ import annotations

from math import inf

from cycler_ctl.guarding.limits import GuardLimits
from cycler_ctl.instrument import Reading

EDGE_S = 12.0
"""The last reading before a setpoint is no older than this, or something else happened between: the slowest period, and settling."""
EDGE_SHARE = 0.05
"""A smaller change of the current, as a share of the larger of both, says nothing about a resistance."""

Found = tuple[str, str]
"""(code, reason)"""


def beyond(limits: GuardLimits, reading: Reading) -> Found | None:
    """Of one reading alone; ``None`` where it is provably inside."""
    voltage_V, (low_V, high_V) = reading.voltage_V, limits.polarity_V
    if not (low_V <= voltage_V <= high_V):
        return (
            "polarity",
            f"voltage {voltage_V:.5g} V is outside the polarity window {_span(low_V, high_V)}: {REVERSED}",
        )
    if not (voltage_V >= limits.v_short_V):
        return "short", f"voltage {voltage_V:.5g} V is below {limits.v_short_V:.5g} V (v_short): is the cell shorted?"
    power_W = abs(voltage_V * reading.current_A)
    if not (power_W <= limits.power_W):
        return "power", f"power {_watts(power_W)} is beyond the channel's limit of {_watts(limits.power_W)}"
    return None


REVERSED = "is the cell reversed, or empty?"


def changed(limits: GuardLimits, before: Reading | None, reading: Reading, *, at_edge: bool) -> Found | None:
    """Of this reading and the last one; ``before`` None: there was none."""
    if before is None:
        return None
    return _resistance(limits.r_max_ohm, before, reading) if at_edge else _slew(limits, before, reading)


def _resistance(r_max_ohm: float, before: Reading, reading: Reading) -> Found | None:
    change_A, change_V = reading.current_A - before.current_A, reading.voltage_V - before.voltage_V
    told = abs(change_A) > EDGE_SHARE * max(abs(reading.current_A), abs(before.current_A))
    if r_max_ohm == inf or not told or reading.at_s - before.at_s > EDGE_S:
        return None
    found_ohm = change_V / change_A
    if found_ohm <= r_max_ohm:
        return None
    at_most = f"{r_max_ohm:.4g} Ω (r_max)"
    return "resistance", f"the step's edge shows {found_ohm:.4g} Ω, more than {at_most}: check the cell's contacts"


def _slew(limits: GuardLimits, before: Reading, reading: Reading) -> Found | None:
    slew_max_V_s = limits.slew_max_V_s
    change_V, passed_s = abs(reading.voltage_V - before.voltage_V), max(reading.at_s - before.at_s, limits.slew_over_s)
    if slew_max_V_s == inf or change_V <= slew_max_V_s * passed_s:
        return None
    numbers = f"the voltage moved by {change_V * 1e3:.4g} mV in {passed_s:.3g} s"
    return "slew", f"{numbers}, faster than {slew_max_V_s * 1e3:.4g} mV/s (slew_max): check the sense leads"


def _span(low_V: float, high_V: float) -> str:
    return f"above {low_V:.4g} V" if high_V == inf else f"{low_V:.4g} V to {high_V:.4g} V"


def _watts(power_W: float) -> str:
    return f"{power_W:.4g} W" if power_W >= 0.1 else f"{power_W * 1e3:.4g} mW"
