"""Figures of runs: from their folders to a file."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from cycler_ctl.errors import StoreError
from cycler_ctl.figures import browser, paper
from cycler_ctl.figures.kinds import Kind, drawing_of
from cycler_ctl.figures.source import Source, read_source
from cycler_ctl.figures.wishes import Wish
from cycler_ctl.report.command import run_folder
from cycler_ctl.store.export.atomic import Overwriting, free_path
from cycler_ctl.store.progress import Tell, nobody
from cycler_ctl.store.reader import open_run

BROWSER = ".html"


def draw(
    runs: Sequence[Path],
    kind: Kind,
    wish: Wish,
    out: Path,
    overwriting: Overwriting = Overwriting.REFUSED,
    *,
    tell: Tell = nobody,
) -> None:
    """The file's ending says how. Runs are folders or bundles."""
    if out.suffix not in {*paper.ENDINGS, BROWSER}:
        raise StoreError(f"{out}: a figure ends in {', '.join((*paper.ENDINGS, BROWSER))}")
    free_path(out, overwriting)
    sources: list[Source] = []
    for run in runs:
        with run_folder(run) as folder, open_run(folder) as reader:
            sources.append(read_source(reader, wish.per, tell))
    drawing = drawing_of(kind, sources, wish)
    origin = f"cycler-ctl {version('cycler-ctl')}, runs {', '.join(source.run for source in sources)}"
    try:
        if out.suffix == BROWSER:
            browser.save(drawing, out, origin)
        else:
            paper.save(drawing, out, origin, paper.Ink(wish.style, wish.dpi))
    except OSError as error:
        raise StoreError(f"{out} cannot be written: {error.strerror}") from error
