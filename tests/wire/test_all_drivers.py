"""Every driver keeps the contract on every wire it may have, and under every fault: one table, the same tests for all."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from itertools import product
from random import Random

import pytest
from benches import BENCHES, PTY, SOURCES, TCP, VISA_TCP, WIRES, Bench, Model, Wire
from undriven import on_in
from virtual_loop import LoopClock, leap
from wire_faults import CHARGE, DISCHARGE, OFF_WITHIN_S, Case, Life, after, kinds, nothing
from wrong_drivers import NeverOff, Same, WrongSign, with_channels, wrong

from cycler_ctl.clock import Clock, SystemClock
from cycler_ctl.errors import InstrumentError, LinkTimeout, RefusedError
from cycler_ctl.instrument import AppliesInPlace, ConstantCurrent, ConstantVoltage, DriverSpec, Rest
from cycler_ctl.testing.contract import Case as ContractCase
from cycler_ctl.testing.contract import ContractBroken, check_contract
from sim_hardware.faults import Instrument as Simulated
from sim_hardware.faults import LineFault
from sim_hardware.server import serve_tcp

ANSWERS_S = 3.0  # in real time: the simulated instrument answers at once, but this machine may be busy
SWITCHES_ON = re.compile(rb"OUTP\d? (ON|1)|source\.output ?= ?(1|\w+\.OUTPUT_ON)|cell_on")
EACH = pytest.mark.parametrize("bench", BENCHES, ids=lambda bench: bench.name)
EACH_SOURCE = pytest.mark.parametrize("bench", SOURCES, ids=lambda bench: bench.name)


async def contract(spec: DriverSpec, bench: Bench, model: Model, wire: Wire, clock: Clock) -> None:
    lost = range(100) if model is bench.models[0] and wire == TCP else (1, 4)  # each answer of one model is enough
    case = ContractCase(model.options, 200e-6, model.window_V, lost=lost)
    case = case if wire == TCP else replace(case, lost=())  # where time is real a busy machine loses enough by itself
    timeout_s = None if wire == TCP else ANSWERS_S
    async with wire.serve(model.make(clock.now)) as endpoint:
        await check_contract(spec, lambda: bench.link(endpoint, clock, wire, timeout_s), case)


@pytest.mark.parametrize("wire", WIRES[1:], ids=lambda wire: wire.name)
@EACH
async def test_the_contract_is_kept_on_every_wire(bench: Bench, wire: Wire) -> None:
    await contract(bench.spec, bench, bench.models[0], wire, SystemClock())


@pytest.mark.parametrize(
    ("bench", "model"),
    [pytest.param(bench, model, id=f"{bench.name} {model.name}") for bench in BENCHES for model in bench.models],
)
def test_every_model_keeps_the_contract_however_it_regulates(bench: Bench, model: Model) -> None:
    async def story() -> None:
        await contract(bench.spec, bench, model, TCP, LoopClock())

    leap(story())


@pytest.mark.parametrize(
    ("kind", "rule"), [(WrongSign, "wrong sign"), (NeverOff, "turned off does not read as on"), (Same, "")]
)
@EACH_SOURCE
def test_a_driver_that_breaks_a_rule_is_found_and_only_that(bench: Bench, kind: type[Same], rule: str) -> None:
    async def story() -> None:
        await contract(wrong(bench.spec, with_channels(kind)), bench, bench.models[0], TCP, LoopClock())

    if rule:
        with pytest.raises(ContractBroken, match=rule):
            leap(story())
    else:
        leap(story())


@EACH_SOURCE
def test_in_place_nothing_is_switched_on_and_nothing_off_and_on_again(bench: Bench) -> None:
    """What does not go off is asked for less current; it may go off in that moment."""
    model = bench.models[0]
    rest = Rest(model.window_V)

    async def story() -> None:
        simulated = model.make((clock := LoopClock()).now)
        async with (
            serve_tcp(simulated) as endpoint,
            bench.link(endpoint, clock) as link,
            bench.spec.connect(link, model.options) as instrument,
        ):
            channel = next(iter(instrument.channels.values()))
            assert isinstance(channel, AppliesInPlace)
            await channel.apply(rest)
            await channel.apply(ConstantCurrent(200e-6, model.window_V))
            held = ConstantVoltage((await channel.read()).voltage_V, 100e-6)
            times = switched_on(simulated)
            assert times
            for setpoint in (rest, held):
                with suppress(RefusedError):
                    await channel.apply_in_place(setpoint)
                assert switched_on(simulated) == times
            await channel.turn_off()
            for setpoint in (rest, held):
                with suppress(RefusedError):
                    await channel.apply_in_place(setpoint)
                assert not on_in(simulated.truth())
            await channel.apply(rest)  # it does no harm to what comes later

    leap(story())


def switched_on(simulated: Simulated) -> int:
    return sum(bool(SWITCHES_ON.search(message)) for _, message in simulated.log)


async def reads(life: Life, output: str) -> None:
    for _ in range(3):
        await life.read(output)


async def switches(life: Life, output: str) -> None:
    await life.apply(output, DISCHARGE)
    await life.read(output)


async def goes_off(life: Life, _output: str) -> None:
    await life.all_off()


Moment = Callable[[Life, str], Coroutine[object, object, None]]
MOMENTS: dict[str, Moment] = {"reading": reads, "setting": switches, "going off": goes_off}
STRIDE = 13
FAULTS = [
    pytest.param(bench, kind, moment, id=f"{bench.name} {kind} {moment}")
    for bench in BENCHES
    for kind in kinds(bench)
    for moment in (MOMENTS if bench.outputs else ["reading"])
]


@pytest.mark.parametrize(("bench", "kind", "moment"), FAULTS)
def test_a_fault_at_any_exchange_makes_no_wrong_number_and_no_output_stays_on(
    bench: Bench, kind: str, moment: str, request: pytest.FixtureRequest, no_cell_is_harmed: set[str]
) -> None:
    """Each thirteenth exchange, or each of them in a campaign."""
    stride = 1 if request.config.getoption("--campaign") else STRIDE
    moments = range(0, exchanges(bench.name, moment), stride)
    assert moments
    assert all(strikes(Case(bench, at), kind, moment, no_cell_is_harmed) for at in moments)


@cache
def exchanges(name: str, moment: str) -> int:
    """How many a moment has in which nothing strikes."""
    bench = next(bench for bench in BENCHES if bench.name == name)
    counted: list[int] = []

    async def story(life: Life) -> None:
        output = await begun(life)
        life.line.watch(nothing)
        before = life.line.exchanges
        await MOMENTS[moment](life, output)
        counted.append(life.line.exchanges - before)

    Case(bench).run(story)
    return counted[0]


async def begun(life: Life) -> str:
    output = next(iter(life.bench.outputs), "1")
    await in_step(life, output)
    await life.read(output)
    return output


def strikes(case: Case, kind: str, moment: str, acts: set[str]) -> bool:
    """At the exchange of the case's seed."""
    case.run(partial(struck_once, at=case.seed, kind=kind, moment=MOMENTS[moment]))
    acts.update(case.acts)
    return case.has_struck


CAMPAIGN_S = 7200
ELSEWHERE = [
    pytest.param(bench, wire, id=f"{bench.name} {wire.name}")
    for bench in BENCHES
    for name, wire in (
        ("keithley_2400", PTY),
        ("palmsens_emstat4", PTY),
        ("eurotherm", PTY),
        ("keithley_2450", VISA_TCP),
    )
    if bench.name == name and wire in WIRES
]
SAMPLE = (("garble", 0), ("drop", 1), ("lose byte", 4))


@pytest.mark.timeout(CAMPAIGN_S)
@pytest.mark.parametrize(("bench", "wire"), ELSEWHERE)
def test_a_fault_on_a_serial_line_or_behind_visa_is_met_alike(
    bench: Bench, wire: Wire, request: pytest.FixtureRequest, no_cell_is_harmed: set[str]
) -> None:
    """A few of them, or each at each third exchange in a campaign: here time is real."""
    moments = list(MOMENTS) if bench.outputs else ["reading"]
    if not request.config.getoption("--campaign"):
        cases = ((Case(bench, at, wire), kind, moments[at % len(moments)]) for kind, at in SAMPLE)
        struck = [strikes(*case, no_cell_is_harmed) for case in cases]
        assert any(struck)
        return
    for kind, moment in product(kinds(bench), moments):
        at = 0
        while strikes(Case(bench, at, wire), kind, moment, no_cell_is_harmed):
            at += 3
        assert at


async def struck_once(life: Life, at: int, kind: str, moment: Moment) -> None:
    output = await begun(life)
    life.line.watch(after(at, kind))
    try:
        await moment(life, output)
    except InstrumentError:
        with suppress(InstrumentError):
            await life.instrument.resync()
            await life.read(output)


@pytest.mark.parametrize("switching", [0, 1])
@EACH_SOURCE
def test_an_instrument_that_is_reset_just_before_it_is_switched_on_harms_no_cell(bench: Bench, switching: int) -> None:
    """The first of them is to see the cell; the second drives it, and some instruments do with one."""

    async def story(life: Life) -> None:
        output = bench.outputs[0]
        life.line.watch(after(switching, "reboot", bench.on))
        with suppress(InstrumentError):
            await life.apply(output, CHARGE)
            await life.read(output)
            is_told = not bench.speaks_lines  # a script brings all its settings with it
            life.rule(is_told or not life.line.struck, "the reset was not noticed")

    case = Case(bench)
    case.run(story)
    assert case.has_struck or switching


@EACH_SOURCE
def test_an_output_that_cannot_be_reached_is_said_to_be_unconfirmed_in_time(bench: Bench) -> None:
    """What raises the alarm."""

    async def story(life: Life) -> None:
        output = bench.outputs[0]
        await life.apply(output, CHARGE)
        life.line.inject(LineFault("silence", None))
        async with asyncio.timeout(OFF_WITHIN_S):
            with pytest.raises(InstrumentError):
                await life.turn_off(output)
        life.rule(not life.is_off(output), "nothing was heard, and it went off")

    Case(bench).run(story)


@EACH_SOURCE
def test_an_output_that_does_not_go_off_is_never_said_to_be_off(bench: Bench) -> None:
    async def story(life: Life) -> None:
        output = bench.outputs[0]
        await life.apply(output, CHARGE)
        life.sim.set_fault("welded", value=True)
        with pytest.raises(InstrumentError, match="could not be confirmed off"):
            await life.turn_off(output)
        life.sim.set_fault("welded", value=False)

    Case(bench).run(story)


@EACH_SOURCE
def test_a_cancelled_reading_does_not_keep_off_from_the_cell(bench: Bench) -> None:
    async def story(life: Life) -> None:
        output = bench.outputs[0]
        await life.apply(output, CHARGE)
        life.line.inject(LineFault("delay", 1, bench.question, 0.3))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await life.read(output)
        await life.turn_off(output)

    Case(bench).run(story)


@EACH_SOURCE
def test_leaving_turns_every_output_off(bench: Bench) -> None:
    async def story(life: Life) -> None:
        for output in bench.outputs:
            await life.apply(output, CHARGE)

    case = Case(bench)
    case.asks_for_off = False
    case.run(story)


def changes(at: int, reply: bytes) -> Iterator[bytes]:
    """One byte changed, lost, doubled or put in, and the rest lost."""
    for bit in range(8):
        yield reply[:at] + bytes([reply[at] ^ 1 << bit]) + reply[at + 1 :]
    for instead in (b"", 2 * reply[at : at + 1], b"\n", b"\x11" + reply[at : at + 1], b"\0" + reply[at : at + 1]):
        yield reply[:at] + instead + reply[at + 1 :]
    yield reply[:at]
    yield reply[at:]
    yield reply[:at] + reply


@EACH
def test_no_byte_of_a_reading_can_be_spoilt_unseen(bench: Bench, request: pytest.FixtureRequest) -> None:
    """One of the ways at each position, or each of them in a campaign."""
    everything = bool(request.config.getoption("--campaign"))

    async def story(life: Life) -> None:
        output = next(iter(bench.outputs), "1")
        await in_step(life, output)
        length = await reply_length(life, output)
        for at in range(length):
            ways = range(len(list(changes(0, b"?")))) if everything else [Random(at).randrange(16)]
            for way in ways:
                life.line.change = partial(changed, at=at, way=way)
                try:
                    await life.read(output)
                except InstrumentError as error:
                    await recover(life, output, error)
        assert life.believed > 0

    Case(bench).run(story)


def changed(reply: bytes, at: int, way: int) -> bytes:
    return list(changes(at % len(reply), reply))[way]


async def reply_length(life: Life, output: str) -> int:
    lengths: list[int] = []

    def measured(reply: bytes) -> bytes:
        lengths.append(len(reply))
        return reply

    life.line.change = measured
    await life.read(output)
    return lengths[0]


async def in_step(life: Life, output: str) -> None:
    if life.bench.outputs:
        await life.apply(output, CHARGE)


async def recover(life: Life, output: str, error: InstrumentError) -> None:
    life.line.change = None
    with suppress(InstrumentError):
        if isinstance(error, LinkTimeout):
            await life.instrument.resync()
        await life.read(output)
        return
    await in_step(life, output)
