"""Keithley 2400, 2401 and 2410 source-measure units, by SCPI over RS-232, GPIB or a serial-to-TCP server.

Wire it in four wires, HI to the working electrode: then the instrument's sign is ours. In its RS-232 menu the terminator
must have a line feed (LF, CR+LF or LF+CR).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cycler_ctl.errors import DeviceFault, InstrumentError, NotAsLeft
from cycler_ctl.instrument import (
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
from drivers.keithley_2400_ratings import REST, SPECS, WHY_BOUNDED, WHY_CURRENT, ratings
from drivers.keithley_2400_settings import (
    ASKING,
    CURR,
    PLAIN,
    VOLT,
    Drive,
    check_direction,
    drive_for,
    drive_settings,
    parse_identity,
    parse_reading,
    reading_query,
    rest_drive,
    safe_settings,
    wiring,
)
from drivers.keithley_2400_wire import (
    OFF_LEFT,
    OFF_STATE,
    expect_no_errors,
    program,
    safe_off,
    switch_off,
    switch_on,
    tell,
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
        """One exchange; a 2400 answers it only while its output is on (error 803 otherwise)."""
        if self._drive is None:
            raise DeviceFault(f"{self._link.address} is off and, at high impedance, cannot see the cell")
        raw = await self._link.query(reading_query(self._drive))
        at_s = self._link.now()
        voltage_V, current_A, flags = parse_reading(raw, self._drive)
        self._seen_V = voltage_V
        return Reading(voltage_V, current_A, output_on=True, flags=flags, at_s=at_s)

    async def apply(self, setpoint: Setpoint) -> bool:
        """Any doubt on the way turns the output off and is raised. True: the relay opened and closed on the way."""
        try:
            opened = await self._apply(setpoint)
            await expect_no_errors(self._link)
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
        await tell(self._link, ("*CLS", *PLAIN))
        await program(self._link, self._safe)
        await expect_no_errors(self._link)

    async def verify(self) -> None:
        """DeviceFault when the instrument is not as it was left: switched at its front panel, reset or rebooted."""
        drive = self._drive
        expected = [Setting(":OUTP", "1" if drive else "0"), *self._safe[:4]]
        if drive is not None:
            expected += [Setting(":SOUR:FUNC", drive.function), drive.level_setting(drive.level), drive.limit_setting()]
        answers = await scpi.ask_all(self._link, (setting.header for setting in expected))
        errors = await scpi.take_errors(self._link)
        if drive is not None and answers[0] == "0":
            self._drive = None
            raise NotAsLeft(
                f"the output of {self._link.address} is off, but not by us: front panel, output-enable line, reset or "
                f"power failure{scpi.listed(errors)}"
            )
        scpi.confirm_kept(expected, answers)

    async def _apply(self, setpoint: Setpoint) -> bool:
        """Decided on what the cell is at now: the last sample may be minutes old."""
        if self._drive is None:
            await self._rewire(rest_drive(self._spec))
        else:
            await self.read()
        drive = drive_for(setpoint, self._options.regulation, self._spec, self._seen_V)
        check_direction(setpoint, drive, self._seen_V)
        if self._drive is not None and drive.continues(self._drive):
            await self._relevel(drive, self._drive)
            return False
        await self._rewire(drive)
        return True

    async def _rewire(self, drive: Drive) -> None:
        """Another function or range: off, told at a level where no current flows, on, looked at, and only then set."""
        refuse_to_open(self)
        await self.turn_off()
        quiet_level = self._seen_V if drive.function == VOLT else 0.0
        held_limit = scpi.number(drive.limit_header, await scpi.ask(self._link, f"{drive.limit_header}?"))
        await self.prepare()
        quiet = drive.quiet(quiet_level)
        await program(self._link, drive_settings(drive, quiet_level, held_limit))
        await program(self._link, (quiet.limit_setting(),))  # last: a measure range needs a limit within it
        await expect_no_errors(self._link)
        self._drive = quiet
        await switch_on(self._link, (*wiring(), *quiet.essence()))
        await self.verify()
        reading = await self.read()
        if drive.function == CURR and reading.flags & {Flag.COMPLIANCE, Flag.RANGE_COMPLIANCE}:
            raise DeviceFault(
                f"{self._link.address} is at its limit of {drive.limit:g} V at 0 A: a lead is open, or the cell is above"
            )
        await self._relevel(drive, quiet)

    async def _relevel(self, drive: Drive, before: Drive) -> None:
        """A smaller limit goes first, a larger one last, so that neither setting's current is ever exceeded."""
        level, limit = drive.level_settings(drive.level), drive.limit_setting()
        await program(self._link, (limit, *level) if drive.limit < before.limit else (*level, limit))
        self._drive = drive


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
        identity = parse_identity(await scpi.identity_in_step(self.link, next(self.nonces)))
        expect_same(self.link, identity, self.identity)
        await self.output.verify()


@asynccontextmanager
async def connect(link: Link, options: Options) -> AsyncGenerator[Instrument]:
    """Off before anything else; off again on leaving, whatever a reading said meanwhile."""
    await safe_off(link)
    identity = parse_identity(await scpi.ask(link, "*IDN?"))
    model = identity.model[:4]
    if model not in SPECS:
        raise DeviceFault(f"{link.address} is a {identity.model}; this driver knows {', '.join(SPECS)}")
    output = Output(link, model, options)
    await output.prepare()
    try:
        yield SourceMeter(link, identity, output)
    finally:
        await output.turn_off()


def usual_ratings(options: Options) -> Ratings:
    return ratings("2400", options.regulation, options.nplc)


DRIVER = DriverSpec(
    title="Keithley 2400, 2401, 2410",
    options=Options,
    link=LinkDefaults(write_terminator=b"\r\n", clear=b"\x03"),  # commands are taken at CR, ^C is its clear (14-14)
    connect=connect,
    outputs=("1",),
    safe_off=safe_off,
    protection=Protection.B,
    ratings=usual_ratings,
    asking=ASKING,
    status="experimental",
    notes=(
        "Rest: " + REST,
        "regulation = bounded: " + WHY_BOUNDED,
        "regulation = current: " + WHY_CURRENT,
        "RS-232: terminator with a line feed; 9600 baud if the address names no other, 8 bits, no parity; flow control NONE",
    ),
)
