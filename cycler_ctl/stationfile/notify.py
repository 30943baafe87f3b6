"""The rules of ``[notify.<name>]``: who is told what."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cycler_ctl.stationfile.positions import Path as KeyPath
from cycler_ctl.stationfile.readers import (
    Field,
    Notes,
    Table,
    choice,
    file_path,
    is_list,
    one_or_more,
    positive,
    table_of,
    text,
    whole,
)
from protocols.diagnostics import did_you_mean, quoted
from protocols.units import Dimension

EVENTS = ("emergency", "alarm", "warning", "finished", "stopped", "aborted")
QUIET = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9]) to ([01][0-9]|2[0-3]):([0-5][0-9])")
SHORTEST_REPEAT_S = 60.0


def hours(notes: Notes, path: KeyPath, value: object) -> tuple[int, int] | None:
    """``22:00 to 07:00``, as minutes of the day."""
    said = text(notes, path, value)
    found = QUIET.fullmatch(said)
    if found is not None and found[1] + found[2] != found[3] + found[4]:
        return 60 * int(found[1]) + int(found[2]), 60 * int(found[3]) + int(found[4])
    if said:
        message = f"{quoted(said)} is not from one time of the day to another"
        notes.at_value(path, "shape", message, 'write quiet = "22:00 to 07:00"')
    return None


RULE = Table(
    {
        "to_file": Field("to_file", file_path),
        "to_env": Field("to_env", text),
        "on": Field("on", one_or_more(choice(*EVENTS))),
        "channels": Field("channels", one_or_more(text)),
        "quiet": Field("quiet", hours),
        "at_most": Field("at_most", whole(1, 60)),
        "repeat": Field("repeat_s", positive(Dimension.TIME)),
    }
)


def check_notify(notes: Notes, rules: dict[str, object], channels: Sequence[str]) -> None:
    for name in rules:
        _check_rule(notes, ("notify", name), table_of(rules, name), channels)


def _check_rule(notes: Notes, path: KeyPath, rule: dict[str, object], channels: Sequence[str]) -> None:
    if {"to_file", "to_env"} <= rule.keys():
        notes.at_key((*path, "to_env"), "conflict", "to_file says already where the addresses are")
    elif not {"to_file", "to_env"} & rule.keys():
        advice = 'write to_file = "secrets/notify", a file with one address a line that only its owner may read'
        notes.at_key(path, "missing-key", f"notify.{path[-1]} does not say who is told", advice)
    if rule.get("on") == ():
        notes.at_value(
            (*path, "on"), "missing-key", f"notify.{path[-1]} tells nothing", f"name one of {', '.join(EVENTS)}"
        )
    named = rule.get("channels")
    for name in named if is_list(named) else ():
        if isinstance(name, str) and name and name not in channels:
            message = f"there is no channel {quoted(name)}"
            notes.at_value((*path, "channels"), "reference", message, did_you_mean(name, channels))
    repeat_s = rule.get("repeat_s")
    if isinstance(repeat_s, float) and repeat_s < SHORTEST_REPEAT_S:
        notes.at_value((*path, "repeat"), "out-of-range", "an emergency is told again once a minute at most")
