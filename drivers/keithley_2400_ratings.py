"""What a 2400 can do and how well, and what protects a cell on it. Figures: SPEC-2400 Rev. H where not said otherwise."""

from __future__ import annotations

from cycler_ctl.instrument import Accuracy, Protection, Ratings, VoltageAccuracy
from drivers.source_measure import HIGHEST_V

Row = tuple[float, float, float, float, float]
Spec = tuple[Row, ...]


# (range, source gain and offset, measure gain and offset); sinking is worse and is accounted for in accuracy().
SPEC_2400: Spec = (
    (1e-6, 3.5e-4, 600e-12, 2.9e-4, 300e-12),
    (10e-6, 3.3e-4, 2e-9, 2.7e-4, 700e-12),
    (100e-6, 3.1e-4, 20e-9, 2.5e-4, 6e-9),
    (1e-3, 3.4e-4, 200e-9, 2.7e-4, 60e-9),
    (10e-3, 4.5e-4, 2e-6, 3.5e-4, 600e-9),
    (100e-3, 6.6e-4, 20e-6, 5.5e-4, 6e-6),
    (1.0, 2.7e-3, 900e-6, 2.2e-3, 570e-6),
)
SPEC_2410: Spec = (*SPEC_2400[:4], (20e-3, 4.5e-4, 4e-6, 3.5e-4, 1.2e-6), *SPEC_2400[5:])
SPECS = {"2400": SPEC_2400, "2401": SPEC_2400, "2410": SPEC_2410}

# Source: p. 1, measurement: p. 2. The measurement of a 2410 on 20 V is better (0.015 % + 1 mV).
VOLTAGES = (
    VoltageAccuracy(0.2, 2e-4, 600e-6, 1.2e-4, 300e-6),
    VoltageAccuracy(2.0, 2e-4, 600e-6, 1.2e-4, 300e-6),
    VoltageAccuracy(20.0, 2e-4, 2.4e-3, 1.5e-4, 1.5e-3),
)
VOLTAGES_FROM = "SPEC-2400 Rev. H p. 1 and 2"

SINK_GAIN, SINK_OFFSET = 1.5e-3, 4.0  # SPEC-2400 note 3, 1 uA to 100 mA
SINK_GAIN_2410, SINK_OFFSET_2410 = 5e-3, 3.0  # from memory of SPEC-2410 note 3, to be checked
SINK_GAIN_1A, SINK_OFFSET_1A = 1.5e-2, 8.0  # from memory of SPEC-2400 note 3, to be checked
COMPLIANCE_OFFSET = 3e-3  # of range: what regulating by the limit adds to the setting; to be checked

WHY_BOUNDED = "bounded constant current: without the host the cell is held at the window's edge, for ever; no watchdog"
WHY_CURRENT = "plain current source: without the host nothing inside the instrument stops a charge or discharge"
REST = "0 A sourced on the lowest current range, relay closed, four wires; may leak 0.6 nA (the range's source offset)"


def ratings(model: str, regulation: str, nplc: float) -> Ratings:
    bounded = regulation == "bounded"
    return Ratings(
        voltage_V=(-HIGHEST_V, HIGHEST_V),
        current_A=SPECS[model][-1][0],
        ranges=accuracy(SPECS[model], model, regulation),
        fastest_sample_s=0.03 + 0.12 * nplc,  # two quantities, auto zero, 20 ms a cycle, and the way there
        protection=Protection.B if bounded else Protection.C,
        protection_why=WHY_BOUNDED if bounded else WHY_CURRENT,
        rest=REST,
        shows_noise=True,
        voltage_ranges=VOLTAGES,
        voltage_from=VOLTAGES_FROM if model == "2400" else f"{VOLTAGES_FROM}; a {model} is taken to be alike",
    )


def accuracy(spec: Spec, model: str, regulation: str) -> tuple[Accuracy, ...]:
    """What a setting and a reading may be off by, sinking included."""
    return tuple(_range_accuracy(row, model, regulation) for row in spec)


def _range_accuracy(row: Row, model: str, regulation: str) -> Accuracy:
    range_A, source_gain, source_offset_A, measure_gain, measure_offset_A = row
    gain, times = (SINK_GAIN_2410, SINK_OFFSET_2410) if model == "2410" else (SINK_GAIN, SINK_OFFSET)
    if range_A >= 1:
        gain, times = SINK_GAIN_1A, SINK_OFFSET_1A
    compliance_A = COMPLIANCE_OFFSET * range_A if regulation == "bounded" else 0.0
    sourcing = (source_gain, source_offset_A + compliance_A)
    return Accuracy(range_A, gain, times * source_offset_A + compliance_A, measure_gain, measure_offset_A, sourcing)
