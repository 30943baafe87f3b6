"""Faults between a driver and its numbered instrument, and the judge of what the driver makes of them.

No reading may be believed that is not the newest one, whole; a setting is in force or refused; an output that is said to be
off is off, and every output is off, read back, within 5 s of the line's being sound again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

from benches import HASTY_S, PTY, TCP, WIRES, Bench, Wire
from numbered import OCV_V, RESISTANCE_OHM, Numbered
from virtual_loop import LoopClock, leap

from cycler_ctl.clock import Clock, SystemClock, real_sleep
from cycler_ctl.errors import InstrumentError, LinkClosed, LinkTimeout
from cycler_ctl.instrument import ConstantCurrent, ConstantVoltage, Instrument, Reading, Rest, Setpoint
from cycler_ctl.link.explain import BUSY
from sim_hardware.faults import Delivery, Line, LineFault
from sim_hardware.server import Endpoint

WINDOW_V = (2.5, 4.2)
CHARGE, DISCHARGE = ConstantCurrent(200e-6, WINDOW_V), ConstantCurrent(-200e-6, WINDOW_V)
SETPOINTS: tuple[Setpoint, ...] = (
    Rest(WINDOW_V),
    CHARGE,
    DISCHARGE,
    ConstantCurrent(90e-6, WINDOW_V),
    ConstantVoltage(4.1, 1e-3),
)
LINE_KINDS = ("drop", "delay", "garble", "truncate", "split", "merge", "lose", "lose byte", "disconnect", "reboot")
GOES_OFF = {"trip", "panel", "reboot"}
OFF_WITHIN_S = 5.0
AGAIN_S = 0.1
UNCONFIRMED = "could not be confirmed off"
WATCHED = LineFault("silence", None, b"<no message holds this>")  # while a fault is set, the line is asked each time


def kinds(bench: Bench) -> tuple[str, ...]:
    return (*LINE_KINDS, *bench.own)


Draw = Callable[[bytes], str | None]
"""What strikes before this message, if anything."""


def nothing(_message: bytes) -> None:
    """Nothing strikes."""


class Struck(Line):
    """A line on which ``draw`` says, before each exchange, what strikes now; ``struck`` keeps what did, and when."""

    def __init__(self, bench: Bench, sim: Numbered, seed: int, patience_s: float) -> None:
        super().__init__(sim, seed)
        self.sim = sim
        self.exchanges = 0
        self.struck: list[tuple[int, str]] = []
        self.draw: Draw = nothing
        self.change: Callable[[bytes], bytes] | None = None
        self.instead: Callable[[bytes], bytes] = bytes
        self._bench = bench
        self._draws = Random(seed)
        self._patience_s = patience_s

    def calm(self) -> None:
        self.clear_faults()
        self.draw = nothing

    def watch(self, draw: Draw) -> None:
        self.draw = draw
        self.inject(WATCHED)

    def exchange(self, data: bytes) -> Sequence[Delivery]:
        """Line by line, for what was written apart may arrive together."""
        told = data.splitlines(keepends=True) if self._bench.speaks_lines else [data]
        deliveries: list[Delivery] = []
        for message in told:
            deliveries += self._one(message)
            if deliveries and deliveries[-1].close:
                break
        return deliveries

    def _one(self, message: bytes) -> Sequence[Delivery]:
        kind = self.draw(message)
        self.exchanges += 1
        if kind is not None:
            self.strike(kind)
        return super().exchange(message)

    def strike(self, kind: str) -> None:
        self.struck.append((self.exchanges, kind))
        if kind == "reboot":  # at once: an instrument that is deaf meanwhile gives itself away by a time-out
            self.sim.power_cycle()
        elif kind in self._bench.own:
            self._bench.own[kind](self.sim, self._draws)
        else:
            self.inject(LineFault(kind, 1, b"", self._draws.uniform(0.02, 2.5 * self._patience_s)))

    def receive(self, data: bytes) -> bytes:
        """``change`` is made to the next reading's reply, and then no more; ``instead`` to each reply of any kind."""
        reply = super().receive(data)
        if reply:
            reply = self.instead(reply)
        if self.change is None or self._bench.question not in data or not reply:
            return reply
        change, self.change = self.change, None
        return change(reply)


@dataclass(slots=True)
class Life:
    """One connection of a driver. ``harm``: what it did that it must not, for an error on the way out would hide it."""

    bench: Bench
    sim: Numbered
    line: Struck
    instrument: Instrument
    harm: list[str]
    believed: int = 0

    def truth(self, output: str) -> dict[str, Any]:
        return dict(self.bench.per_output(self.sim.truth(), output))

    def is_off(self, output: str) -> bool:
        truth = self.truth(output)
        return not truth["output_on"] and not truth["relay_closed"]

    def rule(self, holds: bool, broken: str) -> None:
        if not holds:
            self.harm.append(broken)
            raise AssertionError(broken)

    async def read(self, output: str) -> None:
        """An error, or the newest reading, whole."""
        numbers = self.sim.numbers[output]
        before = numbers.asked
        value = await (self._voltage(output) if self.bench.outputs else self._measured())
        newest = range(before + 1 - 2 * self.bench.older, numbers.asked + 1)
        right = any(abs(value - numbers.value(number)) <= self.bench.unsure for number in newest)
        self.rule(right, f"believed {value}, the newest was {numbers.value(numbers.asked)}")
        self.believed += 1

    async def _measured(self) -> float:
        value = (await self.instrument.sensors["1"].read()).value
        self.rule(not self.sim.truth()["sensor_broken"], f"believed {value} of a broken sensor")
        return value

    async def _voltage(self, output: str) -> float:
        reading = await self.instrument.channels[output].read()
        self._check_current(reading, self.truth(output))
        return reading.voltage_V

    def _check_current(self, reading: Reading, truth: dict[str, Any]) -> None:
        off = 0.02 * abs(truth["current_A"]) + 1e-6
        near = abs(reading.current_A - truth["current_A"]) <= off
        self.rule(near, f"believed {reading.current_A} A where {truth['current_A']} A flow")
        self.rule(reading.output_on == truth["output_on"], f"said on: {reading.output_on}, and was not so")

    async def apply(self, output: str, setpoint: Setpoint) -> None:
        """It is in force, or refused; and then the output is off, or it is said that this could not be confirmed."""
        struck = len(self.line.struck)
        try:
            await self.instrument.channels[output].apply(setpoint)
        except InstrumentError as error:
            said = UNCONFIRMED in f"{error} {getattr(error, '__notes__', ())}"
            self.rule(said or self.is_off(output), f"left on after {setpoint} was refused: {error}")
            raise
        since, truth = {kind for _, kind in self.line.struck[struck:]}, self.truth(output)
        current_A, expected_A = truth["current_A"], flows(setpoint)
        went_off = bool(since & GOES_OFF) and not truth["output_on"]  # after a reset it may drain the cell by itself
        in_force = abs(current_A - expected_A) <= 0.02 * abs(expected_A) + 1e-6
        self.rule(in_force or went_off, f"accepted {setpoint}, and {current_A} A flow")

    async def turn_off(self, output: str) -> None:
        await self.instrument.channels[output].turn_off()
        self.rule(self.is_off(output), f"output {output} was said to be off, and is not")

    async def ends(self) -> None:
        """The line is sound again: whoever keeps asking gets every output off in time."""
        self.line.calm()
        await self.all_off()

    async def all_off(self) -> None:
        try:
            async with asyncio.timeout(OFF_WITHIN_S):
                for output in self.bench.outputs:
                    await self._off_at_last(output)
        except TimeoutError:
            self.rule(False, "not off in time")

    async def _off_at_last(self, output: str) -> None:
        while True:
            try:
                return await self.turn_off(output)
            except LinkClosed:
                raise
            except InstrumentError:
                await real_sleep(AGAIN_S)


def flows(setpoint: Setpoint) -> float:
    """Through the cell of the numbered instruments."""
    match setpoint:
        case ConstantCurrent():
            return setpoint.current_A
        case ConstantVoltage():
            limit_A = setpoint.current_limit_A
            return max(-limit_A, min(limit_A, (setpoint.voltage_V - OCV_V) / RESISTANCE_OHM))
        case Rest():
            return 0.0


@dataclass(slots=True)
class Case:
    """One instrument on one wire through all its connections."""

    bench: Bench
    seed: int = 0
    wire: Wire = TCP
    harm: list[str] = field(default_factory=list[str])
    acts: frozenset[str] = frozenset()
    """What the instrument did to its cell by itself."""
    asks_for_off: bool = True
    believed: int = 0
    _line: Struck | None = None

    @property
    def has_struck(self) -> bool:
        return bool(self._line and self._line.struck)

    @property
    def timeout_s(self) -> float:
        """In virtual time the driver's own; where time is real, a short one."""
        return self.bench.spec.link.timeout_s if self.wire == TCP else HASTY_S

    def run(self, story: Story) -> None:
        """A note on a failure tells what struck."""
        try:
            self.believed = leap(self._run(story)) if self.wire == TCP else asyncio.run(self._run(story))
        except BaseException as error:
            struck = self._line.struck if self._line else []
            error.add_note(f"{self.bench.name}, seed {self.seed}, {self.wire.name}; (exchange, fault): {struck}")
            raise

    async def _run(self, story: Story) -> int:
        clock = LoopClock() if self.wire == TCP else SystemClock()
        sim = self.bench.make(clock.now, self.seed)
        self._line = line = Struck(self.bench, sim, self.seed, self.timeout_s)
        async with self.wire.serve(line) as endpoint:
            believed = await self._first_connection(endpoint, clock, line, story)
        assert not self.harm, self.harm
        self._check_end(sim.truth())
        return believed

    def _check_end(self, truth: dict[str, Any]) -> None:
        if self.bench.outputs:
            self.acts = frozenset(truth["abuse"]) & self.bench.acts
            assert (truth["output_on"], truth["relay_closed"]) == (False, False)
            assert set(truth["abuse"]) == self.acts, truth["abuse"]

    async def _first_connection(self, endpoint: Endpoint, clock: Clock, line: Struck, story: Story) -> int:
        life: Life | None = None
        try:
            async with self._connected(endpoint, clock, line) as life:
                await story(life)
                if self.asks_for_off:
                    await life.ends()
        except InstrumentError:  # the link is gone, and nothing was said of the output: to connect is to turn it off
            line.calm()
            async with asyncio.timeout(OFF_WITHIN_S):
                await self._connects_at_last(endpoint, clock, line)
        return life.believed if life else 0

    async def _connects_at_last(self, endpoint: Endpoint, clock: Clock, line: Struck) -> None:
        """A port may be busy until the thread that hung on it returns: as a busy machine makes one do."""
        while True:
            try:
                async with self._connected(endpoint, clock, line):
                    if self.bench.outputs:
                        assert not line.sim.truth()["output_on"], "connected, and an output is on"
            except InstrumentError as error:
                if BUSY not in str(error):
                    raise
                await real_sleep(AGAIN_S)
            else:
                return

    @asynccontextmanager
    async def _connected(self, endpoint: Endpoint, clock: Clock, line: Struck) -> AsyncGenerator[Life]:
        async with (
            self.bench.link(endpoint, clock, self.wire, self.timeout_s) as link,
            self.bench.spec.connect(link, self.bench.options) as instrument,
        ):
            yield Life(self.bench, line.sim, line, instrument, self.harm)


Story = Callable[[Life], Coroutine[object, object, None]]


def after(exchanges: int, kind: str, mark: bytes = b"") -> Draw:
    """Draws this fault once, so many exchanges from now of those that hold the mark."""
    left = iter([*[None] * exchanges, kind])
    return lambda message: next(left, None) if mark in message else None


def now_and_then(random: Random, bench: Bench) -> Draw:
    """Draws any fault at any exchange: in one life rarely, in another often."""
    often = random.choice((0.02, 0.05, 0.15))
    return lambda _message: random.choice(kinds(bench)) if random.random() < often else None


async def go_on(life: Life, random: Random) -> None:
    """Setpoints, readings and offs as a run takes them; after a time-out in step again, or off."""
    for _ in range(5):
        try:
            await some_steps(life, random)
        except LinkClosed:
            raise
        except LinkTimeout:
            with suppress(InstrumentError):
                await life.instrument.resync()
                await life.read(random.choice(life.bench.outputs or ("1",)))
        except InstrumentError:
            continue


async def some_steps(life: Life, random: Random) -> None:
    if not life.bench.outputs:
        for _ in range(3):
            await life.read("1")
        return
    output = random.choice(life.bench.outputs)
    await life.apply(output, random.choice(SETPOINTS))
    for _ in range(3):
        await life.read(output)
    if random.random() < 0.3:
        await life.turn_off(output)


def seeded_life(bench: Bench, seed: int, *, only_tcp: bool = False) -> Case:
    """Each tenth is led on a pseudo-terminal, in real time."""
    random = Random(seed)
    wire = PTY if seed % 10 == 9 and PTY in WIRES and not only_tcp else TCP

    async def story(life: Life) -> None:
        life.line.watch(now_and_then(random, bench))
        await go_on(life, random)
        for output in bench.outputs:
            with suppress(InstrumentError):
                await life.turn_off(output)

    case = Case(bench, seed, wire)
    case.run(story)
    return case
