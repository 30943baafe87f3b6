"""What the R&S NGU and NGM can do and how well, and what protects a cell on them.

No data sheet was at hand. Ranges: PyMeasure's and SweepMe!'s drivers (NGU), RsNgx 3.1.0 and a user's driver (NGM202).
Errors are from memory of the data sheets and doubled for it: to be checked before anybody relies on them.
"""

from __future__ import annotations

from dataclasses import dataclass

from cycler_ctl.instrument import Accuracy, Protection, Ratings, VoltageAccuracy

Row = tuple[float, float, float, float, float]

HIGHEST_V = 20.0
HEADROOM = 0.95  # of a measure range: a limit may be off, and a range that is overrun may not say so
MOST_A = 3.0  # at any voltage up to 20 V, sinking too


@dataclass(frozen=True, slots=True)
class Model:
    """``rows``: measure range, source gain and offset, measure gain and offset. Below ``smallest_A`` nothing is set."""

    name: str
    outputs: tuple[str, ...]
    lowest_V: float
    smallest_A: float
    rows: tuple[Row, ...]
    measure_V: tuple[float, ...]
    source_A: tuple[float, ...]
    source_V: tuple[float, ...]
    step_A: float
    leak_A: float
    """More than this at 0 A is a drain, which is refused; less may be the offset of the lowest range."""
    fastest_sample_s: float
    has_resistance: bool = True

    @property
    def sinks(self) -> bool:
        """Whether a limit of the sunk current can be set by itself (CURRent:NEGative)."""
        return bool(self.source_A)

    def leak(self, range_A: float) -> float:
        """What may be measured where nothing flows, on this range."""
        offset_A = next(row[4] for row in self.rows if row[0] == range_A)
        return max(self.leak_A, SINK_TIMES * offset_A)

    @property
    def is_four_quadrant(self) -> bool:
        return self.lowest_V < 0.0


# The 10 uA range is not used: a limit can be set to 20 uA at least, and what an overloaded range answers is not known.
NGU_ROWS: tuple[Row, ...] = (
    (1e-3, 5e-4, 5e-6, 5e-4, 300e-9),
    (10e-3, 5e-4, 5e-6, 5e-4, 3e-6),
    (100e-3, 5e-4, 30e-6, 5e-4, 30e-6),
    (3.0, 1e-3, 1e-3, 1e-3, 500e-6),
)
NGM_ROWS: tuple[Row, ...] = (
    (10e-3, 1e-3, 1e-3, 1e-3, 30e-6),
    (100e-3, 1e-3, 1e-3, 1e-3, 30e-6),
    (1.0, 1e-3, 1e-3, 1e-3, 500e-6),
    (10.0, 1e-3, 2e-3, 1e-3, 4e-3),
)
NGU_A, NGU_V = (10e-3, 100e-3, 3.0), (6.0, 20.0)
VOLTAGE_ERRORS = (1e-3, 4e-3)  # of the value, and in V
SINK_TIMES = 2.0  # sinking is worse by an unknown factor
MODELS = {
    model.name: model
    for model in (
        # 3 readings a second were seen on an NGU401 when asked one by one; a sample takes two
        Model("NGU201", ("1",), 0.0, 20e-6, NGU_ROWS, NGU_V, NGU_A, NGU_V, 1e-6, 1e-6, 0.7),
        Model(
            "NGU401", ("1",), -HIGHEST_V, 20e-6, NGU_ROWS, NGU_V, NGU_A, NGU_V, 1e-6, 1e-6, 0.7, has_resistance=False
        ),
        Model("NGM201", ("1",), 0.0, 1e-3, NGM_ROWS, (5.0, 20.0), (), (), 1e-4, 60e-6, 0.25),
        Model("NGM202", ("1", "2"), 0.0, 1e-3, NGM_ROWS, (5.0, 20.0), (), (), 1e-4, 60e-6, 0.25),
    )
}

WHY_BOUNDED = (
    "bounded constant current: a voltage source at the window's edge that may only source, or only sink, up to the "
    "current; without the host the cell is held at the edge, for ever; no watchdog"
)
NO_SINK = "no discharge: that the current setting limits what an NGM sinks is in no page that was at hand"
REST_NGU = (
    "output on, allowed to source only (or sink only) towards an edge of the window that the cell is past: nothing flows; "
    "refused when more than 1 uA is measured on the 1 mA range (more after a larger current, whose range is kept); what the voltmeter itself draws is not known"
)
REST_NGM = (
    "output on, allowed to source only and set below the cell: nothing flows; refused above 60 uA, less is within the "
    "lowest range's offset and cannot be seen; what the voltmeter itself draws is not known"
)


def ratings(model: Model) -> Ratings:
    return Ratings(
        voltage_V=(model.lowest_V, HIGHEST_V),
        current_A=MOST_A,
        ranges=tuple(_accuracy(row) for row in model.rows),
        fastest_sample_s=model.fastest_sample_s,
        protection=Protection.B,
        protection_why=WHY_BOUNDED if model.sinks else f"{WHY_BOUNDED}; {NO_SINK}",
        rest=REST_NGU if model.sinks else REST_NGM,
        voltage_ranges=tuple(VoltageAccuracy(range_V, *VOLTAGE_ERRORS, *VOLTAGE_ERRORS) for range_V in model.measure_V),
        voltage_from="from memory and doubled, to be checked",
        range_fill=HEADROOM,
        least_A=model.smallest_A,
        only_charges=not model.sinks,
    )


def _accuracy(row: Row) -> Accuracy:
    """What a setting and a reading may be off by, sinking included."""
    range_A, source_gain, source_offset_A, measure_gain, measure_offset_A = row
    return Accuracy(
        range_A,
        SINK_TIMES * source_gain,
        SINK_TIMES * source_offset_A,
        SINK_TIMES * measure_gain,
        SINK_TIMES * measure_offset_A,
    )
