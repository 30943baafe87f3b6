"""Figures and the numbers in them; how they look was checked by eye."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from cycler_ctl.errors import StoreError
from cycler_ctl.plot import formula, plot_fig_s3, plot_runs, title
from cycler_ctl.records.curves import MOST_POINTS, capacity_table, currents_text, curves, voltage_trace
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


def test_each_cycle_and_direction_is_a_curve_per_gram_of_active_material(tmp_path: Path) -> None:
    with open_run(record(tmp_path)) as reader:
        found = curves(reader)
    assert [(curve.cycle, curve.direction) for curve in found] == [(1, -1), (1, 1), (2, -1), (2, 1)]
    ends = [(curve.capacity[0], curve.capacity[-1], curve.voltage_V[-1]) for curve in found]
    assert ends[0] == pytest.approx((0.0, 2.2 / 1.4e-3, 0.2))
    assert ends[1] == pytest.approx((0.0, 1.65 / 1.4e-3, 1.2))
    assert ends[2] == pytest.approx((0.0, 1.7 / 1.4e-3, 0.2))


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


def test_a_trace_of_many_points_keeps_what_lasted_for_one_of_them(tmp_path: Path) -> None:
    options = WriterOptions(commit_every_s=0.01, minimum_free_bytes=0)
    writer = create_run(tmp_path, INFO, on_durable=lambda run: None, options=options)
    row = next(iter(cycling_rows(SHAPE)))
    spikes = {5003: 0.1, 7771: 2.5}
    rows = (replace(row, seq=n, time_s=float(n), voltage_V=spikes.get(n, 1.0)) for n in range(1, 10_001))
    writer.append(list(rows))
    assert writer.close()
    with open_run(writer.run_dir) as reader:
        hours, volts = voltage_trace(reader)
    assert len(volts) <= MOST_POINTS
    assert sorted({float(each) for each in volts}) == [0.1, 1.0, 2.5]
    assert (hours[0], hours[-1]) == pytest.approx((1 / 3600, 10_000 / 3600))


def test_a_title_says_composition_and_current_density(tmp_path: Path) -> None:
    with open_run(record(tmp_path)) as reader:
        assert title(reader) == "MgH$_{2}$:AB = 70:30\n0.5 mA cm$^{{-2}}$".replace("{{", "{").replace("}}", "}")


def test_a_formula_is_set_low_and_a_dollar_cannot_break_it() -> None:
    assert formula("LiBH4:MgH2 = 40:30") == "LiBH$_{4}$:MgH$_{2}$ = 40:30"
    assert formula(r"5$ \frac") == r"5\$ /frac"


def test_five_panels_carry_their_letters_titles_units_and_note(tmp_path: Path) -> None:
    runs = {
        letter: record(tmp_path, replace(INFO, run=f"20261122-101500-{letter}-0000", cell={**CELL, "name": letter}))
        for letter in "abcde"
    }
    png, svg = tmp_path / "figures" / "fig_s3.png", tmp_path / "figures" / "fig_s3.svg"
    plot_fig_s3(runs, [png, svg], "Simulated cells, not measurements")
    assert png.read_bytes().startswith(b"\x89PNG")
    texts = "".join("".join(ET.parse(svg).getroot().itertext()).split())  # noqa: S314 - our own file
    for expected in (*(f"({letter})" for letter in "abcde"), "Capacity/mAhg", "Voltagevs.Li/V", "Simulatedcells"):
        assert expected in texts
    assert "matplotlib.pyplot" not in sys.modules


def test_a_run_without_mass_area_or_cycles_is_still_drawn(tmp_path: Path) -> None:
    out = tmp_path / "x.pdf"
    plot_runs([record(tmp_path, replace(INFO, cell={"name": "50 $ cell"}))], out)
    assert out.read_bytes().startswith(b"%PDF")


def test_an_unknown_format_is_refused_with_those_that_work(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"\.png, \.svg, \.pdf"):
        plot_runs([], tmp_path / "x.bmp")


@pytest.mark.parametrize(
    ("currents_A", "per", "text"),
    [((3.9e-4, 3.94e-4), 0.7854, "0.499"), ((3.927e-5, 3.927e-4), 0.7854, "0.05 to 0.5"), ((1e-3, 1e-3), 1, "1")],
)
def test_a_title_gives_one_current_or_the_span_of_several(
    currents_A: tuple[float, float], per: float, text: str
) -> None:
    assert currents_text(currents_A, per) == text


def test_a_product_s_number_is_not_set_low() -> None:
    assert formula("NMC622 | Li4Ti5O12") == "NMC622 | Li$_{4}$Ti$_{5}$O$_{12}$"
