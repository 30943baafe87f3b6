"""Commands on what needs a person, and on who is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

alarm_app = typer.Typer()
notify_app = typer.Typer(help="Who is told of alarms and ended runs.", no_args_is_help=True)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="station.toml (default: $CYCLER_CTL_CONFIG, ./station.toml)")
]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON")]


@alarm_app.command()
def alarms(
    *,
    acknowledge: Annotated[
        str, typer.Option("--acknowledge", help="an alarm's id: it is seen, and not repeated any more")
    ] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what needs a person now, the loudest first; what was over within the last day comes last."""
    from cycler_ctl.terminal.alarms import acknowledge_alarm, show_alarms

    raise typer.Exit(acknowledge_alarm(acknowledge, config) if acknowledge else show_alarms(config, as_json=as_json))


@notify_app.command(name="test")
def send_test(
    *,
    rule: Annotated[str, typer.Option("--rule", help="only this rule of station.toml")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a test message by every rule and say what each service answers; exit status 1 if one does not take it."""
    from cycler_ctl.notify.command import send_tests

    raise typer.Exit(send_tests(rule, config, as_json=as_json))


alarm_app.add_typer(notify_app, name="notify")
