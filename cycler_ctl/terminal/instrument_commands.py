"""Commands on instruments: who is there, and whether an output is true."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

instrument_app = typer.Typer()

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="station.toml (default: $CYCLER_CTL_CONFIG, ./station.toml)")
]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON")]


@instrument_app.command()
def scan(
    addresses: Annotated[
        list[str] | None, typer.Argument(help="ask here too: VISA resource names, serial://...")
    ] = None,
    *,
    ask: Annotated[
        list[str] | None, typer.Option("--ask", help="a serial port that may be asked who is there, every way we know")
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, max=30.0, help="seconds for an answer")] = 2.0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List ports and instruments, who they are, and the lines for station.toml. What the service holds is left alone."""
    from cycler_ctl.scan.command import show_scan
    from cycler_ctl.scan.places import Wanted

    wanted = Wanted(addresses or [], ask or [])
    raise typer.Exit(show_scan(wanted, config, timeout, as_json=as_json))


@instrument_app.command()
def drivers(*, as_json: JsonOption = False) -> None:
    """List the instrument drivers and what protects the cell when the PC is gone."""
    from cycler_ctl.doctor import show_drivers

    raise typer.Exit(show_drivers(as_json=as_json))


@instrument_app.command()
def doctor(*, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say what is wrong with this installation and its station.toml."""
    from cycler_ctl.doctor import show_doctor

    raise typer.Exit(show_doctor(config, as_json=as_json))


@instrument_app.command()
def verify(
    channel: Annotated[str, typer.Argument(help="channel of station.toml, with a resistor in the place of the cell")],
    *,
    resistor: Annotated[str, typer.Option("--resistor", help="its value, such as '1 kohm'")],
    tolerance: Annotated[str, typer.Option("--tolerance", help="how well that is known")] = "0.1 %",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Step current and voltage into a known resistor and compare with the instrument's stated accuracy."""
    from cycler_ctl.verify.command import Wanted, verify_channel

    raise typer.Exit(verify_channel(Wanted(channel, resistor, tolerance), config, as_json=as_json))
