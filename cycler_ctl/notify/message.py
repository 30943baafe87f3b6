"""What a message says: for a phone, whose screen shows the first line and perhaps the second."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cycler_ctl.alarms.channels import flows, headed
from cycler_ctl.alarms.model import LOUDEST_FIRST, Alarm, Severity
from cycler_ctl.alarms.words import one_line
from cycler_ctl.live import ChannelStatus
from cycler_ctl.notify.news import Item, Turn

TITLE_LETTERS, BODY_LETTERS, LINE_LETTERS = 180, 950, 300  # the smallest service that has both takes 250 and 1024
LISTED = 12
_TAMED = {"@": "@ ", "`": "'", "<": "(", ">": ")", "|": "/", "*": "x", "~": "-", "#": "no. "}
_LINK = re.compile(r"://|\]\(|@(?=\w)|[`<>|*~#]")


@dataclass(frozen=True, slots=True)
class Message:
    """``tone`` is one of the service's colours: failure, warning, success, info."""

    title: str
    body: str
    tone: str = "info"


@dataclass(frozen=True, slots=True)
class Scene:
    """Who tells it, and the channels as they are now."""

    station: str
    channels: Mapping[str, ChannelStatus]


def plain(text: str, letters: int = LINE_LETTERS) -> str:
    """One line without marks: an instrument's or a file's words must not become a link, a mention or a new line."""
    tame = _LINK.sub(lambda found: _TAMED.get(found[0], f"{found[0][0]} {found[0][1:]}"), one_line(text, 2 * letters))
    return one_line(tame, letters)


def message_of(items: Sequence[Item], scene: Scene) -> Message:
    """One thing with all there is to say of it, or several in a list."""
    said = _single(items[0], scene) if len(items) == 1 else _several(items, scene)
    title = plain(f"{scene.station}: {said.title}", TITLE_LETTERS)
    body = said.body if len(said.body) <= BODY_LETTERS else f"{said.body[: BODY_LETTERS - 1]}…"
    return Message(title, body, said.tone)


def trial(station: str, rule: str) -> Message:
    """That of ``cycler-ctl notify test``."""
    body = f"Rule {rule} of this station reaches you. Nothing has happened to any cell."
    return Message(plain(f"{station}: test of notifications", TITLE_LETTERS), body)


def _single(item: Item, scene: Scene) -> Message:
    if item.ended is not None:
        return Message(line_of(item, scene), _of_run(item.ended), "success")
    alarm = item.alarm
    if alarm is None:
        return Message("nothing to tell", "")
    status = scene.channels.get(alarm.channel or "")
    if item.turn is Turn.OVER:
        reason = "" if status is None or not status.reason else plain(status.reason)
        return Message(line_of(item, scene), reason or "It was told before and is over now.", "success")
    return Message(
        line_of(item, scene), _of_alarm(alarm), "warning" if alarm.severity is Severity.WARNING else "failure"
    )


def _of_alarm(alarm: Alarm) -> str:
    lines = [alarm.action, plain(alarm.detail), f"Since {clock_time(alarm.since_utc_s)}."]
    lines += [f"Run {alarm.run}."] if alarm.run else []
    if alarm.severity is Severity.EMERGENCY and alarm.acknowledged_by is None:
        lines += [f"Repeated until it is over or 'cycler-ctl alarms --acknowledge {alarm.id}'."]
    return "\n".join(filter(None, lines))


def _of_run(status: ChannelStatus) -> str:
    facts = [status.protocol and plain(status.protocol, 80), status.cycle and f"cycle {status.cycle}", status.run]
    lines = [plain(status.reason), ", ".join(str(fact) for fact in facts if fact)]
    return "\n".join([*filter(None, lines), f"At {clock_time(status.since_utc_s)}. 'cycler-ctl report {status.run}'"])


def _several(items: Sequence[Item], scene: Scene) -> Message:
    ordered = sorted(items, key=_rank)
    lines = [f"- {plain(line_of(item, scene), 160)}" for item in ordered[:LISTED]]
    if len(ordered) > LISTED:
        lines += [f"and {len(ordered) - LISTED} more: 'cycler-ctl alarms', 'cycler-ctl runs'"]
    actions = dict.fromkeys(item.alarm.action for item in ordered if item.alarm and item.turn is not Turn.OVER)
    lines += list(actions)[:1]
    loud = any(item.alarm is not None and item.turn is not Turn.OVER for item in items)
    return Message(_headline(ordered, scene), "\n".join(lines), "failure" if loud else "success")


def _headline(ordered: Sequence[Item], scene: Scene) -> str:
    """The loudest first, then how much more there is."""
    return f"{plain(line_of(ordered[0], scene), 140)} (+{len(ordered) - 1} more)"


def _rank(item: Item) -> tuple[int, int]:
    order = (Turn.RAISED, Turn.STILL, Turn.OVER, Turn.ENDED)
    severity = len(LOUDEST_FIRST) if item.alarm is None else LOUDEST_FIRST.index(item.alarm.severity)
    return (severity + (10 if item.turn in {Turn.OVER, Turn.ENDED} else 0), order.index(item.turn))


def line_of(item: Item, scene: Scene) -> str:
    """Channel, cell, what happened, whether current may flow."""
    if item.ended is not None:
        return plain(f"{headed(item.ended)}: {item.ended.state}; {flows(item.ended)}")
    alarm = item.alarm
    if alarm is None:
        return ""
    if item.turn is Turn.OVER:
        status = scene.channels.get(alarm.channel or "")
        now = "" if status is None else f"; {status.state}, {flows(status)}"
        return plain(f"{_subject(alarm)}: over: {alarm.kind.replace('_', ' ')}{now}")
    return plain(f"{'STILL: ' if item.turn is Turn.STILL else ''}{alarm.what}")


def _subject(alarm: Alarm) -> str:
    if alarm.channel is None:
        return alarm.id.replace("-", " ", 1)
    return alarm.channel if alarm.cell is None else f"{alarm.channel}, {alarm.cell}"


def clock_time(utc_s: float) -> str:
    """The reader's own day and time, for she has no table of time zones at hand."""
    return datetime.fromtimestamp(utc_s).astimezone().strftime("%Y-%m-%d %H:%M %Z").strip()
