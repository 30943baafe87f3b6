"""Capacities of cycles, and what a title says of currents."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cycler_ctl.records.curves import capacity_table, currents_text
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.reader import open_run
from cycler_ctl.store.writer import create_run
from cycler_ctl.testing.rows import Shape, cycling_rows
from protocols.model import Verb
from protocols.record import CycleSummary, Outcome

CELL: dict[str, Any] = {
    "name": "a",
    "working_electrode": "MgH2:AB = 70:30",
    "counter_electrode": "Li",
    "area_cm2": 0.7854,
    "active_mass_g": 1.4e-3,
    "active_material": "MgH2",
}
INFO = RunInfo(
    "20261122-101500-a1-7f3k", 5, "a1", "lab", "site", 0.0, "", "", "", CELL, {}, {}, {}, {}, Verb.LITHIATE, 1.0
)
SHAPE = Shape()


def record(data_dir: Path, info: RunInfo = INFO) -> Path:
    options = WriterOptions(commit_every_s=0.01, minimum_free_bytes=0)
    writer = create_run(data_dir, info, on_durable=lambda run: None, options=options)
    cycles = [
        CycleSummary(number, *charges, 0.0, 0.0, 0.0, 1.0)
        for number, charges in enumerate(zip(SHAPE.lithiation_Ah, SHAPE.delithiation_Ah, strict=True), start=1)
    ]
    writer.append(list(cycling_rows(SHAPE)), cycles=cycles)
    writer.finish(Outcome.FINISHED, "")
    assert writer.close()
    return writer.run_dir


def test_the_table_gives_capacities_and_what_came_out_of_what_went_in(tmp_path: Path) -> None:
    with open_run(record(tmp_path)) as reader:
        first, second = capacity_table(reader)
    assert (first.lithiation_mAh, first.delithiation_mAh) == pytest.approx((2.2 / 1.4e-3, 1.65 / 1.4e-3))
    assert (first.efficiency, second.efficiency) == pytest.approx((1.65 / 2.2, 1.65 / 1.7))
    assert first.per_gram


def test_the_efficiency_of_a_cell_built_lithiated_is_the_other_way_round(tmp_path: Path) -> None:
    with open_run(record(tmp_path, replace(INFO, cell={**CELL, "as_built": "lithiated"}))) as reader:
        assert capacity_table(reader)[0].efficiency == pytest.approx(2.2 / 1.65)


def _begins(current_mA: float) -> dict[str, Any]:
    steps = [{"cycles": "0", "current_mA": -1.0}, {"cycles": "1-3", "current_mA": None}]
    return {
        "steps": [*steps, {"cycles": "1-3", "current_mA": current_mA}, {"cycles": "1-3", "current_mA": -current_mA}]
    }


@pytest.mark.parametrize(("current_mA", "efficiency"), [(0.5, 2.2 / 1.65), (-0.5, 1.65 / 2.2)])
def test_of_a_cell_of_unknown_making_the_second_direction_of_a_cycle_gives_back(
    tmp_path: Path, current_mA: float, efficiency: float
) -> None:
    """A full cell is charged first: more given back than put in would be nobody's efficiency."""
    with open_run(record(tmp_path, replace(INFO, plan=_begins(current_mA)))) as reader:
        assert capacity_table(reader)[0].efficiency == pytest.approx(efficiency)


def test_without_an_active_mass_capacities_are_in_mah(tmp_path: Path) -> None:
    with open_run(record(tmp_path, replace(INFO, cell={**CELL, "active_mass_g": None}))) as reader:
        first = capacity_table(reader)[0]
    assert first.lithiation_mAh == pytest.approx(2.2)
    assert not first.per_gram


@pytest.mark.parametrize(
    ("currents_A", "per", "text"),
    [((3.9e-4, 3.94e-4), 0.7854, "0.499"), ((3.927e-5, 3.927e-4), 0.7854, "0.05 to 0.5"), ((1e-3, 1e-3), 1, "1")],
)
def test_a_title_gives_one_current_or_the_span_of_several(
    currents_A: tuple[float, float], per: float, text: str
) -> None:
    assert currents_text(currents_A, per) == text
