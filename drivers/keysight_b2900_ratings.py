"""What the B2900 family can do and how well, and what protects a cell on it.

Measurement: data sheet of the B2900A series, p. 16 (B2901A, B2902A, B2911A, B2912A). The page with the current source's
accuracy was not at hand; for 1 mA the user's guide (Ed. 2 p. 2-25, the example of a total error) gives the figures of
the measurement, and so the others are taken to be alike. A limit is as exact as an output (B2961A user's guide Ed. 3
p. 6-3). The B-series is taken to be like the A-series. No page tells sinking and sourcing apart.
"""

from __future__ import annotations

from cycler_ctl.instrument import Accuracy, Protection, Ratings, VoltageAccuracy
from drivers.source_measure import HIGHEST_V

Row = tuple[float, float, float]
Spec = tuple[Row, ...]

HIGHEST_SOURCE_A = 0.1  # above, even high impedance changes a current source's setup on its way off (UG p. 6-13)
REST_RANGE_A = 1e-6  # below it a current source settles slowly (UG p. 2-20)

# (range, gain, offset). The ranges of 1.5 A and 3 A are left out: both channels together must stay below what both
# may carry up to 21 V (2.5 A), whatever the other one does (B2961A command reference Ed. 6 p. 2-36).
RANGES: Spec = (
    (100e-9, 6e-4, 100e-12),
    (1e-6, 2.5e-4, 500e-12),
    (10e-6, 2.5e-4, 1.5e-9),
    (100e-6, 2e-4, 25e-9),
    (1e-3, 2e-4, 200e-9),
    (10e-3, 2e-4, 2.5e-6),
    (100e-3, 2e-4, 20e-6),
    (1.0, 3e-4, 1.5e-3),
)
FINE: Spec = ((10e-9, 1e-3, 50e-12), *RANGES)
SPECS = {
    f"B29{fine}{channels}{series}": (RANGES, FINE)[fine] for fine in (0, 1) for channels in (1, 2) for series in "AB"
}
CHANNELS = {model: int(model[4]) for model in SPECS}

OVERRANGE = 1.05  # of a range can be sourced and limited; 1.06 can be measured (data sheet p. 16)
VOLTAGES = tuple(
    VoltageAccuracy(range_V, gain, offset_V, gain, offset_V)
    for range_V, gain, offset_V in ((0.2, 1.5e-4, 225e-6), (2.0, 2e-4, 350e-6), (20.0, 1.5e-4, 5e-3))
)
VOLTAGES_FROM = "reading: data sheet of the B2900A p. 16; setting: from memory, alike"

WHY_BOUNDED = "bounded constant current: without the host the cell is held at the window's edge, for ever; no watchdog"
WHY_CURRENT = "plain current source: without the host nothing inside the instrument stops a charge or discharge"
REST = "0 A sourced on the 1 uA range, switch closed, four wires; may leak 0.5 nA (the range's offset)"


def usable(model: str, regulation: str) -> Spec:
    """The ranges this driver drives a cell on."""
    if regulation == "bounded":
        return SPECS[model]
    return tuple(row for row in SPECS[model] if row[0] <= HIGHEST_SOURCE_A)


def ratings(model: str, regulation: str, nplc: float) -> Ratings:
    bounded = regulation == "bounded"
    rows = usable(model, regulation)
    return Ratings(
        voltage_V=(-HIGHEST_V, HIGHEST_V),
        current_A=rows[-1][0],
        ranges=tuple(Accuracy(*row, *row[1:]) for row in rows),
        fastest_sample_s=0.02 + 0.06 * nplc,  # a guess: two quantities, their references, 20 ms a cycle
        protection=Protection.B if bounded else Protection.C,
        protection_why=WHY_BOUNDED if bounded else WHY_CURRENT,
        rest=REST,
        shows_noise=True,
        voltage_ranges=VOLTAGES,
        voltage_from=VOLTAGES_FROM,
        range_fill=OVERRANGE,
    )
