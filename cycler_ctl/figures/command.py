"""``cycler-ctl plot``: from the folders of runs to a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from cycler_ctl.errors import StoreError
from cycler_ctl.figures import browser, paper
from cycler_ctl.figures.kinds import Kind, drawing_of
from cycler_ctl.figures.source import Per, Source, read_source
from cycler_ctl.report.command import run_folder
from cycler_ctl.store.export.atomic import Overwriting, free_path
from cycler_ctl.store.reader import open_run

BROWSER = ".html"


def draw(
    runs: Sequence[Path], kind: Kind, per: Per | None, out: Path, overwriting: Overwriting = Overwriting.REFUSED
) -> None:
    """The file's ending says how. Runs are folders or bundles."""
    if out.suffix not in {*paper.ENDINGS, BROWSER}:
        raise StoreError(f"{out}: a figure ends in {', '.join((*paper.ENDINGS, BROWSER))}")
    free_path(out, overwriting)
    sources: list[Source] = []
    for run in runs:
        with run_folder(run) as folder, open_run(folder) as reader:
            sources.append(read_source(reader, per))
    drawing = drawing_of(kind, sources)
    names = ", ".join(source.run for source in sources)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        (browser if out.suffix == BROWSER else paper).save(drawing, out, names)
    except OSError as error:
        raise StoreError(f"{out} cannot be written: {error.strerror}") from error
    sys.stdout.write(f"{out}\n")
