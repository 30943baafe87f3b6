"""No reading is ever the answer to an earlier question, however late answers come. Each simulated reading is numbered."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from random import Random

import pytest
from benches import BENCHES, PTY, SOURCES, TCP, Wire
from benches import WIRES as TABLE_WIRES
from benches import Bench as AnyBench
from wire_faults import Case, Life

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import InstrumentError, LinkTimeout
from cycler_ctl.instrument import ConstantCurrent, Instrument, Link
from cycler_ctl.link.opening import open_link
from drivers import scpi
from drivers.keithley_2400 import DRIVER, Options
from sim_hardware.faults import Line
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.loads import Battery
from sim_hardware.server import serve_pty, serve_tcp

CHARGE = ConstantCurrent(200e-6, (2.5, 4.2))
HASTY_S = 0.4
NUMBERS = 600
QUESTIONS, CAMPAIGN_QUESTIONS = 300, 100_000

WIRES = pytest.mark.parametrize(
    ("backend", "terminal"),
    [
        (None, False),
        ("visa", False),
        pytest.param(None, True, marks=pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")),
        pytest.param("visa", True, marks=pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")),
    ],
)


class Numbered(Keithley2400):
    """Its voltage is the number of the question, in mV above 3.5 V. Told to, it keeps answers back for a while."""

    asked = 0
    keeps = 0
    kept = b""

    def receive(self, data: bytes) -> bytes:
        reply = super().receive(data)
        if b":READ?" in data and reply:
            self.asked += 1
            sample = b"%+.6E" % self.newest_V + reply[13:].partition(b";")[0]
            reply = b";".join((sample, sample, reply.split(b";", 2)[2]))
        if reply and self.keeps:
            self.keeps -= 1
            self.kept += reply
            return b""
        reply, self.kept = (self.kept + reply, b"") if reply else (reply, self.kept)
        return reply

    @property
    def newest_V(self) -> float:
        return 3.5 + self.asked % NUMBERS * 1e-3


@dataclass(frozen=True, slots=True)
class Bench:
    sim: Numbered
    line: Line
    link: Link
    instrument: Instrument

    async def misattributed(self) -> bool:
        reading = await self.instrument.channels["1"].read()
        return reading.voltage_V != pytest.approx(self.sim.newest_V, abs=1e-6)


@asynccontextmanager
async def numbered(backend: str | None, timeout_s: float, *, terminal: bool) -> AsyncGenerator[Bench]:
    clock = SystemClock()
    sim = Numbered(Battery(3.7, 50.0), clock.now)
    line = Line(sim)
    wire = replace(DRIVER.link, timeout_s=timeout_s)
    async with (
        serve_pty(line) if terminal else serve_tcp(line) as endpoint,
        open_link(endpoint.address, wire, clock, backend=backend) as link,
        DRIVER.connect(link, Options()) as instrument,
    ):
        await instrument.channels["1"].apply(CHARGE)
        yield Bench(sim, line, link, instrument)
        line.clear_faults()
        sim.keeps = 0


@WIRES
async def test_clearing_alone_would_take_a_withheld_reading_for_the_next(backend: str | None, terminal: bool) -> None:
    """The negative control: quiet proves nothing."""
    async with numbered(backend, HASTY_S, terminal=terminal) as b:
        b.sim.keeps = 1
        with pytest.raises(LinkTimeout):
            await b.misattributed()
        await b.link.clear()
        assert await b.misattributed()
        await b.instrument.resync()


@WIRES
async def test_a_withheld_reading_is_nobodys_after_resync(backend: str | None, terminal: bool) -> None:
    async with numbered(backend, HASTY_S, terminal=terminal) as b:
        b.sim.keeps = 2  # the reading, and the first try's answer
        with pytest.raises(LinkTimeout):
            await b.misattributed()
        await b.instrument.resync()
        assert not await b.misattributed()
        assert not await b.misattributed()


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("bench", "wire"),
    [
        *(pytest.param(bench, TCP, id=f"{bench.name} tcp") for bench in BENCHES),
        *(pytest.param(BENCHES[0], wire, id=f"{BENCHES[0].name} pty") for wire in TABLE_WIRES if wire == PTY),
    ],
)
def test_of_a_hundred_thousand_questions_none_is_answered_for_another(
    bench: AnyBench, wire: Wire, request: pytest.FixtureRequest
) -> None:
    """So many in a campaign; answers late, lost and held back among them. Each number that is believed is looked at."""
    questions = CAMPAIGN_QUESTIONS if request.config.getoption("--campaign") else QUESTIONS
    each = 10 if wire == TCP else 100  # what is waited for on a terminal is waited for in real time
    case = Case(bench, 0, wire)
    case.run(partial(asked_often, questions=questions, each=each))
    assert case.believed > questions // 2


async def asked_often(life: Life, questions: int, each: int) -> None:
    random, output = Random(questions), next(iter(life.bench.outputs), "1")
    await begin(life, output)
    for number in range(questions):
        if number % each == 0:
            life.line.strike(random.choice(("delay", "delay", "merge", "drop")))
        try:
            await life.read(output)
        except InstrumentError as error:
            await in_step_again(life, output, error)


async def begin(life: Life, output: str) -> None:
    if life.bench.outputs:
        await life.apply(output, CHARGE)


async def in_step_again(life: Life, output: str, error: InstrumentError) -> None:
    """As a run does it, but that it goes on after a refusal."""
    with suppress(InstrumentError):
        if isinstance(error, LinkTimeout):
            await life.instrument.resync()
            return
    with suppress(InstrumentError):
        await begin(life, output)


async def off_is_told_late(life: Life) -> None:
    """The output stays on, and each question is answered by what was answered when it last went off."""
    output, heard = life.bench.outputs[0], list[bytes]()

    def noted(reply: bytes) -> bytes:
        heard.append(reply)
        return reply

    await life.apply(output, CHARGE)
    life.line.instead = noted
    await life.turn_off(output)
    life.line.instead = bytes
    await life.apply(output, CHARGE)
    life.sim.set_fault("welded", value=True)
    for late in dict.fromkeys(heard):
        life.line.instead = partial(answered, late)
        with suppress(InstrumentError):
            await life.turn_off(output)
    life.line.instead = bytes
    life.sim.set_fault("welded", value=False)


def answered(late: bytes, _reply: bytes) -> bytes:
    return late


def none_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """As drawn, one in 240 is the same by chance."""
    numbers = count(scpi.LOWEST_NONCE)
    monkeypatch.setattr(scpi, "nonces", lambda: numbers)


@pytest.mark.parametrize("bench", SOURCES, ids=lambda bench: bench.name)
def test_an_off_is_never_proven_by_the_answer_to_an_earlier_question(
    bench: AnyBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    none_twice(monkeypatch)
    Case(bench).run(off_is_told_late)


@pytest.mark.parametrize("bench", [BENCHES[0]], ids=lambda bench: bench.name)
def test_an_off_that_any_answer_proves_is_noticed(bench: AnyBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control."""

    async def any_answer(link: Link, headers: Iterable[str], _nonce: int, told: Iterable[str] = ()) -> list[str]:
        return await scpi.ask_all(link, headers, told)

    monkeypatch.setattr(scpi, "ask_in_step", any_answer)
    with pytest.raises(AssertionError, match="said to be off"):
        Case(bench).run(off_is_told_late)


@pytest.mark.parametrize("told_as", [b"HEX", b"OCT", b"BIN"])
@pytest.mark.parametrize("bench", [BENCHES[0], BENCHES[3]], ids=lambda bench: bench.name)
def test_an_off_is_believed_of_an_instrument_that_was_left_telling_registers_otherwise(
    bench: AnyBench, told_as: bytes
) -> None:
    async def story(life: Life) -> None:
        life.sim.receive(b":FORM:SREG " + told_as + b";*ESE 17\n")
        assert life.sim.receive(b"*ESE?\n").startswith(b"#")
        await life.turn_off("1")

    Case(bench).run(story)
