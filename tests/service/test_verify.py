"""A known resistor in the place of the cell: what is true passes, what lies fails, what is no resistor is left alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import wraps
from math import isclose
from pathlib import Path
from typing import ParamSpec

import pytest
from rig import until
from virtual import open_virtual
from virtual_loop import LoopClock, leap

from cycler_ctl.config import ChannelSettings, Config, InstrumentSettings, Limits, StationSettings
from cycler_ctl.errors import ConfigError, InstrumentError, RefusedError, StoreError
from cycler_ctl.instrument import Accuracy, Identity, Protection, Ratings, VoltageAccuracy
from cycler_ctl.store.reader import open_run
from cycler_ctl.terminal.status import on_disk
from cycler_ctl.verify import measure
from cycler_ctl.verify.judge import LEAST_V, Row, Seen, no_resistor, rows
from cycler_ctl.verify.ledger import (
    Verification,
    in_words,
    last_verification,
    path_of,
    told_of,
    write_verification,
)
from cycler_ctl.verify.points import Kind, Resistor, parse_resistor, points
from cycler_ctl.verify.process import Task, until_asked, verify
from cycler_ctl.watching.lease import NoLease
from protocols.model import ConstantCurrent, ConstantVoltage
from sim_hardware.faults import Instrument, Line, LineFault
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.keithley2450 import Keithley2450
from sim_hardware.keithley2600 import Keithley2600
from sim_hardware.keysightb2900 import KeysightB2900
from sim_hardware.loads import Battery, Load, open_lead, resistor
from sim_hardware.palmsens_emstat4 import EmStat4
from sim_hardware.rs_ngu import RsNgu
from sim_hardware.server import serve_tcp

Parameters = ParamSpec("Parameters")
TEN_KOHM = Resistor(1e4, 1e-3)
LIMITS = Limits(voltage_V=(-0.5, 4.5), current_A=1e-3)
SIMULATED: dict[str, Callable[[Load], Instrument]] = {
    "keithley-2400": lambda load: Keithley2400(load, LoopClock().now),
    "keithley-2450": lambda load: Keithley2450(load, LoopClock().now),
    "keithley-2600": lambda load: Keithley2600([load, open_lead()], LoopClock().now),
    "keysight-b2900": lambda load: KeysightB2900(load, LoopClock().now),
    "rs-ngu": lambda load: RsNgu(load, LoopClock().now, model="ngu401"),
    "palmsens-emstat4": lambda load: EmStat4(load, LoopClock().now),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "READINGS", 1)


def in_virtual_time(test: Callable[Parameters, Coroutine[object, object, None]]) -> Callable[Parameters, None]:
    """A check takes a quarter of a minute, in which hardly anything is done."""

    @wraps(test)
    def leaping(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        leap(test(*args, **kwargs))

    return leaping


@asynccontextmanager
async def station(data: Path, sim: Instrument | Line, driver: str = "keithley-2400") -> AsyncGenerator[Config]:
    output = "a" if driver == "keithley-2600" else "1"
    async with serve_tcp(sim) as there:
        yield Config(
            station=StationSettings(name="lab", data_dir=data),
            instruments={"smu1": InstrumentSettings(driver=driver, address=there.address)},
            channels={
                "a1": ChannelSettings(instrument="smu1", output=output, limits=LIMITS, temperature="unmonitored")
            },
        )


def task(known: Resistor = TEN_KOHM) -> Task:
    return Task("a1", known, "mark", "Ada")


@pytest.mark.parametrize("driver", SIMULATED)
@in_virtual_time
async def test_a_true_output_passes_and_the_result_is_kept(driver: str, tmp_path: Path) -> None:
    sim = SIMULATED[driver](resistor(1e4))
    async with station(tmp_path, sim, driver) as config, asyncio.timeout(60):
        made = await verify(config, task(), NoLease(), LoopClock())
    assert made.passed
    assert 0 < made.worst < 1
    assert {row.what for row in made.rows} == {"current set", "voltage set", "current through it"}
    assert {row.set > 0 for row in made.rows} == {True, False}
    assert last_verification(tmp_path, "a1") == made
    assert in_words(tmp_path, "a1") == made.date


@in_virtual_time
async def test_an_output_that_is_off_by_more_than_is_stated_fails(tmp_path: Path) -> None:
    """The negative control: the resistor is 3 % off what is said, as a meter might be."""
    async with station(tmp_path, SIMULATED["keithley-2400"](resistor(1.03e4))) as config, asyncio.timeout(60):
        made = await verify(config, task(), NoLease(), LoopClock())
    assert not made.passed
    assert in_words(tmp_path, "a1").startswith("FAILED ")


@pytest.mark.parametrize(
    ("load", "why"),
    [
        (Battery(3.7, 50.0), "a cell is connected"),
        (Battery(-0.2, 50.0), "a cell is connected"),
        (resistor(1e3), "another value"),
        (Battery(0.0, 1e4, slope_V_per_C=1e5), "another value|a cell is connected"),
        (open_lead(), "a lead is open|open lead"),
    ],
)
@in_virtual_time
async def test_what_is_no_resistor_is_refused_and_off(load: Battery, why: str, tmp_path: Path) -> None:
    sim = Keithley2400(load, LoopClock().now)
    async with station(tmp_path, sim) as config, asyncio.timeout(60):
        with pytest.raises((RefusedError, InstrumentError), match=why):
            await verify(config, task(), NoLease(), LoopClock())
        assert not sim.truth()["output_on"]
    assert abs(load.truth()["charge_C"]) < 1e-4
    assert in_words(tmp_path, "a1") == "never"


@in_virtual_time
async def test_a_check_that_is_stopped_leaves_the_output_off_and_no_result(tmp_path: Path) -> None:
    sim, asked = Keithley2400(resistor(1e4), LoopClock().now), asyncio.Event()

    class Stops(NoLease):
        def renew(self, _channel: str, _lease_s: float, /) -> None:
            asked.set()

    async with station(tmp_path, sim) as config, asyncio.timeout(60):
        with pytest.raises(RefusedError, match="stopped before it was done"):
            await until_asked(asked, verify(config, task(), Stops(), LoopClock()))
        assert not sim.truth()["output_on"]
    assert last_verification(tmp_path, "a1") is None


@in_virtual_time
async def test_an_instrument_that_falls_silent_is_off_in_the_end(tmp_path: Path) -> None:
    sim = Keithley2400(resistor(1e4), LoopClock().now)
    line = Line(sim)

    class Silences(NoLease):
        times = 0

        def renew(self, _channel: str, _lease_s: float, /) -> None:
            self.times += 1
            if self.times == 4:
                line.inject(LineFault("drop", 3, b""))

    async with station(tmp_path, line) as config, asyncio.timeout(60):
        with pytest.raises(InstrumentError):
            await verify(config, task(), Silences(), LoopClock())
        assert not sim.truth()["output_on"]


@pytest.mark.parametrize("driver", ["keithley-2400", "palmsens-emstat4"])
@in_virtual_time
async def test_an_instrument_that_says_nothing_more_is_an_alarm_and_off_once_it_speaks_again(
    driver: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sim = SIMULATED[driver](resistor(1e4))
    line = Line(sim)

    class Falls(NoLease):
        times = 0

        def renew(self, _channel: str, _lease_s: float, /) -> None:
            self.times += sim.truth()["output_on"] is True
            if self.times == 2:
                line.inject(LineFault("silence", None))

    async with station(tmp_path, line, driver) as config, asyncio.timeout(60):
        checking = asyncio.create_task(verify(config, task(), Falls(), LoopClock()), name="verify")
        await until(lambda: bool(line.hits.get("silence")))
        assert await until(lambda: "OFF IS NOT CONFIRMED" in caplog.text) <= 5.0
        assert sim.truth()["output_on"]
        assert not checking.done()
        line.clear_faults()
        await asyncio.wait({checking})
        assert isinstance(checking.exception(), InstrumentError)
        assert not sim.truth()["output_on"]
    assert last_verification(tmp_path, "a1") is None


RANGES = tuple(Accuracy(full_A, 1e-3, 1e-4 * full_A, 1e-3, 1e-4 * full_A) for full_A in (1e-6, 1e-5, 1e-4, 1e-3, 1e-2))
RATINGS = Ratings((-20.0, 20.0), 1.0, RANGES, 0.1, Protection.B, "", "")


def test_nothing_is_set_beyond_the_channel_or_the_resistor() -> None:
    for ohm in (10.0, 1e3, 1e6):
        for point in points(Resistor(ohm, 1e-3), LIMITS, RATINGS):
            most_A = point.setpoint.current_A if isinstance(point.setpoint, ConstantCurrent) else 0.0
            if isinstance(point.setpoint, ConstantVoltage):
                most_A = point.setpoint.current_limit_A
            assert abs(most_A) <= 0.98 * LIMITS.current_A
            assert abs(most_A) ** 2 * ohm <= 0.1
            assert abs(point.value * (ohm if point.kind is Kind.CURRENT else 1)) < 4.5


def test_each_range_that_the_resistor_allows_is_tried_in_both_directions() -> None:
    chosen = [point for point in points(TEN_KOHM, LIMITS, RATINGS) if point.kind is Kind.CURRENT]
    assert [point.accuracy.range_A for point in chosen] == [1e-6, 1e-6, 1e-5, 1e-5, 1e-4, 1e-4, 1e-3, 1e-3]
    assert [point.value > 0 for point in chosen] == [True, False] * 4


def test_an_output_of_one_polarity_is_refused_before_anything_is_energised() -> None:
    with pytest.raises(RefusedError, match="no lower than 0 V"):
        points(TEN_KOHM, LIMITS, replace(RATINGS, voltage_V=(0.0, 20.0)))


def test_a_resistor_that_would_tell_nothing_is_refused_with_a_better_one() -> None:
    with pytest.raises(RefusedError, match=r"take about 4\.1e\+03 ohm"):
        points(Resistor(0.1, 1e-3), LIMITS, RATINGS)


@pytest.mark.parametrize(
    ("text", "ohm"), [("1 kohm", 1e3), ("100 ohm", 100.0), ("4.7kΩ", 4.7e3), ("1 Mohm", 1e6), ("1e4 Ohm", 1e4)]
)
def test_resistances_are_read_as_people_write_them(text: str, ohm: float) -> None:
    assert isclose(parse_resistor(text, "0.1 %").resistance_ohm, ohm)
    assert isclose(parse_resistor(text, "0.1%").tolerance, 1e-3)


@pytest.mark.parametrize(
    ("resistance", "tolerance"), [("1", "1 %"), ("1k", "1 %"), ("-1 ohm", "1 %"), ("0 ohm", "1 %"), ("1 ohm", "1"), ("1 ohm", "50 %")]
)  # fmt: skip
def test_a_resistor_without_a_unit_is_an_error(resistance: str, tolerance: str) -> None:
    with pytest.raises(ConfigError, match="write a"):
        parse_resistor(resistance, tolerance)


def seen_at(current_A: float, found_A: float, found_V: float) -> Seen:
    (point, *_) = [one for one in points(TEN_KOHM, LIMITS, RATINGS) if isclose(one.value, current_A)]
    return Seen(point, found_V, found_A)


def test_errors_are_judged_by_the_stated_accuracy() -> None:
    setting, through = rows([seen_at(9e-5, 9e-5 + 1.9e-7, 0.9)], TEN_KOHM)
    assert setting.passed  # source and meter may each be off by 0.1 % and 10 nA
    assert isclose(setting.allowed, 2e-8 + 1e-3 * (9e-5 + 9.019e-5))
    assert through.passed
    assert not next(rows([seen_at(9e-5, 9e-5 + 2.1e-7, 0.9)], TEN_KOHM)).passed
    assert not next(rows([seen_at(9e-5, float("nan"), 0.9)], TEN_KOHM)).passed


def test_a_voltage_is_judged_by_what_is_stated_of_its_range_where_that_is_known() -> None:
    """The meter judges the source, so both count; without a statement the stand-in counts once, for both."""
    ranges_V = tuple(VoltageAccuracy(full_V, 1e-4, 1e-4 * full_V, 2e-4, 2e-4 * full_V) for full_V in (2.0, 6.0))
    for known, allowed_V in ((ranges_V, 1e-3 + 2e-3), ((), 5e-4 * 4 + 4e-3)):
        chosen = points(TEN_KOHM, LIMITS, replace(RATINGS, voltage_ranges=known))
        held = replace(next(one for one in chosen if one.kind is Kind.VOLTAGE), value=4.0)
        setting, _ = rows([Seen(held, 4.0, 4e-4)], TEN_KOHM)
        assert isclose(setting.allowed, allowed_V)
        assert setting.passed
        assert not next(rows([Seen(held, 4.0 + 1.01 * allowed_V, 4e-4)], TEN_KOHM)).passed


def test_not_a_number_is_no_resistor() -> None:
    assert no_resistor(seen_at(9e-5, 9e-5, 0.9), TEN_KOHM) is None
    assert no_resistor(seen_at(9e-5, float("nan"), 0.9), TEN_KOHM)
    assert no_resistor(seen_at(9e-5, 9e-5, 0.9 * 1.3 + LEAST_V), TEN_KOHM)


@in_virtual_time
async def test_a_run_tells_when_its_output_was_verified_and_whether_it_was_this_instrument(tmp_path: Path) -> None:
    identity = Identity("K", "2400", "1000001", "C33")
    assert told_of(tmp_path, "a1", identity) is None
    async with station(tmp_path, SIMULATED["keithley-2400"](resistor(1e4))) as config, asyncio.timeout(60):
        made = await verify(config, task(), NoLease(), LoopClock())
    told, other = told_of(tmp_path, "a1", made.identity), told_of(tmp_path, "a1", replace(made.identity, serial="2"))
    assert isinstance(told, dict)
    assert isinstance(other, dict)
    assert (told["passed"], told["same_instrument"], other["same_instrument"]) == (True, True, False)
    assert json.dumps(told, allow_nan=False)


async def test_the_last_verification_stands_in_the_settings_of_each_run_and_in_status(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        identity = lab.station._hosts["smu1"].connected().identity
        row = Row("current set", 1e-4, 1.001e-4, 1e-7, 2e-7, "A")
        write_verification(tmp_path, Verification("m", "a1", "1", "Ada", 0.0, 1e4, 1e-3, identity, (row,)))
        await lab.start("  - rest: 1 min\n")
        await lab.ends()
        with open_run(tmp_path / "runs" / lab.run) as reader:
            told = reader.info.settings["verification"]
    assert told == {
        "date": "1970-01-01", "utc_s": 0.0, "passed": True, "resistor_ohm": 1e4, "worst_of_allowed": pytest.approx(0.5),
        "serial": identity.serial, "same_instrument": True,
    }  # fmt: skip
    (status,) = on_disk([{"channel": "a1"}], tmp_path)
    assert status["verified"] == "1970-01-01"


def test_a_result_nobody_can_read_is_said_and_stops_nothing(tmp_path: Path) -> None:
    path_of(tmp_path, "a1").parent.mkdir()
    path_of(tmp_path, "a1").write_text("{", encoding="ascii")
    with pytest.raises(StoreError, match="cannot be read"):
        last_verification(tmp_path, "a1")
    assert in_words(tmp_path, "a1") == "unreadable"
    assert "cannot be read" in str(told_of(tmp_path, "a1", Identity("", "", "", "")))


def test_a_result_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "verifications").write_text("", encoding="ascii")
    made = Verification("m", "a1", "1", "Ada", 0.0, 1e4, 1e-3, Identity("", "", "", ""), ())
    with pytest.raises(StoreError, match="cannot be written"):
        write_verification(tmp_path, made)
