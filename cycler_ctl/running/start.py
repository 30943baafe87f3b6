"""Everything that is decided before current flows: a protocol, a channel and an instrument become a run, or a refusal."""

from __future__ import annotations

import getpass
import hashlib
import os
import platform
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from cycler_ctl.config import ChannelSettings, Config
from cycler_ctl.errors import ConfigError, RefusedError
from cycler_ctl.guard import Ceilings, Guard
from cycler_ctl.guarding.for_a_run import UNMONITORED, guard_limits
from cycler_ctl.instrument import DriverSpec, Identity, Instrument, Ratings
from cycler_ctl.running.arming import (
    ceilings_by_path,
    check_nesting,
    class_refusal,
    hold_limit_A,
    largest_capacity_Ah,
    unseen_temperatures,
)
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo, new_run_id
from cycler_ctl.store.place import syncing, syncing_client
from cycler_ctl.store.writer import RunWriter, create_run
from cycler_ctl.verify.ledger import told_of
from protocols.check import Checked, check_text
from protocols.diagnostics import has_errors, render_all
from protocols.model import Program, Settings
from protocols.plan import Finding, InstrumentLimits, Plan
from protocols.plan import plan as make_plan
from protocols.planning.plan_text import plan_json
from protocols.reading.documents import Document, Unreadable, read_document
from protocols.record import JSON, EventKind, EventRecord

LIBRARIES = ("cycler-ctl", "pydantic", "pyserial", "pyvisa", "pyvisa-py", "PyYAML")


@dataclass(frozen=True, slots=True)
class Order:
    """What a person asks to be run: texts, so that nothing can change between the check and the start.

    Included files come from ``folder``, or, where the order came over the network, are the texts ``sent`` along.
    """

    protocol: Document
    cell: Document | None = None
    overrides: Mapping[str, str] = field(default_factory=dict[str, str])
    folder: Path | None = None
    sent: Mapping[str, str] | None = None
    by: str = ""


def read_order(file: Path, cell: Path | None, overrides: Mapping[str, str], by: str = "") -> Order:
    """The files of an order, checked, those it includes among them; ConfigError holds every mistake, ready to print."""
    try:
        order = Order(read_document(file), read_document(cell) if cell else None, overrides, file.parent, by=by)
    except Unreadable as error:
        raise ConfigError(f"cannot read {file if cell is None else f'{file} or {cell}'}: {error}") from error
    checked, _ = checked_program(order)
    included = checked.documents if order.cell is None else checked.documents[:-1]
    return replace(order, folder=None, sent={one.name: one.text for one in included})


def who() -> str:
    """The person at this terminal, as far as the system knows a name; also where they act as the service's user."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError):
        return ""


def overrides_of(pairs: Sequence[str]) -> dict[str, str]:
    """``name=quantity`` pairs of the command line."""
    for pair in pairs:
        if "=" not in pair:
            raise ConfigError(f"--set {pair!r}: write name=quantity, for example j='0.1 mA/cm2'")
    return dict(pair.split("=", 1) for pair in pairs)


def checked_program(order: Order) -> tuple[Checked, Program]:
    checked = check_text(
        order.protocol.text,
        order.protocol.name,
        overrides=order.overrides,
        cell=order.cell,
        folder=order.folder,
        sent=order.sent,
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
    hold_limit_A: float
    by: str


def prepare(order: Order, spot: Spot, utc_s: float, run: str | None = None) -> Prepared:
    """Raises ConfigError (the protocol is wrong) or RefusedError (not here, or not like this)."""
    checked, program = checked_program(order)
    program = replace(program, settings=engine_settings(spot.settings))
    plan = make_plan(program, instrument_limits(f"{spot.identity.model} ({spot.settings.instrument})", spot.ratings))
    reasons = [*refusals(program, spot.settings, spot.ratings), *(problem.message for problem in plan.errors)]
    if reasons:
        raise RefusedError(f"channel {spot.channel} cannot run {order.protocol.name}:\n- " + "\n- ".join(reasons))
    info = run_info(spot, checked, plan, utc_s, run)
    asked: dict[str, JSON] = {
        "started_by": order.by,
        "order": order_json(order),
        "program_sha256": program_sha256(program),
    }
    info = replace(info, settings={**info.settings, **asked})
    guard = Guard(guard_limits(spot.settings, spot.ratings, program.safety))
    most_A = spot.ratings.limit_within(hold_limit_A(spot.settings, program.safety))
    return Prepared(program, info, guard, ceilings_by_path(program, spot.settings), most_A, order.by)


def begin_record(
    data_dir: Path, info: RunInfo, on_durable: Callable[[str], None], utc: Callable[[], float], options: WriterOptions
) -> RunWriter:
    """The record of a new run; a folder that somebody copies from and back to is warned of in it."""
    writer = create_run(data_dir, info, on_durable=on_durable, utc=utc, options=options)
    client = syncing_client(data_dir)
    if client is not None:
        writer.append(events=[EventRecord(0.0, utc(), EventKind.WARNING, {"message": syncing(client)})])
    return writer


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
        range_fill=ratings.range_fill,
        least_current=ratings.least_current,
        least_limit=ratings.least_limit,
        least_A=ratings.least_A,
        only_charges=ratings.only_charges,
    )


def plan_on(program: Program, channel: ChannelSettings, name: str, ratings: Ratings) -> Plan:
    """The plan on an output, with all a start there would refuse it for; ``name``: the instrument's, for people."""
    program = replace(program, settings=engine_settings(channel))
    found = make_plan(program, instrument_limits(name, ratings))
    refused = (Finding("refused", "", reason) for reason in refusals(program, channel, ratings))
    return replace(found, errors=(*found.errors, *refused))


def refusals(program: Program, channel: ChannelSettings, ratings: Ratings) -> Iterator[str]:
    """Why this program must not run on this channel: limits that do not nest, a sensor missed, a class not accepted."""
    yield from check_nesting(program, channel, ratings)
    watches = program.safety.temperature_degC is not None or channel.limits.temperature_degC is not None
    if watches and channel.temperature is None:
        yield (
            "its temperature is limited and the channel has no sensor: name one with 'temperature = \"oven1\"' in "
            "station.toml, or say 'temperature = \"unmonitored\"', which is recorded with the run"
        )
    yield from unseen_temperatures(program, channel)
    refused = class_refusal(ratings.protection, ratings.protection_why, channel, largest_capacity_Ah(program))
    if refused is not None:
        yield refused


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
        "verification": told_of(spot.config.station.data_dir, spot.channel, spot.identity),
        "variables": [list(pair) for pair in program.variables],
        "documents": [{"name": one.name, "text": one.text, "sha256": sha256(one.text)} for one in checked.documents],
    }


def order_json(order: Order) -> dict[str, JSON]:
    """What it takes, beside the texts, to ask for the same again."""
    cell = None if order.cell is None else order.cell.name
    return {"file": order.protocol.name, "overrides": dict(order.overrides), "cell": cell}


def program_sha256(program: Program) -> str:
    """Of the steps as they were understood: another version might read the same text differently."""
    return sha256(repr(replace(program, settings=Settings())))


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def instrument_json(spot: Spot) -> dict[str, JSON]:
    settings = spot.config.instruments[spot.settings.instrument]
    return {
        **asdict(spot.identity),
        "name": spot.settings.instrument,
        "driver": settings.driver,
        "calibration": settings.calibrated,
        "driver_status": spot.spec.status,
        "address": settings.address,
        "output": spot.settings.output,
        "protection": spot.ratings.protection.value,
        "protection_why": spot.ratings.protection_why,
        "rest": spot.ratings.rest,
        "ranges": [asdict(one) for one in spot.ratings.ranges],
        "voltage_V": list(spot.ratings.voltage_V),
        "current_A": spot.ratings.current_A,
        "fastest_sample_s": spot.ratings.fastest_sample_s,
        "voltage_ranges": [asdict(one) for one in spot.ratings.voltage_ranges],
        "voltage_from": spot.ratings.voltage_from,
        "options": {name: str(value) for name, value in settings.options.items()},
    }


def versions() -> dict[str, JSON]:
    found: dict[str, JSON] = {name: version(name) for name in LIBRARIES}
    return {**found, "python": platform.python_version(), "system": platform.platform()}
