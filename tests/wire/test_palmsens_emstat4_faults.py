"""Seeded faults on the wire of an EmStat4: no wrong number is believed, and whoever asks for off gets it or an error."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from random import Random

import pytest

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import BadReply, InstrumentError, LinkTimeout
from cycler_ctl.instrument import ConstantCurrent, ConstantVoltage, Instrument, Rest, Setpoint
from cycler_ctl.link.opening import open_link
from drivers.palmsens_emstat4 import DRIVER, Options
from drivers.palmsens_emstat4_ratings import MODELS
from drivers.palmsens_emstat4_reply import answer, only_package, reply_length
from drivers.palmsens_emstat4_script import report_of
from sim_hardware.faults import Line, LineFault
from sim_hardware.loads import Battery
from sim_hardware.palmsens_emstat4 import EmStat4
from sim_hardware.palmsens_emstat4_values import Value, single
from sim_hardware.server import serve_tcp

WINDOW_V = (2.5, 4.2)
SETPOINTS: tuple[Setpoint, ...] = (
    Rest(WINDOW_V),
    ConstantCurrent(200e-6, WINDOW_V),
    ConstantCurrent(-200e-6, WINDOW_V),
    ConstantCurrent(90e-6, WINDOW_V),
    ConstantVoltage(3.75, 1e-3),
)
KINDS = ("drop", "delay", "garble", "truncate", "split", "merge", "lose", "reboot", "script", "disconnect")
HASTY_S = 0.1
OFF_S = 5.0
RUNS, CAMPAIGN_RUNS = 10, 1000
WHOLE = (
    b"Y\n*\n"
    + 2 * b"Pja8A3C1F2i;ja8000011i;ja8000001i;ja800000Bi;eb8200B20u;ab838885Fu,10,206;baDE7152Cp,10,215\n"
    + b"M0007\n"
)


class Numbered(EmStat4):
    """The digits of its voltage below 0.1 V are the number of the point: 3.7 V and n times 0.1 mV."""

    believed = 0
    points = 0

    def __init__(self, seed: int) -> None:
        super().__init__(Battery(3.7, 50.0), SystemClock().now, seed=seed, deaf_s=0.05)
        self.cell.potential = self._numbered  # type: ignore[method-assign]

    def _numbered(self) -> Value:
        self.points += 1
        return Value(single(self.newest_V), type="ab", metadata=",10,206")

    @property
    def newest_V(self) -> float:
        return 3.7 + self.points % 400 * 1e-4


@dataclass(frozen=True, slots=True)
class Bench:
    sim: Numbered
    line: Line
    instrument: Instrument

    async def read(self) -> None:
        """A reading that is believed is the newest point there was when it was asked, whole."""
        before = self.sim.points
        reading = await self.instrument.channels["1"].read()
        number = round((reading.voltage_V - 3.7) * 1e4)
        assert number in {at % 400 for at in range(before - 1, self.sim.points + 1)}, reading
        assert reading.voltage_V == pytest.approx(3.7 + number * 1e-4, abs=1e-6)
        assert abs(reading.current_A) < 2e-3
        self.sim.believed += 1


@asynccontextmanager
async def numbered(sim: Numbered, seed: int) -> AsyncGenerator[Bench]:
    clock = SystemClock()
    line = Line(sim, seed)
    wire = replace(DRIVER.link, timeout_s=HASTY_S)
    async with (
        serve_tcp(line) as endpoint,
        open_link(endpoint.address, wire, clock) as link,
        DRIVER.connect(link, Options(interval_s=0.05)) as instrument,
    ):
        yield Bench(sim, line, instrument)


def spoil(b: Bench, random: Random, kind: str) -> None:
    if kind == "script":
        with suppress(ValueError):  # none runs
            b.sim.set_fault("script", value=True)
        return
    match = random.choice((b"Y", b"armed", b"Z", b"e\n"))
    b.line.inject(LineFault(kind, 1, match, random.uniform(0.02, 2.5 * HASTY_S)))


async def live(b: Bench, random: Random, kind: str) -> None:
    """A few setpoints and readings, as a run takes them; after a time-out in step again, or off."""
    for number in range(3):
        try:
            await b.instrument.channels["1"].apply(random.choice(SETPOINTS))
            if number == 1:
                spoil(b, random, kind)
            for _ in range(3):
                await b.read()
        except LinkTimeout:
            with suppress(InstrumentError):
                await b.instrument.resync()
                await b.read()
        except InstrumentError:
            continue


async def one_life(seed: int) -> int:
    """Readings believed; the cell is off in the end, or, where the link is gone, off when the next one begins."""
    random, sim = Random(seed), Numbered(seed)
    kind = random.choice(KINDS)
    try:
        async with numbered(sim, seed) as b:
            if random.random() < 0.5:
                spoil(b, random, kind)
            await live(b, random, kind)
            b.line.clear_faults()
            asked_s = SystemClock().now()
            await b.instrument.channels["1"].turn_off()
            assert SystemClock().now() - asked_s < OFF_S, seed
    except InstrumentError:
        assert kind == "disconnect", seed
        async with (
            serve_tcp(Line(sim)) as endpoint,
            open_link(endpoint.address, DRIVER.link, SystemClock()) as link,
            DRIVER.connect(link, Options()),
        ):
            assert not sim.truth()["output_on"], seed
    truth = sim.truth()
    assert not truth["output_on"], seed
    assert not truth["relay_closed"], seed
    assert kind == "script" or truth["abuse"] == (), seed
    return sim.believed


@pytest.mark.timeout(1800)  # the campaign; a life takes half a second of waiting for what does not come
async def test_no_wrong_number_of_an_emstat_is_believed_and_off_is_off(request: pytest.FixtureRequest) -> None:
    runs = CAMPAIGN_RUNS if request.config.getoption("--campaign") else RUNS
    believed = 0
    for seed in range(runs):
        believed += await one_life(seed)
    assert believed > 3 * runs


def heard(raw: bytes) -> object:
    """What is made of these bytes, should they ever be taken for an answer."""
    length = reply_length(raw)
    if length is None:
        return None
    return report_of(only_package(answer("Y", raw[:length]), raw), raw, MODELS["es4_hr"])


def test_no_lost_or_changed_byte_of_a_reading_goes_unseen() -> None:
    true = heard(WHOLE)
    assert true is not None
    for at in range(len(WHOLE)):
        for changed in (b"", *(bytes([WHOLE[at] ^ 1 << bit]) for bit in range(7))):
            try:
                found = heard(WHOLE[:at] + changed + WHOLE[at + 1 :])
            except (BadReply, InstrumentError):
                continue
            assert found in (None, true), (at, changed)


@pytest.mark.parametrize(
    ("was", "becomes", "why"),
    [
        (b"ab838885Fu,10", b"ab838885Fu,12", "overload"),
        (b"baDE7152Cp,10", b"baDE7152Cp,12", "overload"),
        (b",215", b",216", "no such current range"),
        (b"baDE7152Cp", b"dbDE7152Cp", "another package"),
        (b"ab838885Fu", b"da838885Fu", "another package"),
        (b"ab838885Fu", b"ab     nan", "is not a value"),
    ],
)
def test_a_reading_that_is_none_is_an_error(was: bytes, becomes: bytes, why: str) -> None:
    """An overload, a range that is not, the set value instead of the measured one, not a number."""
    with pytest.raises(BadReply, match=why):
        heard(WHOLE.replace(was, becomes))
