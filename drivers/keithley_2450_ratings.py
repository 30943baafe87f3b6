"""What the 2450 family can do and how well, and what protects a cell on it.

The 2450's figures are those of SPEC-2450 Rev. A (July 2013). For the 2460, 2461 and 2470 no data sheet was at hand: the
ranges of the 2461 are those of its manual (2461-901-01 Rev. A p. 6-97), all else is from memory or the 2450's.
"""

from __future__ import annotations

from cycler_ctl.instrument import Accuracy, Protection, Ratings, VoltageAccuracy
from drivers.source_measure import HIGHEST_V

Row = tuple[float, float, float, float, float]
Spec = tuple[Row, ...]

REST_RANGE_A = 1e-6  # of every model; below it a current source settles slowly

# (range, source gain and offset, measure gain and offset); sinking is worse and is accounted for in accuracy().
DECADES: Spec = (
    (1e-6, 2.5e-4, 400e-12, 2.5e-4, 300e-12),
    (10e-6, 2.5e-4, 1.5e-9, 2.5e-4, 700e-12),
    (100e-6, 2e-4, 15e-9, 2e-4, 6e-9),
    (1e-3, 2e-4, 150e-9, 2e-4, 60e-9),
    (10e-3, 2e-4, 1.5e-6, 2e-4, 600e-9),
    (100e-3, 2.5e-4, 15e-6, 2.5e-4, 6e-6),
    (1.0, 6.7e-4, 900e-6, 3e-4, 500e-6),
)
NANOAMPERES: Spec = ((10e-9, 1e-3, 100e-12, 1e-3, 50e-12), (100e-9, 6e-4, 150e-12, 6e-4, 100e-12))
SPEC_2450: Spec = (*NANOAMPERES, *DECADES)
SPEC_2460: Spec = (*DECADES, (4.0, 1.5e-3, 5e-3, 1.5e-3, 5e-3))  # what its 20 V range carries; guessed
SPEC_2470: Spec = (*NANOAMPERES, *DECADES[:4], (20e-3, 4.5e-4, 4e-6, 3.5e-4, 1.2e-6), *DECADES[5:])  # 20 mA: a 2410's
SPECS = {"2450": SPEC_2450, "2460": SPEC_2460, "2461": SPEC_2460, "2470": SPEC_2470}

OVERRANGE = 1.04  # 105 % of a range can be sourced and measured; less is used, as the limit is off by 0.3 %
SMALLEST_LIMIT = 0.107  # of the measure range: 10.6 % on a 2470 (p. 12-78), 10 % by SPEC-2450
VOLTAGES = (
    VoltageAccuracy(0.2, 1.5e-4, 200e-6, 1.2e-4, 200e-6),
    VoltageAccuracy(2.0, 2e-4, 300e-6, 1.2e-4, 300e-6),
    VoltageAccuracy(20.0, 1.5e-4, 2.4e-3, 1.5e-4, 1e-3),
)
VOLTAGES_FROM = "SPEC-2450 Rev. A p. 2"

SINK_GAIN, SINK_OFFSET = 1.5e-3, 4.0  # SPEC-2450 note 4, 1 uA to 100 mA; its figures are those of SPEC-2400 note 3
SINK_GAIN_1A, SINK_OFFSET_1A = 1.5e-2, 8.0  # from memory of the same notes, to be checked
LIMIT_GAIN = 3.2e-3  # SPEC-2450, supplemental: regulating by the limit adds 0.3 % of setting and 0.02 % of reading

WHY_BOUNDED = "bounded constant current: without the host the cell is held at the window's edge, for ever; no watchdog"
WHY_CURRENT = "plain current source: without the host nothing inside the instrument stops a charge or discharge"
REST = "0 A sourced on the 1 uA range, relay closed, four wires; may leak 0.4 nA (the range's source offset)"


def ratings(model: str, regulation: str, nplc: float) -> Ratings:
    bounded = regulation == "bounded"
    return Ratings(
        voltage_V=(-HIGHEST_V, HIGHEST_V),
        current_A=SPECS[model][-1][0],
        ranges=tuple(_accuracy(row, regulation) for row in SPECS[model]),
        fastest_sample_s=0.03 + 0.12 * nplc,  # source read-back and measurement, each with references, 20 ms a cycle
        protection=Protection.B if bounded else Protection.C,
        protection_why=WHY_BOUNDED if bounded else WHY_CURRENT,
        rest=REST,
        shows_noise=True,
        voltage_ranges=VOLTAGES,
        voltage_from=VOLTAGES_FROM if model == "2450" else f"{VOLTAGES_FROM}; a {model} is taken to be alike",
        range_fill=OVERRANGE,
        least_current=SMALLEST_LIMIT if bounded else 0.0,
        least_limit=SMALLEST_LIMIT,
    )


def _accuracy(row: Row, regulation: str) -> Accuracy:
    """What a setting and a reading may be off by, sinking included."""
    range_A, source_gain, source_offset_A, measure_gain, measure_offset_A = row
    gain, times = (SINK_GAIN_1A, SINK_OFFSET_1A) if range_A >= 1 else (SINK_GAIN, SINK_OFFSET)
    limit_gain = LIMIT_GAIN if regulation == "bounded" else 0.0
    sourcing = (source_gain + limit_gain, source_offset_A)
    worst = max(gain, source_gain) + limit_gain
    return Accuracy(range_A, worst, times * source_offset_A, measure_gain, measure_offset_A, sourcing)
