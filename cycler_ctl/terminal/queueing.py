"""``queue`` and ``amend``: what the service is asked, and what is said of its answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from cycler_ctl.errors import ConfigError
from cycler_ctl.running.start import Order, overrides_of, read_order, who
from cycler_ctl.terminal.asking import Asking
from cycler_ctl.terminal.client import Answer, Client, client_of
from cycler_ctl.terminal.folding import columns, folded
from protocols.quantities import format_duration


@dataclass(frozen=True, slots=True)
class Wish:
    """``channel`` empty: all of them. ``what`` belongs to the action: a file, an id, a place."""

    channel: str
    action: str
    what: Sequence[str]
    cell: Path | None
    overrides: Sequence[str]
    by: str


class Entry(BaseModel):
    id: str
    protocol: str
    cell: str
    by: str
    at_most_s: float | None


class Queue(BaseModel):
    """As the service tells it."""

    channel: str
    held: str | None
    ready: str | None
    waits: str | None
    entries: list[Entry]


class Amended(BaseModel):
    """``of`` names the program that was compared with."""

    channel: str
    done: bool
    of: str
    changes: list[str]


def act_on_queue(wish: Wish, config: Path | None, asking: Asking, *, as_json: bool) -> int:
    client = client_of(config)
    if wish.channel in {"", "list"}:
        names = [str(one["channel"]) for one in client.list("/api/v1/channels")]
        return _show([client.get(_path(name)) for name in names], as_json=as_json)
    if wish.action not in ACTIONS:
        raise ConfigError(f"queue {wish.channel} {wish.action!r}: it is one of {', '.join(ACTIONS)}")
    return _show([ACTIONS[wish.action](client, wish, asking)], as_json=as_json)


def _path(channel: str, *more: str) -> str:
    return "/".join((f"/api/v1/channels/{channel}/queue", *more))


def _said_by(wish: Wish) -> dict[str, object]:
    return {"by": wish.by or who()}


def _word(wish: Wish, place: int, name: str) -> str:
    if len(wish.what) <= place:
        raise ConfigError(f"queue {wish.channel} {wish.action}: name the {name}")
    return wish.what[place]


def _list(client: Client, wish: Wish, asking: Asking) -> Answer:
    del asking
    return client.get(_path(wish.channel))


def _add(client: Client, wish: Wish, asking: Asking) -> Answer:
    """All texts go along, as with ``start``; the service checks and plans them against the channel."""
    del asking
    order = read_order(Path(_word(wish, 0, "protocol's file")), wish.cell, overrides_of(wish.overrides))
    client.post(_path(wish.channel), body_of(order, wish.by or who()))
    return client.get(_path(wish.channel))


def _remove(client: Client, wish: Wish, asking: Asking) -> Answer:
    del asking
    return client.delete(_path(wish.channel, _word(wish, 0, "entry's id")), _said_by(wish))


def _move(client: Client, wish: Wish, asking: Asking) -> Answer:
    del asking
    entry, to = _word(wish, 0, "entry's id"), _word(wish, 1, "place, 1 for the next one")
    if not to.isdecimal():
        raise ConfigError(f"queue {wish.channel} move: {to!r} is no place: 1 is the next one")
    return client.post(_path(wish.channel, entry, "move"), {"to": int(to), **_said_by(wish)})


def _ready(client: Client, wish: Wish, asking: Asking) -> Answer:
    """What is marked is the very entry that was shown, whatever the queue has become meanwhile."""
    queue = Queue.model_validate(client.get(_path(wish.channel)))
    if not queue.entries:
        raise ConfigError(f"channel {wish.channel}: nothing is queued")
    entry = wish.what[0] if wish.what else queue.entries[0].id
    found = next((one for one in queue.entries if one.id == entry), None)
    if asking.wanted() and found is not None:
        asking.confirm(_line(1, found, queue), f"Is cell {found.cell} in channel {wish.channel}? It begins by itself.")
    return client.post(_path(wish.channel, entry, "ready"), _said_by(wish))


def _unready(client: Client, wish: Wish, asking: Asking) -> Answer:
    del asking
    return client.post(_path(wish.channel, _word(wish, 0, "entry's id"), "unready"), _said_by(wish))


def _hold(client: Client, wish: Wish, asking: Asking) -> Answer:
    del asking
    return client.post(_path(wish.channel, "hold"), {"why": " ".join(wish.what), **_said_by(wish)})


def _release(client: Client, wish: Wish, asking: Asking) -> Answer:
    del asking
    return client.post(_path(wish.channel, "release"), _said_by(wish))


ACTIONS: Mapping[str, Callable[[Client, Wish, Asking], Answer]] = {
    "list": _list,
    "add": _add,
    "remove": _remove,
    "move": _move,
    "ready": _ready,
    "unready": _unready,
    "hold": _hold,
    "release": _release,
}


def body_of(order: Order, by: str) -> dict[str, object]:
    """What a start and a queue take: the texts themselves, for the service must not see files of this user."""
    body: dict[str, object] = {
        "protocol": order.protocol.text,
        "file_name": order.protocol.name,
        "include": dict(order.sent or {}),
        "set": dict(order.overrides),
        "by": by,
    }
    if order.cell is not None:
        body |= {"cell": order.cell.text, "cell_name": order.cell.name}
    return body


def _show(queues: Sequence[Answer], *, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps(queues[0] if len(queues) == 1 else list(queues)) + "\n")
        return 0
    for answer in queues:
        for line in queue_lines(Queue.model_validate(answer)):
            sys.stdout.write(folded(line, columns()) + "\n")
    return 0


def queue_lines(queue: Queue) -> list[str]:
    """The channel and why it waits, then its entries with the ids that the other actions take."""
    state = f"held: {queue.held}" if queue.held else queue.waits or "begins now"
    return [f"{queue.channel}  {state}", *(_line(place, one, queue) for place, one in enumerate(queue.entries, 1))]


def _line(place: int, entry: Entry, queue: Queue) -> str:
    longest = "no longest time" if entry.at_most_s is None else f"at most {format_duration(entry.at_most_s)}"
    ready = "  READY" if queue.ready == entry.id else ""
    return f"  {place}  {entry.id}  {entry.protocol} on {entry.cell}  {longest}  {entry.by}{ready}"


OF_THE_RUN = frozenset({"cell", "cell_name", "set"})
"""An amendment leaves them as the run was begun with."""


def amend_run(wish: Wish, config: Path | None, asking: Asking, *, as_json: bool) -> int:
    """Looked at first; what is carried out is what was shown. Without a terminal, or with --yes, nobody is asked."""
    channel, order = wish.channel, read_order(Path(wish.what[0]), wish.cell, overrides_of(wish.overrides))
    body = {key: value for key, value in body_of(order, wish.by or who()).items() if key not in OF_THE_RUN}
    if wish.overrides:
        body["set"] = dict(order.overrides)
    client, path = client_of(config), f"/api/v1/channels/{channel}/amend"
    looked = Amended.model_validate(client.post(path, body))
    told = "\n".join(f"  {one}" for one in looked.changes)
    if asking.wanted():
        asking.confirm(told, f"Amend the run on channel {channel}?")
    done = Amended.model_validate(client.post(path, {**body, "of": looked.of}))
    sys.stdout.write((done.model_dump_json() if as_json else told) + "\n")
    sys.stderr.write(f"channel {channel}: amended; the run's record holds both texts\n")
    return 0
