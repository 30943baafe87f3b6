"""``arm`` and ``disarm``: what may be started over MQTT is left ready here, by somebody at this computer."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cycler_ctl.clock import SystemClock
from cycler_ctl.commanding.armed import LONGEST_S, ArmedFile, disarm, said, settings_digest, write_armed
from cycler_ctl.commanding.decide import FREE
from cycler_ctl.config import Config, find_config, load_config
from cycler_ctl.errors import ConfigError, RefusedError
from cycler_ctl.live import ChannelState
from cycler_ctl.running.start import Order, checked_program, overrides_of, read_order, who
from cycler_ctl.terminal.client import Answer, Client
from cycler_ctl.terminal.commands import on_channel
from protocols.model import Program
from protocols.quantities import Dimension, QuantityError, parse_positive


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to leave ready. ``window``: for how long, as text."""

    channel: str
    file: Path
    cell: Path | None
    overrides: Sequence[str]
    window: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where it will run: ``settings`` is their digest, ``run`` the newest there so far."""

    channel: str
    settings: str
    run: object


def arm_channel(wanted: Wanted, config_path: Path | None, *, as_json: bool = False) -> int:
    """Prints the digest that a start over MQTT must name."""
    config = load_config(find_config(config_path))
    refuse_without_commands(config, wanted.channel)
    order = read_order(wanted.file, wanted.cell, overrides_of(wanted.overrides), by=who())
    _, program = checked_program(order)
    problems = [f"- {problem.message}" for problem in on_channel(program, config, wanted.channel).errors]
    if problems:
        raise RefusedError("\n".join([f"channel {wanted.channel} cannot run {wanted.file}:", *problems]))
    window_s, utc_s = window_of(wanted.window), SystemClock().utc()
    status = free_channel(Client(config), wanted.channel)
    place = Place(wanted.channel, settings_digest(config, wanted.channel), status.get("run"))
    file = armed_file(place, order, program, (utc_s, utc_s + window_s))
    write_armed(config.station.data_dir, file)
    sys.stdout.write((json.dumps(asdict(file.facts())) if as_json else file.digest()) + "\n")
    sys.stderr.write(f"channel {wanted.channel} is armed: {said(file.facts())}; once, and not beyond a restart\n")
    return 0


def disarm_channel(channel: str, config_path: Path | None) -> int:
    config = load_config(find_config(config_path))
    refuse_unknown(config, channel)
    found = disarm(config.station.data_dir, channel)
    sys.stderr.write(f"channel {channel} {'is not armed any more' if found else 'was not armed'}\n")
    return 0


def armed_file(place: Place, order: Order, program: Program, window_utc_s: tuple[float, float]) -> ArmedFile:
    return ArmedFile(
        channel=place.channel,
        protocol_name=order.protocol.name,
        protocol_text=order.protocol.text,
        cell_name=None if order.cell is None else order.cell.name,
        cell_text=None if order.cell is None else order.cell.text,
        overrides=dict(order.overrides),
        included=dict(order.sent or {}),
        settings=place.settings,
        shown_protocol=program.name,
        shown_cell=program.cell.name,
        by=order.by,
        armed_utc_s=window_utc_s[0],
        until_utc_s=window_utc_s[1],
        after_run=None if place.run is None else str(place.run),
    )


def refuse_without_commands(config: Config, channel: str) -> None:
    refuse_unknown(config, channel)
    if not config.mqtt.commands or config.mqtt.start_secret_file is None:
        raise RefusedError(
            "nobody could start it: [mqtt] has no commands = true with operate_secret_file and start_secret_file"
        )


def refuse_unknown(config: Config, channel: str) -> None:
    if channel not in config.channels:
        raise ConfigError(f"no channel {channel!r}: there are {', '.join(sorted(config.channels))}")


def window_of(text: str) -> float:
    try:
        window_s = parse_positive(text, Dimension.TIME, subject="--for").value
    except QuantityError as error:
        raise ConfigError(error.message) from error
    if window_s > LONGEST_S:
        raise ConfigError(f"--for {text}: a channel is armed for at most {LONGEST_S / 3600:.0f} h")
    return window_s


def free_channel(client: Client, channel: str) -> Answer:
    """The channel as the service sees it; RefusedError where no run may begin."""
    status = next(one for one in client.list("/api/v1/channels") if one["channel"] == channel)
    if ChannelState(str(status["state"])) not in FREE:
        raise RefusedError(f"channel {channel} is {status['state']}: arm it when it is free")
    return status
