"""Figures: the numbers in them, the words on them, the files they become; how they look was checked by eye."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cycler_ctl.cli import app
from cycler_ctl.errors import StoreError
from cycler_ctl.figures import paper
from cycler_ctl.figures.dqdv import METHOD, differential
from cycler_ctl.figures.drawing import Drawing, formula, markup, mathtext, plain, shade, unit
from cycler_ctl.figures.kinds import FEW, MOST_CYCLES, Kind, drawing_of
from cycler_ctl.figures.source import Per, read_source
from cycler_ctl.figures.wishes import STYLES, Wish, cycles_of, size_of, span_of
from cycler_ctl.plot import draw
from cycler_ctl.store.export.bundle import export_bundle
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.reader import open_run
from cycler_ctl.store.writer import create_run
from cycler_ctl.terminal.figure_commands import FIGURES
from cycler_ctl.testing.rows import START_UTC_S, Shape, cycling_rows
from protocols.model import Verb
from protocols.record import CycleSummary, Outcome

CELL: dict[str, Any] = {
    "name": "a",
    "working_electrode": "MgH2:AB = 70:30",
    "counter_electrode": "Li",
    "area_cm2": 0.5,
    "active_mass_g": 1e-3,
}
INFO = RunInfo(
    "20261122-101500-a1-7f3k", 5, "a1", "lab", "site", START_UTC_S, "", "", "", CELL, {}, {}, {}, {}, Verb.LITHIATE, 1.0
)


def record(data_dir: Path, cycles: int = 2, cell: dict[str, Any] | None = None, run: str = INFO.run) -> Path:
    shape = Shape(lithiation_Ah=(2e-3,) * cycles, delithiation_Ah=(1.5e-3,) * cycles, points=30)
    options = WriterOptions(commit_every_s=0.01, minimum_free_bytes=0, reserve_bytes=0)
    info = replace(INFO, cell=CELL if cell is None else cell, run=run)
    writer = create_run(data_dir, info, on_durable=lambda _: None, options=options)
    summaries = [CycleSummary(n, 2e-3, 1.5e-3, 0.0, 0.0, 0.0, 1.0) for n in range(1, cycles + 1)]
    writer.append(list(cycling_rows(shape)), cycles=summaries)
    writer.finish(Outcome.FINISHED, "")
    assert writer.close()
    return writer.run_dir


def drawing(runs: list[Path], kind: Kind, per: Per | None = None) -> Drawing:
    sources = []
    for run in runs:
        with open_run(run) as reader:
            sources.append(read_source(reader, per))
    return drawing_of(kind, sources)


@pytest.mark.parametrize(
    ("per", "end", "label"),
    [
        (None, 2000.0, "Capacity / mAh g$^{-1}$"),
        (Per.CELL, 2.0, "Capacity / mAh"),
        (Per.CM2, 4.0, "Capacity / mAh cm$^{-2}$"),
    ],
)
def test_capacities_are_in_the_unit_asked_for(tmp_path: Path, per: Per | None, end: float, label: str) -> None:
    run = record(tmp_path)
    (panel,) = drawing([run], Kind.VOLTAGE_CAPACITY, per).panels
    first = panel.lines[0]
    assert (first.x[0], first.x[-1], first.y[0], first.y[-1]) == pytest.approx((0.0, end, 0.5, 0.2))
    assert mathtext(panel.x_label) == label
    upper, lower = drawing([run], Kind.CYCLES, per).panels
    assert [line.y[0] for line in upper.lines] == pytest.approx([end, 0.75 * end])
    assert lower.lines[0].y == pytest.approx([75.0, 75.0])


def test_what_is_not_known_is_refused_with_what_can_be_had(tmp_path: Path) -> None:
    bare = record(tmp_path / "1", cell={"name": "c", "area_cm2": 2.0})
    with pytest.raises(StoreError, match=r"active mass .* --per cm2, cell"):
        drawing([bare], Kind.DQDV, Per.GRAM)
    with pytest.raises(StoreError, match="different units"):
        drawing([bare, record(tmp_path / "2")], Kind.CYCLES)
    assert mathtext(drawing([bare], Kind.VOLTAGE_CAPACITY).panels[0].x_label) == "Capacity / mAh"


def test_few_cycles_are_named_many_have_a_scale_and_what_is_left_out_is_said(tmp_path: Path) -> None:
    few = drawing([record(tmp_path / "few", FEW)], Kind.VOLTAGE_CAPACITY)
    assert [line.label for line in few.panels[0].lines if line.label] == [f"cycle {n}" for n in range(1, FEW + 1)]
    assert few.cycles is None
    many = drawing([record(tmp_path / "many", 70)], Kind.VOLTAGE_CAPACITY)
    assert (many.cycles, len(many.panels[0].lines)) == ((1, 70), 2 * MOST_CYCLES)
    assert not any(line.label for line in many.panels[0].lines)
    assert many.caption == f"{MOST_CYCLES} of 70 cycles are drawn"


def test_one_cycle_has_one_colour_in_all_panels_and_it_is_the_scale_s(tmp_path: Path) -> None:
    found = drawing([record(tmp_path / "a", 9), record(tmp_path / "b", 3)], Kind.VOLTAGE_CAPACITY)
    long, short = found.panels
    assert [line.colour for line in short.lines] == [line.colour for line in long.lines[:6]]
    assert (long.lines[0].colour, long.lines[-1].colour) == (shade(0.0), shade(1.0))


def test_several_runs_are_told_apart_by_cell_or_where_that_does_not_do_by_run(tmp_path: Path) -> None:
    runs = [record(tmp_path / str(n), cell={**CELL, "name": name}) for n, name in enumerate(("a", "b", "b"))]
    upper, _ = drawing(runs, Kind.CYCLES).panels
    assert [line.label for line in upper.lines if line.label] == ["a", f"b {INFO.run}", f"b {INFO.run}"]
    assert len({line.colour for line in upper.lines}) == 3


@pytest.mark.parametrize("noise_V", [0.0, 2e-3])
def test_the_area_under_dq_dv_is_the_capacity_with_and_without_noise(noise_V: float) -> None:
    steps = np.random.default_rng(1).normal(0.0, 1.0, 5000) * noise_V
    voltage_V = np.linspace(1.0, 0.2, 5000) + steps
    capacity = np.linspace(0.0, 3.0, 5000)
    at_V, found = differential(voltage_V, capacity, np.ones(5000))
    width_V = at_V[1] - at_V[0]
    assert found.sum() * width_V == pytest.approx(3.0, rel=1e-9)
    inner = (at_V > 0.25) & (at_V < 0.95)
    assert found[inner] == pytest.approx(3.0 / 0.8, rel=0.1 if noise_V else 0.01)
    assert (found >= 0).all()


def test_a_peak_stays_where_it_is_and_a_jump_between_steps_is_no_charge() -> None:
    voltage_V = np.linspace(0.2, 1.0, 4000)
    capacity = np.tanh((voltage_V - 0.6) / 0.03) + 1
    at_V, found = differential(voltage_V, capacity, np.ones(4000))
    assert at_V[found.argmax()] == pytest.approx(0.6, abs=0.003)
    twice = np.array([0.2, 0.21, 0.9, 0.91])
    at_V, found = differential(twice, np.array([0.0, 1.0, 5.0, 6.0]), np.array([1.0, 1, 2, 2]))
    assert found.sum() * 5e-3 == pytest.approx(2.0)
    assert found[(at_V > 0.3) & (at_V < 0.8)].max() == 0


def test_without_two_rows_of_a_step_there_is_no_dq_dv() -> None:
    assert [len(one) for one in differential(np.array([1.0]), np.array([0.0]), np.array([1.0]))] == [0, 0]


def test_held_voltages_and_signs_of_dq_dv(tmp_path: Path) -> None:
    plain_run = drawing([record(tmp_path)], Kind.DQDV)
    down, up = plain_run.panels[0].lines[:2]
    assert down.y.min() < 0 <= up.y.min()
    assert METHOD in plain_run.caption
    with open_run(record(tmp_path / "held")) as reader:
        source = read_source(reader, None)
    none = drawing_of(Kind.DQDV, [replace(source, held=np.ones_like(source.held))])
    assert none.panels[0].lines == ()


def test_every_extreme_of_the_voltage_is_in_the_figure_over_time(tmp_path: Path) -> None:
    (panel,) = drawing([record(tmp_path, 300)], Kind.VOLTAGE_TIME).panels
    assert (panel.lines[0].y.min(), panel.lines[0].y.max()) == pytest.approx((0.2, 1.2))
    assert mathtext(panel.x_label) == "Time / d"
    assert len(panel.lines[0].x) <= 6000


def test_words_are_set_high_and_low_and_nothing_of_a_name_is_taken_for_markup() -> None:
    assert mathtext(formula("LiBH4 NMC622 $x\\y")) == r"LiBH$_{4}$ NMC622 \$x/y"
    assert markup(formula("MgH2 <b>&")) == "MgH<sub>2</sub> &lt;b&gt;&amp;"
    assert markup(unit("dQ/dV", "mAh g^-1 V^-1")) == "dQ/dV / mAh g<sup>-1</sup> V<sup>-1</sup>"
    assert mathtext(plain("a\x1b[31m")) == "a\ufffd[31m"


@pytest.mark.parametrize("kind", Kind)
def test_a_figure_on_paper_names_its_run_its_method_and_its_units(tmp_path: Path, kind: Kind) -> None:
    runs = [record(tmp_path / "a", 8), record(tmp_path / "b", cell={**CELL, "name": "$b^2_ {"})]
    out = tmp_path / "x.svg"
    draw(runs, kind, Wish(), out)
    text = " ".join(out.read_text("utf-8").split())
    for expected in (
        INFO.run,
        f"cycler-ctl {version('cycler-ctl')}",
        METHOD.split(",")[0] if kind is Kind.DQDV else "/ ",
    ):
        assert expected in text
    assert "<text" not in text, "letters would be set in a font that the reader may not have"
    again = tmp_path / "y.svg"
    draw(runs, kind, Wish(), again)
    assert again.read_bytes() == out.read_bytes()
    assert "matplotlib.pyplot" not in sys.modules


@pytest.mark.parametrize(("ending", "begins"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_every_ending_gives_its_file_also_from_a_bundle(tmp_path: Path, ending: str, begins: bytes) -> None:
    out = tmp_path / "new folder" / f"x.{ending}"
    draw([export_bundle(record(tmp_path))], Kind.CYCLES, Wish(), out)
    assert out.read_bytes().startswith(begins)


def test_a_figure_for_a_browser_is_one_file_that_loads_nothing(tmp_path: Path) -> None:
    out = tmp_path / "x.html"
    draw(
        [record(tmp_path, 8, {**CELL, "working_electrode": "<script>alert(1)</script>"})],
        Kind.DQDV,
        Wish(Per.CELL),
        out,
    )
    html = out.read_text("utf-8")
    assert not re.search(r"<(script|link|img|iframe)[^>]*\b(src|href)=", html)
    assert "<script>alert" not in html
    assert INFO.run in html
    assert len(html) > 1_000_000


def test_the_command_takes_the_kinds_there_are_and_refuses_others(tmp_path: Path) -> None:
    assert tuple(Kind) == FIGURES
    run = str(record(tmp_path))
    done = CliRunner().invoke(app, ["plot", run, "--kind", "cycles", "-o", str(tmp_path / "c.png")])
    assert (done.exit_code, done.output) == (0, f"{tmp_path / 'c.png'}\n")
    assert CliRunner().invoke(app, ["plot", run, "--kind", "pie"]).exit_code == 2
    assert CliRunner().invoke(app, ["plot", run, "--per", "kg"]).exit_code == 2
    with pytest.raises(StoreError, match=r"\.png, \.svg, \.pdf, \.html"):
        draw([], Kind.CYCLES, Wish(), tmp_path / "x.bmp")


def test_five_runs_are_panels_a_to_e_of_which_none_is_cut_off_by_another_s_axis(tmp_path: Path) -> None:
    small = {**CELL, "active_mass_g": 2e-3}
    runs = [record(tmp_path / letter, cell=CELL if letter == "d" else small) for letter in "abcde"]
    found = drawing(runs, Kind.VOLTAGE_CAPACITY)
    assert [mathtext(panel.title)[:4] for panel in found.panels] == [f"({letter}) " for letter in "abcde"]
    axes = paper._figure(found).axes
    widest = max(line.x.max() for panel in found.panels for line in panel.lines)
    assert [one.get_xlim()[0] for one in axes[:5]] == [0] * 5
    assert min(one.get_xlim()[1] for one in axes[:5]) > widest
    assert [one.get_legend() is not None for one in axes] == [False] * 5 + [True]


def test_a_cycle_looks_the_same_in_every_panel_also_without_colour(tmp_path: Path) -> None:
    found = drawing([record(tmp_path / "a", 4), record(tmp_path / "b", 2)], Kind.VOLTAGE_CAPACITY)
    looks = [{line.label: (line.colour, line.dash) for line in panel.lines if line.label} for panel in found.panels]
    assert looks[1].items() <= looks[0].items()
    assert len({dash for _, dash in looks[0].values()}) == 4
    runs = drawing([record(tmp_path / "c"), record(tmp_path / "d", cell={**CELL, "name": "d"})], Kind.CYCLES)
    assert len({line.dash for line in runs.panels[0].lines}) == 2


def test_only_the_cycles_the_limits_and_the_size_asked_for_are_drawn(tmp_path: Path) -> None:
    with open_run(record(tmp_path, 9)) as reader:
        source = read_source(reader, None)
    wish = Wish(
        cycles=cycles_of("1-2,7"),
        x=span_of("--x", "0:500"),
        y=span_of("--y", "-0.1:"),
        size_in=size_of("89x60"),
        note="N",
    )
    found = drawing_of(Kind.VOLTAGE_CAPACITY, [source], wish)
    assert [line.label for line in found.panels[0].lines if line.label] == ["cycle 1", "cycle 2", "cycle 7"]
    assert found.size_in == pytest.approx((89 / 25.4, 60 / 25.4))
    assert found.caption == "N"
    (axes,) = paper._figure(found).axes
    assert (axes.get_xlim(), axes.get_ylim()[0]) == ((0, 500), -0.1)
    assert drawing_of(Kind.CYCLES, [source], wish).panels[0].lines[0].x.tolist() == [1, 2, 7]
    with pytest.raises(StoreError, match="none of these cycles"):
        drawing_of(Kind.DQDV, [source], Wish(cycles=((50, 60),)))
    with pytest.raises(StoreError, match="not for voltage-time"):
        drawing_of(Kind.VOLTAGE_TIME, [source], wish)


@pytest.mark.parametrize("text", ["a", "3-1", "1,,2", "1-2-3", "-1"])
def test_cycles_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(StoreError, match="write for example 1-3,10"):
        cycles_of(text)


@pytest.mark.parametrize("text", ["5", "1:0", "1:1", "a:b", "--1:2", "1:2:3"])
def test_limits_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(StoreError, match=r"--x .*write for example 0:1500"):
        span_of("--x", text)


@pytest.mark.parametrize("text", ["wide", "0x5", "89x", "9999", "1.2.3"])
def test_sizes_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(StoreError, match=f"--size {text}"):
        size_of(text)


def test_the_styles_are_those_named_and_a_file_of_matplotlib_counts_over_ours(tmp_path: Path) -> None:
    assert tuple(paper.STYLES) == STYLES
    mine = tmp_path / "mine.mplstyle"
    mine.write_text("lines.linewidth: 7\n", encoding="utf-8")
    with paper._style(Wish(style=str(mine)).style):
        import matplotlib as mpl

        assert (mpl.rcParams["lines.linewidth"], mpl.rcParams["font.size"]) == (7, 8)
    for wrong in ("pretty", str(tmp_path / "missing.mplstyle")):
        with pytest.raises(StoreError, match=r"paper, slides or a file \.mplstyle"):
            Wish(style=wrong)
    with pytest.raises(StoreError, match="--dpi 5"):
        Wish(dpi=5)


def test_a_pdf_carries_its_fonts(tmp_path: Path) -> None:
    out = tmp_path / "x.pdf"
    draw([record(tmp_path)], Kind.VOLTAGE_CAPACITY, Wish(), out)
    content = out.read_bytes()
    assert content.count(b"/FontFile2") >= 1
    assert content.count(b"/Type /FontDescriptor") == content.count(b"/FontFile2")


def test_a_run_without_mass_area_or_cycles_is_still_drawn(tmp_path: Path) -> None:
    out = tmp_path / "x.pdf"
    draw([record(tmp_path, 0, cell={"name": "50 $ cell"})], Kind.VOLTAGE_CAPACITY, Wish(), out)
    assert out.read_bytes().startswith(b"%PDF")


def test_a_title_says_composition_and_current_density(tmp_path: Path) -> None:
    (panel,) = drawing([record(tmp_path)], Kind.VOLTAGE_CAPACITY).panels
    assert mathtext(panel.title).startswith("MgH$_{2}$:AB = 70:30\n")
    assert mathtext(panel.title).endswith(" mA cm$^{-2}$")
