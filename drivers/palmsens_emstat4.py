"""PalmSens EmStat4 LR and HR, MultiEmStat4 and Nexus, by MethodSCRIPT over a serial port.

The working electrode's lead goes to the cell's working electrode (with both of its sense leads where there are any), the
counter and reference leads to the other: then the instrument's sign is ours. Each channel of a MultiEmStat4 is a port.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import BadReply, DeviceFault, InstrumentError, NotAsLeft, RefusedError
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
    Rest,
    Sensor,
    Setpoint,
)
from drivers.doubt import expect_same, get_into_step, off_because_of
from drivers.palmsens_emstat4_ratings import MODELS, REST, Model, ratings, why
from drivers.palmsens_emstat4_reply import Failed, answer, only_package, packages, reply_length
from drivers.palmsens_emstat4_running import Running
from drivers.palmsens_emstat4_script import (
    ENDED,
    Pace,
    Report,
    State,
    check_cell,
    confirm,
    plan_for,
    report_of,
    script,
)
from drivers.palmsens_emstat4_wire import (
    ASKING,
    DEAF_S,
    LARGEST_ID,
    TRIES,
    check_abilities,
    identify,
    prove_off,
    safe_off,
    stop,
    switch_off,
)


class Options(BaseModel):
    """``interval_s`` between the instrument's own looks at the cell. ``lease_s``: how long it goes on without the host."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    regulation: Literal["bounded", "current"] = "bounded"
    interval_s: float = Field(default=0.1, ge=0.05, le=0.5)  # an answer may take one, and has 1 s
    lease_s: float = Field(default=30.0, ge=5.0, le=600.0)
    mains_Hz: Literal[50, 60] = 50


class Output:
    """The one output. ``_running`` is the script we started; one that failed is none any more and may leave the cell on."""

    def __init__(self, link: Link, model: Model, options: Options) -> None:
        self._link = link
        self._model = model
        self._options = options
        self._pace = Pace(options.interval_s, options.lease_s, options.mains_Hz)
        self._running: Running | None = None
        self._ratings = ratings(model, options.lease_s, options.interval_s)

    @property
    def ratings(self) -> Ratings:
        return self._ratings

    @property
    def is_running(self) -> bool:
        return self._running is not None

    async def read(self) -> Reading:
        """One exchange: the running loop ends, tells its newest point, and begins anew."""
        for _ in range(TRIES):
            report, at_s = await self.poll()
            if report.points > 0:
                return _reading(report, at_s)
            await real_sleep(self._options.interval_s)  # asked again before there was a point
        raise DeviceFault(f"{self._link.address} makes no new points")

    async def apply(self, setpoint: Setpoint) -> bool:
        """Any doubt on the way turns the cell off and is raised. True: the cell was open for a moment."""
        before = self._running
        try:
            await self._apply(setpoint)
        except InstrumentError as error:
            await off_because_of(error, self.turn_off)
            raise
        return before is not None and before.plan.is_on

    async def apply_in_place(self, setpoint: Setpoint) -> bool:
        """Every script begins with the cell off: only the one that leaves it so switches nothing on."""
        if not isinstance(setpoint, Rest):
            raise RefusedError("the cell would go off and on again on the way")
        return await self.apply(setpoint)

    async def turn_off(self) -> None:
        await switch_off(self._link)
        self._running = None

    async def poll(self) -> tuple[Report, float]:
        """What the running script tells now; DeviceFault when it has ended, by itself or with the instrument."""
        if (running := self._running) is None:
            raise DeviceFault(f"{self._link.address} is off: no script looks at the cell")
        asked_s = self._link.now()
        raw = await self._asked_again()
        at_s = self._link.now()
        report = report_of(only_package(self._heard(raw), raw), raw, self._model)
        running.accept(report, raw, asked_s, at_s)
        if report.state > State.RESTING:
            self._running = None
            raise self._let_go(report)
        return report, at_s

    def _heard(self, raw: bytes) -> list[str]:
        try:
            return answer("Y", raw)
        except Failed:
            self._running = None
            raise

    async def _asked_again(self) -> bytes:
        """Between two loops nobody listens to Y: it is said once more."""
        raw = await self._link.query(b"Y\n")
        if raw.endswith(b"Y!0006\n"):
            await real_sleep(DEAF_S)
            raw = await self._link.query(b"Y\n")
        if raw.endswith(b"Y!0006\n"):
            await real_sleep(DEAF_S)
            self._running = None
            raise NotAsLeft(
                f"the script on {self._link.address} has ended, but not by us: power failure, or a late host"
            )
        return raw

    async def _apply(self, setpoint: Setpoint) -> None:
        """Stop, load, check what was taken and what the cell is at, and only then give the word."""
        plan = plan_for(setpoint, self._options.regulation, self._model)
        await stop(self._link)
        self._running = None
        identity = secrets.randbelow(LARGEST_ID)
        raw = await self._link.query(script(plan, identity, self._pace, self._model))
        at_s = self._link.now()
        *told, values = packages(answer("e", raw), raw)
        confirm(plan, self._pace, tuple(told))
        report = report_of(values, raw, self._model)
        if report.script != identity:
            raise BadReply("e", raw, "told by another script")
        check_cell(plan, report.voltage_V)
        self._running = Running(plan, identity, report.count, at_s - report.time_s, at_s)
        if plan.is_on:
            await self._give_the_word()

    async def _give_the_word(self) -> None:
        raw = await self._link.query(b"Y\n")
        lines = answer("Y", raw)
        if lines[-1] != "M000A":
            raise DeviceFault(f"the script on {self._link.address} does not begin: it says {lines}")

    def _let_go(self, report: Report) -> DeviceFault:
        why = ENDED.get(State(report.state), "") if report.state in set(State) else f"state {report.state}"
        return DeviceFault(
            f"{self._link.address} has opened the cell switch by itself at {report.voltage_V:.5g} V: {why} "
            f"(lease_s = {self._options.lease_s:g})"
        )


def _reading(report: Report, at_s: float) -> Reading:
    """Driving is being at the limit of the current, as for a source that is bounded."""
    flags = frozenset({Flag.COMPLIANCE}) if report.state == State.DRIVING else frozenset[Flag]()
    return Reading(report.voltage_V, report.current_A, report.state != State.RESTING, flags, at_s)


@dataclass(frozen=True, slots=True)
class Potentiostat:
    """One instrument with its output ``"1"``."""

    link: Link
    identity: Identity
    output: Output

    @property
    def channels(self) -> Mapping[str, Channel]:
        return {"1": self.output}

    @property
    def sensors(self) -> Mapping[str, Sensor]:
        return {}

    async def resync(self) -> None:
        """Prove that nothing is left to come, and that this instrument is still at what it was left at.

        A running script is its own proof: it tells the number that only it was given, and when it tells.
        """
        await get_into_step(self.link, self._prove)

    async def _prove(self) -> None:
        await (self.output.poll() if self.output.is_running else self._identify())

    async def _identify(self) -> None:
        await prove_off(self.link)
        _, identity = await identify(self.link)
        expect_same(self.link, identity, self.identity)


@asynccontextmanager
async def connect(link: Link, options: Options) -> AsyncGenerator[Instrument]:
    """Off before anything else; off again on leaving, whatever was heard meanwhile."""
    await safe_off(link)
    model, identity = await identify(link)
    await check_abilities(link)
    output = Output(link, model, options)
    try:
        yield Potentiostat(link, identity, output)
    finally:
        await output.turn_off()


def usual_ratings(options: Options) -> Ratings:
    return ratings(MODELS["es4_hr"], options.lease_s, options.interval_s)


DRIVER = DriverSpec(
    title="PalmSens EmStat4, MultiEmStat4, Nexus",
    options=Options,
    link=LinkDefaults(timeout_s=1.0, baudrate=921_600, write_terminator=b"", strip=b"", reply_length=reply_length),
    connect=connect,
    outputs=("1",),
    safe_off=safe_off,
    protection=Protection.A,
    ratings=usual_ratings,
    asking=ASKING,
    notes=(
        "Rest: " + REST,
        "Protection: " + why(Options().lease_s),
        "regulation = bounded: at the window's edge the instrument holds it; current: it opens the cell switch",
        "each change of the setpoint opens the cell for as long as it takes to load a script",
        "an EmStat4 LR goes to 3 V only; each channel of a MultiEmStat4 is a port; accuracies are guessed",
    ),
)
