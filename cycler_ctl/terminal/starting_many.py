"""One protocol on several channels: all are looked at first, and only if every one would start does any."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from cycler_ctl.errors import ConfigError, CyclerError, RefusedError
from cycler_ctl.running.start import Order, overrides_of, read_order, who
from cycler_ctl.terminal.asking import Asking
from cycler_ctl.terminal.client import Client, UnreachableError, client_of
from cycler_ctl.terminal.queueing import body_of


@dataclass(frozen=True, slots=True)
class Target:
    """``cell`` None: the protocol names its cell itself."""

    channel: str
    cell: Path | None


class _Look(BaseModel):
    """What the service says of a start that is not one."""

    ok: bool
    problems: list[Mapping[str, object]]
    refused: list[str]
    sentence: str

    def why_not(self) -> str:
        wrong = [str(one["text"]) for one in self.problems if one.get("severity") == "error"]
        return "; ".join((*wrong, *self.refused)) or "it would be refused"


def targets_of(channels: Sequence[str], file: Path | None, cell: Path | None) -> list[Target]:
    """``a1`` or ``a1=cell.yaml`` each, and the lines ``channel,cell`` of a file, its cells beside it.

    ``cell``: of a single channel that names none.
    """
    found = [_target(one) for one in channels]
    if file is not None:
        found += _listed(file)
    names = [one.channel for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"channel {', '.join(twice)} is named twice: a channel has one cell")
    if not found:
        raise ConfigError("name a channel: --channel a1, or --channel a1=cell.yaml for each of several")
    if cell is None:
        return found
    if len(found) > 1 or found[0].cell is not None:
        raise ConfigError("--cell is for one channel: with several write --channel a1=cell.yaml for each")
    return [Target(found[0].channel, cell)]


def _target(text: str) -> Target:
    channel, equals, cell = text.partition("=")
    return Target(channel.strip(), Path(cell.strip()) if equals and cell.strip() else None)


def _listed(file: Path) -> Iterator[Target]:
    """As a spreadsheet writes it; a head ``channel,cell`` and lines that begin with # count for nothing."""
    try:
        lines = list(csv.reader(file.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"cannot read {file}: {error}") from error
    for number, line in enumerate(lines, 1):
        words = [word.strip() for word in line]
        if not any(words) or words[0].startswith("#") or words[0] == "channel":
            continue
        if len(words) > 2 or not words[0]:
            raise ConfigError(f"{file}:{number}: write channel,cell")
        yield Target(words[0], file.parent / words[1] if len(words) == 2 and words[1] else None)


def start_many(
    file: Path,
    targets: Sequence[Target],
    overrides: Sequence[str],
    config: Path | None,
    asking: Asking,
    *,
    as_json: bool,
) -> int:
    """1 where one did not start after all; the others run, and the table says which."""
    orders = [(one.channel, read_order(file, one.cell, overrides_of(overrides))) for one in targets]
    client = client_of(config)
    looks = {channel: _look(client, channel, order) for channel, order in orders}
    told = [f"{channel}  {look.sentence or look.why_not()}" for channel, look in looks.items()]
    if not all(look.ok for look in looks.values()):
        refused = [f"{channel}: {look.why_not()}" for channel, look in looks.items() if not look.ok]
        raise RefusedError("\n".join((*refused, "nothing was started on any channel")))
    if asking.wanted():
        asking.confirm("\n".join(told), f"Start on {len(orders)} channels?")
    results = [_start(client, channel, order) for channel, order in orders]
    _show(results, as_json=as_json)
    return 0 if all(one["run"] for one in results) else 1


def _look(client: Client, channel: str, order: Order) -> _Look:
    return _Look.model_validate(client.post(f"/api/v1/channels/{channel}/plan", body_of(order, who())))


def _start(client: Client, channel: str, order: Order) -> dict[str, object]:
    result: dict[str, object] = {"channel": channel, "cell": None if order.cell is None else order.cell.name}
    try:
        run = client.post(f"/api/v1/channels/{channel}/start", body_of(order, who()))["run"]
    except UnreachableError as error:
        return {**result, "run": None, "why": f"whether it has started is not known: {error}"}
    except CyclerError as error:
        return {**result, "run": None, "why": str(error)}
    return {**result, "run": run, "why": None}


def _show(results: Sequence[Mapping[str, object]], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(list(results)) + "\n")
        return
    wide = max(len(str(one["channel"])) for one in results)
    for one in results:
        what = one["run"] or f"NOT STARTED: {one['why']}"
        cell = f"  {one['cell']}" if one["cell"] else ""
        sys.stdout.write(f"{str(one['channel']).ljust(wide)}  {what}{cell}\n")
