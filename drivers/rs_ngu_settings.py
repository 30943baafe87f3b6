"""What an NGU or NGM must be told for a setpoint, as data, and the meaning of its answers. No I/O.

The output always is a voltage source with leave to go one way only: SOURce or SINK, never AUTO. Its level is an edge of
the window. While the current is wanted the cell lies before the edge, and the current limit decides (NGU manual
1179.2531.02-03 p. 42); at rest the level is the other edge, which the cell is past, so that nothing can flow.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from cycler_ctl.errors import BadReply, DeviceFault
from cycler_ctl.instrument import ConstantCurrent, ConstantVoltage, Flag, Identity, Rest, Setpoint, Window, held_by
from drivers import scpi
from drivers.rs_ngu_ratings import HEADROOM, HIGHEST_V, MODELS, MOST_A, NO_SINK, Model
from drivers.scpi import Setting

SOURCE, SINK = "SOUR", "SINK"
# Over-voltage protection lies so far beyond what may be at the terminals, whichever way: its level goes from 0 V up only
# (RsNgx 3.1.0, VOLTage:PROTection:LEVel), and no page at hand says whether a negative voltage is held against it.
TRIP_MARGIN_V = 1.0
VOLTAGE_STEP = 1e-3
SAME_V = 20e-3  # nearer than this the side of a held voltage the cell is on is not told by its reading
SMALLEST_WINDOW_V = 1e-3
# Bits of STATus:QUEStionable:INSTrument:ISUMmary<n>, NGM manual 1178.8736.02-06 p. 166; taken to hold for the NGU
CONSTANT_CURRENT, TOO_HOT, OVP_TRIPPED, FUSE_TRIPPED = 1, 16, 512, 1024
# Two readings a few tens of milliseconds apart must agree: a changed byte that is worth less is within the accuracy.
AGREE_V, AGREE_GAIN, AGREE_RANGE = 2e-3, 2e-3, 5e-4
_FIELD = r"[+-]?\d{1,3}\.\d{2,9}(?:E[+-]\d{2})?"  # +d.dddddddE+dd on an NGM202; the NGU's digits are not known
_ONCE = rf"([01]);(AUTO|SINK|SOUR);(\d{{1,5}});([^;]+);([^;]+);({_FIELD}), ?({_FIELD})"
READING = re.compile(rf"{_ONCE};{_ONCE}")


@dataclass(frozen=True, slots=True)
class Drive:
    """``level_V`` is sourced or sunk towards, with at most ``limit_A``; ``away_V`` is where the level is at rest."""

    mode: str
    level_V: float
    limit_A: float
    away_V: float
    trip_V: float
    range_A: float
    range_V: float

    @property
    def is_rest(self) -> bool:
        return self.level_V == self.away_V

    def continues(self, before: Drive) -> bool:
        """Whether the level can change without opening the relay: the same way, the same ranges."""
        return (self.mode, self.range_A, self.range_V) == (before.mode, before.range_A, before.range_V)

    def quiet(self, model: Model) -> Drive:
        """How to switch on: towards the edge that the cell is past, with as little as can be set."""
        return replace(self, level_V=self.away_V, limit_A=model.smallest_A)


def level_setting(drive: Drive) -> Setting:
    return Setting(":VOLT", drive.level_V, VOLTAGE_STEP)


def limit_setting(drive: Drive, model: Model) -> Setting:
    """A sunk current is a negative number (users' programs for the NGU401)."""
    if drive.mode == SINK:
        return Setting(":CURR:NEG", -drive.limit_A, model.step_A)
    return Setting(":CURR", drive.limit_A, model.step_A)


def trip_setting(drive: Drive) -> Setting:
    return Setting(":VOLT:PROT:LEV", drive.trip_V, 10 * VOLTAGE_STEP)


def drive_settings(drive: Drive, model: Model) -> Iterator[Setting]:
    """With the output off: both limits first at their least, for a range may refuse what it does not hold."""
    yield Setting(":OUTP:MODE", drive.mode)
    yield Setting(":VOLT", 0.0, VOLTAGE_STEP)
    yield Setting(":CURR", model.smallest_A, model.step_A)
    if model.sinks:
        yield Setting(":CURR:NEG", -model.smallest_A, model.step_A)
        yield Setting(":VOLT:RANG", _first(model.source_V, drive.range_V), is_range=True)
        yield Setting(":CURR:RANG", _first(model.source_A, drive.range_A), is_range=True)
    yield Setting(":SENS:VOLT:RANG", drive.range_V, is_range=True)
    yield Setting(":SENS:CURR:RANG", drive.range_A, is_range=True)
    yield trip_setting(drive)
    yield level_setting(drive)
    yield limit_setting(drive, model)


def wiring(model: Model, sense: str) -> tuple[Setting, ...]:
    priority = (Setting(":SOUR:PRI", "VOLT"),) if model.sinks else ()
    return *priority, Setting(":VOLT:SENS", sense), Setting(":VOLT:PROT", "1")


def essence(drive: Drive, model: Model) -> tuple[Setting, ...]:
    """What makes switching on harmless."""
    sunk = (Setting(":CURR:NEG", -model.smallest_A, model.step_A),) if model.sinks else ()
    return (
        Setting(":OUTP:MODE", drive.mode),
        Setting(":CURR", model.smallest_A, model.step_A),
        *sunk,
        level_setting(drive),
    )


def safe_settings(model: Model, sense: str) -> tuple[Setting, ...]:
    """What must hold before the output goes on. *RST comes before: it ends what is not named here."""
    off = [":FUSE", ":VOLT:RAMP", ":OUTP:FTR", ":OUTP:DEL", ":OUTP:IMP:STAT", ":OUTP:TRIG", ":POW:PROT"]
    off += [":RES:STAT"] if model.has_resistance else []
    off += [":SOUR:MOD"] if model.is_four_quadrant else []
    return (
        *wiring(model, sense),
        *(Setting(header, "0") for header in off),
        Setting(":SENS:CURR:RANG:AUTO", "0"),
        Setting(":SENS:VOLT:RANG:AUTO", "0"),
    )


def drive_for(setpoint: Setpoint, model: Model, before: Drive | None, seen_V: float | None) -> Drive:
    """The drive of a setpoint; ``seen_V`` is None while the output is off and the cell not seen.

    A rest keeps the way and the ranges there are, so that the relay stays closed.
    """
    match setpoint:
        case Rest(window_V=window_V):
            return _rest(window_V, model, before)
        case ConstantCurrent(current_A=current_A, window_V=window_V) if current_A == 0:
            return _rest(window_V, model, before)
        case ConstantCurrent(current_A=current_A, window_V=window_V):
            mode = SOURCE if current_A > 0 else SINK
            away_V, edge_V = _edges(mode, window_V, model)
            _check_edge(edge_V, current_A, window_V, model)
            return _drive(mode, (edge_V, away_V, max(edge_V, away_V)), abs(current_A), model)
        case ConstantVoltage(voltage_V=voltage_V, current_limit_A=limit_A):
            if not model.lowest_V <= voltage_V <= HIGHEST_V:
                raise DeviceFault(f"{voltage_V} V cannot be held: this does {model.lowest_V:g} to {HIGHEST_V:g} V")
            at_V = voltage_V if seen_V is None else seen_V
            mode = _side(voltage_V, before, at_V)
            away_V = _away(mode, voltage_V, before, at_V, model)
            highest_V = HIGHEST_V if seen_V is None else max(voltage_V, seen_V)
            return _drive(mode, (voltage_V, away_V, highest_V), limit_A, model)


def check_direction(setpoint: Setpoint, drive: Drive, seen_V: float) -> None:
    """DeviceFault for a cell that is not between the two levels: at rest a current would flow, or none when wanted."""
    towards = 1 if drive.mode == SOURCE else -1
    slack_V = SAME_V if isinstance(setpoint, ConstantVoltage) else 0.0
    if towards * (seen_V - drive.away_V) <= SAME_V:
        raise DeviceFault(
            f"the cell at {seen_V:g} V is not within the window, whose edge is {drive.away_V:g} V, or a lead is open"
        )
    if not drive.is_rest and towards * (drive.level_V - seen_V) <= -slack_V:
        raise DeviceFault(f"the cell at {seen_V:g} V is beyond the window's edge of {drive.level_V:g} V")


def _rest(window_V: Window, model: Model, before: Drive | None) -> Drive:
    mode = before.mode if before else SOURCE
    away_V, edge_V = _edges(mode, window_V, model)
    drive = _drive(mode, (away_V, away_V, max(abs(away_V), abs(edge_V))), model.smallest_A, model)
    if before is None or abs(away_V) > before.range_V:
        return drive
    return replace(drive, range_A=before.range_A, range_V=before.range_V)


def _edges(mode: str, window_V: Window, model: Model) -> tuple[float, float]:
    """(where the level is at rest, where it is when current is wanted), as far as the instrument goes."""
    low_V, high_V = window_V
    if not low_V + SMALLEST_WINDOW_V < high_V:
        raise DeviceFault(f"a voltage window needs two edges, the lower first, not {low_V} V to {high_V} V")
    held = max(low_V, model.lowest_V), min(high_V, HIGHEST_V)
    return held if mode == SOURCE else (held[1], held[0])


def _check_edge(edge_V: float, current_A: float, window_V: Window, model: Model) -> None:
    wanted_V = window_V[1] if current_A > 0 else window_V[0]
    if not (math.isfinite(wanted_V) and edge_V == wanted_V):
        raise DeviceFault(
            f"the window's edge of {wanted_V:g} V cannot be held: a {model.name} does {model.lowest_V:g} to {HIGHEST_V:g} V"
        )


def _side(voltage_V: float, before: Drive | None, seen_V: float) -> str:
    """Which way a hold goes: at the voltage itself, the way that led there."""
    if before is not None and abs(seen_V - voltage_V) <= SAME_V:
        return before.mode
    return SOURCE if seen_V <= voltage_V else SINK


def _away(mode: str, voltage_V: float, before: Drive | None, seen_V: float, model: Model) -> float:
    """Where the level of a hold is at rest: as before, or past both the cell and the voltage."""
    towards = 1 if mode == SOURCE else -1
    if before is not None and before.mode == mode and towards * (min(seen_V, voltage_V) - before.away_V) > 0:
        return before.away_V
    if mode == SINK:
        return min(HIGHEST_V, max(seen_V, voltage_V) + 1.0)
    return max(model.lowest_V, min(seen_V, voltage_V, 1.0) - 1.0)


def _drive(mode: str, levels_V: tuple[float, float, float], limit_A: float, model: Model) -> Drive:
    """``levels_V``: towards, at rest, and the highest the cell may be at, which over-voltage protection must exceed."""
    level_V, away_V, _ = levels_V
    if mode == SINK and not model.sinks:
        raise DeviceFault(f"a {model.name} only charges here; {NO_SINK}")
    if not (limit_A >= model.smallest_A and held_by(MOST_A, limit_A)):
        raise DeviceFault(f"{limit_A} A cannot be set: a {model.name} does {model.smallest_A:g} to {MOST_A:g} A here")
    range_A = next(row[0] for row in model.rows if held_by(row[0], limit_A, HEADROOM) or row[0] >= MOST_A)
    range_V = _first(model.measure_V, max(abs(level_V), abs(away_V)))
    trip_V = max(map(abs, levels_V)) + TRIP_MARGIN_V
    return Drive(mode, level_V, limit_A, away_V, trip_V, range_A, range_V)


def _first(ranges: tuple[float, ...], value: float) -> float:
    return next(full_scale for full_scale in ranges if value <= full_scale)


def parse_identity(answer: str) -> Identity:
    """``Rohde&Schwarz,NGM202,3638.4472k03/101403,03.068`` (seen): maker, model, part and serial number, firmware."""
    fields = [field.strip() for field in answer.split(",")]
    if len(fields) != 4 or not fields[0].lower().startswith("rohde") or fields[1].upper() not in MODELS:
        raise BadReply("*IDN?", answer.encode(), f"not an R&S {', '.join(MODELS)}")
    return Identity(fields[0], fields[1].upper(), fields[2], fields[3])


@dataclass(frozen=True, slots=True)
class Sample:
    """An answer that is whole, finite and agrees with itself."""

    output_on: bool
    condition: int
    held: tuple[str, str]
    """The level and the limit it has."""
    voltage_V: float
    current_A: float

    @property
    def flags(self) -> frozenset[Flag]:
        return flags_of(self.condition)


def parse_reading(query: str, answer: str, drive: Drive) -> Sample:
    """BadReply unless both halves say the same of the output, and nearly the same of the cell; off, nothing is seen."""
    found = READING.fullmatch(answer)
    if found is None or found.groups()[:5] != found.groups()[7:12]:
        raise BadReply(query, answer.encode(), "not the same state twice with two readings")
    held = found[4], found[5]
    if found[1] == "0":
        return Sample(output_on=False, condition=int(found[3]), held=held, voltage_V=0.0, current_A=0.0)
    voltages_V, currents_A = (tuple(scpi.number(query, found[at]) for at in pair) for pair in ((6, 13), (7, 14)))
    within_A = AGREE_GAIN * abs(currents_A[0]) + AGREE_RANGE * drive.range_A
    if abs(voltages_V[0] - voltages_V[1]) > AGREE_V or abs(currents_A[0] - currents_A[1]) > within_A:
        raise BadReply(query, answer.encode(), "two readings that do not agree")
    condition = int(found[3])
    if found[2] != drive.mode or condition & TOO_HOT:
        raise BadReply(query, answer.encode(), f"the output is in mode {found[2]}, not {drive.mode}, or too hot")
    return Sample(output_on=True, condition=condition, held=held, voltage_V=voltages_V[0], current_A=currents_A[0])


def check_way(drive: Drive, current_A: float, model: Model, query: str) -> None:
    """BadReply for a current that the mode forbids, or beyond the limit."""
    forwards_A = current_A if drive.mode == SOURCE else -current_A
    leak_A = model.leak(drive.range_A)
    if not -leak_A <= forwards_A <= drive.limit_A * 1.05 + leak_A + model.step_A:
        why = f"more than {drive.mode} up to {drive.limit_A:g} A allows"
        raise BadReply(query, f"{current_A:g} A".encode(), why)


@cache
def flags_of(condition: int) -> frozenset[Flag]:
    found = {Flag.COMPLIANCE} if condition & CONSTANT_CURRENT else set[Flag]()
    return frozenset(found | ({Flag.OVERVOLTAGE_PROTECTION} if condition & OVP_TRIPPED else set[Flag]()))
