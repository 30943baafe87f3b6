"""An output that does not go off: what is tried, in which order, how often, and what is never tried."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pytest
import virtual_loop
from pydantic import BaseModel
from virtual_loop import LoopClock, leap
from virtually import virtually

from cycler_ctl.channels.contact import Contact
from cycler_ctl.channels.host import URGENT_S
from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import CyclerError, DeviceFault, LinkTimeout, RefusedError, StoreError
from cycler_ctl.guard import Guard, GuardLimits
from cycler_ctl.instrument import (
    Accuracy,
    Channel,
    ConstantCurrent,
    ConstantVoltage,
    DriverSpec,
    Identity,
    Instrument,
    Link,
    LinkDefaults,
    Protection,
    Ratings,
    Reading,
    Rest,
    Sensor,
    Setpoint,
)
from cycler_ctl.live import InstrumentStatus
from cycler_ctl.running import escalation
from cycler_ctl.running.escalation import Case, alarmed, chase, strike_out, take_up, until_off
from cycler_ctl.running.fittings import Fittings
from cycler_ctl.running.output import OFF_S, Output
from cycler_ctl.store.writer import Pending
from cycler_ctl.watching.register import SafeOffEntry

ENTRY = SafeOffEntry("smu1", "keithley-2400", "nowhere")
RELAY = replace(ENTRY, relay=("pdu", "off"))
REST = Rest((2.0, 5.0))
CURRENT = ConstantCurrent(4e-3, (2.5, 4.3))
ON = Reading(3.7, 4e-3, output_on=True, flags=frozenset(), at_s=0.0)
RANGES = tuple(Accuracy(range_A, 0.0, 0.0, 0.0, 0.0) for range_A in (1e-4, 1e-3, 1e-2, 1e-1))
NEVER = 1_000_000


@dataclass
class Bench:
    """An output, its instrument, its link and whoever reconnects it. ``told`` is what was done to them, in order.

    Off has an effect once ``freed_by`` was done; from ``silent_at`` on nothing is answered.
    """

    freed_by: str = ""
    silent_at: str = "never"
    fails: Mapping[str, Exception] = field(default_factory=dict[str, Exception])
    hangs: str = ""
    outputs: int = 1
    reading: Reading = ON
    connects_at: int = 2
    says: Callable[[int], str] = field(default=lambda _: "no answer")
    resettable: bool = False
    unwritable: bool = False
    told: list[object] = field(default_factory=list[object])
    at_s: list[float] = field(default_factory=list[float])
    texts: list[str] = field(default_factory=list[str])
    alarms: list[str] = field(default_factory=list[str])
    offs: int = 0
    tries: int = 0
    is_silent: bool = False
    is_chased: bool = False
    left_over: Mapping[str, SafeOffEntry] = field(default_factory=dict[str, SafeOffEntry])
    identity: Identity = field(default=Identity("", "", "", ""))
    address: str = "nowhere"
    failed: CyclerError | None = None

    def __post_init__(self) -> None:
        self.contact = Contact(self)
        self.began_s = LoopClock().now()

    async def done(self, what: object, name: str) -> None:
        if not self.is_chased:
            return
        self.told.append(what)
        self.at_s.append(LoopClock().now() - self.began_s)
        self.is_silent |= name == self.silent_at
        if name == self.hangs:
            await real_sleep(NEVER)
        if name in self.fails:
            raise self.fails[name]
        await self.contact.query(name.encode())
        if name == self.freed_by:
            self.freed_by = ""

    @property
    def ratings(self) -> Ratings:
        return Ratings((-5.0, 5.0), 0.1, RANGES, 0.05, Protection.B, "", "")

    async def read(self) -> Reading:
        await self.done("read", "read")
        return self.reading

    async def apply(self, setpoint: Setpoint) -> bool | None:
        assert not self.is_chased, "it could go on again"
        await self.done(setpoint, type(setpoint).__name__)
        return None

    async def apply_in_place(self, setpoint: Setpoint) -> None:
        await self.done(setpoint, type(setpoint).__name__)

    async def turn_off(self) -> None:
        self.offs += 1
        await self.done("off", f"off {self.offs}")
        if self.freed_by:
            raise DeviceFault("it answers 1")

    async def resync(self) -> None:
        raise NotImplementedError

    @property
    def channels(self) -> Mapping[str, Channel]:
        return dict.fromkeys(map(str, range(self.outputs)), self)

    @property
    def sensors(self) -> Mapping[str, Sensor]:
        raise NotImplementedError

    async def query(self, _message: bytes) -> bytes:
        if self.is_silent:
            await real_sleep(0.1)
            raise LinkTimeout("no answer")
        return b""

    async def write(self, message: bytes) -> None:
        raise NotImplementedError

    async def clear(self) -> None:
        raise NotImplementedError

    def now(self) -> float:
        raise NotImplementedError

    def append(self, *_: object) -> None:
        raise NotImplementedError

    def pending(self) -> Pending:
        raise NotImplementedError

    @property
    def spec(self) -> DriverSpec:
        async def reset(_: Link) -> None:
            await self.done("reset", "reset")

        def connect(_: Link, __: object) -> Instrument:
            raise NotImplementedError

        return DriverSpec("", BaseModel, LinkDefaults(), connect, reset=reset if self.resettable else None)  # type: ignore[arg-type]

    def status(self) -> InstrumentStatus:
        link = "connected" if self.tries >= self.connects_at else "lost"
        return InstrumentStatus("smu1", "", "", link, None, None, self.says(self.tries), None)

    def safe_off_entry(self) -> SafeOffEntry:
        return ENTRY

    def drop(self, why: str, /) -> None:
        self.told.append(("drop", why))

    def hurry(self) -> None:
        self.told.append("hurry")

    async def next_try(self) -> None:
        await real_sleep(URGENT_S)
        self.tries += 1
        self.told.append("connect")

    async def will_energise(self, channel: str, entry: SafeOffEntry, lease_s: float, /) -> None:
        if self.unwritable:
            raise StoreError("the disk is full")
        self.told.append(("register", channel, entry, lease_s))

    def renew(self, channel: str, lease_s: float, /) -> None:
        self.told.append(("renew", channel, lease_s))

    def release(self, channel: str, /) -> None:
        self.told.append(("release", channel))

    async def is_off(self, channel: str, /) -> None:
        if self.unwritable:
            raise StoreError("the disk is full")
        self.told.append(("forget", channel))

    def fittings(self) -> Fittings:
        return Fittings(
            name="a1",
            channel=self,
            instrument=self,
            contact=self.contact,
            clock=LoopClock(),
            guard=Guard(GuardLimits(voltage_V=(2.0, 5.0), current_A=0.010, stale_s=3.0, rest_A=1e-5)),
            ceilings={},
            recorder=self,
            temperature=lambda: None,
            limits_V=(2.0, 5.0),
            hold_limit_A=0.010,
            sample_every_s=1.0,
            lease=self,
            safe_off=ENTRY,
            changed=lambda: None,
        )

    def case(self, entry: SafeOffEntry = ENTRY) -> Case:
        return Case("a1", entry, self.texts.append, self.alarms.append)

    def acts(self) -> list[object]:
        """What was done, without the lease."""
        return [one for one in self.told if not (isinstance(one, tuple) and one[0] in {"renew", "release", "register"})]


async def chased(bench: Bench, entry: SafeOffEntry = ENTRY) -> list[object]:
    """What was done until off was confirmed of an output that carries a current."""
    fit = bench.fittings()
    output = Output(fit)
    await output.apply(REST)
    await output.apply(CURRENT)
    bench.is_chased = True
    await chase(bench.case(entry), bench, fit, output, "off was not confirmed")
    return bench.acts()


AGAIN = [("drop", "channel a1: off was not confirmed"), "hurry", "connect", "connect"]
HELD = ConstantVoltage(3.7, 1.05 * 1e-3)


@pytest.fixture(autouse=True)
def _no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_loop, "GRACE_S", 0.0)  # nothing comes from anywhere else


@virtually
async def test_one_output_is_told_off_twice_more_on_the_same_connection() -> None:
    bench = Bench(freed_by="off 2")
    assert await chased(bench) == ["off", "off"]
    assert bench.at_s == [0.0, 0.0]
    assert bench.texts == ["off, once more: it answers 1", "off is confirmed now"]


@virtually
async def test_one_of_several_outputs_is_told_off_three_times_half_a_second_apart_because_the_others_go_on() -> None:
    bench = Bench(freed_by="off 3", outputs=2)
    assert await chased(bench) == ["off", "off", "off"]
    assert bench.at_s == [pytest.approx(URGENT_S * n, abs=0.01) for n in (1, 2, 3)]
    assert bench.texts == ["off, once more: it answers 1"] * 2 + ["off is confirmed now"]


@virtually
async def test_what_does_not_go_off_loses_its_current_and_is_told_off_again() -> None:
    bench = Bench(freed_by="Rest")
    assert await chased(bench) == ["off", "off", "read", REST, "off"]
    assert bench.texts == ["off, once more: it answers 1"] * 2 + ["0 A was taken", "off is confirmed now"]


@virtually
async def test_where_0_amperes_are_not_taken_the_cell_is_held_at_what_it_has() -> None:
    bench = Bench(freed_by="ConstantVoltage", fails={"Rest": RefusedError("it would go off on the way")})
    assert await chased(bench) == ["off", "off", "read", REST, HELD, "off"]
    assert bench.texts[2:] == [
        "0 A was not taken: it would go off on the way",
        "a hold at the 3.7 V it has was taken",
        "off is confirmed now",
    ]


@virtually
async def test_where_neither_is_taken_a_new_connection_begins_with_off() -> None:
    bench = Bench(
        freed_by="never", fails={"Rest": DeviceFault("no"), "ConstantVoltage": DeviceFault("no")}, connects_at=2
    )
    assert await chased(bench) == ["off", "off", "read", REST, HELD, *AGAIN]


@virtually
async def test_current_that_is_gone_is_not_off() -> None:
    bench = Bench(freed_by="never")
    assert await chased(bench) == ["off", "off", "read", REST, "off", *AGAIN]
    assert bench.texts[3] == "off without current: it answers 1"


@virtually
async def test_an_output_that_reads_as_off_is_set_to_nothing_or_it_would_go_on() -> None:
    bench = Bench(freed_by="never", reading=replace(ON, output_on=False))
    assert await chased(bench) == ["off", "off", "read", "off", *AGAIN]


@virtually
async def test_without_a_reading_nobody_knows_what_to_hold() -> None:
    bench = Bench(freed_by="never", fails={"read": DeviceFault("no measurement")})
    assert await chased(bench) == ["off", "off", "read", *AGAIN]
    assert bench.texts[2] == "no reading: no measurement"


@pytest.mark.parametrize(
    ("hangs", "text"), [("read", "no reading"), ("Rest", "0 A was not taken"), ("reset", "reset failed")]
)
def test_no_try_takes_longer_than_one_for_off(hangs: str, text: str) -> None:
    async def tried() -> Bench:
        bench = Bench(freed_by="never", hangs=hangs, resettable=True)
        began_s = LoopClock().now()
        await chased(bench)
        assert LoopClock().now() - began_s == pytest.approx(OFF_S + 2 * URGENT_S, abs=0.1)
        return bench

    assert any(f"{text}: no answer in time" in one for one in leap(tried()).texts)


@virtually
async def test_a_reset_comes_after_everything_that_spares_the_other_outputs() -> None:
    bench = Bench(freed_by="reset", resettable=True)
    assert await chased(bench) == ["off", "off", "read", REST, "off", "reset", "off"]
    assert bench.texts[-2:] == ["the instrument was reset", "off is confirmed now"]


@virtually
async def test_a_reset_proves_nothing_and_one_that_fails_less() -> None:
    done = Bench(freed_by="never", resettable=True)
    assert await chased(done) == ["off", "off", "read", REST, "off", "reset", "off", *AGAIN]
    assert "off after the reset: it answers 1" in done.texts
    failed = Bench(freed_by="never", resettable=True, fails={"reset": DeviceFault("error -200")})
    assert await chased(failed) == ["off", "off", "read", REST, "off", "reset", *AGAIN]
    assert "the reset failed: error -200" in failed.texts


@pytest.mark.parametrize(
    ("silent_at", "acts"),
    [
        ("off 1", ["off"]),
        ("off 2", ["off", "off"]),
        ("read", ["off", "off", "read"]),
        ("Rest", ["off", "off", "read", REST]),
        ("ConstantVoltage", ["off", "off", "read", REST, HELD]),
        ("off 3", ["off", "off", "read", REST, "off"]),
        ("reset", ["off", "off", "read", REST, "off", "reset"]),
    ],
)
def test_once_it_answers_no_more_everything_else_is_tried_over_a_new_connection(
    silent_at: str, acts: list[object]
) -> None:
    async def tried() -> None:
        refused = {"Rest": RefusedError("no")} if silent_at == "ConstantVoltage" else {}
        bench = Bench(freed_by="never", silent_at=silent_at, resettable=True, fails=refused)
        assert await chased(bench) == [*acts, *AGAIN]

    leap(tried())


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_connection_that_another_channel_has_given_up_is_neither_used_nor_given_up_again(outputs: int) -> None:
    async def tried() -> None:
        bench = Bench(freed_by="never", outputs=outputs)
        fit = bench.fittings()
        bench.contact.given_up = "channel a2: off was not confirmed"
        await chase(bench.case(), bench, fit, Output(fit), "off was not confirmed")
        assert bench.acts() == ["hurry", "connect", "connect"]

    leap(tried())


@virtually
async def test_a_driver_that_fails_in_a_way_nobody_foresaw_is_given_a_new_connection() -> None:
    bench = Bench(freed_by="never", fails={"read": KeyError("volt")})
    assert await chased(bench) == ["off", "off", "read", *AGAIN]
    assert bench.texts[2] == "error in the driver: KeyError('volt')"


@virtually
async def test_while_it_reconnects_the_lease_is_renewed_each_time_and_released_when_off_was_read_back() -> None:
    bench = Bench(connects_at=3, says=lambda tries: ["lost", "refused", "refused", "connected"][tries])
    await until_off("a1", bench, bench.contact, bench, "why", tell=bench.texts.append)
    renewed = [("renew", "a1", 20.0), "connect"]
    assert bench.told == [("drop", "channel a1: why"), "hurry", *renewed * 3, ("release", "a1")]
    assert bench.texts == [
        "off over a new connection, try 1: refused",  # said once, as long as nothing changes
        "off over a new connection, try 3: connected",
        "off is confirmed now, after 3 tries to connect",
    ]


@virtually
async def test_where_it_has_been_connected_again_off_was_confirmed_already() -> None:
    bench = Bench(connects_at=0)
    await until_off("a1", bench, bench.contact, bench, "why")
    assert bench.told == [("drop", "channel a1: why"), "hurry", ("release", "a1")]


@pytest.mark.parametrize(
    ("may_do", "limit_A"),
    [
        ((CURRENT,), 1.05e-3),  # of the ranges below 4 mA the greatest is 1 mA
        ((ConstantCurrent(-4e-3, (2.5, 4.3)),), 1.05e-3),
        ((ConstantVoltage(4.2, 20e-3),), 10.5e-3),
        ((ConstantVoltage(4.2, 20e-3), CURRENT, REST), 10.5e-3),
        ((ConstantCurrent(2e-5, (2.5, 4.3)),), 2e-6),  # on the lowest range: a tenth of it
        ((ConstantCurrent(1e-3, (2.5, 4.3)),), 1.05e-4),
        ((ConstantCurrent(1.01e-3, (2.5, 4.3)),), 1.01e-3),  # never more than it had
        ((ConstantVoltage(4.2, 0.9),), 0.105),
        ((ConstantVoltage(4.2, 2.0),), 0.2),
        ((REST,), 0.0),
        ((), 0.0),
    ],
)
def test_a_hold_takes_the_least_current_of_the_range_it_is_on(may_do: tuple[Setpoint, ...], limit_A: float) -> None:
    held = escalation._held(3.7, may_do, [one.range_A for one in RANGES])
    assert isinstance(held, ConstantVoltage)
    assert held.voltage_V == 3.7
    assert held.current_limit_A == pytest.approx(limit_A, rel=1e-9)


class Switch:
    """The lab's own command; ``runs_s`` is when it was run."""

    def __init__(self, patch: pytest.MonkeyPatch, *works: bool) -> None:
        self.runs_s: list[float] = []
        self._works = iter(works)
        self._began_s = LoopClock().now()
        patch.setattr(escalation, "switch_off", self.off)

    async def off(self, channel: str, entry: SafeOffEntry) -> tuple[bool, str]:
        assert (channel, entry) == ("a1", RELAY)
        self.runs_s.append(LoopClock().now() - self._began_s)
        works = next(self._works)
        return works, "ended with status 0" if works else "ended with status 1"


def test_the_relay_is_run_at_once_where_the_instrument_answers_and_does_not_go_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def tried() -> None:
        bench, switch = Bench(freed_by="never", connects_at=400), Switch(monkeypatch, True)
        await chased(bench, RELAY)
        assert switch.runs_s == [pytest.approx(0.0, abs=0.1)]
        assert bench.texts.count("ended with status 0") == 1

    leap(tried())


def test_without_contact_the_relay_waits_10_s_for_the_cable_and_is_run_again_each_minute_until_it_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def tried() -> None:
        bench = Bench(freed_by="never", silent_at="off 1", connects_at=500)
        switch = Switch(monkeypatch, False, False, True)
        await chased(bench, RELAY)
        assert switch.runs_s == [pytest.approx(at_s, abs=0.2) for at_s in (10.0, 70.0, 130.0)]
        assert bench.texts.count("ended with status 1") == 2

    leap(tried())


@pytest.mark.parametrize(
    ("freed_by", "connects_at", "entry", "took_s"), [("off 2", 2, RELAY, 0.0), ("never", 90, ENTRY, 45.0)]
)
def test_no_relay_is_run_or_waited_for_where_there_is_none_or_off_was_read_back(
    freed_by: str, connects_at: int, entry: SafeOffEntry, took_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tried() -> None:
        switch = Switch(monkeypatch)
        bench = Bench(freed_by=freed_by, connects_at=connects_at)
        await chased(bench, entry)
        assert switch.runs_s == []
        assert LoopClock().now() - bench.began_s == pytest.approx(took_s, abs=0.1)

    leap(tried())


def test_a_relay_that_failed_is_not_run_again_once_off_was_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def tried() -> None:
        bench, switch = Bench(freed_by="never", connects_at=100), Switch(monkeypatch, False)
        began_s = LoopClock().now()
        await chased(bench, RELAY)
        assert LoopClock().now() - began_s == pytest.approx(50.0, abs=0.5)  # it did not wait for the relay either
        assert len(switch.runs_s) == 1

    leap(tried())


@virtually
async def test_the_alarm_is_repeated_each_minute_and_ends_with_the_chase() -> None:
    bench = Bench()
    async with alarmed(bench.case()):
        await real_sleep(59.0)
        assert bench.alarms == []
        await real_sleep(62.0)
    await real_sleep(300.0)
    text = "OFF HAS NOT BEEN CONFIRMED for {} min: disconnect the cell"
    assert bench.alarms == [text.format(1), text.format(2)]


@virtually
async def test_a_chase_that_is_cancelled_leaves_no_task_behind() -> None:
    bench = Bench(connects_at=NEVER, freed_by="never")
    chasing = asyncio.ensure_future(chased(bench))
    await real_sleep(10.0)
    chasing.cancel()
    await asyncio.wait({chasing})
    assert asyncio.all_tasks() == {asyncio.current_task()}


@virtually
async def test_whoever_comes_after_us_finds_the_output_in_the_register_until_off_was_read_back() -> None:
    bench = Bench()
    await take_up("a1", bench, bench)
    await strike_out("a1", bench)
    assert bench.told == [("register", "a1", ENTRY, 20.0), ("forget", "a1")]


def test_a_register_that_cannot_be_written_holds_up_no_chase(caplog: pytest.LogCaptureFixture) -> None:
    async def tried() -> None:
        bench = Bench(unwritable=True)
        with caplog.at_level(logging.WARNING):
            await take_up("a1", bench, bench)
            await strike_out("a1", bench)

    leap(tried())
    assert [one.getMessage() for one in caplog.records] == [
        "channel a1 may be on, but the register does not name it: the disk is full",
        "channel a1 is off, but the register still names it: the disk is full",
    ]
