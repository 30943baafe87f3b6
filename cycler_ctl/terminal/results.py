"""What the demo leaves behind: an export per run, the figure of five panels, a table of capacities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cycler_ctl.figures.kinds import Kind
from cycler_ctl.figures.wishes import Wish
from cycler_ctl.plot import draw
from cycler_ctl.records.curves import CycleCapacity, capacity_table
from cycler_ctl.store.export.atomic import Overwriting
from cycler_ctl.store.export.bdf_csv import export_bdf_csv
from cycler_ctl.store.reader import find_run, open_run

SIMULATED = "Simulated cells: a model with assumed parameters, not measurements"


@dataclass(frozen=True, slots=True)
class Result:
    """One cell's run. ``first`` is None where no cycle was completed."""

    cell: str
    title: str
    outcome: str
    reason: str
    cycles: int
    first: CycleCapacity | None
    ends: tuple[str, ...]
    """Why the first lithiation and the first delithiation ended."""


def write_results(data_dir: Path, runs: Mapping[str, str]) -> list[Result]:
    """Exports and figures; ``runs`` are run ids by cell."""
    folders = {cell: find_run(data_dir, run) for cell, run in runs.items()}
    for folder in folders.values():
        export_bdf_csv(folder, data_dir / "exports")
    in_order = [folders[cell] for cell in sorted(folders)]
    for ending in (".png", ".svg"):
        out = data_dir / "figures" / f"fig_s3{ending}"
        draw(in_order, Kind.VOLTAGE_CAPACITY, Wish(note=SIMULATED), out, Overwriting.FORCED)
    return [result_of(cell, folder) for cell, folder in folders.items()]


def result_of(cell: str, folder: Path) -> Result:
    with open_run(folder) as reader:
        state, table = reader.state, capacity_table(reader)
        first = [step for step in reader.steps() if step.cycle == 1 and step.word != "rest"]
        ends = tuple(step.end_reason for step in first[:2])
        title = str(reader.info.cell.get("working_electrode") or cell)
    outcome = state.outcome.value if state.outcome else state.state
    return Result(cell, title, outcome, state.reason, len(table), table[0] if table else None, ends)


def print_results(results: Sequence[Result], data_dir: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"First cycle, per gram of MgH2. {SIMULATED}.", box=None, pad_edge=False, title_justify="left")
    for name in ("cell", "electrode"):
        table.add_column(name)
    for name in ("lithiation mAh/g", "delithiation mAh/g", "efficiency", "cycles"):
        table.add_column(name, justify="right")
    for name in ("lithiation ended by", "delithiation ended by", "run"):
        table.add_column(name)
    for one in results:
        table.add_row(*_texts(one))
    console = Console(width=150)
    console.print(table)
    console.print(f"exports: {data_dir / 'exports'}\nfigure:  {data_dir / 'figures' / 'fig_s3.png'}", highlight=False)


def _texts(result: Result) -> tuple[str, ...]:
    ends = (*result.ends, "", "")[:2]
    run = result.outcome if result.outcome == "finished" else f"{result.outcome}: {result.reason}"
    first = result.first
    if first is None:
        return result.cell, result.title, "", "", "", "0", *ends, run
    efficiency = "" if first.efficiency is None else f"{first.efficiency * 100:.1f} %"
    numbers = f"{first.lithiation_mAh:.0f}", f"{first.delithiation_mAh:.0f}", efficiency, str(result.cycles)
    return result.cell, result.title, *numbers, *ends, run
