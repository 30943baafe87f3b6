"""Commands about commands over MQTT: leave a run ready here, send a command from anywhere, see what was sent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

mqtt_app = typer.Typer()

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="station.toml (default: $CYCLER_CTL_CONFIG, ./station.toml)")
]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON")]
ChannelArgument = Annotated[str, typer.Argument(help="channel of station.toml")]


@mqtt_app.command()
def arm(
    channel: ChannelArgument,
    file: Annotated[Path, typer.Argument(help="protocol file")],
    *,
    window: Annotated[str, typer.Option("--for", help="how long, at most 24 h")],
    cell: Annotated[Path | None, typer.Option("--cell", help="cell file used in place of the protocol's cell:")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="name=quantity")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Leave a run ready to be started once over MQTT; prints the digest that the start must name."""
    from cycler_ctl.terminal.arming import Wanted, arm_channel

    raise typer.Exit(arm_channel(Wanted(channel, file, cell, overrides or [], window), config, as_json=as_json))


@mqtt_app.command()
def disarm(channel: ChannelArgument, *, config: ConfigOption = None) -> None:
    """Nobody may start this channel over MQTT any more."""
    from cycler_ctl.terminal.arming import disarm_channel

    raise typer.Exit(disarm_channel(channel, config))


@mqtt_app.command()
def send(
    channel: Annotated[str, typer.Argument(help="channel of that station")],
    action: Annotated[str, typer.Argument(help="stop, pause, skip or start")],
    *,
    mqtt: Annotated[str, typer.Option("--mqtt", help="broker: mqtts://host:8883")],
    station: Annotated[str, typer.Option("--station", help="site/name of the station")],
    secret_file: Annotated[Path, typer.Option("--secret-file", help="the role's secret; only you may read it")],
    role: Annotated[str, typer.Option("--role", help="operate or start")] = "",
    order: Annotated[str, typer.Option("--order", help="with start: what arm printed")] = "",
    actor: Annotated[str, typer.Option("--actor", help="who asks, for the record (default: you)")] = "",
    username: Annotated[str, typer.Option("--username", help="the broker's user")] = "",
    password_file: Annotated[Path | None, typer.Option("--password-file", help="that user's password")] = None,
    ca_file: Annotated[Path | None, typer.Option("--ca-file", help="certificates to trust")] = None,
) -> None:
    """Send one signed command over MQTT and wait for the reply. 'stop' returns only when off is confirmed."""
    from cycler_ctl.config import MqttSettings
    from cycler_ctl.terminal.sending import Wanted, send_command

    user = username or None
    settings = MqttSettings(url=(mqtt,), username=user, password_file=password_file, ca_file=ca_file)
    role = role or ("start" if action == "start" else "operate")
    raise typer.Exit(send_command(Wanted(station, channel, action, role, order, actor, secret_file), settings))


@mqtt_app.command()
def commands(*, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List what came over MQTT as a command, by whom, and what became of it; the oldest first."""
    from cycler_ctl.terminal.sending import show_commands

    raise typer.Exit(show_commands(config, as_json=as_json))
