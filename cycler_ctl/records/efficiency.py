"""What a cycle gives back of what was put into it."""

from __future__ import annotations

from cycler_ctl.records.curves import fills_first
from cycler_ctl.store.info import RunInfo
from protocols.model import Verb
from protocols.record import CycleSummary


def charge_efficiency(info: RunInfo, cycle: CycleSummary) -> float | None:
    """Charge given back over charge put in before; None where nothing was put in."""
    if fills_first(info) is Verb.DELITHIATE:
        return share(cycle.lithiation_Ah, cycle.delithiation_Ah)
    return share(cycle.delithiation_Ah, cycle.lithiation_Ah)


def energy_efficiency(info: RunInfo, cycle: CycleSummary) -> float | None:
    """Discharge over charge; None where the cell does not say what discharge is."""
    if info.discharge_means is None:
        return None
    if info.discharge_means is Verb.LITHIATE:
        return share(cycle.lithiation_Wh, cycle.delithiation_Wh)
    return share(cycle.delithiation_Wh, cycle.lithiation_Wh)


def share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None
