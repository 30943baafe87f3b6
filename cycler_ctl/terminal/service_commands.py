"""Commands on the service as the system's own manager starts it."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

service_app = typer.Typer(help="Let the system start the service, and start it again.", no_args_is_help=True)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="station.toml (default: $CYCLER_CTL_CONFIG, ./station.toml)")
]
SystemOption = Annotated[bool, typer.Option("--system", help="for the whole computer (root); else for you")]
AsOption = Annotated[str, typer.Option("--as", help="the user it runs as (with --system: cycler; Windows: you)")]
DryOption = Annotated[bool, typer.Option("--dry-run", help="show what would be done")]


def _user(named: str, *, system: bool) -> str:
    return named or ("cycler" if system else getpass.getuser())


@service_app.command()
def install(
    *,
    system: SystemOption = False,
    user: AsOption = "",
    restart: Annotated[bool, typer.Option("--restart", help="also restart a service that runs")] = False,
    dry_run: DryOption = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask, also in a terminal")] = False,
    config: ConfigOption = None,
) -> None:
    """Install or replace it: a systemd unit, on Windows a task. One that runs is not restarted unless you say so."""
    from cycler_ctl.installing.command import install as install_service
    from cycler_ctl.installing.command import service_of
    from cycler_ctl.terminal.asking import Asking

    service = service_of(config, system=system, user=_user(user, system=system))
    raise typer.Exit(install_service(service, Asking(yes), restart=restart, dry_run=dry_run))


@service_app.command()
def uninstall(
    *, system: SystemOption = False, user: AsOption = "", dry_run: DryOption = False, config: ConfigOption = None
) -> None:
    """Take it away, with every output read back as off first; refused while a run is active."""
    from cycler_ctl.installing.command import service_of
    from cycler_ctl.installing.command import uninstall as take_away

    service = service_of(config, system=system, user=_user(user, system=system), broken=True)
    raise typer.Exit(take_away(service, dry_run=dry_run))


@service_app.command()
def status(
    *,
    system: SystemOption = False,
    user: AsOption = "",
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Say whether it is installed, runs, and is what this version installs; exit status 0 if it runs."""
    from cycler_ctl.installing.command import service_of, show

    service = service_of(config, system=system, user=_user(user, system=system), broken=True)
    raise typer.Exit(show(service, as_json=as_json))
