"""The page for a terminal: at most 100 columns, nothing in it that could steer one."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from cycler_ctl.report.sections import Section
from cycler_ctl.report.tables import Table
from protocols.diagnostics import printable

WIDTH = 100


def render_text(head: str, found: Sequence[Section]) -> str:
    """Plain text, every line as wide as its letters are on a terminal."""
    out = io.StringIO()
    console = Console(file=out, width=WIDTH, color_system=None, markup=False, emoji=False, highlight=False)
    console.print(_text(head), soft_wrap=False)
    for section in found:
        console.print(f"\n{section.title.upper()}")
        if section.table is not None:
            _print_table(console, section.table)
        if section.lines:
            console.print(_lines(section))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _lines(section: Section) -> Grid:
    grid = Grid.grid(padding=(0, 2, 0, 0), pad_edge=False)
    grid.add_column(min_width=12, max_width=26)
    grid.add_column(overflow="fold")
    for label, words in section.lines:
        grid.add_row(_text(f"  {label}"), _text(words))
    return grid


def _print_table(console: Console, table: Table) -> None:
    grid = Grid(box=None, padding=(0, 0, 0, 1), show_edge=False)
    for head in table.heads:
        grid.add_column(_text(head), justify="right", overflow="fold")
    for row in table.rows:
        grid.add_row(*(_text(cell) for cell in row))
    console.print(grid)
    if len(table.rows) < len(table.all_rows):
        console.print(f"  {len(table.rows)} of {len(table.all_rows)} {table.of}; all of them: --json, --html")


def _text(words: str) -> Text:
    """Not markup: a cell may be called [red]."""
    return Text(printable(words.replace("\n", " ")))
