"""Commands that talk to the running service."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from cycler_ctl.clock import SystemClock
from cycler_ctl.config import find_config, load_config
from cycler_ctl.errors import RefusedError
from cycler_ctl.running.start import overrides_of, read_order, who
from cycler_ctl.terminal.client import Answer, Client
from cycler_ctl.terminal.folding import columns, folded
from cycler_ctl.watching import latch

LOOK_EVERY_S = 1.0
HEADS = ("channel", "state", "output", "cycle", "step")
SHOWN = ("channel", "state", "energised", "cycle", "step")
ABOUT = ("run", "verified", "armed")


def client_of(config: Path | None) -> Client:
    return Client(load_config(find_config(config)))


def start_run(
    file: Path, channel: str, config: Path | None, cell: Path | None, overrides: Sequence[str], *, as_json: bool
) -> int:
    """All texts go with the request: the service may run as another user, and must not see files of this one."""
    order = read_order(file, cell, overrides_of(overrides))
    body: dict[str, object] = {
        "protocol": order.protocol.text,
        "file_name": order.protocol.name,
        "include": dict(order.sent or {}),
        "set": dict(order.overrides),
        "by": who(),
    }
    if order.cell is not None:
        body |= {"cell": order.cell.text, "cell_name": order.cell.name}
    answer = client_of(config).post(f"/api/v1/channels/{channel}/start", body)
    sys.stdout.write((json.dumps(answer) if as_json else str(answer["run"])) + "\n")
    return 0


def act(action: str, channel: str, config: Path | None) -> int:
    if not channel:
        return acknowledge_station(config)
    client_of(config).post(f"/api/v1/channels/{channel}/{action}", {"by": who()})
    said = "off, read back" if action == "stop" else "done"
    sys.stderr.write(f"channel {channel}: {action}: {said}\n")
    return 0


def acknowledge_station(config: Path | None) -> int:
    """A station that failed too often: its guardian, if one waits, starts it again; it has no other way to be told."""
    data_dir = load_config(find_config(config)).station.data_dir
    why = latch.latched(data_dir)
    if why is None:
        raise RefusedError("the station is not held back: name the channel that you have looked at")
    latch.acknowledge(data_dir, who(), SystemClock().utc())
    sys.stderr.write(f"acknowledged ({why}): a service that waits starts its station again within seconds\n")
    return 0


def wait_for(run: str, config: Path | None, *, as_json: bool) -> int:
    """Poll: a run takes days, a second does not matter."""
    client, pause = client_of(config), Event()
    while True:
        found = client.get(f"/api/v1/runs/{run}")
        if found["state"] != "running":
            break
        pause.wait(LOOK_EVERY_S)
    text = json.dumps(found) if as_json else f"{found['run']}: {found['outcome'] or found['state']} ({found['reason']})"
    sys.stdout.write(text + "\n")
    return 0 if found["outcome"] == "finished" else 1


def show_status(config: Path | None, *, watch: bool, as_json: bool) -> int:
    client, pause, data_dir = client_of(config), Event(), load_config(find_config(config)).station.data_dir
    while True:
        channels = with_armed(with_verified(client.list("/api/v1/channels"), data_dir), data_dir)
        if as_json:
            sys.stdout.write(json.dumps(channels) + "\n")
        else:
            print_channels(channels)
        say_alarms(client.list("/api/v1/alarms"))
        say_share_trouble(config)
        if not watch:
            return 0
        sys.stdout.flush()
        pause.wait(LOOK_EVERY_S)


def with_verified(channels: Sequence[Answer], data_dir: Path) -> list[Answer]:
    """When each channel was last compared with a known resistor; the file is on this computer, as the service is."""
    from cycler_ctl.verify.ledger import in_words

    return [{**one, "verified": in_words(data_dir, str(one["channel"]))} for one in channels]


def with_armed(channels: Sequence[Answer], data_dir: Path) -> list[Answer]:
    """What may be started over MQTT, and until when."""
    from cycler_ctl.commanding.armed import in_words

    return [{**one, "armed": in_words(data_dir, str(one["channel"]))} for one in channels]


def say_alarms(alarms: Sequence[Answer]) -> None:
    """One line each; 'cycler-ctl alarms' tells what to do."""
    active = [one for one in alarms if one["cleared_utc_s"] is None]
    sys.stderr.writelines(f"{one['severity']}: {one['what']}\n" for one in active)
    if active:
        sys.stderr.write("what to do: 'cycler-ctl alarms'\n")


def say_share_trouble(config: Path | None) -> None:
    """Copies to the group's folder that do not come through: the service writes down what stands in the way."""
    from cycler_ctl.share.ledger import read_ledger

    settings = load_config(find_config(config))
    if settings.share is None:
        return
    ledger = read_ledger(settings.station.data_dir)
    if ledger.trouble is not None:
        sys.stderr.write(f"share: {ledger.waiting} ended runs wait to be copied: {ledger.trouble}\n")


def print_channels(channels: Sequence[Answer]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in channel_lines(channels, columns()))


def channel_lines(channels: Sequence[Answer], width: int | None) -> list[str]:
    """A table, and below each channel what may be long: its run, to be copied whole, and why it is as it is."""
    rows = [HEADS, *(tuple(cell_text(one, key) for key in SHOWN) for one in channels)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    found = table[:1]
    for line, one in zip(table[1:], channels, strict=True):
        found += [line, *(folded(f"    {more}", width) for more in _more(one))]
    return found


def _more(channel: Answer) -> list[str]:
    head = ", ".join(f"{name} {cell_text(channel, name)}" for name in ABOUT if channel.get(name))
    return [text for text in (head, cell_text(channel, "reason")) if text]


def cell_text(channel: Answer, key: str) -> str:
    """Off is said only when it was read back."""
    value = channel.get(key)
    if key == "energised":
        return "not known" if value is None else "ON" if value else "off"
    if key == "step":
        return f"{value or ''} {channel.get('doing') or channel.get('what') or ''}".strip()
    return "" if value is None else str(value)
