"""The command line. Results go to stdout, messages to stderr; whatever is heavy is imported when it is needed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cycler_ctl.errors import CyclerError
from cycler_ctl.terminal.alarm_commands import alarm_app
from cycler_ctl.terminal.completing import channels
from cycler_ctl.terminal.completing import runs as run_ids
from cycler_ctl.terminal.figure_commands import figure_app
from cycler_ctl.terminal.fleet_commands import fleet_app
from cycler_ctl.terminal.helping_commands import helping_app
from cycler_ctl.terminal.instrument_commands import instrument_app
from cycler_ctl.terminal.mqtt_commands import mqtt_app
from cycler_ctl.terminal.protocol_commands import ForceOption, protocol_app
from cycler_ctl.terminal.queue_commands import queue_app
from cycler_ctl.terminal.service_commands import service_app

DONE, FAILED, USAGE, UNREACHABLE, NOT_OFF = 0, 1, 2, 3, 4

app = typer.Typer(
    name="cycler-ctl",
    help="Run battery cycling protocols on real or simulated instruments: guarded, durable, live.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="station.toml (default: $CYCLER_CTL_CONFIG, ./station.toml)")
]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="do not ask, also in a terminal")]
CellOption = Annotated[Path | None, typer.Option("--cell", help="cell file used in place of the protocol's cell:")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="name=quantity, in place of the protocol's variable")
]
ChannelArgument = Annotated[str, typer.Argument(help="channel of station.toml", autocompletion=channels)]
ChannelOption = Annotated[str, typer.Option("--channel", help="channel of station.toml", autocompletion=channels)]
RunArgument = Annotated[
    str, typer.Argument(help="run id, the beginning of one, or a run's folder", autocompletion=run_ids)
]
DayOption = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="a day; it counts")]
FileArgument = Annotated[Path, typer.Argument(help="protocol file")]


@app.command()
def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="exit when all five runs are done")] = False,
    speed: Annotated[str, typer.Option(help="simulated seconds per second, or max")] = "max",
    seed: Annotated[int, typer.Option(help="the same seed gives the same rows")] = 1,
    data_dir: Annotated[Path, typer.Option(help="where runs, exports and figures go")] = Path("demo-data"),
    port: Annotated[int, typer.Option(help="port of the live page; 0: any free one")] = 8787,
    web: Annotated[bool, typer.Option("--web/--no-web", help="serve the live page")] = True,
) -> None:
    """Cycle the five cells of figure S3 on simulated instruments, with broker and live page."""
    from cycler_ctl.demo import DemoOptions, parse_speed, run_demo

    raise typer.Exit(run_demo(DemoOptions(once, parse_speed(speed), seed, data_dir, port, web)))


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="protocols or station.toml")], *, as_json: JsonOption = False
) -> None:
    """Say everything that is wrong in protocol files or station.toml, with file, line and column."""
    from cycler_ctl.terminal.commands import check_files

    raise typer.Exit(check_files(files, json_wanted=as_json))


@app.command()
def plan(
    file: FileArgument,
    *,
    cell: CellOption = None,
    overrides: SetOption = None,
    config: ConfigOption = None,
    channel: Annotated[str, typer.Option("--channel", help="check against this channel of station.toml")] = "",
    as_json: JsonOption = False,
) -> None:
    """Show what a protocol would do: absolute currents, ends, longest duration. Nothing is energised."""
    from cycler_ctl.terminal.commands import show_plan

    raise typer.Exit(show_plan(file, cell, overrides or [], (config, channel), json_wanted=as_json))


@app.command()
def run(
    file: FileArgument,
    channel: ChannelOption,
    *,
    config: ConfigOption = None,
    cell: CellOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run one protocol in the foreground, without the service but guarded the same way."""
    from cycler_ctl.terminal.service import run_foreground

    raise typer.Exit(run_foreground(file, channel, config, cell, overrides or [], as_json=as_json))


@app.command()
def serve(*, config: ConfigOption = None) -> None:
    """Run the service: the guardian, and under it the station."""
    from cycler_ctl.terminal.service import serve_station

    raise typer.Exit(serve_station(config))


@app.command()
def start(
    file: FileArgument,
    channel: Annotated[
        list[str] | None, typer.Option("--channel", help="channel, or channel=cell.yaml; once for each of several")
    ] = None,
    *,
    channels: Annotated[
        Path | None, typer.Option("--channels", help="file with a line channel,cell.yaml for each")
    ] = None,
    config: ConfigOption = None,
    cell: CellOption = None,
    overrides: SetOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Start a protocol on a channel of the running service; prints the run's id. In a terminal the plan is shown first.

    On several channels all are checked and planned before any is started.
    """
    from cycler_ctl.terminal.asking import Asking
    from cycler_ctl.terminal.remote import Start, start_run
    from cycler_ctl.terminal.starting_many import start_many, targets_of

    asking = Asking(yes or as_json)
    found = targets_of(channel or [], channels, cell)
    if len(found) == 1 and channels is None:
        wanted = Start(file, found[0].channel, found[0].cell, overrides or [])
        raise typer.Exit(start_run(wanted, config, asking, as_json=as_json))
    raise typer.Exit(start_many(file, found, overrides or [], config, asking, as_json=as_json))


def _act(action: str, channel: str, config: Path | None, *, yes: bool = False) -> None:
    from cycler_ctl.terminal.asking import Asking
    from cycler_ctl.terminal.remote import act

    raise typer.Exit(act(action, channel, config, Asking(yes)))


@app.command()
def stop(channel: ChannelArgument, *, config: ConfigOption = None) -> None:
    """Stop a channel's run; returns only when off was read back."""
    _act("stop", channel, config)


@app.command()
def pause(channel: ChannelArgument, *, config: ConfigOption = None) -> None:
    """Let a channel's cell rest; 'resume' goes on where it was."""
    _act("pause", channel, config)


@app.command()
def resume(channel: ChannelArgument, *, config: ConfigOption = None, yes: YesOption = False) -> None:
    """Go on with a paused or interrupted run, exactly where it was; the cell is looked at before current flows."""
    _act("resume", channel, config, yes=yes)


@app.command()
def skip(channel: ChannelArgument, *, config: ConfigOption = None, yes: YesOption = False) -> None:
    """End the present step and go on with the next."""
    _act("skip", channel, config, yes=yes)


@app.command()
def acknowledge(channel: ChannelArgument = "", *, config: ConfigOption = None) -> None:
    """Say that you have looked at a tripped, faulted or interrupted channel; without one, at a station not started again."""
    _act("acknowledge", channel, config)


@app.command()
def wait(run_id: RunArgument, *, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Return when a run has ended: 0 finished, 1 otherwise."""
    from cycler_ctl.terminal.remote import wait_for

    raise typer.Exit(wait_for(run_id, config, as_json=as_json))


def _one_of(word: str, known: Sequence[str], option: str) -> None:
    if word not in known:
        raise typer.BadParameter(f"{word!r} is not one of {', '.join(filter(None, known))}", param_hint=option)


@app.command()
def runs(
    *,
    cell: Annotated[str, typer.Option("--cell", help="part of the cell's name")] = "",
    protocol: Annotated[str, typer.Option("--protocol", help="part of the protocol's name")] = "",
    since: DayOption = None,
    until: DayOption = None,
    state: Annotated[str, typer.Option("--state", help="finished, stopped, tripped, running, interrupted, ...")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the runs on this computer, the newest first; days are UTC, as in the run ids."""
    from cycler_ctl.records.runs import STATES, Wanted, show_runs
    from cycler_ctl.terminal.commands import data_dir_of

    _one_of(state, ("", *STATES), "--state")
    wanted = Wanted(cell, protocol, since, until, state)
    raise typer.Exit(show_runs(data_dir_of(config), wanted, json_wanted=as_json))


@app.command()
def report(
    run_id: Annotated[str, typer.Argument(help="run id, the beginning of one, a run's folder, or a bundle (.zip)")],
    *,
    html: Annotated[bool, typer.Option("--html", help="a page for a browser, in one file")] = False,
    out: Annotated[Path | None, typer.Option("-o", "--output", help="file to write (x.txt, x.html, x.json)")] = None,
    force: ForceOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """One page that proves a run: what was run, how it ended, capacities, what happened, hashes, versions."""
    from cycler_ctl.terminal.commands import Output, overwriting_of, report_run

    output = Output(out, overwriting_of(forced=force))
    raise typer.Exit(report_run(run_id, output, config, html=html, json_wanted=as_json))


@app.command()
def export(
    run_id: RunArgument,
    *,
    out: Annotated[Path | None, typer.Option("-o", "--output", help="file or folder")] = None,
    kind: Annotated[str, typer.Option("--format", help="bdf-csv, bdf-parquet or bundle")] = "bdf-csv",
    all_columns: Annotated[bool, typer.Option("--all-columns", help="also the counters of cycle and step")] = False,
    force: ForceOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a run as a Battery Data Format file with its metadata, or as a bundle (zip) that stands alone."""
    from cycler_ctl.terminal.commands import Output, export_run, overwriting_of

    output = Output(out, overwriting_of(forced=force))
    raise typer.Exit(export_run(run_id, output, kind, config, "all" if all_columns else "plain", json_wanted=as_json))


@app.command(name="safe-off")
def safe_off(*, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Turn every output off and read it back, without the service. Exit status 4 if one is not confirmed off."""
    from cycler_ctl.terminal.safe_off import safe_off_station

    raise typer.Exit(safe_off_station(config, as_json=as_json))


app.add_typer(figure_app)
app.add_typer(protocol_app)
app.add_typer(instrument_app)
app.add_typer(alarm_app)
app.add_typer(mqtt_app)
app.add_typer(fleet_app)
app.add_typer(helping_app)
app.add_typer(queue_app)
app.add_typer(service_app, name="service")


def main() -> None:
    """Entry point: a user's mistake is one message, never a stack trace."""
    try:
        app()
    except CyclerError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(_status_of(error))
    except KeyboardInterrupt:
        sys.exit(130)


def _status_of(error: CyclerError) -> int:
    from cycler_ctl.terminal.client import NotOffError, UnreachableError

    if isinstance(error, UnreachableError):
        return UNREACHABLE
    return NOT_OFF if isinstance(error, NotOffError) else FAILED


if __name__ == "__main__":
    main()
