"""What is asked of the output of a paused run, how often, and what is made of each answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from virtually import virtually

from cycler_ctl.channels.contact import PATIENCE_S, Contact
from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import BadReply, DeviceFault, InstrumentError, LinkTimeout, NotAsLeft
from cycler_ctl.running.fittings import End
from cycler_ctl.running.paused import LOST, PausedLook

Answer = bool | Exception
HANGS = TimeoutError("for ever")


@dataclass
class Deaf:
    """A channel that cannot be asked; ``told`` in order."""

    told: list[str] = field(default_factory=list[str])
    answers: list[Answer] = field(default_factory=list[Answer])
    """What comes one after the other; the last again and again. Nothing: it is off."""
    proofs: list[Exception] = field(default_factory=list[Exception])
    offs: list[Exception] = field(default_factory=list[Exception])

    async def turn_off(self) -> None:
        self.told.append("off")
        if self.offs:
            raise self.offs.pop(0)

    async def resync(self) -> None:
        self.told.append("proof")
        if self.proofs:
            raise self.proofs.pop(0)


class Asked(Deaf):
    async def is_on(self) -> bool:
        self.told.append("on?")
        answer = self.answers.pop(0) if len(self.answers) > 1 else (self.answers or [False])[0]
        if answer is HANGS:
            await real_sleep(60.0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class Lab:
    """``outputs``: of the instrument. ``gone``: why its connection was given up."""

    channel: Deaf
    outputs: int = 1
    gone: list[str] = field(default_factory=list[str])
    name: str = "a1"

    def __post_init__(self) -> None:
        link: Any = self
        self.contact = Contact(link)

    @property
    def instrument(self) -> Any:
        @dataclass
        class Instrument:
            channels: range
            resync: Callable[[], object]

        return Instrument(range(self.outputs), self.channel.resync)

    def let_go(self, why: str) -> None:
        self.gone.append(why)

    def look(self) -> PausedLook:
        fit: Any = self
        return PausedLook(fit)


@virtually
async def test_a_pause_that_has_just_begun_asks_nothing_for_ten_seconds_and_then_once_in_ten() -> None:
    lab = Lab(Asked())
    look = lab.look()
    look.begins()
    looks: list[float] = []
    began_s = asyncio.get_running_loop().time()
    for _ in range(100):
        before = len(lab.channel.told)
        assert not await look.found_on()
        if len(lab.channel.told) > before:
            looks.append(round(asyncio.get_running_loop().time() - began_s, 3))
        await real_sleep(0.25)
    assert looks == [10.0, 20.0]
    assert look.lost == ""


@virtually
async def test_an_output_of_which_nothing_was_said_is_asked_at_once() -> None:
    lab = Lab(Asked(answers=[True]))
    assert await lab.look().found_on()
    assert lab.channel.told == ["on?"]


@virtually
async def test_off_is_believed_only_of_an_instrument_whose_next_answer_is_its_own() -> None:
    lab = Lab(Asked())
    assert not await lab.look().found_on()
    assert lab.channel.told == ["on?", "proof"]


@virtually
async def test_where_other_outputs_share_the_connection_no_proof_costs_them_a_reading() -> None:
    lab = Lab(Asked(), outputs=2)
    assert not await lab.look().found_on()
    assert lab.channel.told == ["on?"]


@pytest.mark.parametrize(("outputs", "told"), [(1, ["proof", "off"]), (2, ["off"])])
@virtually
async def test_an_output_that_cannot_be_asked_is_told_off_again(outputs: int, told: list[str]) -> None:
    lab = Lab(Deaf(), outputs)
    assert not await lab.look().found_on()
    assert lab.channel.told == told


@pytest.mark.parametrize(
    ("channel", "told"),
    [
        (lambda: Asked(answers=[NotAsLeft("reset")]), ["on?", "off"]),
        (lambda: Asked(proofs=[NotAsLeft("reset")]), ["on?", "proof", "off"]),
        (lambda: Deaf(proofs=[NotAsLeft("reset")]), ["proof", "off"]),
    ],
)
@virtually
async def test_an_output_that_is_off_in_another_way_than_it_was_left_is_told_off_again(
    channel: Callable[[], Deaf], told: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    lab = Lab(channel())
    look = lab.look()
    assert not await look.found_on()
    assert (lab.channel.told, look.lost) == (told, "")


@pytest.mark.parametrize("error", [LinkTimeout("on?", 1.0), BadReply("on?", b"7")])
@pytest.mark.parametrize("proofs", [[], [NotAsLeft("reset")]])
@pytest.mark.parametrize("on", [False, True])
@virtually
async def test_an_answer_that_is_lost_is_asked_for_once_more_after_a_proof(
    error: InstrumentError, proofs: list[Exception], on: bool
) -> None:
    lab = Lab(Asked(answers=[error, on], proofs=[*proofs]))
    look = lab.look()
    assert await look.found_on() is on
    assert lab.channel.told[:3] == ["on?", "proof", "on?"]
    assert look.lost == ""


@pytest.mark.parametrize(
    ("channel", "words"),
    [
        (lambda: Asked(answers=[BadReply("on?", b"7")]), "on?"),
        (lambda: Asked(answers=[DeviceFault("it is broken")]), "it is broken"),
        (lambda: Asked(answers=[LinkTimeout("on?", 1.0)], proofs=[DeviceFault("another one")]), "another one"),
        (lambda: Deaf(offs=[DeviceFault("it stays on")]), "it stays on"),
        (lambda: Asked(answers=[TimeoutError()]), "no answer in time"),
        (lambda: Asked(answers=[RuntimeError("a mistake")]), "error in its driver: RuntimeError('a mistake')"),
    ],
)
@virtually
async def test_a_look_that_fails_says_why_nobody_can_know_any_more(channel: Callable[[], Deaf], words: str) -> None:
    look = Lab(channel()).look()
    assert not await look.found_on()
    assert look.lost.startswith(f"{LOST}: ")
    assert words in look.lost


@virtually
async def test_a_look_takes_no_longer_than_it_may_nor_than_the_patience_with_a_silent_instrument() -> None:
    look = Lab(Asked(answers=[HANGS])).look()
    began_s = asyncio.get_running_loop().time()
    assert not await look.found_on()
    assert asyncio.get_running_loop().time() - began_s == pytest.approx(5.0, abs=0.1)
    assert "no answer in time" in look.lost
    silent = Lab(Asked(answers=[HANGS]))
    silent.contact.asked_s = began_s = asyncio.get_running_loop().time()
    look = silent.look()
    assert not await look.found_on()
    assert asyncio.get_running_loop().time() - began_s < PATIENCE_S + 0.5
    assert look.lost.startswith(LOST)


@pytest.mark.parametrize(
    ("outputs", "given_up", "gone"), [(1, "", ["why"]), (2, "", []), (1, "by another", []), (2, "by another", [])]
)
@virtually
async def test_a_connection_that_is_lost_is_given_up_once_and_only_where_nobody_shares_it(
    outputs: int, given_up: str, gone: list[str]
) -> None:
    lab = Lab(Asked(), outputs)
    lab.contact.given_up = given_up
    look = lab.look()
    look.lost = "why"
    assert look.let_go() == End(None, "why", off_confirmed=True)
    assert lab.gone == gone
