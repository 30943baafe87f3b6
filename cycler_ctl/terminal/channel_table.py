"""The channels as a table that fits: what has no room in a channel's line is told below it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from cycler_ctl.terminal.client import ANSWER, Answer
from cycler_ctl.terminal.folding import folded
from protocols.diagnostics import printable
from protocols.quantities import format_number

PLAIN_WIDTH = 80
"""Of a table that goes to a file: nobody knows how wide that is."""
BELOW = ("run", "verified", "armed", "queue")
CALM = frozenset({"idle", "running", "paused", "finished", "stopped"})
"""The other states need a person."""


def channel_lines(channels: Sequence[Answer], width: int | None, height: int | None = None) -> list[str]:
    """Below each line what may be long: its run, to be copied whole, and why it is as it is.

    Where that is higher than ``height``, channels that are well have one line each.
    """
    cells = [{name: text(one) for name, text in COLUMNS.items()} for one in channels]
    shown = _that_fit(cells, width or PLAIN_WIDTH)
    lines = _aligned([list(shown), *([one[name] for name in shown] for one in cells)])
    below = [_below(one, cell, shown, width) for one, cell in zip(channels, cells, strict=True)]
    if height is not None and sum(1 + part.count("\n") for each in below for part in each) + len(lines) > height:
        below = [each if one["state"] not in CALM else [] for one, each in zip(channels, below, strict=True)]
    found = lines[:1]
    for line, more in zip(lines[1:], below, strict=True):
        found += [line, *more]
    return found


def _that_fit(cells: Sequence[Mapping[str, str]], width: int) -> list[str]:
    """The columns in the order of their weight, as long as there is room; one that is empty takes none."""
    shown: list[str] = []
    for name in COLUMNS:
        if not any(one[name] for one in cells) and name not in ALWAYS:
            continue
        trial = [*shown, name]
        if _width(trial, cells) > width and len(shown) >= 2:
            break
        shown = trial
    return shown


def _width(names: Sequence[str], cells: Sequence[Mapping[str, str]]) -> int:
    return sum(max([len(name), *(len(one[name]) for one in cells)]) + 2 for name in names) - 2


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _below(channel: Answer, cells: Mapping[str, str], shown: Sequence[str], width: int | None) -> list[str]:
    dropped = [
        text if name == "does" else f"{name} {text}"
        for name, text in cells.items()
        if name not in shown and text and name in TOLD_BELOW
    ]
    about = [f"{name} {text}" for name in BELOW if (text := printable(cell_text(channel, name)))]
    told = (", ".join([*dropped, *about]), printable(cell_text(channel, "reason")))
    return [folded(f"    {line}", width) for line in told if line]


def cell_text(channel: Answer, key: str) -> str:
    """Off is said only when it was read back."""
    value = channel.get(key)
    if key == "energised":
        return "not known" if value is None else "ON" if value else "off"
    if key == "queue":
        return _queue_text(channel)
    return "" if value is None else str(value)


def _queue_text(channel: Answer) -> str:
    """Nothing where nothing waits and nothing is held."""
    if channel.get("queue") is None:
        return ""
    queue = ANSWER.validate_python(channel["queue"])
    parts = [f"HELD: {queue['held']}"] if queue["held"] else []
    if queue["length"]:
        ready = "its cell is in the channel" if queue["ready"] else "not marked ready"
        parts += [f"{queue['length']} waiting", f"next {queue['next']}", ready]
    return ", ".join(parts)


def _of(key: str) -> Callable[[Answer], str]:
    return lambda channel: printable(cell_text(channel, key))


def _measured(key: str, factor: float, unit: str) -> Callable[[Answer], str]:
    def text(channel: Answer) -> str:
        last = channel.get("last")
        value = None if last is None else ANSWER.validate_python(last).get(key)
        return f"{format_number(value * factor)} {unit}" if isinstance(value, int | float) else ""

    return text


def _ends(channel: Answer) -> str:
    eta_s = channel.get("eta_utc_s")
    if not isinstance(eta_s, int | float) or channel["state"] != "running":
        return ""
    return f"{datetime.fromtimestamp(eta_s).astimezone():%m-%d %H:%M}"


COLUMNS: Mapping[str, Callable[[Answer], str]] = {
    "channel": _of("channel"),
    "state": _of("state"),
    "output": _of("energised"),
    "cycle": _of("cycle"),
    "voltage": _measured("voltage_V", 1.0, "V"),
    "current": _measured("current_A", 1000.0, "mA"),
    "step": _of("step"),
    "does": lambda channel: printable(str(channel.get("doing") or channel.get("what") or "")),
    "ends by": _ends,
    "cell": _of("cell"),
    "protocol": _of("protocol"),
}
ALWAYS = frozenset({"channel", "state", "output", "cycle", "step"})
TOLD_BELOW = frozenset(COLUMNS) - {"protocol"}
