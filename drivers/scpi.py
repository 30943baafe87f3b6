"""Small helpers for instruments that speak SCPI lines: strict answers, numbers that are numbers, the error queue."""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice

from cycler_ctl.errors import BadReply, DeviceFault, NotAsLeft, Overflow
from cycler_ctl.instrument import Link

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
TEXT = re.compile(rb"[\r\n\t -~]*")
ERROR = re.compile(r'([+-]?\d+)\s*,\s*"(.*)"')
OVERFLOW = 1e30  # SCPI's infinity is 9.9e37, its not-a-number 9.91e37; makers vary in the digits
LOWEST_NONCE, NONCES = 16, 240  # within 8 bits, and no answer to a yes-or-no question
QUEUE_DEPTH = 12  # deeper than the 10 entries of a 2400
ERRORS_TOLD = 5  # of the many that some queues hold
TOGETHER = 8  # settings in one message
READ_BACK = 1e-3
ECHO = "the question came back: an adapter or terminal server echoes what it is sent; switch its echo off"
RANGE_ECHO = 1.06  # a range may be answered as its full scale, 1.05 times its name


@dataclass(frozen=True, slots=True)
class Setting:
    """One command whose effect is read back by the same header with a question mark."""

    header: str
    value: float | str
    step: float = 0.0
    is_range: bool = False

    @property
    def command(self) -> str:
        value = self.value if isinstance(self.value, str) else f"{self.value:.9e}"
        return f"{self.header} {value}"

    def confirm(self, answer: str) -> None:
        """DeviceFault unless the instrument holds what it was told: within 0.1 % or one step."""
        if not self.holds(answer):
            raise DeviceFault(f"{self.command} was not taken: the instrument answers {answer}")

    def holds(self, answer: str) -> bool:
        if isinstance(self.value, str):
            return answer == self.value
        held = number(f"{self.header}?", answer)
        if self.is_range:
            return self.value * (1 - READ_BACK) <= held <= self.value * RANGE_ECHO
        return abs(held - self.value) <= max(READ_BACK * abs(self.value), self.step)


async def ask(link: Link, query: str) -> str:
    """The one answer, as text without surrounding blanks."""
    raw = await link.query(query.encode("ascii"))
    if raw.strip() == query.encode("ascii"):
        raise BadReply(query, raw, ECHO)
    if not TEXT.fullmatch(raw):
        raise BadReply(query, raw, "bytes that are not ASCII text")
    return raw.decode("ascii").strip()


async def ask_all(link: Link, headers: Iterable[str], told: Iterable[str] = ()) -> list[str]:
    """Several one-item queries in one message, whose answers SCPI joins by semicolons; ``told`` goes before them."""
    query = ";".join((*told, *(f"{header}?" for header in headers)))
    answer = await ask(link, query)
    answers = [part.strip() for part in answer.split(";")]
    if len(answers) != query.count("?"):
        raise BadReply(query, answer.encode(), f"{len(answers)} answers to {query.count('?')} questions")
    return answers


def nonces() -> Iterator[int]:
    """Numbers for ``identity_in_step``: begun anywhere, and none twice in 240.

    Drawn when the first is asked for: where an output goes off, after that was said.
    """
    first = secrets.randbelow(NONCES)
    for more in count():
        yield LOWEST_NONCE + (first + more) % NONCES


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


async def ask_in_step(link: Link, headers: Iterable[str], nonce: int, told: Iterable[str] = ()) -> list[str]:
    """As ``ask_all``, with the proof of ``identity_in_step``: an answer that comes late answers something else."""
    echo, *answers = await ask_all(link, ("*ESE", *headers), (*told, f"*ESE {nonce}"))
    if echo.removeprefix("*ESE ").removeprefix("+") != str(nonce):  # some add the command's name, or the sign
        raise BadReply("*ESE?", echo.encode(), "the answer to another question")
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
        raise Overflow(query, text.encode(), "overflow")
    return value


def confirm_kept(settings: Iterable[Setting], answers: Iterable[str]) -> None:
    """DeviceFault for a setting that was taken and is another now."""
    for setting, answer in zip(settings, answers, strict=True):
        if not setting.holds(answer):
            raise NotAsLeft(f"{setting.command} does not hold any more (front panel?): the instrument answers {answer}")


async def program(link: Link, settings: Iterable[Setting]) -> None:
    """Each is read back; DeviceFault for the first that was not taken."""
    left = iter(settings)
    while group := tuple(islice(left, TOGETHER)):
        await send(link, (setting.command for setting in group))
        # a header stands twice where a level is set to 0 first: the last one holds
        wanted = {setting.header: setting for setting in group}
        answers = await ask_all(link, wanted)
        for setting, answer in zip(wanted.values(), answers, strict=True):
            setting.confirm(answer)


async def held(link: Link, settings: Iterable[Setting]) -> list[str]:
    """What the instrument has in the place of each setting."""
    headers, answers = iter([setting.header for setting in settings]), list[str]()
    while group := tuple(islice(headers, TOGETHER)):
        answers += await ask_all(link, group)
    return answers


async def take_some_errors(link: Link) -> tuple[tuple[int, str], ...]:
    """The first few errors of a deep queue, oldest first; however many there were, none is left."""
    found: list[tuple[int, str]] = []
    for _ in range(ERRORS_TOLD):
        code, text = await _entry(link, ":SYST:ERR?")
        if code == 0:
            return tuple(found)
        found.append((code, text))
    await ask(link, "*CLS;*OPC?")
    return tuple(found)


def listed(errors: Iterable[tuple[int, str]]) -> str:
    """To stand at the end of a sentence."""
    return "".join(f"; it reports {code} {text!r}" for code, text in errors)


async def take_errors(link: Link, query: str = ":SYST:ERR?") -> tuple[tuple[int, str], ...]:
    """Empty the instrument's error queue: (code, text) of each entry, oldest first."""
    errors: list[tuple[int, str]] = []
    for _ in range(QUEUE_DEPTH):
        code, text = await _entry(link, query)
        if code == 0:
            return tuple(errors)
        errors.append((code, text))
    raise BadReply(query, repr(errors[-1]).encode(), f"the queue does not end after {QUEUE_DEPTH} entries")


async def _entry(link: Link, query: str) -> tuple[int, str]:
    answer = await ask(link, query)
    found = ERROR.fullmatch(answer)
    if not found:
        raise BadReply(query, answer.encode(), "not an entry of an error queue")
    return int(found[1]), found[2]
