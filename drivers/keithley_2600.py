"""Keithley 2600, 2600A and 2600B source-measure units with one or two outputs, by TSP over LAN, RS-232, USB or GPIB.

Wire each cell in four wires, HI to the working electrode: then the instrument's sign is ours. Outputs ``a`` and ``b``
share one script processor, and so one link; nothing that is done to one changes the other.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cycler_ctl.errors import DeviceFault, InstrumentError, NotAsLeft
from cycler_ctl.instrument import (
    Channel,
    ConstantVoltage,
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
from drivers.doubt import apply_in_place, get_into_step, off_because_of, refuse_to_open, told_on
from drivers.keithley_2600_ratings import RECOVERY_S, REST, outputs_of, ratings, why
from drivers.keithley_2600_settings import (
    AMPS,
    ASKING,
    MEASURED,
    VOLTS,
    Drive,
    Sample,
    Setting,
    check_direction,
    drive_for,
    number,
    parse_reading,
    read_settings,
    reading_chunk,
    rest_drive,
    safe_settings,
    window_of,
    wiring,
)
from drivers.keithley_2600_wire import (
    ERROR_VALUES,
    ERRORS,
    FORMAT,
    OFF_LEFT,
    Tsp,
    identify,
    outputs_off,
    prove_dead_man,
    safe_off,
    told_errors,
)

TOGETHER = 8  # settings in one message
BESIDE_V = 0.02  # from a voltage to be held: noise about it opens no relay, and the current goes on in its direction


class Options(BaseModel):
    """``nplc``: integration in power line cycles. ``dead_man_s``: so long after the last exchange all outputs go off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    regulation: Literal["bounded", "current"] = "bounded"
    nplc: float = Field(default=1.0, ge=0.01, le=5.0)
    # earlier than an instrument whose cable is pulled gives up its LAN: 20 s, 2600AS-901-01 Rev. B p. 19-74
    dead_man_s: float = Field(default=15.0, ge=5.0, le=3600.0)


class Output:
    """One output. ``_drive`` is what it is driven as, None while it is off (and then blind: high impedance)."""

    def __init__(self, tsp: Tsp, name: str, model: str, options: Options) -> None:
        self._tsp = tsp
        self._name = name
        self._smu = f"smu{name}"
        self._model = model
        self._options = options
        self._safe = safe_settings(options.nplc)
        self._drive: Drive | None = None
        self._seen_V = 0.0
        self._ratings = ratings(model, options.regulation, options.nplc, options.dead_man_s, is_lan=tsp.is_lan)

    @property
    def ratings(self) -> Ratings:
        return self._ratings

    async def read(self) -> Reading:
        """One exchange, which also tells the dead-man's switch that somebody is there."""
        drive = self._drive
        if drive is None:
            raise DeviceFault(f"{self._where()} is off and, at high impedance, cannot see the cell")
        answer = await self._tsp.ask(reading_chunk(self._smu, drive), (*MEASURED, *MEASURED))
        at_s = self._tsp.link.now()
        sample = parse_reading(answer)
        if sample is None:
            raise self._not_by_us()
        self._check(sample, drive)
        self._seen_V = sample.voltage_V
        return Reading(sample.voltage_V, sample.current_A, output_on=True, flags=sample.flags, at_s=at_s)

    async def apply(self, setpoint: Setpoint) -> bool:
        """Any doubt on the way turns the output off and is raised. True: the relay opened and closed on the way."""
        try:
            return await self._apply(setpoint)
        except InstrumentError as error:
            await off_because_of(error, self.turn_off)
            raise

    stays, apply_in_place = False, apply_in_place

    async def turn_off(self) -> None:
        await outputs_off(self._tsp, (self._name,))
        self._drive = None
        self._tsp.live.discard(self._name)

    async def is_on(self) -> bool:
        asked = [f"{self._smu}.source.{name}" for name in ("output", "offmode")]
        told = zip(asked, await self._tsp.ask(FORMAT, asked), strict=True)
        return told_on(self._tsp.link, [f"{number(*one):g}" for one in told], OFF_LEFT)

    async def prepare(self) -> None:
        await self._program(self._safe)

    async def _apply(self, setpoint: Setpoint) -> bool:
        """Decided on what the cell is at now: the last sample may be minutes old."""
        before, resting = self._drive, rest_drive(window_of(setpoint), self._model)
        if before is None:
            await self._rewire(resting)
        else:
            await self.read()
            drive = self._drive_for(setpoint)
            if drive.continues(before):
                check_direction(setpoint, drive, self._seen_V)
                await self._relevel(drive, before)
                return False
            if before.function == VOLTS:
                await self._rewire(resting)  # what a loaded cell shows is not where it is when switched on again
        drive = self._drive_for(setpoint)
        check_direction(setpoint, drive, self._seen_V)
        if drive != self._drive:
            await self._rewire(drive)
        return True

    def _drive_for(self, setpoint: Setpoint) -> Drive:
        drive, before = drive_for(setpoint, self._options.regulation, self._model, self._seen_V), self._drive
        if not isinstance(setpoint, ConstantVoltage) or before is None or before.function != VOLTS:
            return drive
        return replace(drive, sink=before.sink) if abs(setpoint.voltage_V - self._seen_V) < BESIDE_V else drive

    async def _rewire(self, drive: Drive) -> None:
        """Another function or range: off, told at a level where no current flows, on, looked at, and only then set."""
        refuse_to_open(self)
        await self.turn_off()
        await self.prepare()
        quiet = drive.quiet(self._seen_V)
        await self._program(quiet.settings())
        self._drive = quiet
        await self._switch_on(quiet)
        reading = await self.read()
        if drive.function == AMPS and Flag.COMPLIANCE in reading.flags:
            raise DeviceFault(
                f"{self._where()} is at its limit of {drive.limit:g} V at 0 A: a lead is open, or the cell is above"
            )
        if drive != quiet:
            await self._relevel(drive, quiet)

    async def _relevel(self, drive: Drive, before: Drive) -> None:
        """A smaller limit goes first, a larger one last, so that neither setting's current is ever exceeded."""
        level, limit = drive.level_setting(), drive.limit_setting()
        await self._program((limit, level) if drive.limit < before.limit else (level, limit))
        self._drive = drive

    async def _switch_on(self, drive: Drive) -> None:
        """In one message with what a reset since it was read back would have undone, and with the dead-man's switch.

        Then everything once more, for of a reset that all this would hide there must be nothing else.
        """
        self._tsp.live.add(self._name)
        await self._program((*wiring(), *drive.essence(), Setting("source.output", 1.0)))
        expected = (Setting("source.output", 1.0), *self._safe, *drive.settings())
        for setting, answer in zip(expected, await self._tsp.ask("", self._names(expected)), strict=True):
            setting.confirm(answer)

    async def _program(self, settings: Iterable[Setting]) -> None:
        """Each setting is read back, and nothing may stand in the error queue."""
        left = iter(settings)
        while group := tuple(islice(left, TOGETHER)):
            told = " ".join(setting.command(self._smu) for setting in group)
            *answers, entries, code, text = await self._tsp.ask(
                f"{told} {ERRORS}", (*self._names(group), *ERROR_VALUES)
            )
            if errors := told_errors((entries, code, text)):
                raise DeviceFault(f"{self._where()} refuses; it reports {errors}")
            for setting, answer in zip(group, answers, strict=True):
                setting.confirm(answer)

    def _names(self, settings: Iterable[Setting]) -> list[str]:
        return [f"{self._smu}.{setting.name}" for setting in settings]

    def _check(self, sample: Sample, drive: Drive) -> None:
        """DeviceFault when the output is not as it was left."""
        for setting, value in zip(read_settings(drive), sample.settings, strict=True):
            if not setting.holds(value):
                raise DeviceFault(f"{self._where()}: {setting.name} was {setting.value:g} and is {value:g}, not by us")

    def _not_by_us(self) -> DeviceFault:
        self._drive = None
        self._tsp.live.discard(self._name)
        return NotAsLeft(
            f"{self._where()} is off, but not by us: front panel, reset, power failure, or nothing was asked for "
            f"{self._options.dead_man_s:g} s (dead_man_s)"
        )

    def _where(self) -> str:
        return f"output {self._name} of {self._tsp.link.address}"


@dataclass(frozen=True, slots=True)
class SourceMeter:
    """One instrument with its output ``"a"``, and ``"b"`` if it has two."""

    tsp: Tsp
    identity: Identity
    outputs: Mapping[str, Output]

    @property
    def channels(self) -> Mapping[str, Channel]:
        return self.outputs

    @property
    def sensors(self) -> Mapping[str, Sensor]:
        return {}

    async def resync(self) -> None:
        """Prove that the next answer is the next question's, and that this is the same instrument.

        How an output is, its own next reading says: what befell one is no fault of the other.
        """
        await get_into_step(self.tsp.link, self._prove)

    async def _prove(self) -> None:
        answer = await self.tsp.ask(FORMAT, ("localnode.model", "localnode.serialno"))
        if answer != (self.identity.model, self.identity.serial):
            raise DeviceFault(f"{self.tsp.link.address} is now {' '.join(answer)}, and was {self.identity}")


@asynccontextmanager
async def connect(link: Link, options: Options) -> AsyncGenerator[Instrument]:
    """Off before anything else; off again on leaving, whatever a reading said meanwhile."""
    identity = await identify(link)
    names = outputs_of(identity.model)
    tsp = Tsp(link, names, options.dead_man_s)
    outputs = {name: Output(tsp, name, identity.model, options) for name in names}
    await tsp.ask(FORMAT, ())
    await prove_dead_man(tsp)
    for output in outputs.values():
        await output.prepare()
    try:
        yield SourceMeter(tsp, identity, outputs)
    finally:
        await outputs_off(tsp, names)


def usual_ratings(options: Options) -> Ratings:
    return ratings("2602B", options.regulation, options.nplc, options.dead_man_s, is_lan=True)


DRIVER = DriverSpec(
    title="Keithley 2600, 2600A, 2600B (2601 to 2636)",
    options=Options,
    link=LinkDefaults(clear=b"abort\n", dead_socket=5030),
    connect=connect,
    outputs=("a", "b"),
    safe_off=safe_off,
    protection=Protection.B,
    ratings=usual_ratings,
    asking=ASKING,
    notes=(
        "Rest: " + REST,
        "class B over a LAN, A otherwise: " + why("bounded", Options().dead_man_s, is_lan=True),
        f"dead_man_s must be {RECOVERY_S:g} s longer than sample_every of each of its channels; a start is refused otherwise",
        "two cells on one instrument: outputs a and b; one's trouble or end leaves the other running",
        "LAN: TCPIP0::<host>::5025::SOCKET, one client at a time; a connection to port 5030 frees a stuck one",
        "RS-232: serial:///dev/ttyUSB0?baudrate=115200, terminator LF",
        "accuracies other than those of a 2601B, 2602B or 2604B are from memory",
    ),
)
