"""One output of a B2900: how it is driven, read and switched off."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cycler_ctl.errors import DeviceFault, InstrumentError, NotAsLeft
from cycler_ctl.instrument import Flag, Link, Ratings, Reading, Setpoint
from drivers import scpi
from drivers.doubt import apply_in_place, off_because_of, refuse_to_open, told_on
from drivers.keysight_b2900_ratings import ratings, usable
from drivers.keysight_b2900_settings import (
    CURR,
    VOLT,
    Drive,
    check_direction,
    drive_for,
    parse_reading,
    plain_functions,
    reading_query,
    rest_drive,
    safe_settings,
    wiring,
)
from drivers.keysight_b2900_wire import OFF_LEFT, off_state, switch_off
from drivers.scpi import Setting


class Options(BaseModel):
    """``nplc``: integration in power line cycles, for voltage and current alike."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    regulation: Literal["bounded", "current"] = "bounded"
    nplc: float = Field(default=1.0, ge=0.01, le=5.0)


class Output:
    """One output. ``_drive`` is what it is driven as, None while it is off (and then blind: high impedance).

    ``turns`` is shared by an instrument's outputs: who changes settings looks at the one error queue afterwards.
    """

    def __init__(self, link: Link, model: str, number: int, options: Options, turns: asyncio.Lock) -> None:
        self._link = link
        self._number = number
        self._options = options
        self._turns = turns
        self._spec = usable(model, options.regulation)
        self._safe = safe_settings(number, options.nplc)
        self._drive: Drive | None = None
        self._is_doubted = False
        self._seen_V = 0.0
        self._ratings = ratings(model, options.regulation, options.nplc)

    @property
    def ratings(self) -> Ratings:
        return self._ratings

    async def read(self) -> Reading:
        """One exchange, but after a doubt. With its switch open a channel may still answer, so it is not asked then."""
        if self._drive is None:
            raise DeviceFault(f"{self._name} is off and, at high impedance, cannot see the cell")
        if self._is_doubted:
            await self.verify()
        raw = await self._link.query(reading_query(self._drive))
        at_s = self._link.now()
        sample = parse_reading(raw, self._drive)
        if not sample.output_on:
            self._drive = None
            raise self._not_by_us(())
        self._seen_V = sample.voltage_V
        return Reading(sample.voltage_V, sample.current_A, output_on=True, flags=sample.flags, at_s=at_s)

    async def apply(self, setpoint: Setpoint) -> bool:
        """Any doubt on the way turns this output off and is raised. True: the switch opened and closed on the way."""
        async with self._turns:
            try:
                await self._link.write(b"*CLS")  # what stands in the queue may be the other output's
                opened = await self._apply(setpoint)
                await self._expect_no_errors()
            except InstrumentError as error:
                await off_because_of(error, self.turn_off)
                raise
            return opened

    stays, apply_in_place = False, apply_in_place

    async def turn_off(self) -> None:
        """Waits for no other output's settings."""
        await switch_off(self._link, self._number)
        self._drive, self._is_doubted = None, False

    async def is_on(self) -> bool:
        return told_on(self._link, await scpi.ask_all(self._link, off_state(self._number)), OFF_LEFT)

    def doubt(self) -> None:
        """The link was out of step: what was said meanwhile may have been lost, or the instrument have rebooted."""
        self._is_doubted = self._drive is not None

    async def prepare(self) -> None:
        """Take every setting that must hold before the output may go on."""
        await self._link.write(b"*CLS")
        await scpi.send(self._link, plain_functions(self._number))
        await scpi.program(self._link, self._safe)
        await self._expect_no_errors()

    async def verify(self) -> None:
        """DeviceFault when the output is not on as it was left: switched at its front panel, reset, tripped, rebooted."""
        if (drive := self._drive) is None:
            return
        expected = [Setting(off_state(self._number)[0], "1"), *self._safe]
        expected += [drive.function_setting(), drive.level_setting(), drive.limit_setting()]
        answers = await scpi.held(self._link, expected)
        if answers[0] == "0":
            self._drive = None
            raise self._not_by_us(await scpi.take_some_errors(self._link))
        scpi.confirm_kept(expected, answers)
        self._is_doubted = False

    @property
    def _name(self) -> str:
        return f"output {self._number} of {self._link.address}"

    async def _apply(self, setpoint: Setpoint) -> bool:
        """Decided on what the cell is at now: the last sample may be minutes old."""
        before = self._drive
        if before is None:
            await self._rewire(rest_drive(self._number))
        else:
            await self.read()
            drive = self._drive_for(setpoint)
            if drive.continues(before):
                check_direction(setpoint, drive, self._seen_V)
                await self._relevel(drive, before)
                return False
            if before.function == VOLT:
                await self._rewire(rest_drive(self._number))  # a loaded cell is not where it is when switched on again
        drive = self._drive_for(setpoint)
        check_direction(setpoint, drive, self._seen_V)
        if drive != self._drive:
            await self._rewire(drive)
        return True

    def _drive_for(self, setpoint: Setpoint) -> Drive:
        return drive_for(setpoint, self._number, self._options.regulation, self._spec, self._seen_V)

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
                f"{self._name} is at its limit of {drive.limit:g} V at 0 A: a lead is open, or the cell is above"
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
        header = off_state(self._number)[0]
        told = ";".join(setting.command for setting in (*wiring(self._number), *drive.essence()))
        if await scpi.ask(self._link, f"{told};{header} ON;{header}?") != "1":
            raise DeviceFault(f"{self._name} does not go on: look at its display (interlock, temperature)")

    async def _expect_no_errors(self) -> None:
        errors = await scpi.take_some_errors(self._link)
        if errors:
            raise DeviceFault(f"{self._link.address} refuses{scpi.listed(errors)}")

    def _not_by_us(self, errors: Iterable[tuple[int, str]]) -> DeviceFault:
        return NotAsLeft(
            f"{self._name} is off, but not by us: front panel, protection, reset or power failure{scpi.listed(errors)}"
        )
