"""An output: in the register before it goes on, under a lease while it may be on, off only when that was read back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from virtual_loop import LoopClock
from virtually import virtually

from cycler_ctl.channels.contact import Contact
from cycler_ctl.clock import Clock, real_sleep
from cycler_ctl.errors import DeviceFault, RefusedError, StoreError
from cycler_ctl.instrument import Channel, ConstantCurrent, Ratings, Reading, Rest, Setpoint
from cycler_ctl.running.output import APPLY_S, OFF_S, Output, said
from cycler_ctl.watching.lease import Lease, lease_for
from cycler_ctl.watching.register import SafeOffEntry

REST = Rest((2.5, 4.3))
CURRENT = ConstantCurrent(1e-3, (2.5, 4.3))
HELD_S = lease_for(1.0)


def now_s() -> float:
    return asyncio.get_running_loop().time()


class Bench:
    """Everything that an output has to do with; ``told`` is what was done to it, in order."""

    name = "a1"
    sample_every_s = 1.0
    safe_off = SafeOffEntry("smu1", "keithley-2400", "TCPIP0::127.0.0.1::5025::SOCKET")

    def __init__(self) -> None:
        self.told: list[object] = []
        self.opens: bool | None = None
        self.takes_s = 0.0
        self.fails: Exception | None = None
        self.unwritable = False
        self.left_over: Mapping[str, SafeOffEntry] = {}
        self.contact = Contact(self)
        self.questions = 0

    @property
    def channel(self) -> Channel:
        return self

    @property
    def lease(self) -> Lease:
        return self

    @property
    def clock(self) -> Clock:
        return LoopClock()

    address = "nowhere"

    def now(self) -> float:
        raise NotImplementedError

    async def write(self, message: bytes) -> None:
        raise NotImplementedError

    async def clear(self) -> None:
        raise NotImplementedError

    async def query(self, message: bytes) -> bytes:
        await real_sleep(1.0)
        return message

    @property
    def ratings(self) -> Ratings:
        raise NotImplementedError

    async def read(self) -> Reading:
        raise NotImplementedError

    async def apply(self, setpoint: Setpoint) -> bool | None:
        self.told.append(setpoint)
        for _ in range(self.questions):
            await self.contact.query(b"?")
        await real_sleep(self.takes_s)
        if self.fails is not None:
            raise self.fails
        return self.opens

    async def turn_off(self) -> None:
        self.told.append("off")
        await real_sleep(self.takes_s)
        if self.fails is not None:
            raise self.fails

    async def will_energise(self, channel: str, entry: SafeOffEntry, lease_s: float, /) -> None:
        if self.unwritable:
            raise StoreError("the disk is full")
        self.told.append(("register", channel, entry.name, lease_s))

    def renew(self, channel: str, lease_s: float, /) -> None:
        self.told.append(("renew", channel, lease_s))

    def release(self, channel: str, /) -> None:
        self.told.append(("release", channel))

    async def is_off(self, channel: str, /) -> None:
        raise NotImplementedError


async def switched_on() -> tuple[Bench, Output]:
    bench = Bench()
    output = Output(bench)
    await output.apply(REST)
    bench.told.clear()
    return bench, output


@virtually
async def test_the_register_names_an_output_before_it_goes_on_and_its_lease_is_that_of_its_samples() -> None:
    bench = Bench()
    output = Output(bench)
    assert await output.apply(REST) is None
    assert bench.told == [("register", "a1", "smu1", HELD_S), ("renew", "a1", HELD_S), REST]
    assert not output.off_confirmed
    assert (output.applied, output.may_do) == (REST, (REST,))


@virtually
async def test_an_output_goes_on_at_no_current_or_not_at_all() -> None:
    bench = Bench()
    output = Output(bench)
    with pytest.raises(RefusedError, match="goes on at 0 A"):
        await output.apply(CURRENT)
    assert bench.told == []
    assert output.off_confirmed


@virtually
async def test_without_a_register_nothing_is_told_to_the_instrument() -> None:
    bench = Bench()
    bench.unwritable = True
    output = Output(bench)
    with pytest.raises(StoreError):
        await output.apply(REST)
    assert bench.told == []
    assert output.off_confirmed
    assert output.may_do == ()


@virtually
async def test_once_on_another_setting_needs_no_register() -> None:
    bench, output = await switched_on()
    assert await output.apply(CURRENT) is None
    assert bench.told == [("renew", "a1", HELD_S), CURRENT]
    assert (output.applied, output.may_do) == (CURRENT, (CURRENT,))


@virtually
async def test_each_answer_while_it_is_set_renews_its_lease_and_none_after_that() -> None:
    bench, output = await switched_on()
    bench.questions = 6  # a slow line: longer in all than the lease, never silent for as long
    await output.apply(CURRENT)
    assert bench.told == [("renew", "a1", HELD_S), CURRENT, *(6 * [("renew", "a1", HELD_S)])]
    await bench.contact.query(b"?")
    assert len(bench.told) == 8


@virtually
async def test_a_setting_without_an_answer_renews_nothing() -> None:
    bench, output = await switched_on()
    bench.takes_s = APPLY_S - 1.0
    await output.apply(CURRENT)
    assert bench.told == [("renew", "a1", HELD_S), CURRENT]


@virtually
async def test_a_relay_that_opened_on_the_way_is_told_with_its_time_but_not_when_it_was_open_anyway() -> None:
    bench = Bench()
    bench.opens, bench.takes_s = True, 0.5
    output = Output(bench)
    assert await output.apply(REST) is None
    assert await output.apply(CURRENT) == pytest.approx(0.5, abs=0.01)
    bench.opens = False
    assert await output.apply(REST) is None


@virtually
async def test_a_setting_that_was_not_confirmed_may_be_what_flows() -> None:
    bench, output = await switched_on()
    bench.fails = DeviceFault("not taken")
    with pytest.raises(DeviceFault):
        await output.apply(CURRENT)
    assert output.may_do == (REST, CURRENT)
    assert output.applied == REST
    assert not output.off_confirmed


@virtually
async def test_a_setting_that_takes_too_long_is_given_up() -> None:
    bench, output = await switched_on()
    bench.takes_s, began_s = APPLY_S + 1.0, now_s()
    with pytest.raises(TimeoutError) as slow:
        await output.apply(CURRENT)
    assert now_s() - began_s == pytest.approx(APPLY_S, abs=0.1)
    assert said(slow.value) == "the instrument took longer than 10 s"
    assert said(DeviceFault("its own words")) == "its own words"


@virtually
async def test_a_setpoint_is_told_while_the_output_is_on_and_none_once_off_was_read_back() -> None:
    bench, output = await switched_on()
    seen = [output.setpoint]
    await output.apply(CURRENT)
    seen.append(output.setpoint)
    bench.fails = DeviceFault("it answers 1")
    await output.turn_off()
    seen.append(output.setpoint)
    bench.fails = None
    await output.turn_off()
    assert [*seen, output.setpoint] == [REST, CURRENT, CURRENT, None]


@virtually
async def test_off_that_was_read_back_ends_the_lease() -> None:
    bench, output = await switched_on()
    assert await output.turn_off() is None
    assert bench.told == [("renew", "a1", HELD_S), "off", ("release", "a1")]
    assert output.off_confirmed
    assert output.may_do == ()


@virtually
async def test_off_is_said_only_when_it_was_read_back() -> None:
    bench, output = await switched_on()
    bench.fails = DeviceFault("it answers 1")
    assert await output.turn_off() == "it answers 1"
    assert not output.off_confirmed
    assert ("release", "a1") not in bench.told
    assert output.may_do == (REST,)


@virtually
async def test_an_off_that_was_confirmed_before_is_not_if_it_is_not_now() -> None:
    bench = Bench()
    output = Output(bench)
    bench.fails = DeviceFault("it answers 1")
    await output.turn_off()
    assert not output.off_confirmed


@virtually
async def test_an_off_that_does_not_come_in_time_is_not_confirmed() -> None:
    bench, output = await switched_on()
    bench.takes_s, began_s = OFF_S + 1.0, now_s()
    assert await output.turn_off() == "no confirmation within 1.5 s"
    assert now_s() - began_s == pytest.approx(OFF_S, abs=0.1)
    assert not output.off_confirmed


@virtually
async def test_a_lease_is_renewed_by_work_and_by_no_timer() -> None:
    bench, output = await switched_on()
    await real_sleep(10.0)
    assert bench.told == []
    output.renew()
    assert bench.told == [("renew", "a1", HELD_S)]


@virtually
async def test_an_output_that_is_off_has_no_lease_that_could_lapse() -> None:
    bench, output = await switched_on()
    await output.turn_off()
    bench.told.clear()
    output.renew()
    assert bench.told == []
