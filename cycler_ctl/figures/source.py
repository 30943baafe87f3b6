"""The numbers of a run that figures show, in the unit asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from cycler_ctl.errors import StoreError
from cycler_ctl.figures.drawing import NEW_LINE, Words, formula, one_line, unit
from cycler_ctl.records.curves import active_mass_g, capacity_table, currents_A, currents_text
from cycler_ctl.store.progress import Tell, nobody
from cycler_ctl.store.reader import RunReader
from protocols.model import Verb
from protocols.record import JSON, Mode

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

PAGE = 50_000
NUMBERS = ("time_s", "voltage_V", "cycle", "direction", "step_count", "cycle_reduction_Ah", "cycle_oxidation_Ah")


class Per(StrEnum):
    """What a capacity is divided by; a whole cell's is not divided."""

    GRAM = "gram"
    CELL = "cell"
    CM2 = "cm2"


UNITS = {Per.GRAM: "mAh g^-1", Per.CELL: "mAh", Per.CM2: "mAh cm^-2"}


@dataclass(frozen=True, slots=True)
class Source:
    """One run. ``scale`` turns Ah into ``per``'s unit; ``held`` marks rows at a held voltage."""

    run: str
    name: str
    title: Words
    per: Per
    scale: float
    counter_electrode: str | None
    means: Verb | None
    cycles: NDArray[float64]
    """A line for each completed cycle: number, lithiation and delithiation in ``per``'s unit, efficiency in %."""
    data: Mapping[str, NDArray[float64]]
    held: NDArray[float64]

    def word(self, direction: int) -> str:
        """What this direction is called: with the cell's own word for it where it has one."""
        lithiates = direction < 0
        verb = "lithiation" if lithiates else "delithiation"
        if self.means is None:
            return verb
        discharges = lithiates is (self.means is Verb.LITHIATE)
        return f"{'discharge' if discharges else 'charge'} ({verb})"

    def capacity_label(self) -> Words:
        return unit("Capacity", UNITS[self.per])

    def voltage_label(self) -> Words:
        against = f" vs. {self.counter_electrode}" if self.counter_electrode else ""
        return *formula(f"Voltage{against}"), (" / V", "")


def read_source(reader: RunReader, wanted: Per | None, tell: Tell = nobody) -> Source:
    """StoreError where the run does not know what to divide by."""
    info = reader.info
    per, scale = _scale(info.cell, wanted, info.run)
    data, held = _columns(reader, tell)
    counter = info.cell.get("counter_electrode")
    return Source(
        run=info.run,
        name=one_line(str(info.cell.get("name") or info.run)),
        title=_title(reader),
        per=per,
        scale=scale,
        counter_electrode=one_line(str(counter)) if counter else None,
        means=info.discharge_means,
        cycles=_cycles(reader, scale),
        data=data,
        held=held,
    )


def _scale(cell: Mapping[str, JSON], wanted: Per | None, run: str) -> tuple[Per, float]:
    mass_g, area = active_mass_g(cell), cell.get("area_cm2")
    area_cm2 = float(area) if isinstance(area, int | float) and area > 0 else None
    known = {Per.GRAM: mass_g, Per.CM2: area_cm2, Per.CELL: 1.0}
    per = wanted or (Per.GRAM if mass_g else Per.CELL)
    if (divisor := known[per]) is None:
        what = "active mass" if per is Per.GRAM else "area"
        can = ", ".join(name for name, value in known.items() if value)
        raise StoreError(f"the {what} of {run}'s cell is not in its record: --per {can}")
    return per, 1000.0 / divisor


def _cycles(reader: RunReader, scale: float) -> NDArray[float64]:
    import numpy as np

    shares = [one.efficiency for one in capacity_table(reader)]
    lines = [
        (one.cycle, one.lithiation_Ah * scale, one.delithiation_Ah * scale, np.nan if share is None else 100 * share)
        for one, share in zip(reader.cycles(), shares, strict=False)
    ]
    return np.array(lines, dtype=np.float64).reshape(len(lines), 4)


def _columns(reader: RunReader, tell: Tell) -> tuple[dict[str, NDArray[float64]], NDArray[float64]]:
    """A page at a time, because rows as they are read take ten times the room of arrays."""
    import numpy as np

    pages: list[NDArray[float64]] = [np.empty((0, len(NUMBERS) + 1))]
    after_seq, last_seq = 0, reader.last_seq
    while found := reader.values(("seq", "mode", *NUMBERS), after_seq, PAGE):
        after_seq = int(found[-1][0])
        tell(reader.info.run, after_seq, last_seq)
        pages.append(np.array([(mode == Mode.VOLTAGE, *rest) for _, mode, *rest in found], dtype=np.float64))
    table = np.concatenate(pages)
    return {name: table[:, place] for place, name in enumerate(NUMBERS, start=1)}, table[:, 0]


def _title(reader: RunReader) -> Words:
    """Composition and current density, as far as the run knows them."""
    cell = reader.info.cell
    what = formula(one_line(str(cell.get("working_electrode") or cell.get("name") or reader.info.run)))
    flowed, area_cm2 = currents_A(reader), cell.get("area_cm2")
    if flowed is None:
        return what
    if isinstance(area_cm2, int | float) and area_cm2 > 0:
        return *what, NEW_LINE, (f"{currents_text(flowed, area_cm2)} mA cm", ""), ("-2", "sup")
    return *what, NEW_LINE, (f"{currents_text(flowed, 1)} mA", "")
