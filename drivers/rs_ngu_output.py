"""One output of an NGU or NGM: driven, looked at, and off when in doubt."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import BadReply, DeviceFault, InstrumentError, NotAsLeft
from cycler_ctl.instrument import ConstantVoltage, Ratings, Reading, Setpoint
from drivers import scpi
from drivers.doubt import apply_in_place, off_because_of, refuse_to_open, told_on
from drivers.rs_ngu_ratings import Model, ratings
from drivers.rs_ngu_settings import (
    Drive,
    Sample,
    check_direction,
    check_way,
    drive_for,
    drive_settings,
    essence,
    level_setting,
    limit_setting,
    parse_reading,
    safe_settings,
    trip_setting,
    wiring,
)
from drivers.rs_ngu_wire import Selector, switch_off
from drivers.scpi import Setting

SETTLE_S = (0.2, 0.4, 0.8)  # before each new look: a reading may be a third of a second old (seen on an NGU401)
TOGETHER = 6  # settings in one message
TRIPS = (":VOLT:PROT:TRIP", ":FUSE:TRIP", ":POW:PROT:TRIP")


class Output:
    """One output. ``_drive`` is what it is driven as, None while it is off (and then blind)."""

    def __init__(self, output: Selector, model: Model, sense: str) -> None:
        self._output = output
        self._model = model
        self._sense = sense
        self._safe = safe_settings(model, sense)
        self._drive: Drive | None = None
        self._is_doubted = False
        self._seen_V = 0.0  # at the last look
        self._ratings = ratings(model)

    @property
    def ratings(self) -> Ratings:
        return self._ratings

    async def read(self) -> Reading:
        """One exchange, in which the instrument measures twice."""
        if self._drive is None:
            raise DeviceFault(f"{self._name} is off and cannot see the cell")
        sample = await self._look(self._drive)
        at_s = self._output.link.now()
        check_way(self._drive, sample.current_A, self._model, self._reading(self._drive))
        return Reading(sample.voltage_V, sample.current_A, output_on=True, flags=sample.flags, at_s=at_s)

    async def apply(self, setpoint: Setpoint) -> bool:
        """Any doubt on the way turns the output off and is raised. True: the relay opened and closed on the way."""
        try:
            await self._output.link.write(b"*CLS")  # what stands in the queue may be the other output's
            opened = await self._apply(setpoint)
            await self._expect_no_errors()
        except InstrumentError as error:
            await off_because_of(error, self.turn_off)
            raise
        return opened

    stays, apply_in_place = False, apply_in_place

    async def turn_off(self) -> None:
        await switch_off(self._output)
        self._drive, self._is_doubted = None, False

    async def is_on(self) -> bool:
        """No setting tells how it is off; but one that was reset has none of what was set when it was connected."""
        left = [Setting(":OUTP", "0"), *self._safe]
        state = await self._answers(left)
        if told_on(self._output.link, state[:1], ["0"]):
            return True
        scpi.confirm_kept(left, state)
        return False

    def doubt(self) -> None:
        """The link was out of step: what was said meanwhile may have been lost, or the instrument have rebooted."""
        self._is_doubted = self._drive is not None

    async def prepare(self) -> None:
        """Take every setting that must hold before the output may go on; a protection that tripped needs a person."""
        await self._program(self._safe)
        tripped = await self._output.ask_all(TRIPS)
        if tripped != ["0"] * len(TRIPS):
            raise DeviceFault(
                f"a protection of {self._name} has tripped ({', '.join(map(' '.join, zip(TRIPS, tripped, strict=True)))}): "
                "find out why, then clear it at its panel"
            )
        await self._expect_no_errors()

    async def verify(self) -> None:
        """DeviceFault when the output is not on as it was left: switched at its front panel, tripped, reset, rebooted."""
        if (drive := self._drive) is None:
            return
        expected = [Setting(":OUTP", "1"), *self._safe, Setting(":OUTP:MODE", drive.mode), *self._levels(drive)]
        answers = await self._answers(expected)
        if answers[0] == "0":
            self._drive = None
            raise self._not_by_us(())
        scpi.confirm_kept(expected, answers)
        self._is_doubted = False

    @property
    def _name(self) -> str:
        return f"output {self._output.number} of {self._output.link.address}"

    def _levels(self, drive: Drive) -> tuple[Setting, ...]:
        return level_setting(drive), limit_setting(drive, self._model), trip_setting(drive)

    def _reading(self, drive: Drive) -> str:
        """Everything twice, and level and limit with it, for anybody may turn them at the panel."""
        level, limit, _ = self._levels(drive)
        condition = f":STAT:QUES:INST:ISUM{self._output.number}:COND"
        return self._output.query(2 * (":OUTP", ":OUTP:MODE", condition, level.header, limit.header, ":READ"))

    async def _look(self, drive: Drive) -> Sample:
        if self._is_doubted:
            await self.verify()
        asked, (level, limit, _) = self._reading(drive), self._levels(drive)
        sample = parse_reading(asked, await self._output.ask(asked), drive)
        if not sample.output_on:
            self._drive = None
            raise self._not_by_us(())
        scpi.confirm_kept((level, limit), sample.held)
        self._seen_V = sample.voltage_V
        return sample

    async def _apply(self, setpoint: Setpoint) -> bool:
        """Decided on what the cell is at now: the last sample may be minutes old."""
        before = self._drive
        if before is not None:
            await self._look(before)
        drive = drive_for(setpoint, self._model, before, self._seen_V if before else None)
        if before is not None and drive.continues(before):
            check_direction(setpoint, drive, self._seen_V)
            await self._relevel(drive, before)
        else:
            await self._rewire(drive, setpoint)
        return before is None or not drive.continues(before)

    async def _rewire(self, drive: Drive, setpoint: Setpoint) -> None:
        """Another way or range: off, told where no current can flow, on, looked at, and only then set."""
        await self._go_on(drive.quiet(self._model))
        if isinstance(setpoint, ConstantVoltage):  # which way a hold goes is told by the cell
            blind, drive = drive, drive_for(setpoint, self._model, None, self._seen_V)
            if not drive.continues(blind):
                await self._go_on(drive.quiet(self._model))
        check_direction(setpoint, drive, self._seen_V)
        await self._relevel(drive, self._drive or drive)

    async def _go_on(self, quiet: Drive) -> None:
        refuse_to_open(self)
        await self.turn_off()
        await self.prepare()
        await self._program(drive_settings(quiet, self._model))
        await self._expect_no_errors()
        self._drive = quiet
        once_more = (*wiring(self._model, self._sense), *essence(quiet, self._model))
        await self._output.tell([*(setting.command for setting in once_more), ":OUTP 1"])
        if await self._output.ask_all([":OUTP", ":OUTP:GEN"]) != ["1", "1"]:
            raise DeviceFault(f"{self._name} does not go on: look at its panel")
        await self.verify()
        await self._expect_way(quiet)

    async def _relevel(self, drive: Drive, before: Drive) -> None:
        """What makes it safer goes first: the smaller limit, the wider over-voltage level; and the rest after."""
        level, limit, trip = self._levels(drive)
        order = [limit, level] if drive.limit_A < before.limit_A else [level, limit]
        await self._program([trip, *order] if drive.trip_V > before.trip_V else [*order, trip])
        self._drive = drive
        await self._expect_way(drive)

    async def _expect_way(self, drive: Drive) -> None:
        """Nothing flows the wrong way, or at rest at all; an older reading is given time to pass."""
        for wait_s in SETTLE_S:
            try:
                return await self._check_way(drive)
            except BadReply:
                await real_sleep(wait_s)
        try:
            await self._check_way(drive)
        except BadReply as error:
            raise DeviceFault(f"{self._name} does not do as its mode says: {error}") from error

    async def _check_way(self, drive: Drive) -> None:
        sample = await self._look(drive)
        allowed = drive if not drive.is_rest else drive.quiet(self._model)
        check_way(allowed, sample.current_A, self._model, self._reading(drive))
        if drive.is_rest and abs(sample.current_A) > self._model.leak(drive.range_A):
            why = "flow where nothing should: the cell is outside the window, or the instrument leaks"
            raise BadReply(self._reading(drive), f"{sample.current_A:g} A".encode(), why)

    async def _program(self, settings: Iterable[Setting]) -> None:
        left = iter(settings)
        while group := tuple(islice(left, TOGETHER)):
            await self._output.tell(setting.command for setting in group)
            # a header stands twice where a level is set to 0 first: the last one holds
            wanted = {setting.header: setting for setting in group}
            answers = await self._output.ask_all(["*OPC", *wanted])  # a range changes later (NGU manual p. 139)
            for setting, answer in zip(wanted.values(), answers[1:], strict=True):
                setting.confirm(answer)

    async def _answers(self, settings: Iterable[Setting]) -> list[str]:
        headers, answers = iter([setting.header for setting in settings]), list[str]()
        while group := tuple(islice(headers, TOGETHER)):
            answers += await self._output.ask_all(group)
        return answers

    async def _expect_no_errors(self) -> None:
        errors = await scpi.take_some_errors(self._output.link)
        if errors:
            raise DeviceFault(f"{self._output.link.address} refuses{scpi.listed(errors)}")

    def _not_by_us(self, errors: Iterable[tuple[int, str]]) -> DeviceFault:
        return NotAsLeft(
            f"{self._name} is off, but not by us: front panel, a protection that tripped, reset or power failure"
            f"{scpi.listed(errors)}"
        )
