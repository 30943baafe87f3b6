"""Commands on what a channel is to do next: its queue, and the running protocol amended."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

queue_app = typer.Typer()

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="station.toml (default: $CYCLER_CTL_CONFIG, ./station.toml)")
]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="do not ask, also in a terminal")]
CellOption = Annotated[Path | None, typer.Option("--cell", help="cell file used in place of the protocol's cell:")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="name=quantity, in place of the protocol's variable")
]
ByOption = Annotated[str, typer.Option("--by", help="who says so (default: you)")]


@queue_app.command()
def queue(
    channel: Annotated[str, typer.Argument(help="channel of station.toml; without one, all of them")] = "",
    action: Annotated[str, typer.Argument(help="list, add, remove, move, ready, unready, hold or release")] = "list",
    what: Annotated[
        list[str] | None, typer.Argument(help="add FILE · remove ID · move ID PLACE · ready [ID] · hold [WHY]")
    ] = None,
    *,
    cell: CellOption = None,
    overrides: SetOption = None,
    by: ByOption = "",
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What waits on a channel: each entry begins when a person has said that its cell is in the channel ('ready')."""
    from cycler_ctl.terminal.asking import Asking
    from cycler_ctl.terminal.queueing import Wish, act_on_queue

    wish = Wish(channel, action, tuple(what or ()), cell, tuple(overrides or ()), by)
    raise typer.Exit(act_on_queue(wish, config, Asking(yes or as_json), as_json=as_json))


@queue_app.command()
def amend(
    channel: Annotated[str, typer.Argument(help="channel of station.toml")],
    file: Annotated[Path, typer.Argument(help="the running protocol's file, changed in what has not begun yet")],
    *,
    cell: Annotated[Path | None, typer.Option("--cell", help="the cell file the run was started with, if any")] = None,
    overrides: SetOption = None,
    by: ByOption = "",
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change what a running protocol has still to do: more cycles, another later cut-off; never the step in progress."""
    from cycler_ctl.terminal.asking import Asking
    from cycler_ctl.terminal.queueing import Wish, amend_run

    wish = Wish(channel, "amend", (str(file),), cell, tuple(overrides or ()), by)
    raise typer.Exit(amend_run(wish, config, Asking(yes or as_json), as_json=as_json))
