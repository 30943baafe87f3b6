"""What each EmStat4 and the Nexus can do and how well, and what protects a cell on them.

Models, ranges and their numbers: MethodSCRIPT_Examples bd1a44a, palmsens/instrument.py and mscript.py. Potentials: the
MethodSCRIPT manual v1.8 (2025-10), appendix B, as others quote it. No data sheet was at hand: accuracies are from memory,
taken on the large side, the same for every range, and are to be checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cycler_ctl.instrument import Accuracy, Protection, Ratings, VoltageAccuracy, held_by


@dataclass(frozen=True, slots=True)
class Model:
    """``ranges``: full scale in A by the number a package shows; the same figures serve for sourcing."""

    name: str
    highest_V: float
    ranges: Mapping[int, float]

    @property
    def most_A(self) -> float:
        """A range is used up to its name, though it carries more: what beyond it is specified is not known here."""
        return max(self.ranges.values())

    def range_for(self, current_A: float) -> float | None:
        """The lowest range that holds this current."""
        return min((full_A for full_A in self.ranges.values() if held_by(full_A, current_A)), default=None)


def _decades(first: int, step: int, lowest: int, highest: int) -> dict[int, float]:
    return {first + step * at: float(f"1e{lowest + at}") for at in range(highest - lowest + 1)}


_LR = _decades(3, 3, -9, -2)
_HR = _decades(9, 3, -7, -1)
_NEXUS = {16: 1e-10, **_decades(0, 1, -9, -4), **_decades(8, 1, -3, 0)}
# 32 and more are the galvanostat's; 6, 7, 38 and 39 the same currents through another converter.
_NEXUS_ALL = {**_NEXUS, 6: 1e-3, 7: 1e-2, 38: 1e-3, 39: 1e-2, **_decades(32, 1, -9, -4), **_decades(40, 1, -3, 0)}
MODELS = {
    "es4_lr": Model("EmStat4 LR", 3.0, _LR),
    "es4_hr": Model("EmStat4 HR", 6.0, _HR),
    "mes4lr": Model("MultiEmStat4 LR", 3.0, _LR),
    "mes4hr": Model("MultiEmStat4 HR", 6.0, _HR),
    "nexus1": Model("Nexus", 10.0, _NEXUS_ALL),
}

RECOVERY_S = 3.0  # from an answer that should have come to the next one: 1 s for it, 1.2 s to get into step
VOLTAGE_GAIN, VOLTAGE_OFFSET_V = 2e-3, 2e-3  # from memory, on the large side
GAIN, OFFSET = 4e-3, 2e-3  # of the value and of the range; from memory, and the worst of what came to mind
REST = (
    "open circuit: the cell switch is open and the electrometer looks on; the current is said to be 0, not measured, "
    "and readings say that the output is off"
)


def why(lease_s: float) -> str:
    return (
        "the cut-offs run on the instrument: without the host the cell stays inside its window, and after "
        f"{lease_s:g} s without a reading the script ends by itself and opens the cell switch. Not covered: a script that "
        "fails at run time leaves the cell as it is until the host opens it"
    )


def ratings(model: Model, lease_s: float, interval_s: float) -> Ratings:
    return Ratings(
        voltage_V=(-model.highest_V, model.highest_V),
        current_A=model.most_A,
        ranges=tuple(
            Accuracy(full_A, GAIN, OFFSET * full_A, GAIN, OFFSET * full_A)
            for full_A in sorted(set(model.ranges.values()))
        ),
        fastest_sample_s=2 * interval_s,  # a poll begins a new measurement, whose first point takes an interval
        protection=Protection.A,
        protection_why=why(lease_s),
        rest=REST,
        slowest_sample_s=lease_s - RECOVERY_S,
        voltage_ranges=(VoltageAccuracy(model.highest_V, *(VOLTAGE_GAIN, VOLTAGE_OFFSET_V) * 2),),
        voltage_from="from memory, to be checked",
    )
