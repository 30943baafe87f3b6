"""Commands on protocol files: predict, translate from and to other programs' languages, schema, library, fmt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

protocol_app = typer.Typer()

OutOption = Annotated[Path | None, typer.Option("-o", "--output", help="file to write (default: standard output)")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="name=quantity, in place of the protocol's variable")
]
CellOption = Annotated[Path | None, typer.Option("--cell", help="cell file used in place of the protocol's cell:")]
ForceOption = Annotated[bool, typer.Option("--force", help="write over a file that is there already")]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON")]
FileArgument = Annotated[Path, typer.Argument(help="protocol file")]


@protocol_app.command()
def predict(
    file: FileArgument,
    *,
    cell_model: Annotated[str, typer.Option("--cell-model", help="a simulated cell: a to e of figure S3, or nmc")],
    cell: CellOption = None,
    overrides: SetOption = None,
    sample_every: Annotated[str, typer.Option("--sample-every", help="time between readings")] = "10 s",
    out: Annotated[
        Path | None, typer.Option("-o", "--output", help="the predicted rows as x.csv, or a figure x.png or x.svg")
    ] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run a protocol on a simulated cell in virtual time: voltages, capacities, durations, end reasons."""
    from cycler_ctl.predict import PredictOptions, show_prediction
    from cycler_ctl.terminal.commands import overwriting_of

    options = PredictOptions(cell_model, sample_every, out, as_json=as_json, overwriting=overwriting_of(forced=force))
    raise typer.Exit(show_prediction(file, cell, overrides or [], options))


@protocol_app.command(name="import")
def import_protocol(
    file: Annotated[Path, typer.Argument(help="aurora-unicycler JSON, or a PyBaMM experiment as text or JSON")],
    *,
    source: Annotated[str, typer.Option("--from", help="unicycler or pybamm")],
    out: OutOption = None,
    cell: CellOption = None,
    discharge_means: Annotated[
        str, typer.Option("--discharge-means", help="lithiate or delithiate: what it does to the working electrode")
    ] = "lithiate",
    skip_unsupported: Annotated[
        bool, typer.Option("--skip-unsupported", help="leave a note: in place of what cannot be kept")
    ] = False,
    force: ForceOption = False,
) -> None:
    """Write another program's protocol in this language, and say what changed or could not be kept."""
    from cycler_ctl.terminal.commands import overwriting_of
    from cycler_ctl.terminal.translate import ImportOptions, import_file

    overwriting = overwriting_of(forced=force)
    options = ImportOptions(
        source, out, cell, discharge_means, skip_unsupported=skip_unsupported, overwriting=overwriting
    )
    raise typer.Exit(import_file(file, options))


@protocol_app.command()
def translate(
    file: FileArgument,
    *,
    target: Annotated[str, typer.Option("--to", help="pybamm, unicycler or battinfo")],
    out: OutOption = None,
    cell: CellOption = None,
    overrides: SetOption = None,
    force: ForceOption = False,
) -> None:
    """Write a protocol in another program's language; what that cannot say is refused by name."""
    from cycler_ctl.terminal.commands import overwriting_of
    from cycler_ctl.terminal.translate import Target, translate_file

    raise typer.Exit(translate_file(file, Target(target, out, overwriting_of(forced=force)), cell, overrides or []))


@protocol_app.command()
def schema(
    what: Annotated[str, typer.Argument(help="protocol, cell, station, mqtt or http")],
    *,
    out: OutOption = None,
    force: ForceOption = False,
) -> None:
    """Print the JSON Schema of protocols, cell files or station.toml, the AsyncAPI or the OpenAPI document."""
    from cycler_ctl.terminal.commands import overwriting_of
    from cycler_ctl.terminal.schemas import show_schema

    raise typer.Exit(show_schema(what, out, overwriting_of(forced=force)))


@protocol_app.command(name="library")
def show_library(
    folder: Annotated[Path | None, typer.Argument(help="copy them here; files that exist stay as they are")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """List the protocols that ship with the program, or copy them to a folder of yours."""
    from cycler_ctl.terminal.shelf import copy_library, list_library

    raise typer.Exit(list_library(as_json=as_json) if folder is None else copy_library(folder))


@protocol_app.command()
def fmt(
    files: Annotated[list[Path], typer.Argument(help="protocol files")],
    *,
    check_only: Annotated[bool, typer.Option("--check", help="change nothing; exit 1 if a file would change")] = False,
) -> None:
    """Lay protocol files out in one way; comments and meaning stay."""
    from cycler_ctl.terminal.formatting import format_files

    raise typer.Exit(format_files(files, check_only=check_only))
