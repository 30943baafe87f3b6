"""The capacities of each cycle, and the currents that flowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.reader import RunReader
from protocols.model import Verb
from protocols.record import JSON, Mode


@dataclass(frozen=True, slots=True)
class CycleCapacity:
    """Of a completed cycle, in mAh per gram of active material, or in mAh where no mass is known (``per_gram`` False).

    ``efficiency`` is what was given back over what had been put in before (``fills_first``); None where nothing was.
    """

    cycle: int
    lithiation_mAh: float
    delithiation_mAh: float
    per_gram: bool
    efficiency: float | None


def active_mass_g(cell: Mapping[str, JSON]) -> float | None:
    """None if it is not known; the check has derived it where the cell gives enough."""
    mass_g = cell.get("active_mass_g")
    return float(mass_g) if isinstance(mass_g, int | float) and mass_g > 0 else None


def fills_first(info: RunInfo) -> Verb:
    """What puts in the charge that the other direction gives back, as ``stop_when`` has it: by ``as_built``.

    Else the direction a counted cycle begins with: the charge of a full cell, the lithiation of most half cells.
    """
    built = info.cell.get("as_built")
    if built is None:
        currents = (_counted_current_mA(step) for step in _listed(info.plan.get("steps")))
        return Verb.DELITHIATE if next((each for each in currents if each), 0.0) > 0 else Verb.LITHIATE
    return Verb.DELITHIATE if built == "lithiated" else Verb.LITHIATE


def _listed(value: JSON) -> list[JSON]:
    return value if isinstance(value, list) else []


def _counted_current_mA(step: JSON) -> float | None:
    """Positive where it delithiates; None in a rest, and before the first cycle."""
    if not isinstance(step, Mapping) or step.get("cycles") == "0":
        return None
    current_mA = step.get("current_mA")
    return float(current_mA) if isinstance(current_mA, int | float) else None


def capacity_table(reader: RunReader) -> list[CycleCapacity]:
    """Every completed cycle."""
    mass_g = active_mass_g(reader.info.cell)
    scale = 1000.0 / (mass_g or 1.0)
    delithiates_first = fills_first(reader.info) is Verb.DELITHIATE
    table: list[CycleCapacity] = []
    for cycle in reader.cycles():
        into_Ah, out_Ah = cycle.lithiation_Ah, cycle.delithiation_Ah
        first_Ah, second_Ah = (out_Ah, into_Ah) if delithiates_first else (into_Ah, out_Ah)
        efficiency = second_Ah / first_Ah if first_Ah > 0 else None
        table.append(CycleCapacity(cycle.cycle, into_Ah * scale, out_Ah * scale, mass_g is not None, efficiency))
    return table


def currents_A(reader: RunReader) -> tuple[float, float] | None:
    """The least and the largest magnitude of the constant currents that flowed, outliers aside; None: none flowed."""
    import numpy as np

    rows = reader.values(("current_A", "mode"))
    flowing = [abs(current_A) for current_A, mode in rows if mode == Mode.CURRENT]
    if not flowing:
        return None
    low_A, high_A = np.quantile(flowing, (0.02, 0.98))
    return float(low_A), float(high_A)


def currents_text(currents_A: tuple[float, float], per: float) -> str:
    """In mA, divided by ``per``: one number where all are within 5 %."""
    low, high = (current_A * 1000 / per for current_A in currents_A)
    return f"{(low + high) / 2:.3g}" if high <= 1.05 * low else f"{low:.2g} to {high:.2g}"
