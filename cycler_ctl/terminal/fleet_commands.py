"""Commands that look at what stations do: at this one, or at all by way of the historian's database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cycler_ctl.errors import ConfigError

fleet_app = typer.Typer()
INSTALL = "the historian is not installed: pip install 'cycler-ctl[fleet]'"
ToOption = Annotated[
    str, typer.Option("--to", help="postgresql://user@host:port/database; the password from PGPASSFILE")
]


@fleet_app.command()
def status(
    *,
    watch: Annotated[bool, typer.Option("--watch", help="keep showing")] = False,
    fleet: Annotated[
        bool, typer.Option("--fleet", help="all stations, as the historian's database knows them")
    ] = False,
    to: ToOption = "",
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", help="station.toml (default: $CYCLER_CTL_CONFIG, ./station.toml); with --fleet collector.toml"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Show what every channel is doing."""
    if fleet:
        raise typer.Exit(_show_fleet(to, config, as_json=as_json))
    from cycler_ctl.terminal.status import show_status

    raise typer.Exit(show_status(config, watch=watch, as_json=as_json))


@fleet_app.command()
def collect(
    to: ToOption,
    *,
    origin: Annotated[
        str, typer.Option("--from", help="nats://host:port,... (a cluster with MQTT gateway) or mqtts://host:port,...")
    ] = "nats://127.0.0.1:4222",
    config: Annotated[Path | None, typer.Option("--config", help="collector.toml: name, certificates, files")] = None,
    listen: Annotated[
        str | None, typer.Option("--listen", help="HOST:PORT: also serve a page of all stations, e.g. 127.0.0.1:8790")
    ] = None,
) -> None:
    """Write what all stations publish into PostgreSQL, and say which runs are there completely."""
    try:
        from cycler_ctl.fleet.command import collect as run_collector
    except ModuleNotFoundError as error:
        raise ConfigError(INSTALL) from error

    raise typer.Exit(run_collector(to, origin, config, listen))


def _show_fleet(to: str, config: Path | None, *, as_json: bool) -> int:
    if not to:
        raise ConfigError("status --fleet: which database? --to postgresql://user@host:port/database")
    try:
        from cycler_ctl.fleet.status import show
    except ModuleNotFoundError as error:
        raise ConfigError(INSTALL) from error

    return show(to, config, as_json=as_json)
