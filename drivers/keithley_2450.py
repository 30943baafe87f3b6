"""Keithley 2450, 2460, 2461 and 2470 source-measure units, by SCPI over LAN, USB or GPIB.

Wire it in four wires, HI to the working electrode: then the instrument's sign is ours. It must be set to the command
set SCPI; TSP and the emulation of a 2400 are refused.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cycler_ctl.errors import DeviceFault, InstrumentError, NotAsLeft
from cycler_ctl.instrument import (
    Asking,
    Channel,
    DriverSpec,
    Flag,
    Identity,
    Instrument,
    Link,
    LinkDefaults,
    Protection,
    Ratings,
    Reading,
    Sensor,
    Setpoint,
)
from drivers import scpi
from drivers.doubt import apply_in_place, expect_same, get_into_step, off_because_of, refuse_to_open, told_on
from drivers.keithley_2450_ratings import REST, SPECS, WHY_BOUNDED, WHY_CURRENT, ratings
from drivers.keithley_2450_settings import (
    CURR,
    VOLT,
    Drive,
    check_direction,
    drive_for,
    parse_identity,
    parse_reading,
    reading_query,
    rest_drive,
    safe_settings,
    wiring,
)
from drivers.keithley_2450_wire import (
    ABORT,
    OFF,
    OFF_LEFT,
    OFF_STATE,
    check_language,
    identity_in_step,
    safe_off,
    switch_off,
    take_errors,
)
from drivers.scpi import Setting


class Options(BaseModel):
    """``nplc``: integration in power line cycles, for voltage and current alike."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    regulation: Literal["bounded", "current"] = "bounded"
    terminals: Literal["front", "rear"] = "front"
    nplc: float = Field(default=1.0, ge=0.01, le=5.0)


class Output:
    """The one output. ``_drive`` is what it is driven as, None while it is off (and then blind: high impedance)."""

    def __init__(self, link: Link, model: str, options: Options) -> None:
        self._link = link
        self._options = options
        self._spec = SPECS[model]
        self._safe = safe_settings(options.terminals, options.nplc)
        self._drive: Drive | None = None
        self._seen_V = 0.0
        self._ratings = ratings(model, options.regulation, options.nplc)

    @property
    def ratings(self) -> Ratings:
        return self._ratings

    async def read(self) -> Reading:
        """One exchange. With its relay open a 2450 still answers, so it is not asked then."""
        if self._drive is None:
            raise DeviceFault(f"{self._link.address} is off and, at high impedance, cannot see the cell")
        raw = await self._link.query(reading_query(self._drive))
        at_s = self._link.now()
        sample = parse_reading(raw, self._drive, self._options.terminals)
        if not sample.output_on:
            self._drive = None
            raise self._not_by_us(())
        self._seen_V = sample.voltage_V
        return Reading(sample.voltage_V, sample.current_A, output_on=True, flags=sample.flags, at_s=at_s)

    async def apply(self, setpoint: Setpoint) -> bool:
        """Any doubt on the way turns the output off and is raised. True: the relay opened and closed on the way."""
        try:
            opened = await self._apply(setpoint)
            await self._expect_no_errors()
        except InstrumentError as error:
            await off_because_of(error, self.turn_off)
            raise
        return opened

    stays, apply_in_place = False, apply_in_place

    async def turn_off(self) -> None:
        await switch_off(self._link)
        self._drive = None

    async def is_on(self) -> bool:
        return told_on(self._link, await scpi.ask_all(self._link, OFF_STATE), OFF_LEFT)

    async def prepare(self) -> None:
        """Take every setting that must hold before the output may go on."""
        await self._link.write(b"*CLS")
        await scpi.program(self._link, self._safe)
        await self._expect_no_errors()

    async def verify(self) -> None:
        """DeviceFault when the instrument is not as it was left: switched at its front panel, reset or rebooted."""
        drive = self._drive
        expected = [Setting(":OUTP", "1" if drive else "0"), *self._safe]
        if drive is not None:
            expected += [*drive.functions(), drive.level_setting(), drive.limit_setting()]
        answers = await scpi.held(self._link, expected)
        errors = await take_errors(self._link)
        if drive is not None and answers[0] == "0":
            self._drive = None
            raise self._not_by_us(errors)
        scpi.confirm_kept(expected, answers)

    async def _apply(self, setpoint: Setpoint) -> bool:
        """Decided on what the cell is at now: the last sample may be minutes old."""
        before = self._drive
        if before is None:
            await self._rewire(rest_drive())
        else:
            await self.read()
            drive = self._drive_for(setpoint)
            if drive.continues(before):
                check_direction(setpoint, drive, self._seen_V)
                await self._relevel(drive, before)
                return False
            if before.function == VOLT:
                await self._rewire(rest_drive())  # what a loaded cell shows is not where it is when switched on again
        drive = self._drive_for(setpoint)
        check_direction(setpoint, drive, self._seen_V)
        if drive != self._drive:
            await self._rewire(drive)
        return True

    def _drive_for(self, setpoint: Setpoint) -> Drive:
        return drive_for(setpoint, self._options.regulation, self._spec, self._seen_V)

    async def _rewire(self, drive: Drive) -> None:
        """Another function or range: off, told at a level where no current flows, on, looked at, and only then set."""
        refuse_to_open(self)
        await self.turn_off()
        await self.prepare()
        quiet = drive.quiet(self._seen_V)
        await scpi.program(self._link, quiet.settings())
        await self._expect_no_errors()
        self._drive = quiet
        await self._switch_on(quiet)
        await self.verify()
        reading = await self.read()
        if drive.function == CURR and reading.flags & {Flag.COMPLIANCE, Flag.OVERVOLTAGE_PROTECTION}:
            raise DeviceFault(
                f"{self._link.address} is at its limit of {drive.limit:g} V at 0 A: a lead is open, or the cell is above"
            )
        if drive != quiet:
            await self._relevel(drive, quiet)

    async def _relevel(self, drive: Drive, before: Drive) -> None:
        """A smaller limit goes first, a larger one last, so that neither setting's current is ever exceeded."""
        level, limit = drive.level_setting(), drive.limit_setting()
        await scpi.program(self._link, (limit, level) if drive.limit < before.limit else (level, limit))
        self._drive = drive

    async def _switch_on(self, drive: Drive) -> None:
        """In one message with what a reset since it was read back would have undone."""
        told = ";".join(setting.command for setting in (*wiring(drive.measured), *drive.essence()))
        if await scpi.ask(self._link, f"{told};:OUTP ON;:OUTP?") != "1":
            raise DeviceFault(f"the output of {self._link.address} does not go on: look at its event log")

    async def _expect_no_errors(self) -> None:
        errors = await take_errors(self._link)
        if errors:
            raise DeviceFault(f"{self._link.address} refuses{scpi.listed(errors)}")

    def _not_by_us(self, errors: Iterable[tuple[int, str]]) -> DeviceFault:
        return NotAsLeft(
            f"the output of {self._link.address} is off, but not by us: front panel, reset or power failure"
            f"{scpi.listed(errors)}"
        )


@dataclass(frozen=True, slots=True)
class SourceMeter:
    """One instrument with its output ``"1"``."""

    link: Link
    identity: Identity
    output: Output
    nonces: Iterator[int] = field(default_factory=scpi.nonces)

    @property
    def channels(self) -> Mapping[str, Channel]:
        return {"1": self.output}

    @property
    def sensors(self) -> Mapping[str, Sensor]:
        return {}

    async def resync(self) -> None:
        """Prove that nothing is left to come, and that this is the same instrument, still as it was left."""
        await get_into_step(self.link, self._prove)

    async def _prove(self) -> None:
        identity = await identity_in_step(self.link, next(self.nonces))
        expect_same(self.link, identity, self.identity)
        await self.output.verify()


@asynccontextmanager
async def connect(link: Link, options: Options) -> AsyncGenerator[Instrument]:
    """Off before anything else; off again on leaving, whatever a reading said meanwhile."""
    await link.write(OFF)
    await link.clear()
    await check_language(link)
    await link.write(ABORT)
    await switch_off(link)
    identity = parse_identity(await scpi.ask(link, "*IDN?"))
    output = Output(link, identity.model, options)
    await output.prepare()
    try:
        yield SourceMeter(link, identity, output)
    finally:
        await output.turn_off()


def usual_ratings(options: Options) -> Ratings:
    return ratings("2450", options.regulation, options.nplc)


DRIVER = DriverSpec(
    title="Keithley 2450, 2460, 2461, 2470",
    options=Options,
    link=LinkDefaults(dead_socket=5030),
    connect=connect,
    outputs=("1",),
    safe_off=safe_off,
    protection=Protection.B,
    ratings=usual_ratings,
    asking=Asking(b"*IDN?", parse_identity),
    status="experimental",
    notes=(
        "Rest: " + REST,
        "regulation = bounded: " + WHY_BOUNDED,
        "regulation = current: " + WHY_CURRENT,
        "command set SCPI (menu System, Settings, Command Set); TSP and SCPI 2400 are refused",
        "LAN: TCPIP0::<host>::5025::SOCKET, one client at a time; a connection to port 5030 frees a stuck one",
        "accuracy and ranges of the 2460, 2461 and 2470 are not from their data sheets",
    ),
)
