"""Everything that is decided before current flows: a protocol, a channel and an instrument become a run, or a refusal."""

from __future__ import annotations

import platform
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from math import inf
from pathlib import Path

from cycler_ctl.config import ChannelSettings, Config
from cycler_ctl.errors import ConfigError, RefusedError
from cycler_ctl.guard import Ceilings, Guard, GuardLimits
from cycler_ctl.instrument import DriverSpec, Identity, Instrument, Protection, Ratings
from cycler_ctl.store.info import RunInfo, new_run_id
from protocols.check import Checked, check_text
from protocols.diagnostics import has_errors, render_all
from protocols.documents import Document, Unreadable, read_document
from protocols.model import CurrentStep, Program, RepeatStep, RestStep, Settings, Step, TimedStep
from protocols.plan import InstrumentLimits, Plan, default_ceilings
from protocols.plan import plan as make_plan
from protocols.plan_text import plan_json
from protocols.record import JSON

UNMONITORED = "unmonitored"
LIBRARIES = ("cycler-ctl", "pydantic", "pyserial", "pyvisa", "pyvisa-py", "PyYAML")


@dataclass(frozen=True, slots=True)
class Order:
    """What a person asks to be run: texts, so that nothing can change between the check and the start."""

    protocol: Document
    cell: Document | None = None
    overrides: Mapping[str, str] = field(default_factory=dict[str, str])
    folder: Path | None = None


def read_order(file: Path, cell: Path | None, overrides: Mapping[str, str]) -> Order:
    """The files of an order, checked; ConfigError holds every mistake, ready to print."""
    try:
        order = Order(read_document(file), read_document(cell) if cell else None, overrides, file.parent)
    except Unreadable as error:
        raise ConfigError(f"cannot read {file if cell is None else f'{file} or {cell}'}: {error}") from error
    checked_program(order)
    return order


def overrides_of(pairs: Sequence[str]) -> dict[str, str]:
    """``name=quantity`` pairs of the command line."""
    for pair in pairs:
        if "=" not in pair:
            raise ConfigError(f"--set {pair!r}: write name=quantity, for example j='0.1 mA/cm2'")
    return dict(pair.split("=", 1) for pair in pairs)


def checked_program(order: Order) -> tuple[Checked, Program]:
    checked = check_text(
        order.protocol.text, order.protocol.name, overrides=order.overrides, cell=order.cell, folder=order.folder
    )
    if checked.program is None or has_errors(checked.diagnostics):
        raise ConfigError(render_all(checked.diagnostics))
    return checked, checked.program


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a run is to happen."""

    channel: str
    config: Config
    spec: DriverSpec
    identity: Identity
    ratings: Ratings

    @property
    def settings(self) -> ChannelSettings:
        return self.config.channels[self.channel]


def spot_of(channel: str, config: Config, spec: DriverSpec, instrument: Instrument) -> Spot:
    output = config.channels[channel].output
    if output not in instrument.channels:
        outputs = ", ".join(sorted(instrument.channels)) or "none"
        raise ConfigError(f"channel {channel}: its instrument has no output {output!r} (it has: {outputs})")
    return Spot(channel, config, spec, instrument.identity, instrument.channels[output].ratings)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run ready to begin: nothing has been energised, nothing written."""

    program: Program
    info: RunInfo
    guard: Guard
    ceilings: Mapping[str, Ceilings]


def prepare(order: Order, spot: Spot, utc_s: float, run: str | None = None) -> Prepared:
    """Raises ConfigError (the protocol is wrong) or RefusedError (not here, or not like this)."""
    checked, program = checked_program(order)
    program = replace(program, settings=engine_settings(spot.settings))
    plan = make_plan(program, instrument_limits(f"{spot.identity.model} ({spot.settings.instrument})", spot.ratings))
    reasons = [*refusals(program, spot), *(problem.message for problem in plan.errors)]
    if reasons:
        raise RefusedError(f"channel {spot.channel} cannot run {order.protocol.name}:\n- " + "\n- ".join(reasons))
    ceilings = {step.path: ceilings_of(program, step) for step in timed_steps(program.steps)}
    info = run_info(spot, checked, plan, utc_s, run)
    return Prepared(program, info, Guard(guard_limits(spot)), ceilings)


def ceilings_of(program: Program, step: TimedStep) -> Ceilings:
    """What the guard allows a step that names no ceiling of its own; the channel's ceilings hold besides."""
    charge_Ah, time_s = default_ceilings(program, step)
    return Ceilings(inf if charge_Ah is None else charge_Ah, inf if time_s is None else time_s)


def engine_settings(channel: ChannelSettings) -> Settings:
    return Settings(
        sample_every_s=channel.sample_every_s,
        debounce=channel.debounce,
        slope_window_s=channel.slope_window_s,
        temperature_watched=channel.temperature not in {None, UNMONITORED},
    )


def instrument_limits(name: str, ratings: Ratings) -> InstrumentLimits:
    """What a plan needs of an output's ratings."""
    return InstrumentLimits(
        name=name,
        voltage_V=ratings.voltage_V,
        current_A=ratings.current_A,
        ranges=tuple((one.range_A, one.source_gain, one.source_offset_A) for one in ratings.ranges),
        fastest_sample_s=ratings.fastest_sample_s,
    )


def guard_limits(spot: Spot) -> GuardLimits:
    channel, limits = spot.settings, spot.settings.limits
    low_V, high_V = limits.voltage_V
    rated_low_V, rated_high_V = spot.ratings.voltage_V
    unlimited = Ceilings()
    return GuardLimits(
        voltage_V=(max(low_V, rated_low_V), min(high_V, rated_high_V)),
        current_A=min(limits.current_A, spot.ratings.current_A),
        stale_s=max(2.0, 3 * channel.sample_every_s),
        temperature_degC=limits.temperature_degC if channel.temperature != UNMONITORED else None,
        step=Ceilings(limits.step_charge_Ah or unlimited.charge_Ah, limits.step_time_s or unlimited.time_s),
        bounded=channel.regulation == "bounded",
        open_samples=channel.debounce if channel.sample_every_s <= 1.0 else 1,
    )


def refusals(program: Program, spot: Spot) -> Iterator[str]:
    """Why this program must not run on this channel: limits that do not nest, a sensor missed, a class not accepted."""
    channel = spot.settings
    yield from _unnested(program, channel)
    watches = program.safety.temperature_degC is not None or channel.limits.temperature_degC is not None
    if watches and channel.temperature is None:
        yield (
            "its temperature is limited and the channel has no sensor: name one with 'temperature = \"oven1\"' in "
            "station.toml, or say 'temperature = \"unmonitored\"', which is recorded with the run"
        )
    if spot.ratings.protection is Protection.C and channel.accept_class_c is None:
        yield (
            f"its protection class is C ({spot.ratings.protection_why}): accept that by "
            '\'accept_class_c = { who = "...", when = "..." }\' in station.toml, or use regulation = "bounded"'
        )


def _unnested(program: Program, channel: ChannelSettings) -> Iterator[str]:
    low_V, high_V = channel.limits.voltage_V
    for step in timed_steps(program.steps):
        if isinstance(step, CurrentStep) and not (abs(step.current_A) <= channel.limits.current_A):
            yield f"step {step.path}: {abs(step.current_A) * 1e3:.4g} mA is above the channel's {channel.limits.current_A * 1e3:.4g} mA"
        for edge_V in step.window_V:
            if abs(edge_V) != float("inf") and not (low_V <= edge_V <= high_V):
                yield f"step {step.path}: its window reaches {edge_V:.4g} V, outside the channel's {low_V:.4g} V to {high_V:.4g} V"


def timed_steps(steps: tuple[Step, ...]) -> Iterator[TimedStep]:
    """Every step that takes time, in file order."""
    for step in steps:
        match step:
            case RestStep() | CurrentStep():
                yield step
            case RepeatStep():
                yield from timed_steps(step.steps)
            case _:
                pass


def run_info(spot: Spot, checked: Checked, plan: Plan, utc_s: float, run: str | None) -> RunInfo:
    program = plan.program
    station = spot.config.station
    return RunInfo(
        run=run or new_run_id(spot.channel, utc_s, secrets.token_hex(2)),
        epoch=secrets.randbits(48),
        channel=spot.channel,
        station=station.name,
        site=station.site,
        started_utc_s=utc_s,
        protocol_name=program.name,
        protocol_text=checked.text,
        protocol_sha256=checked.sha256,
        cell=asdict(program.cell),
        plan=plan_json(plan),
        settings=settings_json(spot, checked, program),
        instrument=instrument_json(spot),
        versions=versions(),
        discharge_means=program.cell.discharge_means,
        sample_every_s=spot.settings.sample_every_s,
    )


def settings_json(spot: Spot, checked: Checked, program: Program) -> dict[str, JSON]:
    """The channel's settings and everything else that shaped the program: overrides and included files."""
    return {
        "channel": spot.settings.model_dump(mode="json"),
        "variables": [list(pair) for pair in program.variables],
        "documents": [{"name": one.name, "text": one.text} for one in checked.documents],
    }


def instrument_json(spot: Spot) -> dict[str, JSON]:
    settings = spot.config.instruments[spot.settings.instrument]
    return {
        **asdict(spot.identity),
        "name": spot.settings.instrument,
        "driver": settings.driver,
        "driver_status": spot.spec.status,
        "address": settings.address,
        "output": spot.settings.output,
        "protection": spot.ratings.protection.value,
        "protection_why": spot.ratings.protection_why,
        "rest": spot.ratings.rest,
        "ranges": [asdict(one) for one in spot.ratings.ranges],
    }


def versions() -> dict[str, JSON]:
    found: dict[str, JSON] = {name: version(name) for name in LIBRARIES}
    return {**found, "python": platform.python_version(), "system": platform.platform()}
