"""Readings that do not change any more: where the instrument shows its noise, nobody measures there (reliability F8).

A cell on a plateau may stand in one digit of voltage for an hour, and a source keeps its current; but not both in every
digit where noise moves them. Pure decisions on frozen data, part of ``guard.py``.
"""

from __future__ import annotations

from math import nan

from cycler_ctl.instrument import Reading
from protocols.quick import quick

STUCK_S = 1800.0
STUCK_SAMPLES = 10  # in a row: with a digit of noise in either number one in a million million at most


@quick(frozen=True, slots=True)
class Same:
    """For how many readings, and s, voltage and current have been the same as before to the last digit."""

    voltage_V: float = nan
    current_A: float = nan
    count: int = 0
    time_s: float = 0.0

    def seen(self, reading: Reading, passed_s: float) -> Same:
        """What is known with this reading."""
        if (reading.voltage_V, reading.current_A) != (self.voltage_V, self.current_A):
            return Same(reading.voltage_V, reading.current_A)
        return Same(self.voltage_V, self.current_A, self.count + 1, self.time_s + passed_s)


NEW = Same()


def stuck(same: Same, stuck_s: float) -> tuple[str, str] | None:
    """(code, reason) why nothing is measured any more; None while it is."""
    if same.count < STUCK_SAMPLES or same.time_s < stuck_s:
        return None
    minutes = f"{same.time_s / 60:.3g} min"
    return "stuck", f"voltage and current have not changed in any digit for {minutes}: the readings are stuck"
