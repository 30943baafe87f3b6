"""Protocols from and to other programs' languages, as files: ``cycler-ctl import`` and ``cycler-ctl translate``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TypeVar

from cycler_ctl.errors import ConfigError
from cycler_ctl.running.start import overrides_of
from cycler_ctl.store.export.atomic import Overwriting, free_path
from protocols.check import check_text, load_protocol
from protocols.diagnostics import has_errors, printable, render_all
from protocols.exporters.battinfo import to_battinfo
from protocols.exporters.pybamm import to_pybamm
from protocols.exporters.report import Exported, NotSayable
from protocols.exporters.unicycler import to_unicycler
from protocols.importers.pybamm import import_pybamm
from protocols.importers.report import Imported, Refused, Request
from protocols.importers.unicycler import import_unicycler
from protocols.model import Program, Verb
from protocols.reading.documents import Document, Unreadable, read_document

Choice = TypeVar("Choice")

IMPORTERS: Mapping[str, Callable[[Request], Imported]] = {"unicycler": import_unicycler, "pybamm": import_pybamm}
EXPORTERS: Mapping[str, Callable[[Program], Exported]] = {
    "pybamm": to_pybamm,
    "unicycler": to_unicycler,
    "battinfo": to_battinfo,
}


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """``source``: whose file it is; ``out`` None: standard output."""

    source: str
    out: Path | None
    cell: Path | None
    discharge_means: str
    _: KW_ONLY
    skip_unsupported: bool = False
    overwriting: Overwriting = Overwriting.REFUSED


def import_file(file: Path, options: ImportOptions) -> int:
    """Write the protocol and say what became of it; 1 where it is refused or the check finds errors in it."""
    importer = _one_of("--from", IMPORTERS, options.source)
    _one_of("--discharge-means", {verb.value: verb for verb in Verb}, options.discharge_means)
    if options.out is not None:
        free_path(options.out, options.overwriting)
    cell = None if options.cell is None else _read(options.cell)
    try:
        imported = importer(Request(_read(file), options.discharge_means, cell, options.skip_unsupported))
    except Refused as error:
        return _tell([problem.told(str(file)) for problem in error.problems])
    _write(imported.text, options.out, options.overwriting)
    sys.stderr.write(imported.report())
    name = f"{file.stem} (imported)" if options.out is None else str(options.out)
    found = check_text(imported.text, name).diagnostics
    if found:
        sys.stderr.write(render_all(found) + "\n")
    return 1 if has_errors(found) else 0


@dataclass(frozen=True, slots=True)
class Target:
    """Whose language, and where to; ``out`` None: standard output."""

    program: str
    out: Path | None = None
    overwriting: Overwriting = Overwriting.REFUSED


def translate_file(file: Path, target: Target, cell: Path | None, overrides: Sequence[str]) -> int:
    """Write the protocol in the target's language; 1, and nothing written, where it cannot say all of it."""
    exporter = _one_of("--to", EXPORTERS, target.program)
    if target.out is not None:
        free_path(target.out, target.overwriting)
    checked = load_protocol(file, overrides=overrides_of(overrides), cell_path=cell)
    if checked.program is None:
        raise ConfigError(render_all(checked.diagnostics))
    try:
        exported = exporter(checked.program)
    except NotSayable as error:
        return _tell([refusal.told(str(file)) for refusal in error.refusals])
    _write(exported.text, target.out, target.overwriting)
    sys.stderr.write("".join(f"{printable(line)}\n" for line in exported.report().splitlines()))
    return 0


def _one_of(option: str, choices: Mapping[str, Choice], given: str) -> Choice:
    if given not in choices:
        raise ConfigError(f"{option} {given!r}: there are {', '.join(sorted(choices))}")
    return choices[given]


def _read(file: Path) -> Document:
    try:
        return read_document(file)
    except Unreadable as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error


def _write(text: str, out: Path | None, overwriting: Overwriting) -> None:
    if out is None:
        sys.stdout.write(text)
        return
    try:
        # "x": a file that has come into being since is not overwritten either.
        with out.open("w" if overwriting is Overwriting.FORCED else "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror or error}") from error


def _tell(lines: Sequence[str]) -> int:
    sys.stderr.write("".join(f"{line}\n" for part in lines for line in map(printable, part.splitlines())))
    return 1
