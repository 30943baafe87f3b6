"""``status``: what every channel is doing, and what else somebody who looks should know."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import TypeAdapter

from cycler_ctl.config import Config, find_config, load_config
from cycler_ctl.publish.cursors import Confirmed
from cycler_ctl.terminal.alarms import short_lines
from cycler_ctl.terminal.channel_table import channel_lines
from cycler_ctl.terminal.client import ANSWER, Answer, Client
from cycler_ctl.terminal.folding import columns, folded

CONFIRMED = TypeAdapter(tuple[Confirmed, ...])


def show_status(config_path: Path | None, *, watch: bool, as_json: bool) -> int:
    config = load_config(find_config(config_path))
    client, data_dir = Client(config), config.station.data_dir
    if watch:
        from cycler_ctl.terminal.watching import watch as go_on

        return go_on(client, lambda channels: on_disk(channels, data_dir), as_json=as_json)
    channels = on_disk(client.list("/api/v1/channels"), data_dir)
    if as_json:
        sys.stdout.write(json.dumps(channels) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in channel_lines(channels, columns()))
    said = [*mqtt_trouble(client.get("/api/v1/station")), *share_trouble(config)]
    alarms = short_lines(client.list("/api/v1/alarms"), columns(sys.stderr))
    sys.stderr.writelines(f"{line}\n" for line in [*(folded(one, columns(sys.stderr)) for one in said), *alarms])
    return 0


def on_disk(channels: Sequence[Answer], data_dir: Path) -> list[Answer]:
    """When each was last compared with a known resistor, and what may be started over MQTT until when; the files are on
    this computer, as the service is.
    """
    from cycler_ctl.commanding.armed import in_words as armed
    from cycler_ctl.verify.ledger import in_words as verified

    return [
        {**one, "verified": verified(data_dir, str(one["channel"])), "armed": armed(data_dir, str(one["channel"]))}
        for one in channels
    ]


def mqtt_trouble(station: Answer) -> Iterator[str]:
    if station.get("mqtt") is None:
        return
    mqtt = ANSWER.validate_python(station["mqtt"])
    if not mqtt["connected"]:
        yield f"MQTT: not connected: {mqtt['message']}"
    elif mqtt["message"]:
        yield f"MQTT: {mqtt['message']}"
    if mqtt.get("commands"):
        yield f"MQTT: no command can come: {mqtt['commands']}"
    yield from sink_lines(CONFIRMED.validate_python(mqtt.get("confirmed", ())))


def sink_lines(confirmed: Sequence[Confirmed]) -> Iterator[str]:
    """How far each reader that keeps rows has the newest run of which it told, by its own word."""
    newest = {one.client: one for one in reversed(confirmed)}
    for one in newest.values():
        of = "" if one.of is None else f" of {one.of}"
        yield f"MQTT: {one.client} keeps {one.run} to row {one.seq}{of}, it said at {one.at}"


def share_trouble(config: Config) -> Iterator[str]:
    """Copies to the group's folder that do not come through: the service writes down what stands in the way."""
    from cycler_ctl.share.ledger import read_ledger

    if config.share is None:
        return
    ledger = read_ledger(config.station.data_dir)
    if ledger.trouble is not None:
        yield f"share: {ledger.waiting} ended runs wait to be copied: {ledger.trouble}"
