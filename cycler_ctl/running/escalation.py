"""An output whose off was not confirmed: chased until it was read back, because nothing else matters then.

Off again on the same connection while that answers, then 0 A or a hold at what the cell has, then a reset where the
driver says that a reset is off, then the lab's own relay, and all the while the loudest alarm; in the end to reconnect,
which begins with off, for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from math import inf
from typing import Protocol

from cycler_ctl.channels.contact import Contact
from cycler_ctl.channels.host import URGENT_S
from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import InstrumentError, RefusedError, StoreError
from cycler_ctl.instrument import AppliesInPlace, DriverSpec
from cycler_ctl.live import InstrumentStatus
from cycler_ctl.running.fittings import Fittings, narrowed
from cycler_ctl.running.output import OFF_S, Output
from cycler_ctl.running.relay import switch_off
from cycler_ctl.watching.lease import Lease
from cycler_ctl.watching.register import SafeOffEntry
from protocols.model import ConstantCurrent, ConstantVoltage, Rest, Setpoint

log = logging.getLogger(__name__)

TRYING_LEASE_S = 20.0  # renewed at each try to reconnect and turn off; a try takes half of that at worst
TRIES_IN_PLACE = 3
RELAY_AFTER_S = 10.0  # of lost contact (reliability F1): a cable that was put back in costs no power cycle
RELAY_AGAIN_S = 60.0  # after a command that failed
LOUD_S = 60.0


class Host(Protocol):
    """Who connects to the instrument, and begins each connection with off."""

    @property
    def spec(self) -> DriverSpec: ...
    def status(self) -> InstrumentStatus: ...
    def safe_off_entry(self) -> SafeOffEntry: ...
    def drop(self, why: str, /) -> None: ...
    def hurry(self) -> None: ...
    async def next_try(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Case:
    """``tell``: each try, for the record. ``alarm``: for people, again and again."""

    channel: str
    entry: SafeOffEntry
    tell: Callable[[str], None]
    alarm: Callable[[str], None]


async def chase(case: Case, host: Host, fit: Fittings, output: Output, why: str) -> None:
    """Return when off was read back, however long it takes; every try is told."""
    async with alarmed(case) as hopeless:
        if await _in_place_despite_bugs(case, host, fit, output):
            case.tell("off is confirmed now")
            return
        if not _gone(fit.contact):
            hopeless.set()
        await until_off(case.channel, host, fit.contact, fit.lease, why, tell=case.tell)


@asynccontextmanager
async def alarmed(case: Case) -> AsyncGenerator[asyncio.Event]:
    """Meanwhile the alarm is repeated, and the relay command is run: after 10 s, or once what is given is set."""
    hopeless, over = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        loud = group.create_task(_repeat(case), name=f"alarm {case.channel}")
        if case.entry.relay:
            group.create_task(_relay(case, hopeless, over), name=f"relay {case.channel}")
        try:
            yield hopeless
        finally:
            loud.cancel()
            over.set()
            hopeless.set()


async def _repeat(case: Case) -> None:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    while True:
        await real_sleep(LOUD_S)
        text = f"OFF HAS NOT BEEN CONFIRMED for {(loop.time() - began_s) / 60:.0f} min: disconnect the cell"
        log.critical("channel %s: %s", case.channel, text)
        case.alarm(text)


async def _relay(case: Case, hopeless: asyncio.Event, over: asyncio.Event) -> None:
    await _first_of(hopeless, RELAY_AFTER_S)
    while not over.is_set():
        done, said = await switch_off(case.channel, case.entry)
        log.error("channel %s: %s", case.channel, said)
        case.tell(said)
        if done:
            return
        await _first_of(over, RELAY_AGAIN_S)


async def _first_of(event: asyncio.Event, at_most_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(at_most_s):
            await event.wait()


def _gone(contact: Contact) -> bool:
    """A lost link is lost for all outputs of an instrument: then nothing is gained on this connection."""
    return bool(contact.given_up or contact.silent_s)


async def _in_place_despite_bugs(case: Case, host: Host, fit: Fittings, output: Output) -> bool:
    """A driver that fails in a way nobody foresaw must not end the chase: it is given a new connection."""
    try:
        with fit.contact.heard(output.renew):
            return await _in_place(case, host, fit, output)
    except Exception as error:
        log.exception("channel %s", case.channel)
        case.tell(f"error in the driver: {error!r}")
        return False


async def _in_place(case: Case, host: Host, fit: Fittings, output: Output) -> bool:
    """Whether off was read back on the same connection.

    To reconnect turns off all outputs of an instrument; while anything is answered, the runs on the others go on.
    """
    several = len(fit.instrument.channels) > 1
    for _ in range(TRIES_IN_PLACE if several else TRIES_IN_PLACE - 1):
        if _gone(fit.contact):
            return False
        if several:
            await real_sleep(URGENT_S)
        if await _off(case, output, "off, once more"):
            return True
    if _gone(fit.contact):
        return False
    if await _at_zero(case, fit, output) and await _off(case, output, "off without current"):
        return True
    return await _reset(case, host, fit.contact) and await _off(case, output, "off after the reset")


async def _off(case: Case, output: Output, what: str) -> bool:
    why = await output.turn_off()
    if why is not None:
        case.tell(f"{what}: {why}")
    return why is None


async def _at_zero(case: Case, fit: Fittings, output: Output) -> bool:
    """Whether the current was taken away: 0 A, or where that would need off first, the cell held at what it has.

    Of an output that is read as off nothing is asked, and of one that goes off just now nothing is switched on.
    """
    try:
        async with asyncio.timeout(OFF_S), fit.contact.patience():
            reading = await fit.channel.read()
    except (InstrumentError, TimeoutError) as error:
        case.tell(f"no reading: {_said(error)}")
        return False
    if not reading.output_on:
        return True
    if await _taken(case, fit, Rest((-inf, inf)), "0 A"):
        return True
    held = _held(reading.voltage_V, output.may_do, [one.range_A for one in fit.channel.ratings.ranges])
    return await _taken(case, fit, held, f"a hold at the {reading.voltage_V:.4g} V it has")


def _held(voltage_V: float, may_do: Sequence[Setpoint], ranges_A: Sequence[float]) -> Setpoint:
    """With the least current of the range it is on: another range would need off first."""
    limits_A = [one.current_limit_A for one in may_do if isinstance(one, ConstantVoltage)]
    limits_A += [abs(one.current_A) for one in may_do if isinstance(one, ConstantCurrent)]
    most_A = max(limits_A, default=0.0)
    below_A = max((range_A for range_A in ranges_A if range_A < most_A), default=0.0)
    return ConstantVoltage(voltage_V, min(most_A, max(1.05 * below_A, 0.1 * most_A)))


async def _taken(case: Case, fit: Fittings, setpoint: Setpoint, what: str) -> bool:
    if _gone(fit.contact) or not isinstance(fit.channel, AppliesInPlace):
        return False
    try:
        async with asyncio.timeout(OFF_S), fit.contact.patience():
            await fit.channel.apply_in_place(narrowed(setpoint, fit.limits_V, fit.hold_limit_A))
    except (InstrumentError, RefusedError, TimeoutError) as error:
        case.tell(f"{what} was not taken: {_said(error)}")
        return False
    case.tell(f"{what} was taken")
    return True


async def _reset(case: Case, host: Host, contact: Contact) -> bool:
    """Whether it was done; only where the driver knows from the manual that it leaves every output open."""
    if host.spec.reset is None or _gone(contact):
        return False
    try:
        async with asyncio.timeout(OFF_S), contact.patience():
            await host.spec.reset(contact)
    except (InstrumentError, TimeoutError) as error:
        case.tell(f"the reset failed: {_said(error)}")
        return False
    case.tell("the instrument was reset")
    return True


def _said(error: Exception) -> str:
    """A time-out has no words of its own."""
    return str(error) or "no answer in time"


async def until_off(
    channel: str,
    host: Host,
    contact: Contact,
    lease: Lease,
    why: str,
    *,
    tell: Callable[[str], None] = log.info,
) -> None:
    """To reconnect is to turn off first: return when that was done and read back, however long it takes."""
    if not contact.given_up:  # else another channel has had it closed already, and off may be confirmed by now
        host.drop(f"channel {channel}: {why}")
    host.hurry()
    told, tries = "", 0
    while host.status().link != "connected":
        lease.renew(channel, TRYING_LEASE_S)
        await host.next_try()
        tries += 1
        said = host.status().message
        if said != told:
            tell(f"off over a new connection, try {tries}: {said}")
            told = said
    lease.release(channel)
    log.warning("channel %s: off is confirmed now", channel)
    tell(f"off is confirmed now, after {tries} tries to connect")


async def take_up(channel: str, host: Host, lease: Lease) -> None:
    """Into the register: whoever comes after us must know; where that cannot be written the chase goes on all the same."""
    try:
        await lease.will_energise(channel, host.safe_off_entry(), TRYING_LEASE_S)
    except StoreError as error:
        log.warning("channel %s may be on, but the register does not name it: %s", channel, error)


async def strike_out(channel: str, lease: Lease) -> None:
    """Off was read back: a register that cannot be written only costs one more safe-off, and no other run."""
    try:
        await lease.is_off(channel)
    except StoreError as error:
        log.warning("channel %s is off, but the register still names it: %s", channel, error)
