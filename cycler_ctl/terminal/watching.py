"""``status --watch``: what the stream has told so far, and how old that is."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from cycler_ctl.clock import SystemClock
from cycler_ctl.terminal.alarms import short_lines
from cycler_ctl.terminal.channel_table import channel_lines
from cycler_ctl.terminal.client import ANSWERS, Answer, Client
from cycler_ctl.terminal.folding import folded
from cycler_ctl.terminal.stream import Lost, News, follow

PAINT_EVERY_S = 0.25
STYLES = {
    r"NOT LIVE[^\n]*|\b(tripped|faulted|aborted|interrupted|cannot_deenergise|not known)\b": "bold red",
    r"\bON\b": "bold",
    r"\brunning\b": "cyan",
    r"\bfinished\b": "green",
    r"\b(paused|stopped)\b": "yellow",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """``lost`` empty: the service is heard."""

    boot: str = ""
    channels: tuple[Answer, ...] = ()
    alarms: tuple[Answer, ...] = ()
    heard_utc_s: float = 0.0
    lost: str = ""


def told(seen: Seen, news: News | Lost, utc_s: float) -> Seen:
    """What is known then. Another boot of the service tells everything anew: what the old one had is not kept."""
    if isinstance(news, Lost):
        return replace(seen, lost=news.why)
    seen = seen if news.boot == seen.boot else Seen(boot=news.boot)
    seen = replace(seen, heard_utc_s=utc_s, lost="")
    match news.event:
        case "channel":
            return replace(seen, channels=_with(seen.channels, news.data))
        case "sample":
            return replace(seen, channels=_with(seen.channels, {"channel": news.data["channel"], "last": news.data}))
        case "alarms":
            return replace(seen, alarms=tuple(ANSWERS.validate_python(news.data["active"])))
        case _:
            return seen


def _with(channels: Iterable[Answer], one: Answer) -> tuple[Answer, ...]:
    known = {str(each["channel"]): each for each in channels}
    name = str(one["channel"])
    if "state" in one or name in known:
        known[name] = {**known.get(name, {}), **one}
    return tuple(known[each] for each in sorted(known))


def page(seen: Seen, now_utc_s: float, size: tuple[int, int]) -> list[str]:
    """Lines for a terminal of so many columns and lines."""
    width, height = size
    head = [folded(head_line(seen, now_utc_s), width)]
    alarms = short_lines(seen.alarms, width)
    return [*head, *channel_lines(seen.channels, width, height - len(alarms) - 3), *alarms]


def head_line(seen: Seen, now_utc_s: float) -> str:
    at = f"{datetime.fromtimestamp(seen.heard_utc_s).astimezone():%H:%M:%S}"
    if not seen.lost:
        return f"live, {at}; Ctrl-C ends"
    age_s = max(now_utc_s - seen.heard_utc_s, 0.0)
    return f"NOT LIVE for {age_s:.0f} s, this is how it was at {at}: {seen.lost}"


def watch(client: Client, more: Callable[[Sequence[Answer]], list[Answer]], *, as_json: bool) -> int:
    """Until Ctrl-C. ``more`` adds what lies on this computer's disk."""
    news = follow(client)
    if as_json:
        return _as_json(news)
    clock, painted_s = SystemClock(), float("-inf")
    with _screen() as paint:
        seen = Seen()
        for one in news:
            seen = told(seen, one, clock.utc())
            if clock.now() - painted_s >= PAINT_EVERY_S or isinstance(one, Lost) or one.event == "beat":
                painted_s = clock.now()
                paint(replace(seen, channels=tuple(more(seen.channels))), clock.utc())
    return 0


@contextmanager
def _screen() -> Generator[Callable[[Seen, float], None]]:
    """One place on a terminal, painted over; in a file one table after the other, when something has changed."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(highlight=False)
    if not sys.stdout.isatty():
        yield _written_down()
        return

    def paint(seen: Seen, utc_s: float) -> None:
        text = Text("\n".join(page(seen, utc_s, console.size)), no_wrap=True)
        for pattern, style in STYLES.items():
            text.highlight_regex(pattern, style)
        live.update(text, refresh=True)

    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        yield paint


def _written_down() -> Callable[[Seen, float], None]:
    before: list[list[str]] = [[]]

    def write(seen: Seen, utc_s: float) -> None:
        lines = [*([head_line(seen, utc_s)] if seen.lost else []), *channel_lines(seen.channels, None)]
        if lines != before[0]:
            before[0] = lines
            sys.stdout.write("\n".join(lines) + "\n\n")
            sys.stdout.flush()

    return write


def _as_json(news: Iterator[News | Lost]) -> int:
    """One object a line: each event with its name, and ``lost`` with why."""
    for one in news:
        if isinstance(one, Lost):
            line: Answer = {"event": "lost", "why": one.why}
        elif one.event == "beat":
            continue
        else:
            line = {"event": one.event, **one.data}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    return 0
