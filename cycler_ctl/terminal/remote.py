"""Commands that talk to the running service."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from cycler_ctl.clock import SystemClock
from cycler_ctl.config import Config, find_config, load_config
from cycler_ctl.errors import RefusedError
from cycler_ctl.running.start import Order, checked_program, overrides_of, read_order, who
from cycler_ctl.terminal.asking import Asking
from cycler_ctl.terminal.channel_table import channel_lines
from cycler_ctl.terminal.client import Answer, Client, client_of
from cycler_ctl.terminal.commands import on_channel
from cycler_ctl.terminal.folding import columns, fitted
from cycler_ctl.watching import latch
from protocols.planning.plan_text import render_plan

LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Start:
    """What is to run, and where."""

    file: Path
    channel: str
    cell: Path | None = None
    overrides: Sequence[str] = ()


def start_run(start: Start, config: Path | None, asking: Asking, *, as_json: bool) -> int:
    """All texts go with the request: the service may run as another user, and must not see files of this one."""
    order = read_order(start.file, start.cell, overrides_of(start.overrides))
    client = client_of(config)
    if asking.wanted():
        _confirm_start(start, order, client, load_config(find_config(config)), asking)
    body: dict[str, object] = {
        "protocol": order.protocol.text,
        "file_name": order.protocol.name,
        "include": dict(order.sent or {}),
        "set": dict(order.overrides),
        "by": who(),
    }
    if order.cell is not None:
        body |= {"cell": order.cell.text, "cell_name": order.cell.name}
    answer = client.post(f"/api/v1/channels/{start.channel}/start", body)
    sys.stdout.write((json.dumps(answer) if as_json else str(answer["run"])) + "\n")
    return 0


def _confirm_start(start: Start, order: Order, client: Client, config: Config, asking: Asking) -> None:
    """The very texts that are sent, planned against the channel; what it would refuse is not asked for."""
    _, program = checked_program(order)
    found = on_channel(program, config, start.channel)
    told = fitted(render_plan(found, str(start.file)), columns(sys.stderr))
    if found.errors:
        raise RefusedError(f"{told}\nchannel {start.channel} would refuse this: nothing was sent")
    now = _channel(client, start.channel)
    station = f"station {config.station.name}, channel {start.channel} ({now['instrument']}): {now['state']} now"
    asking.confirm(f"{told}\n{station}", f"Start cell {program.cell.name} on channel {start.channel}?")


def _channel(client: Client, channel: str) -> Answer:
    found = {str(one["channel"]): one for one in client.list("/api/v1/channels")}
    if channel not in found:
        raise RefusedError(f"there is no channel {channel!r}: there are {', '.join(sorted(found))}")
    return found[channel]


ASKED = {
    "skip": "the present step ends, and cannot be taken up again",
    "resume": "current flows again into the cell that is connected now",
}
"""Actions that a slip would harm with; the others only ever make it calmer."""


def act(action: str, channel: str, config: Path | None, asking: Asking) -> int:
    if not channel:
        return acknowledge_station(config)
    client = client_of(config)
    if action in ASKED and asking.wanted():
        _confirm_act(action, channel, client, asking)
    client.post(f"/api/v1/channels/{channel}/{action}", {"by": who()})
    said = "off, read back" if action == "stop" else "done"
    sys.stderr.write(f"channel {channel}: {action}: {said}\n")
    return 0


def _confirm_act(action: str, channel: str, client: Client, asking: Asking) -> None:
    """A step may end while somebody thinks: the answer was about that one, not about the next."""
    before = _channel(client, channel)
    told = "\n".join(channel_lines([before], columns(sys.stderr)))
    asking.confirm(told, f"{action} on channel {channel}: {ASKED[action]}. Go on?")
    if place_of(_channel(client, channel)) != place_of(before):
        raise RefusedError(f"channel {channel} has gone on meanwhile: nothing was done, look again")


def place_of(channel: Answer) -> tuple[object, ...]:
    return tuple(channel.get(key) for key in ("state", "run", "step", "cycle", "since_utc_s"))


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
