"""What the 2600 family can do and how well, and what protects a cell on it.

2601, 2602 and 2604: SPEC-2602B Rev. B p. 2. The ranges of other models, and their voltages, are from memory of the data
sheets and to be checked. Limits as in 2600BS-901-01 Rev. F p. 9-244.
"""

from __future__ import annotations

from cycler_ctl.instrument import Accuracy, Protection, Ratings, VoltageAccuracy
from drivers.source_measure import HIGHEST_V

Row = tuple[float, float, float, float, float]
Spec = tuple[Row, ...]

REST_RANGE_A = 100e-9  # of every model
RECOVERY_S = 3.0  # from an answer that should have come to the next exchange: 1 s for it, 1.2 s to get into step

# (range, source gain and offset, measure gain and offset)
DECADES: Spec = (
    (100e-9, 6e-4, 100e-12, 5e-4, 100e-12),
    (1e-6, 3e-4, 800e-12, 2.5e-4, 500e-12),
    (10e-6, 3e-4, 5e-9, 2.5e-4, 1.5e-9),
    (100e-6, 3e-4, 60e-9, 2e-4, 25e-9),
    (1e-3, 3e-4, 300e-9, 2e-4, 200e-9),
    (10e-3, 3e-4, 6e-6, 2e-4, 2.5e-6),
    (100e-3, 3e-4, 30e-6, 2e-4, 20e-6),
    (1.0, 5e-4, 1.8e-3, 3e-4, 1.5e-3),
)
NANOAMPERES: Spec = ((1e-9, 1.5e-3, 2e-12, 1.5e-3, 240e-15), (10e-9, 1.5e-3, 5e-12, 1.5e-3, 3e-12))
LARGEST_LOW, LARGEST_HIGH = (3.0, 6e-4, 4e-3, 5e-4, 3.5e-3), (1.5, 6e-4, 4e-3, 5e-4, 3.5e-3)
LOW_V, HIGH_V = (0.1, 1.0, 6.0, 40.0), (0.2, 2.0, 20.0, 200.0)  # Rev. F p. 9-230

LOW_VOLTAGES = (
    VoltageAccuracy(0.1, 2e-4, 250e-6, 1.5e-4, 150e-6),
    VoltageAccuracy(1.0, 2e-4, 400e-6, 1.5e-4, 200e-6),
    VoltageAccuracy(6.0, 2e-4, 1.8e-3, 1.5e-4, 1e-3),
    VoltageAccuracy(40.0, 2e-4, 12e-3, 1.5e-4, 8e-3),
)
HIGH_VOLTAGES = (
    VoltageAccuracy(0.2, 2e-4, 375e-6, 1.5e-4, 225e-6),
    VoltageAccuracy(2.0, 2e-4, 600e-6, 2e-4, 350e-6),
    VoltageAccuracy(20.0, 2e-4, 5e-3, 1.5e-4, 5e-3),
)

LOW_VOLTAGE, ONE_OUTPUT, SENSITIVE = ("2601", "2602", "2604"), ("2601", "2611", "2635"), ("2634", "2635", "2636")
NUMBERS = (*LOW_VOLTAGE, "2611", "2612", "2614", *SENSITIVE)

REST = "0 A sourced on the 100 nA range, relay closed, four wires; may leak 0.1 nA (the range's source offset)"


def outputs_of(model: str) -> tuple[str, ...]:
    return ("a",) if model[:4] in ONE_OUTPUT else ("a", "b")


def spec_of(model: str) -> Spec:
    largest = LARGEST_LOW if model[:4] in LOW_VOLTAGE else LARGEST_HIGH
    return (*(NANOAMPERES if model[:4] in SENSITIVE else ()), *DECADES, largest)


def voltage_ranges_of(model: str) -> tuple[float, ...]:
    return LOW_V if model[:4] in LOW_VOLTAGE else HIGH_V


def why(regulation: str, dead_man_s: float, *, is_lan: bool) -> str:
    """What turns the outputs off without the host, and where that ends."""
    held = "; should that fail, the cell is held at the window's edge" if regulation == "bounded" else ""
    lan = (
        ". Over a LAN it does not count for the class: a connection that is closed may end that script "
        "(2600AS-901-01 Rev. B p. 19-223), and nothing else turns the outputs off; over RS-232, USB or GPIB it does"
    )
    return (
        f"dead-man's switch: {dead_man_s:g} s after the last exchange the instrument's own script turns every output "
        f"off{held}{lan if is_lan else ''}. Not tried on hardware yet; out of force for the moment in which a setting is made"
    )


def ratings(model: str, regulation: str, nplc: float, dead_man_s: float, *, is_lan: bool) -> Ratings:
    spec = spec_of(model)
    without = Protection.B if regulation == "bounded" else Protection.C
    return Ratings(
        voltage_V=(-HIGHEST_V, HIGHEST_V),
        current_A=spec[-1][0],
        ranges=tuple(Accuracy(*row) for row in spec),
        fastest_sample_s=0.03 + 0.06 * nplc,  # voltage and current at once, with two references, 20 ms a cycle
        protection=without if is_lan else Protection.A,
        protection_why=why(regulation, dead_man_s, is_lan=is_lan),
        rest=REST,
        shows_noise=True,
        slowest_sample_s=dead_man_s - RECOVERY_S,
        voltage_ranges=LOW_VOLTAGES if model[:4] in LOW_VOLTAGE else HIGH_VOLTAGES,
        voltage_from="SPEC-2602B Rev. B p. 2" if model[:4] in LOW_VOLTAGE else "from memory, to be checked",
    )
