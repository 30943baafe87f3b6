"""Keithley 2400, 2401 and 2410 source-measure units, by SCPI over RS-232, GPIB or a serial-to-TCP server.

Wire it in four wires, HI to the working electrode: then the instrument's sign is ours. Set the terminator of its
RS-232 menu to LF or CRLF and flow control to NONE.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import BadReply, DeviceFault, InstrumentError, LinkTimeout
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
from drivers.keithley_2400_ratings import REST, SPECS, WHY_BOUNDED, WHY_CURRENT, ratings
from drivers.keithley_2400_settings import (
    ASKING,
    CURR,
    PLAIN,
    READ,
    VOLT,
    Drive,
    check_direction,
    drive_for,
    drive_settings,
    parse_identity,
    parse_reading,
    rest_drive,
    safe_settings,
)
from drivers.scpi import Setting

OFF = b":OUTP OFF;:OUTP:SMOD HIMP"
OFF_STATE = (":OUTP", ":OUTP:SMOD")
TRIES = 3
WAITS_S = (0.0, 0.2, 1.0)  # before each try to get into step: answers slower than a drain's quiet stay behind
TOGETHER = 4  # settings in one message: it must fit an input buffer without handshake
IN_COMPLIANCE = 114  # an event of table B-1, normal while the limit regulates


class Options(BaseModel):
    """``nplc``: integration in power line cycles, for voltage and current alike."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    regulation: Literal["bounded", "current"] = "bounded"
    terminals: Literal["front", "rear"] = "front"
    nplc: float = Field(default=1.0, ge=0.01, le=5.0)


async def switch_off(link: Link) -> None:
    """Return when the output was read back off and high-impedance; DeviceFault after three tries."""
    problem = ""
    for _ in range(TRIES):
        try:
            await link.write(OFF)
            state = await scpi.ask_all(link, OFF_STATE)
            if state == ["0", "HIMP"]:
                return
            problem = f"it answers :OUTP {state[0]}, :OUTP:SMOD {state[1]}"
        except (LinkTimeout, BadReply) as error:
            problem = str(error)
        await link.clear()
    raise DeviceFault(f"the output of {link.address} could not be confirmed off: {problem}")


async def safe_off(link: Link) -> None:
    """Off from any state, knowing nothing: what was under way is aborted, and off is read back."""
    await link.write(OFF)
    await link.clear()
    await switch_off(link)


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
        raw = await self._link.query(READ)
        at_s = self._link.now()
        voltage_V, current_A, flags = parse_reading(raw, self._drive)
        self._seen_V = voltage_V
        return Reading(voltage_V, current_A, output_on=True, flags=flags, at_s=at_s)

    async def apply(self, setpoint: Setpoint) -> bool:
        """Any doubt on the way turns the output off and is raised. True: the relay opened and closed on the way."""
        try:
            opened = await self._apply(setpoint)
            await self._expect_no_errors()
        except InstrumentError as error:
            await self._off_because_of(error)
            raise
        return opened

    async def turn_off(self) -> None:
        await switch_off(self._link)
        self._drive = None

    async def prepare(self) -> None:
        """Take every setting that must hold before the output may go on."""
        await scpi.send(self._link, ("*CLS", *PLAIN))
        await self._program(self._safe)
        await self._expect_no_errors()

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
            raise DeviceFault(
                f"the output of {self._link.address} is off, but not by us: front panel, output-enable line, reset or "
                f"power failure{_listed(errors)}"
            )
        for setting, answer in zip(expected, answers, strict=True):
            setting.confirm(answer)

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
        await self.turn_off()
        quiet_level = self._seen_V if drive.function == VOLT else 0.0
        held_limit = scpi.number(drive.limit_header, await scpi.ask(self._link, f"{drive.limit_header}?"))
        await self.prepare()
        quiet = drive.quiet(quiet_level)
        await self._program(drive_settings(drive, quiet_level, held_limit))
        await self._program((quiet.limit_setting(),))  # last: a measure range needs a limit within it
        await self._expect_no_errors()
        self._drive = quiet
        await self._switch_on()
        reading = await self.read()
        if drive.function == CURR and reading.flags & {Flag.COMPLIANCE, Flag.RANGE_COMPLIANCE}:
            raise DeviceFault(
                f"{self._link.address} is at its limit of {drive.limit:g} V at 0 A: a lead is open, or the cell is above"
            )
        await self._relevel(drive, quiet)

    async def _relevel(self, drive: Drive, before: Drive) -> None:
        """A smaller limit goes first, a larger one last, so that neither setting's current is ever exceeded."""
        level, limit = drive.level_setting(drive.level), drive.limit_setting()
        await self._program((limit, level) if drive.limit < before.limit else (level, limit))
        self._drive = drive

    async def _switch_on(self) -> None:
        await self._link.write(b":OUTP ON")
        if await scpi.ask(self._link, ":OUTP?") != "1":
            raise DeviceFault(f"the output of {self._link.address} does not go on: is its output-enable line open?")

    async def _program(self, settings: Iterable[Setting]) -> None:
        left = iter(settings)
        while group := tuple(islice(left, TOGETHER)):
            await scpi.send(self._link, (setting.command for setting in group))
            answers = await scpi.ask_all(self._link, (setting.header for setting in group))
            for setting, answer in zip(group, answers, strict=True):
                setting.confirm(answer)

    async def _expect_no_errors(self) -> None:
        errors = [error for error in await scpi.take_errors(self._link) if error[0] != IN_COMPLIANCE]
        if errors:
            raise DeviceFault(f"{self._link.address} refuses{_listed(errors)}")

    async def _off_because_of(self, error: InstrumentError) -> None:
        try:
            await self.turn_off()
        except InstrumentError as worse:
            error.add_note(f"and it could not be confirmed off: {worse}")


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
        problem: InstrumentError | None = None
        for wait_s in WAITS_S:
            await real_sleep(wait_s)
            await self.link.clear()
            try:
                identity = parse_identity(await scpi.identity_in_step(self.link, next(self.nonces)))
                await self.output.verify()
            except (LinkTimeout, BadReply) as error:
                problem = error
                continue
            if identity != self.identity:
                raise DeviceFault(f"{self.link.address} is now {identity}, and was {self.identity}")
            return
        raise LinkTimeout(f"{self.link.address} stays out of step: {problem}")


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


def _listed(errors: Iterable[tuple[int, str]]) -> str:
    return "".join(f"; it reports {code} {text!r}" for code, text in errors)


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
        "RS-232: terminator LF or CRLF, flow control NONE, 8 bits, no parity",
    ),
)
