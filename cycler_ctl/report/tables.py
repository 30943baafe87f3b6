"""The cycles and the steps of a run as tables: all of a few; of many the first, the last and some between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cycler_ctl.records.stepfacts import StepFacts
from cycler_ctl.report.facts import CycleFacts
from protocols.planning.advice import range_text
from protocols.quantities import format_duration, format_number

SHOWN = 12
"""As many cycles have a line each on the page."""
ENDS = 3
"""Of more, so many at either end, and the rest evenly between."""


@dataclass(frozen=True, slots=True)
class Table:
    """``all_rows`` is what a page that can fold holds; ``rows`` is what is shown at once."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    all_rows: tuple[tuple[str, ...], ...]
    of: str
    """What a row is, in the plural."""


Column = tuple[str, Callable[[CycleFacts], str]]


def cycle_table(cycles: Sequence[CycleFacts]) -> Table | None:
    if not cycles:
        return None
    columns = _columns(cycles)
    rows = [tuple(text(cycle) for _, text in columns) for cycle in cycles]
    return _table(tuple(head for head, _ in columns), rows, "cycles")


STEP_HEADS = ("no.", "cycle", "step", "what", "mAh", "± mAh", "edge Ω", "past mV", "crossed", "range", "flags", "lost")


def step_table(steps: Sequence[StepFacts]) -> Table | None:
    """Columns that would be empty are left out."""
    if not steps:
        return None
    rows = [_step_row(one) for one in steps]
    full = [place for place in range(len(STEP_HEADS)) if any(row[place] for row in rows)]
    short = [tuple(row[place] for place in full) for row in rows]
    return _table(tuple(STEP_HEADS[place] for place in full), short, "steps")


def _step_row(one: StepFacts) -> tuple[str, ...]:
    step = one.step
    return (
        str(step.step_count),
        str(step.cycle),
        step.step_id,
        step.word,
        format_number(step.charge_Ah * 1e3),
        "" if one.uncertainty_Ah is None else format_number(one.uncertainty_Ah * 1e3, 2),
        "" if one.resistance_ohm is None else format_number(one.resistance_ohm, 3),
        "" if step.overshoot_V is None else format_number(step.overshoot_V * 1e3, 2),
        "" if step.crossing_s is None else format_duration(step.crossing_s),
        "" if one.range_A is None else range_text(one.range_A),
        " ".join(SHORT.get(flag, flag) for flag in one.flags),
        str(one.retries or ""),
    )


SHORT = {"four_wire": "4"}


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], of: str) -> Table:
    shown = tuple(rows[place] for place in chosen(len(rows)))
    return Table(heads, shown, tuple(rows), of)


def chosen(count: int) -> list[int]:
    """Which of so many get a line."""
    if count <= SHOWN:
        return list(range(count))
    between = SHOWN - 2 * ENDS
    step = (count - 1 - 2 * (ENDS - 1)) / (between + 1)
    middle = [ENDS - 1 + round(step * (place + 1)) for place in range(between)]
    return [*range(ENDS), *middle, *range(count - ENDS, count)]


def _columns(cycles: Sequence[CycleFacts]) -> list[Column]:
    """Columns that would be empty are left out."""
    found: list[Column] = [
        ("cycle", lambda one: str(one.cycle)),
        ("lith. mAh", lambda one: format_number(one.lithiation_mAh)),
        ("delith. mAh", lambda one: format_number(one.delithiation_mAh)),
    ]
    if cycles[0].lithiation_mAh_per_g is not None:
        found.append(("lith. mAh/g", lambda one: _number(one.lithiation_mAh_per_g)))
        found.append(("delith. mAh/g", lambda one: _number(one.delithiation_mAh_per_g)))
    found.append(("CE %", lambda one: _percent(one.efficiency)))
    found.append(("lith. mWh", lambda one: format_number(one.lithiation_mWh)))
    found.append(("delith. mWh", lambda one: format_number(one.delithiation_mWh)))
    if any(one.energy_efficiency is not None for one in cycles):
        found.append(("EE %", lambda one: _percent(one.energy_efficiency)))
    found.append(("h", lambda one: format_number(one.hours, 3)))
    return found


def _number(value: float | None) -> str:
    return "" if value is None else format_number(value)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share * 100:.2f}"
