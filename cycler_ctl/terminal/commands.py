"""Commands on files: protocols, station.toml and the runs on this computer. No service and no instrument is needed."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cycler_ctl.config import Config, check_config_text, find_config, load_config
from cycler_ctl.errors import ConfigError
from cycler_ctl.plugins import load_driver
from cycler_ctl.running.start import engine_settings, overrides_of, plan_on
from cycler_ctl.store.export.atomic import Overwriting
from cycler_ctl.store.reader import find_run
from cycler_ctl.terminal.folding import columns, fitted
from cycler_ctl.terminal.progress import progress
from protocols.check import load_protocol
from protocols.diagnostics import (
    Diagnostic,
    Mark,
    Severity,
    Source,
    as_json,
    diagnostic_at,
    has_errors,
    render_all,
)
from protocols.model import Program
from protocols.plan import Plan, plan
from protocols.planning.plan_text import plan_json, render_plan
from protocols.reading.documents import Unreadable, read_document


def check_files(files: Sequence[Path], *, json_wanted: bool) -> int:
    """0: nothing wrong but warnings, 1: errors."""
    found = [diagnostic for file in files for diagnostic in check_file(file)]
    if json_wanted:
        sys.stdout.write(json.dumps([as_json(one) for one in found], ensure_ascii=False) + "\n")
    elif found:
        sys.stdout.write(render_all(found) + "\n")
    if not json_wanted:
        for file in files:
            if not any(one.file == str(file) for one in found):
                sys.stdout.write(f"{file}: no errors\n")
    return 1 if has_errors(found) else 0


def check_file(file: Path) -> tuple[Diagnostic, ...]:
    if file.suffix != ".toml":
        return load_protocol(file).diagnostics
    try:
        text = read_document(file).text
    except Unreadable as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    config, found = check_config_text(text, str(file))
    return found if config is None else (*found, *_lacking(config, text, file))


def _lacking(config: Config, text: str, file: Path) -> tuple[Diagnostic, ...]:
    """Not among the errors of the file: where a library is missing, safe-off must still be able to read it."""
    from cycler_ctl.notify.sending import MISSING, has_library

    if not config.notify or has_library():
        return ()
    lines = text.splitlines()
    line = next((at for at, one in enumerate(lines, 1) if one.lstrip().startswith("[notify")), 1)
    mark = Mark(Source(str(file), tuple(lines)), line, 1)
    what, _, advice = MISSING.partition(": ")
    return (diagnostic_at(mark, Severity.ERROR, "missing-library", what, advice),)


def data_dir_of(config: Path | None) -> Path:
    return load_config(find_config(config)).station.data_dir


def show_plan(
    file: Path, cell: Path | None, overrides: Sequence[str], spot: tuple[Path | None, str], *, json_wanted: bool
) -> int:
    """A dry run; with a channel (``spot``: station.toml, channel) against all that a start there would look at."""
    checked = load_protocol(file, overrides=overrides_of(overrides), cell_path=cell)
    if checked.program is None:
        raise ConfigError(render_all(checked.diagnostics))
    config, channel = spot
    found = on_channel(checked.program, load_config(find_config(config)), channel) if channel else plan(checked.program)
    if checked.diagnostics:
        sys.stderr.write(render_all(checked.diagnostics) + "\n")
    told = fitted(render_plan(found, str(file)), columns())
    sys.stdout.write((json.dumps(plan_json(found), ensure_ascii=False) if json_wanted else told) + "\n")
    return 1 if found.errors else 0


def on_channel(program: Program, config: Config, channel: str) -> Plan:
    """With the channel's settings, its instrument's ratings as far as they are known unseen, and why it would refuse."""
    if channel not in config.channels:
        raise ConfigError(f"no channel {channel!r}: there are {', '.join(sorted(config.channels))}")
    settings = config.channels[channel]
    instrument = config.instruments[settings.instrument]
    spec = load_driver(instrument.driver)
    if spec.ratings is None:
        return plan(replace(program, settings=engine_settings(settings)))
    ratings = spec.ratings(spec.options(**{**instrument.options, "regulation": settings.regulation}))
    return plan_on(program, settings, f"{spec.title} ({settings.instrument})", ratings)


def run_dir(run: str, config: Path | None) -> Path:
    """A run by its folder, which needs no station.toml, or by its id."""
    folder = Path(run)
    return folder if folder.is_dir() else find_run(data_dir_of(config), run)


def run_or_bundle(run: str, config: Path | None) -> Path:
    bundle = Path(run)
    return bundle if bundle.suffix == ".zip" and bundle.is_file() else run_dir(run, config)


def overwriting_of(*, forced: bool) -> Overwriting:
    return Overwriting.FORCED if forced else Overwriting.REFUSED


@dataclass(frozen=True, slots=True)
class Output:
    """Where to; None: the command's own place."""

    out: Path | None
    overwriting: Overwriting


def export_run(
    run: str, output: Output, kind: str, config: Path | None, columns: str, *, json_wanted: bool = False
) -> int:
    from cycler_ctl.records.bdf import Columns
    from cycler_ctl.store.export.formats import export_run_as

    folder = run_dir(run, config)
    with progress(wanted=not json_wanted) as tell:
        path = export_run_as(kind, folder, output.out, Columns(columns), output.overwriting, tell=tell)
    say_path(path, as_json=json_wanted)
    return 0


def say_path(path: Path, *, as_json: bool) -> None:
    """Where what was asked for is now."""
    sys.stdout.write((json.dumps({"file": str(path)}) if as_json else str(path)) + "\n")


def report_run(run: str, output: Output, config: Path | None, *, html: bool, json_wanted: bool) -> int:
    from cycler_ctl.report.command import show_report

    place = run_or_bundle(run, config)
    return show_report(place, output.out, html=html, json_wanted=json_wanted, overwriting=output.overwriting)
