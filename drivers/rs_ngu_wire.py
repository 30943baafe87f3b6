"""What is said to an NGU or NGM whatever it is used for: off, who it is, which output is meant, what it complains of.

Most commands act on the selected output, which anybody may change. On an instrument with two, each message of questions
selects and is told in the same answer what was selected; a message of commands is sent only after such an answer, for a
line may go on after a selection in it was refused. It selects once more, for a reset in between selects the first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from cycler_ctl.errors import BadReply, DeviceFault, LinkTimeout
from cycler_ctl.instrument import Identity, Link
from drivers import scpi
from drivers.rs_ngu_ratings import MODELS
from drivers.rs_ngu_settings import parse_identity

ALL_OFF = b":OUTP:GEN 0;:OUTP 0"  # the master switch, and the selected output
OFF = ":OUTP 0"
RESET_TRIES = 6  # a reset takes about 2 s, and one answer is waited for 1 s
TRIES = 3


@dataclass(frozen=True, slots=True)
class Selector:
    """One output of an instrument. ``turn`` is shared by its outputs: between selecting and saying nobody comes."""

    link: Link
    number: str
    is_only: bool
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def query(self, headers: Iterable[str]) -> str:
        asked = ";".join(f"{header}?" for header in headers)
        return asked if self.is_only else f":INST:NSEL {self.number};:INST:NSEL?;{asked}"

    async def ask_in_step(self, headers: Iterable[str], nonce: int) -> list[str]:
        """As ``ask_all``, with the proof that no answer of an earlier question is taken for this one's."""
        headers = ("*ESE", *headers)
        query = f"*ESE {nonce};{self.query(headers)}"
        echo, *answers = self._parted(query, await self.ask(query), len(headers))
        if echo != str(nonce):
            raise BadReply(query, echo.encode(), "the answer to another question")
        return answers

    async def ask(self, query: str) -> str:
        """The answer without the selection it began with; BadReply when that is of another output."""
        async with self.turn:
            answer = await scpi.ask(self.link, query)
        if self.is_only:
            return answer
        selected, _, rest = answer.partition(";")
        if selected != self.number:
            raise BadReply(query, answer.encode(), f"the answer of another output than {self.number}")
        return rest

    async def ask_all(self, headers: Iterable[str]) -> list[str]:
        """Several one-item questions in one message."""
        headers = tuple(headers)
        query = self.query(headers)
        return self._parted(query, await self.ask(query), len(headers))

    @staticmethod
    def _parted(query: str, answer: str, questions: int) -> list[str]:
        answers = [part.strip() for part in answer.split(";")]
        if len(answers) != questions:
            raise BadReply(query, answer.encode(), f"{len(answers)} answers to {questions} questions")
        return answers

    async def tell(self, commands: Iterable[str]) -> None:
        async with self.turn:
            if not self.is_only:
                query = f":INST:NSEL {self.number};:INST:NSEL?"
                if (answer := await scpi.ask(self.link, query)) != self.number:
                    raise BadReply(query, answer.encode(), f"output {self.number} is not selected")
                commands = (f":INST:NSEL {self.number}", *commands)
            await scpi.send(self.link, commands)


async def switch_off(output: Selector) -> None:
    """Return when this output was read back off; an output that does not go off alone goes off with all others.

    A lost or unreadable answer is no reason for that: the other output has a cell and a run of its own.
    """
    problem, stays_on, nonces = "", False, scpi.nonces()
    for _ in range(TRIES):
        try:
            if stays_on:
                await output.link.write(ALL_OFF)
            await output.tell([OFF])
            state = await output.ask_in_step([":OUTP", ":OUTP"], next(nonces))
            if state == ["0", "0"]:
                return
            problem, stays_on = f"it answers :OUTP {state[0]}", state == ["1", "1"]
        except (LinkTimeout, BadReply) as error:
            problem = str(error)
        await output.link.clear()
    raise DeviceFault(f"output {output.number} of {output.link.address} could not be confirmed off: {problem}")


async def all_off(link: Link) -> Identity:
    """Off from any state, knowing nothing: the identity says which outputs there are to be confirmed off."""
    await link.write(ALL_OFF)
    await link.clear()
    identity = await _identify(link)
    for number in MODELS[identity.model].outputs:
        await switch_off(selector(link, identity.model, number))
    return identity


async def safe_off(link: Link) -> None:
    await all_off(link)


def selector(link: Link, model: str, number: str, turn: asyncio.Lock | None = None) -> Selector:
    return Selector(link, number, len(MODELS[model].outputs) == 1, turn or asyncio.Lock())


async def reset(link: Link) -> None:
    """To the instrument's own defaults, with every output known off: what no setting here names ends with it."""
    await link.write(b"*RST;*CLS")
    for nonce in islice(scpi.nonces(), RESET_TRIES):
        try:
            if await scpi.ask(link, f"*ESE {nonce};*OPC?;*ESE?") == f"1;{nonce}":
                return
        except (LinkTimeout, BadReply):
            await link.clear()
    raise DeviceFault(f"{link.address} does not come back from a reset")


async def identity_in_step(link: Link, nonce: int) -> Identity:
    return parse_identity(await scpi.identity_in_step(link, nonce))


async def _identify(link: Link) -> Identity:
    """With a few tries: off must get through a link that mangles one answer."""
    for _ in range(TRIES - 1):
        try:
            return parse_identity(await scpi.ask(link, "*IDN?"))
        except (LinkTimeout, BadReply):
            await link.clear()
    return parse_identity(await scpi.ask(link, "*IDN?"))
