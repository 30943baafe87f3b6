"""The driver contract as checks that any driver author can run against an instrument or a simulator of it.

``await check_contract(DRIVER, open_it, Case(...))`` raises ContractBroken with the first rule that does not hold.
The cell must allow ``current_A`` in both directions inside ``window_V`` for a few seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from pydantic import BaseModel

from cycler_ctl.errors import InstrumentError, LinkTimeout
from cycler_ctl.instrument import (
    Channel,
    ConstantCurrent,
    ConstantVoltage,
    DriverSpec,
    Instrument,
    Link,
    Ratings,
    Reading,
    Rest,
    Sensor,
    TellsIfOn,
    Window,
)
from cycler_ctl.testing.late_link import LateLink


class ContractBroken(AssertionError):  # noqa: N818 - an assertion of a test, named for what happened
    """A rule of the driver contract does not hold."""


@dataclass(frozen=True, slots=True)
class Case:
    """What to try. ``rest_A``: more than this at rest is a drain. ``hold_V``: so near to a voltage it is held.

    ``lost``: before which answers to an ``apply`` so many others come, and it is lost; each of them, if not told.
    """

    options: BaseModel
    current_A: float
    window_V: Window
    tolerance: float = 0.05
    rest_A: float = 1e-6
    hold_V: float = 0.05
    lost: Iterable[int] = range(100)


Open = Callable[[], AbstractAsyncContextManager[Link]]
"""Opens the wire; it is opened several times, one after the other."""


async def check_contract(spec: DriverSpec, open_it: Open, case: Case) -> None:
    """Every check below on every output and sensor of the instrument."""
    async with open_it() as link:
        late = LateLink(link)
        async with spec.connect(late, case.options) as instrument:
            _check_identity(instrument)
            for channel in instrument.channels.values():
                await _check_channel(channel, instrument, late, case)
            for sensor in instrument.sensors.values():
                await _check_sensor(sensor, instrument, late)
    if spec.outputs:
        await _check_off_first(spec, open_it, late.first)
        await check_safe_off(spec, open_it, case)


async def _check_off_first(spec: DriverSpec, open_it: Open, said_first: bytes) -> None:
    _rule(spec.safe_off is not None, "an instrument with outputs has a safe_off")
    async with open_it() as link:
        off = LateLink(link)
        if spec.safe_off is not None:
            await spec.safe_off(off)
    _rule(said_first == off.first, f"connecting begins with off, as safe_off does, and not with {said_first!r}")


async def check_safe_off(spec: DriverSpec, open_it: Open, case: Case) -> None:
    """``safe_off`` ends an output that somebody else left on, knowing nothing of it."""
    _rule(spec.safe_off is not None, "an instrument with outputs has a safe_off")
    async with open_it() as link, spec.connect(link, case.options) as instrument:
        channel = next(iter(instrument.channels.values()))
        await channel.apply(ConstantCurrent(case.current_A, case.window_V))
        if spec.safe_off is not None:
            await spec.safe_off(link)
        await _check_not_reading_on(channel, instrument)
        await channel.turn_off()


async def _check_channel(channel: Channel, instrument: Instrument, link: LateLink, case: Case) -> None:
    _check_ratings(channel.ratings)
    await _check_off(channel, instrument)
    await _check_rest(channel, link, case)
    for current_A in (case.current_A, -case.current_A):
        await _check_current(channel, link, case, current_A)
        await _check_off(channel, instrument)
    for voltage_V in case.window_V:
        await _check_hold(channel, link, case, voltage_V)
    for answers in case.lost:
        await _check_doubt(channel, instrument, link, case, answers)
        if not link.has_lost:
            break
    await _check_late_answer(channel, instrument, link, case)
    await _check_refusal(channel, instrument, case)
    await _check_off(channel, instrument)


def _check_identity(instrument: Instrument) -> None:
    identity = instrument.identity
    _rule(bool(identity.maker and identity.model), "an instrument says who made it and its model")


def _check_ratings(ratings: Ratings) -> None:
    ranges = [one.range_A for one in ratings.ranges]
    _rule(bool(ranges) and ranges == sorted(ranges), "the current ranges are listed, ascending")
    _rule(ratings.current_A <= ranges[-1], "no current beyond the highest range is promised")
    _rule(ratings.voltage_V[0] < ratings.voltage_V[1], "the voltage rating is a window")
    _rule(ratings.fastest_sample_s > 0, "the fastest sample takes time")
    _rule(ratings.slowest_sample_s >= ratings.fastest_sample_s, "between fastest and slowest sample there is room")
    _rule(bool(ratings.protection_why and ratings.rest), "protection and rest are explained in words")


async def _check_off(channel: Channel, instrument: Instrument) -> None:
    """From a running current, and twice, for off must be legal in every state."""
    await channel.turn_off()
    await channel.turn_off()
    await _check_not_reading_on(channel, instrument)
    await _check_tells_if_on(channel, on=False)


async def _check_not_reading_on(channel: Channel, instrument: Instrument) -> None:
    """Off, a channel either measures and says it is off, or refuses; it never says it is on."""
    try:
        reading = await channel.read()
    except LinkTimeout:
        try:
            await instrument.resync()
        except InstrumentError:
            return
    except InstrumentError:
        return
    else:
        _rule(not reading.output_on, "a channel that was turned off does not read as on")


async def _check_tells_if_on(channel: Channel, *, on: bool) -> None:
    if isinstance(channel, TellsIfOn):
        _rule(await channel.is_on() == on, f"an output that is {'on' if on else 'off'} tells so when asked")


async def _check_rest(channel: Channel, link: Link, case: Case) -> None:
    """Seeing the cell through an open switch is the best rest there is: then the output is off, and says so."""
    await channel.apply(Rest(case.window_V))
    reading = await _sound_reading(channel, link)
    _rule(abs(reading.current_A) <= case.rest_A, f"at rest {reading.current_A} A flow")


async def _check_current(channel: Channel, link: Link, case: Case, current_A: float) -> None:
    await channel.apply(ConstantCurrent(current_A, case.window_V))
    reading = await _good_reading(channel, link)
    await _check_tells_if_on(channel, on=True)
    near = abs(reading.current_A - current_A) <= case.tolerance * abs(current_A)
    _rule(near, f"{current_A} A were set, {reading.current_A} A flow: wrong sign, scale or setting")


async def _check_hold(channel: Channel, link: Link, case: Case, voltage_V: float) -> None:
    """At the window's edge the cell is held there, or taken towards it by the limit of the current and no more."""
    await channel.apply(ConstantVoltage(voltage_V, case.current_A))
    reading = await _good_reading(channel, link)
    flows = (
        f"held at {voltage_V} V with at most {case.current_A} A, {reading.current_A} A flow at {reading.voltage_V} V"
    )
    _rule(abs(reading.current_A) <= (1 + case.tolerance) * case.current_A, f"{flows}: beyond the limit")
    is_held = abs(reading.voltage_V - voltage_V) <= case.hold_V
    _rule(is_held or (voltage_V - reading.voltage_V) * reading.current_A > 0, f"{flows}: the wrong way")


async def _check_doubt(channel: Channel, instrument: Instrument, link: LateLink, case: Case, answers: int) -> None:
    """Whichever answer is lost while a current is set: in the end it is set, or the output is off."""
    await _check_off(channel, instrument)
    link.be_late(answers)
    try:
        await channel.apply(ConstantCurrent(case.current_A, case.window_V))
    except InstrumentError:
        await link.clear()
        await _check_left_off(channel, instrument)
    link.be_on_time()


async def _check_left_off(channel: Channel, instrument: Instrument) -> None:
    try:
        await _check_not_reading_on(channel, instrument)
        await _check_tells_if_on(channel, on=False)
    except ContractBroken as broken:
        raise ContractBroken("a setting that fails leaves the output off") from broken


async def _good_reading(channel: Channel, link: Link) -> Reading:
    reading = await _sound_reading(channel, link)
    _rule(reading.output_on, "an output that was set reads as on")
    return reading


async def _sound_reading(channel: Channel, link: Link) -> Reading:
    asked_s = link.now()
    reading = await channel.read()
    _rule(math.isfinite(reading.voltage_V) and math.isfinite(reading.current_A), "readings are finite numbers")
    _rule(asked_s <= reading.at_s <= link.now(), "a reading carries the link's time of its arrival")
    return reading


async def _check_late_answer(channel: Channel, instrument: Instrument, link: LateLink, case: Case) -> None:
    """An answer that comes after its time-out is nobody's: after resync each answer belongs to its question."""
    await channel.apply(ConstantCurrent(case.current_A, case.window_V))
    link.be_late()
    try:
        await channel.read()
    except LinkTimeout:
        pass
    else:
        raise ContractBroken("a reading that timed out is a LinkTimeout")
    await instrument.resync()
    _rule(not link.is_out_of_step, "resync clears the link")
    await _check_current(channel, link, case, case.current_A)
    await _check_current(channel, link, case, -case.current_A)


async def _check_refusal(channel: Channel, instrument: Instrument, case: Case) -> None:
    """What cannot be set is an error, and no other current flows for it."""
    await channel.turn_off()
    try:
        await channel.apply(ConstantCurrent(1e3 * channel.ratings.current_A, case.window_V))
    except InstrumentError:
        await _check_not_reading_on(channel, instrument)
    else:
        raise ContractBroken("a current far beyond the ratings is refused")


async def _check_sensor(sensor: Sensor, instrument: Instrument, link: LateLink) -> None:
    measurement = await sensor.read()
    _rule(bool(sensor.unit), "a sensor has a unit")
    _rule(math.isfinite(measurement.value), "measurements are finite numbers")
    link.be_late()
    try:
        await sensor.read()
    except LinkTimeout:
        await instrument.resync()
    _rule(not link.is_out_of_step, "resync clears the link")
    again = await sensor.read()
    _rule(again.at_s >= measurement.at_s, "measurements carry the link's time")


def _rule(holds: bool, rule: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not holds:
        raise ContractBroken(rule)
