"""Small helpers for instruments that speak SCPI lines: strict answers, numbers that are numbers, the error queue."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from cycler_ctl.errors import BadReply
from cycler_ctl.instrument import Link

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
ERROR = re.compile(r'([+-]?\d+)\s*,\s*"(.*)"')
OVERFLOW = 1e30  # SCPI's infinity is 9.9e37, its not-a-number 9.91e37; makers vary in the digits
QUEUE_DEPTH = 12  # deeper than the 10 entries of a 2400


async def ask(link: Link, query: str) -> str:
    """The one answer, as text without surrounding blanks."""
    raw = await link.query(query.encode("ascii"))
    try:
        return raw.decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise BadReply(query, raw, "bytes that are not ASCII") from error


async def ask_all(link: Link, headers: Iterable[str]) -> list[str]:
    """Several one-item queries in one message, whose answers SCPI joins by semicolons."""
    query = ";".join(f"{header}?" for header in headers)
    answer = await ask(link, query)
    answers = [part.strip() for part in answer.split(";")]
    if len(answers) != query.count("?"):
        raise BadReply(query, answer.encode(), f"{len(answers)} answers to {query.count('?')} questions")
    return answers


async def send(link: Link, commands: Iterable[str]) -> None:
    """Several commands in one message."""
    await link.write(";".join(commands).encode("ascii"))


def number(query: str, text: str, grammar: re.Pattern[str] = NUMBER) -> float:
    """A finite number that matches the grammar as a whole; overflow is an error, never a number."""
    if not grammar.fullmatch(text):
        raise BadReply(query, text.encode(), "not a number")
    value = float(text)
    if not math.isfinite(value) or abs(value) >= OVERFLOW:
        raise BadReply(query, text.encode(), "overflow")
    return value


async def take_errors(link: Link, query: str = ":SYST:ERR?") -> tuple[tuple[int, str], ...]:
    """Empty the instrument's error queue: (code, text) of each entry, oldest first."""
    errors: list[tuple[int, str]] = []
    answer = ""
    for _ in range(QUEUE_DEPTH):
        answer = await ask(link, query)
        found = ERROR.fullmatch(answer)
        if not found:
            raise BadReply(query, answer.encode(), "not an entry of an error queue")
        if int(found[1]) == 0:
            return tuple(errors)
        errors.append((int(found[1]), found[2]))
    raise BadReply(query, answer.encode(), f"the queue does not end after {QUEUE_DEPTH} entries")
