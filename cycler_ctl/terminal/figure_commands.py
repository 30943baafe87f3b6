"""``cycler-ctl plot``: what may be asked of a figure, in words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cycler_ctl.terminal.protocol_commands import ForceOption

if TYPE_CHECKING:
    from cycler_ctl.figures.wishes import Wish

FIGURES = ("voltage-capacity", "voltage-time", "cycles", "dqdv")
PER = ("gram", "cell", "cm2")

figure_app = typer.Typer()


@figure_app.command()
def plot(
    run_ids: Annotated[list[str], typer.Argument(help="run ids, folders or bundles (.zip); a panel each")],
    *,
    kind: Annotated[str, typer.Option("--kind", help=", ".join(FIGURES))] = FIGURES[0],
    per: Annotated[str, typer.Option("--per", help="capacity per gram, cell or cm2 (default: gram if known)")] = "",
    cycles: Annotated[str, typer.Option("--cycles", help="only these: 1-3,10")] = "",
    x: Annotated[str, typer.Option("--x", help="limits of x, in its unit: 0:1500, or one side, 0:")] = "",
    y: Annotated[str, typer.Option("--y", help="limits of y")] = "",
    size: Annotated[str, typer.Option("--size", help="single or double (column), or millimetres: 89x60")] = "",
    dpi: Annotated[int, typer.Option("--dpi", help="of a png")] = 300,
    style: Annotated[str, typer.Option("--style", help="paper, slides or a .mplstyle file of matplotlib")] = "paper",
    note: Annotated[str, typer.Option("--note", help="a sentence below the figure, and in the file")] = "",
    out: Annotated[Path | None, typer.Option("-o", "--output", help="x.png, x.svg, x.pdf or x.html")] = None,
    force: ForceOption = False,
    config: Annotated[
        Path | None, typer.Option("--config", help="station.toml (default: $CYCLER_CTL_CONFIG, ./station.toml)")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Draw runs for a paper (png, svg, pdf) or for a browser (html, in one file); several stand side by side."""
    from cycler_ctl.figures.kinds import Kind
    from cycler_ctl.plot import draw
    from cycler_ctl.terminal.commands import overwriting_of, run_or_bundle, say_path
    from cycler_ctl.terminal.progress import progress

    _one_of(kind, FIGURES, "--kind")
    wish = _wish(per, (cycles, x, y, size), dpi, style, note)
    path = out or Path(f"{kind}.png")
    folders = [run_or_bundle(run, config) for run in run_ids]
    with progress(wanted=not as_json) as tell:
        draw(folders, Kind(kind), wish, path, overwriting_of(forced=force), tell=tell)
    say_path(path, as_json=as_json)


def _wish(per: str, words: tuple[str, str, str, str], dpi: int, style: str, note: str) -> Wish:
    from cycler_ctl.figures.source import Per
    from cycler_ctl.figures.wishes import Wish, cycles_of, size_of, span_of

    _one_of(per, ("", *PER), "--per")
    cycles, x, y, size = words
    return Wish(
        per=Per(per) if per else None,
        cycles=cycles_of(cycles),
        x=span_of("--x", x),
        y=span_of("--y", y),
        size_in=size_of(size),
        dpi=dpi,
        style=style,
        note=note,
    )


def _one_of(word: str, known: tuple[str, ...], option: str) -> None:
    if word not in known:
        raise typer.BadParameter(f"{word!r} is not one of {', '.join(filter(None, known))}", param_hint=option)
