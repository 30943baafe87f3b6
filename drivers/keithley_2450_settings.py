"""What a 2450 must be told for a setpoint, as data: ranges, settings, the meaning of its answers. No I/O.

Page numbers are those of the 2450's reference manual, 2450-901-01 Rev. B, where no other model is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from cycler_ctl.errors import BadReply, DeviceFault, Overflow
from cycler_ctl.instrument import ConstantCurrent, ConstantVoltage, Flag, Identity, Rest, Setpoint, Window
from drivers import scpi
from drivers.keithley_2450_ratings import OVERRANGE, REST_RANGE_A, SMALLEST_LIMIT, Spec
from drivers.scpi import Setting
from drivers.source_measure import (
    HIGHEST_V,
    check_below_limit,
    check_way,
    check_window,
    clamp_V,
    current_range,
    voltage_range,
)

VOLTAGE_RANGES_V = (0.2, 2.0, 20.0)  # those that every model has (2461 p. 6-97)
VOLTAGE_STEP, CURRENT_STEP = 2.5e-5, 5e-5  # programming resolution as a fraction of range, SPEC-2450
QUIET_LIMIT = 0.11  # and so little is let through on switching on

VOLT, CURR = "VOLT", "CURR"
SENSE = {VOLT: '"VOLT:DC"', CURR: '"CURR:DC"'}
DIGITS = 7  # of :FORMat:ASCii:PRECision, p. 6-28
# Everything twice (elements may be repeated, p. 6-4): with a byte lost or changed on the way the two differ. The
# functions stand in the same answer, for a reading of its own does not say what it is of.
ELEMENTS = ("SOUR", "READ", "SOURSTAT", "STAT")
READ = f':SOUR:FUNC?;:SENS:FUNC?;{{held}};:READ? "defbuffer1", {", ".join(ELEMENTS * 2)};{{held}}'
_FIELD = r"-?\d\.\d{6}E[+-]\d{2}"
_STATUS = rf"(?:\d{{1,3}}|{_FIELD})"  # an integer on a 2470 (12-122), a float on a 2461 (6-162)
_SET = rf"{_FIELD},{_FIELD},{_STATUS},{_STATUS}"
_HELD = r"([^;]+;[^;]+)"
READING = re.compile(rf'(VOLT|CURR);("(?:VOLT|CURR):DC");{_HELD};({_SET}),({_SET});{_HELD}')
# Bits of the source's status, 2470 p. 14-32, and of the measurement's, 2461 p. 6-162.
OVP, READ_BACK, OVER_TEMPERATURE, LIMITED, FOUR_WIRE, OUTPUT_ON = 4, 8, 16, 32, 64, 128
QUESTIONABLE, FRONT = 1, 8
FLAGS = {LIMITED: Flag.COMPLIANCE, OVP: Flag.OVERVOLTAGE_PROTECTION, FOUR_WIRE: Flag.FOUR_WIRE}


@dataclass(frozen=True, slots=True)
class Drive:
    """How the output is driven: ``function`` is sourced at ``level``, the other quantity is limited (a magnitude)."""

    function: str
    source_range: float
    measure_range: float
    level: float
    limit: float

    @property
    def measured(self) -> str:
        return CURR if self.function == VOLT else VOLT

    def functions(self) -> tuple[Setting, Setting]:
        """The measure function first, for it may change the source's (2461 p. 2-100)."""
        return Setting(":SENS:FUNC", SENSE[self.measured]), Setting(":SOUR:FUNC", self.function)

    def level_setting(self) -> Setting:
        step = VOLTAGE_STEP if self.function == VOLT else CURRENT_STEP
        return Setting(f":SOUR:{self.function}", self.level, step * self.source_range)

    def limit_setting(self) -> Setting:
        step = CURRENT_STEP if self.function == VOLT else VOLTAGE_STEP
        header = f":SOUR:{self.function}:{'ILIM' if self.function == VOLT else 'VLIM'}"
        return Setting(header, self.limit, step * self.measure_range)

    def settings(self) -> Iterator[Setting]:
        """In the order in which a 2450 takes them, output off; the limit last, for a range may raise it (12-78).

        An automatic range may be the right one by chance, and follows the level later.
        """
        yield from self.functions()
        yield Setting(f":SOUR:{self.function}", 0.0)  # an old level outside the new range would refuse it (2461 6-97)
        yield Setting(f":SOUR:{self.function}:RANG", self.source_range, is_range=True)
        yield Setting(f":SOUR:{self.function}:RANG:AUTO", "0")
        yield self.level_setting()
        yield Setting(f":SENS:{self.measured}:RANG", self.measure_range, is_range=True)
        yield Setting(f":SENS:{self.measured}:RANG:AUTO", "0")
        yield self.limit_setting()

    def essence(self) -> tuple[Setting, ...]:
        """What makes switching on harmless; the limits of a reset are, too: 21 V, above any cell, and 105 uA."""
        return *self.functions(), self.level_setting()

    def continues(self, before: Drive) -> bool:
        """Whether the level can change without opening the relay."""
        return replace(self, level=before.level, limit=before.limit) == before

    def quiet(self, seen_V: float) -> Drive:
        """How to switch on: at the cell's own voltage with as little current as can be, or at 0 A."""
        if self.function == CURR:
            return replace(self, level=0.0)
        return replace(self, level=seen_V, limit=min(self.limit, QUIET_LIMIT * self.measure_range))


def rest_drive() -> Drive:
    """0 A on a low range; the limit is above any cell, for a cell above it would be dumped into."""
    return Drive(CURR, REST_RANGE_A, HIGHEST_V, 0.0, HIGHEST_V)


def drive_for(setpoint: Setpoint, regulation: str, spec: Spec, seen_V: float) -> Drive:
    """The drive of a setpoint; ``seen_V`` is the cell's voltage, which the source's range must hold as well."""
    match setpoint:
        case Rest():
            return rest_drive()
        case ConstantCurrent(current_A=current_A) if current_A == 0:
            return rest_drive()
        case ConstantCurrent(current_A=current_A, window_V=window_V):
            check_window(window_V)
            if regulation == "current":
                return _current_source(current_A, window_V, spec)
            edge_V = window_V[1] if current_A > 0 else window_V[0]
            return _voltage_source(edge_V, abs(current_A), (*window_V, seen_V), spec)
        case ConstantVoltage(voltage_V=voltage_V, current_limit_A=limit_A):
            return _voltage_source(voltage_V, limit_A, (voltage_V, seen_V), spec)


def check_direction(setpoint: Setpoint, drive: Drive, seen_V: float) -> None:
    """DeviceFault for a cell beyond the limit, or beyond the edge it is to be driven to: it would go the other way."""
    if drive.function == VOLT:
        check_way(setpoint, drive.level, seen_V)
    else:
        check_below_limit(seen_V, drive.limit)


def wiring(*measured: str) -> tuple[Setting, ...]:
    """The off-mode is kept for each source function (p. 2-84), four wires for each measure function."""
    return (
        *(Setting(f":OUTP:{function}:SMOD", "HIMP") for function in (VOLT, CURR)),
        *(Setting(f":SENS:{function}:RSEN", "1") for function in measured),
    )


def safe_settings(terminals: str, nplc: float) -> tuple[Setting, ...]:
    """What must hold before any output goes on, the most important first."""
    return (
        *wiring(VOLT, CURR),
        Setting(":SOUR:VOLT:PROT", f"PROT{HIGHEST_V:.0f}"),  # 2461 p. 6-96
        Setting(":ROUT:TERM", {"front": "FRON", "rear": "REAR"}[terminals]),
        Setting(":SENS:COUN", 1.0),
        Setting(":FORM:ASC:PREC", float(DIGITS)),
        *(setting for function in (VOLT, CURR) for setting in _plain_readings(function, nplc)),
    )


def _plain_readings(function: str, nplc: float) -> Iterator[Setting]:
    """The sourced quantity measured, and nothing subtracted, scaled or averaged."""
    yield Setting(f":SOUR:{function}:READ:BACK", "1")
    yield Setting(f":SENS:{function}:NPLC", nplc)
    yield Setting(f":SENS:{function}:AZER", "1")
    yield Setting(f":SENS:{function}:REL:STAT", "0")
    yield Setting(f":SENS:{function}:AVER", "0")
    yield Setting(f":CALC:{function}:MATH:STAT", "0")


def parse_identity(answer: str) -> Identity:
    """Page B-5: maker, MODEL nnnn, serial, firmware."""
    fields = [field.strip() for field in answer.split(",", 3)]
    found = re.fullmatch(r"MODEL (2450|2460|2461|2470)\S*", fields[1]) if len(fields) == 4 else None
    if found is None or not fields[0].startswith("KEITHLEY"):
        raise BadReply("*IDN?", answer.encode(), "not a Keithley 2450, 2460, 2461 or 2470")
    return Identity(fields[0], found[1], fields[2], fields[3])


@dataclass(frozen=True, slots=True)
class Sample:
    """An answer to READ that is whole and finite."""

    voltage_V: float
    current_A: float
    source_status: int

    @property
    def output_on(self) -> bool:
        return bool(self.source_status & OUTPUT_ON)

    @property
    def flags(self) -> frozenset[Flag]:
        return flags_of(self.source_status)


def reading_query(drive: Drive) -> bytes:
    """Level and limit are asked for before and after, for anybody may turn them at the front panel."""
    held = ";".join(f"{setting.header}?" for setting in (drive.level_setting(), drive.limit_setting()))
    return READ.format(held=held).encode()


def parse_reading(raw: bytes, drive: Drive, terminals: str) -> Sample:
    """BadReply unless everything in the answer agrees with itself, DeviceFault where it is driven in another way."""
    found = READING.fullmatch(raw.decode("latin-1").strip().replace(", ", ","))
    if found is None or found[3] != found[6] or found[4] != found[5]:
        raise BadReply(READ, raw, "not two functions and the same settings and reading twice")
    if (found[1], found[2]) != (drive.function, SENSE[drive.measured]):
        raise BadReply(READ, raw, "another source or measure function than was set")
    sourced, measured, source_status, status = (float(field) for field in found[4].split(","))
    if not (abs(sourced) < scpi.OVERFLOW and abs(measured) < scpi.OVERFLOW):
        raise Overflow(READ, raw, "overflow")
    _check_status(raw, int(source_status), int(status), terminals)
    voltage_V, current_A = (sourced, measured) if drive.function == VOLT else (measured, sourced)
    sample = Sample(voltage_V, current_A, int(source_status))
    if sample.output_on:
        scpi.confirm_kept((drive.level_setting(), drive.limit_setting()), found[3].split(";"))
    return sample


def _check_status(raw: bytes, source_status: int, status: int, terminals: str) -> None:
    if not source_status & OUTPUT_ON:
        return  # nothing else is told of an output that is off
    if not (source_status & READ_BACK and source_status & FOUR_WIRE) or source_status & OVER_TEMPERATURE:
        raise BadReply(READ, raw, "source not measured, not in four wires, or too hot")
    if status & QUESTIONABLE or bool(status & FRONT) != (terminals == "front"):
        raise BadReply(READ, raw, f"questionable, or not of the {terminals} terminals")


@cache
def flags_of(source_status: int) -> frozenset[Flag]:
    return frozenset(flag for bit, flag in FLAGS.items() if source_status & bit)


def _current_source(current_A: float, window_V: Window, spec: Spec) -> Drive:
    limit_V = clamp_V(window_V)
    range_V = voltage_range((limit_V,), VOLTAGE_RANGES_V)
    return Drive(
        CURR,
        current_range(current_A, (row[0] for row in spec), OVERRANGE),
        range_V,
        current_A,
        max(limit_V, SMALLEST_LIMIT * range_V),
    )


def _voltage_source(level_V: float, limit_A: float, held_V: tuple[float, ...], spec: Spec) -> Drive:
    range_A = current_range(limit_A, (row[0] for row in spec), OVERRANGE)
    if limit_A < SMALLEST_LIMIT * range_A:
        raise DeviceFault(
            f"a current limit of {limit_A:g} A falls between two ranges: {SMALLEST_LIMIT * range_A:g} A is the least "
            f"on the range of {range_A:g} A, which is the first to hold it"
        )
    return Drive(VOLT, voltage_range(held_V, VOLTAGE_RANGES_V), range_A, level_V, limit_A)
