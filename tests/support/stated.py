"""The charge that runs state, against what really passed their simulated cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from cycler_ctl.reading import open_recording


def check_stated(folders: Iterable[Path], truths: Iterable[Mapping[str, object]]) -> None:
    """Each run's charge is its cell's within the uncertainties it states, which are small against it.

    The cells differ by more than that, so the runs and the instruments' cells are paired by their order; an output that was
    not used has passed nothing.
    """
    told = sorted(net_charge_C(folder) for folder in folders)
    passed = sorted({round(charge_C, 6) for truth in truths for charge_C in charges_C(truth)} - {0.0})
    for (net_C, allowed_C, throughput_C), truly_C in zip(told, passed, strict=True):
        assert abs(net_C - truly_C) <= allowed_C <= 0.02 * throughput_C, (net_C, truly_C, allowed_C, throughput_C)


def net_charge_C(folder: Path) -> tuple[float, float, float]:
    """(charge that oxidised the working electrode less what reduced it, its uncertainty, both added up), in C.

    Errors of one instrument go the same way, so the uncertainties of all steps are added up.
    """
    with open_recording(folder) as run:
        last = {name: column[-1] * 3600.0 for name, column in run.samples(SINCE_START).items()}
        allowed_Ah = np.nansum(run.steps()["uncertainty_Ah"])
    oxidised_C, reduced_C = (float(last[name]) for name in SINCE_START)
    return oxidised_C - reduced_C, float(allowed_Ah) * 3600.0, oxidised_C + reduced_C


SINCE_START = ("run_oxidation_Ah", "run_reduction_Ah")


def charges_C(truth: object) -> Iterator[float]:
    """What passed each cell of an instrument, however many outputs it has."""
    if not isinstance(truth, Mapping):
        return
    for name, part in truth.items():
        if name == "cell" and isinstance(part, Mapping):
            yield float(part["charge_C"])
        else:
            yield from charges_C(part)
