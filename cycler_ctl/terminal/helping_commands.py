"""Commands that help with the others: the service's log, repair of a run's files, and completion for the shell."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cycler_ctl.terminal.completing import SHELLS, channels, runs

helping_app = typer.Typer()
TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]


@helping_app.command()
def logs(
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on showing what comes")] = False,
    channel: Annotated[
        str, typer.Option("--channel", help="only what names this channel", autocompletion=channels)
    ] = "",
    since: Annotated[datetime | None, typer.Option("--since", formats=TIMES, help="a day or time here")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="station.toml (default: $CYCLER_CTL_CONFIG, ./station.toml)")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON, one object a line")] = False,
) -> None:
    """Show what the service said; times are UTC. What happened to a run is in its report."""
    from cycler_ctl.terminal.commands import data_dir_of
    from cycler_ctl.terminal.logs import Wanted, show_logs

    raise typer.Exit(show_logs(data_dir_of(config), Wanted(channel, since), follow=follow, as_json=as_json))


@helping_app.command()
def repair(
    run_id: Annotated[str, typer.Argument(help="run id, the beginning of one, or a run's folder", autocompletion=runs)],
    *,
    config: Annotated[
        Path | None, typer.Option("--config", help="station.toml (default: $CYCLER_CTL_CONFIG, ./station.toml)")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Look through a run's files; make damaged ones anew of what they and the sealed days hold. The old ones are kept."""
    from cycler_ctl.records.repair import show_repair
    from cycler_ctl.terminal.commands import run_dir

    raise typer.Exit(show_repair(run_dir(run_id, config), as_json=as_json))


@helping_app.command()
def completion(shell: Annotated[str, typer.Argument(help="bash, zsh, fish or powershell")]) -> None:
    """Print what makes your shell complete commands, channels and runs: eval "$(cycler-ctl completion bash)"."""
    from cycler_ctl.terminal.completing import script

    if shell not in SHELLS:
        raise typer.BadParameter(f"{shell!r} is not one of {', '.join(SHELLS)}", param_hint="SHELL")
    sys.stdout.write(script(shell) + "\n")
