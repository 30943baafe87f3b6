"""Small helpers for instruments that speak SCPI lines: strict answers, numbers that are numbers, the error queue."""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Iterable, Iterator
from itertools import count

from cycler_ctl.errors import BadReply
from cycler_ctl.instrument import Link

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
ERROR = re.compile(r'([+-]?\d+)\s*,\s*"(.*)"')
OVERFLOW = 1e30  # SCPI's infinity is 9.9e37, its not-a-number 9.91e37; makers vary in the digits
LOWEST_NONCE, NONCES = 16, 240  # within 8 bits, and no answer to a yes-or-no question
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


def nonces() -> Iterator[int]:
    """Numbers for ``identity_in_step``: begun anywhere, and none twice in 240."""
    first = secrets.randbelow(NONCES)
    return (LOWEST_NONCE + (first + more) % NONCES for more in count())


async def identity_in_step(link: Link, nonce: int) -> str:
    """The answer to ``*IDN?``, with the proof that it is this question's; BadReply for any other's.

    The nonce is told to the event enable register and asked back in the same message. IEEE 488.2 makes every
    instrument have that register, and it does nothing while service requests are not enabled. As answers come in
    the order of the questions, nothing asked earlier is left to come.
    """
    query = f"*ESE {nonce};*ESE?;*IDN?"
    answer = await ask(link, query)
    echo, _, identity = answer.partition(";")
    if echo.strip() != str(nonce):
        raise BadReply(query, answer.encode(), "the answer to another question")
    return identity.strip()


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
