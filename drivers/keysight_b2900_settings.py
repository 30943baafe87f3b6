"""What a channel of a B2900 must be told for a setpoint, as data: settings, and the meaning of its answers. No I/O.

Pages are those of the B2900's SCPI command reference (B2910-90030 Ed. 2), of its user's guide (UG, Ed. 2), or of the
B2961A's command reference (2961, Ed. 6), the same family.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import NamedTuple

from cycler_ctl.errors import BadReply, Overflow
from cycler_ctl.instrument import ConstantCurrent, ConstantVoltage, Flag, Identity, Rest, Setpoint, Window
from drivers import scpi
from drivers.keysight_b2900_ratings import CHANNELS, OVERRANGE, REST_RANGE_A, Spec
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

VOLTAGE_RANGES_V = (0.2, 2.0, 20.0)
RESOLUTION = 2e-6  # of a range, of voltages and currents; 2961 p. 2-36 gives half of it
READ_BACK = 1e-3
QUIET_LIMIT = 0.11  # of the range, let through on switching on: less would be the limit of the next lower range

ASKED_OFTEN = 512  # drives in use at the same time, with room
VOLT, CURR = "VOLT", "CURR"
ELEMENTS = "VOLT,CURR,STAT,SOUR"  # answered in this order, however they are asked for (2961 p. 4-21)
_FIELD = r"[+-]\d\.\d{5,9}E[+-]\d{2,3}"  # p. 1-12
_VALUES = r"([^;]+)"
READING = re.compile(rf"([01]);(VOLT|CURR);([01]);{_VALUES};{_VALUES};{_VALUES};{_VALUES};([01])")
SET = re.compile(rf"({_FIELD}),({_FIELD}),({_FIELD}|\+?\d{{1,7}}),({_FIELD})")
# Bits of the status, p. 1-14.
CURRENT_SOURCE, COMPLIANCE, OVERVOLTAGE, OVERCURRENT, TOO_HOT, OVERFLOW = 1, 2 | 4, 8, 16, 32, 8192
FLAGS = {COMPLIANCE: Flag.COMPLIANCE, OVERVOLTAGE | OVERCURRENT: Flag.OVERVOLTAGE_PROTECTION}


@dataclass(frozen=True, slots=True)
class Drive:
    """How a channel is driven: ``function`` is sourced at ``level``, the other quantity is limited (a magnitude)."""

    channel: int
    function: str
    source_range: float
    measure_range: float
    level: float
    limit: float

    @property
    def measured(self) -> str:
        return CURR if self.function == VOLT else VOLT

    @property
    def source_header(self) -> str:
        return f":SOUR{self.channel}:{self.function}"

    def function_setting(self) -> Setting:
        return Setting(f":SOUR{self.channel}:FUNC:MODE", self.function)

    def level_setting(self) -> Setting:
        return Setting(self.source_header, self.level, RESOLUTION * self.source_range)

    def limit_setting(self) -> Setting:
        return Setting(f":SENS{self.channel}:{self.measured}:PROT", self.limit, RESOLUTION * self.measure_range)

    def settings(self) -> Iterator[Setting]:
        """With the output off. The limit before the measure range, for none above the limit's is used (UG 6-4)."""
        sense = f":SENS{self.channel}:{self.measured}:RANG"
        yield self.function_setting()
        yield Setting(self.source_header, 0.0)  # an old level outside the new range would refuse it
        yield Setting(f"{self.source_header}:RANG", self.source_range, is_range=True)
        yield Setting(f"{self.source_header}:RANG:AUTO", "0")
        yield self.limit_setting()
        yield self.level_setting()
        yield Setting(sense, self.measure_range, is_range=True)
        yield Setting(f"{sense}:AUTO", "0")

    def essence(self) -> tuple[Setting, Setting, Setting]:
        """What makes switching on harmless: a reset would leave a limit of 2 V, into which a cell is dumped."""
        return self.function_setting(), self.level_setting(), self.limit_setting()

    def continues(self, before: Drive) -> bool:
        """Whether the level can change without opening the switch."""
        return replace(self, level=before.level, limit=before.limit) == before

    def quiet(self, seen_V: float) -> Drive:
        """How to switch on: at the cell's own voltage with as little current as the range allows, or at 0 A."""
        if self.function == CURR:
            return replace(self, level=0.0)
        return replace(self, level=seen_V, limit=min(self.limit, QUIET_LIMIT * self.measure_range))


def rest_drive(channel: int) -> Drive:
    """0 A on a low range; the limit is above any cell, for a cell above it would be dumped into."""
    return Drive(channel, CURR, REST_RANGE_A, HIGHEST_V, 0.0, HIGHEST_V)


def drive_for(setpoint: Setpoint, channel: int, regulation: str, spec: Spec, seen_V: float) -> Drive:
    """The drive of a setpoint; ``seen_V`` is the cell's voltage, which the source's range must hold as well."""
    match setpoint:
        case Rest():
            return rest_drive(channel)
        case ConstantCurrent(current_A=current_A) if current_A == 0:
            return rest_drive(channel)
        case ConstantCurrent(current_A=current_A, window_V=window_V):
            check_window(window_V)
            if regulation == "current":
                return _current_source(channel, current_A, window_V, spec)
            edge_V = window_V[1] if current_A > 0 else window_V[0]
            return _voltage_source(channel, edge_V, abs(current_A), (*window_V, seen_V), spec)
        case ConstantVoltage(voltage_V=voltage_V, current_limit_A=limit_A):
            return _voltage_source(channel, voltage_V, limit_A, (voltage_V, seen_V), spec)


def check_direction(setpoint: Setpoint, drive: Drive, seen_V: float) -> None:
    """DeviceFault for a cell beyond the limit, or beyond the edge it is to be driven to: it would go the other way."""
    if drive.function == VOLT:
        check_way(setpoint, drive.level, seen_V)
    else:
        check_below_limit(seen_V, drive.limit)


def wiring(channel: int) -> tuple[Setting, ...]:
    output = f":OUTP{channel}"
    return (
        Setting(f"{output}:ON:AUTO", "0"),  # by default a reading switches the output on (2961 4-67)
        Setting(f"{output}:OFF:AUTO", "0"),
        Setting(f"{output}:OFF:MODE", "HIZ"),
        Setting(f"{output}:PROT", "0"),  # it would put 0 V on the cell, and bounded current is always at its limit
        Setting(f":SENS{channel}:REM", "1"),
    )


def safe_settings(channel: int, nplc: float) -> tuple[Setting, ...]:
    """What must hold before an output goes on, the most important first."""
    output, source, sense = f":OUTP{channel}", f":SOUR{channel}", f":SENS{channel}"
    return (
        *wiring(channel),
        Setting(f"{output}:HCAP", "0"),
        Setting(f"{sense}:RES:MODE", "MAN"),  # measuring ohms by itself it chooses the current, up to 1 A (p. 2-28)
        Setting(f"{source}:FUNC:SHAP", "DC"),
        *(Setting(f"{source}:{quantity}:MODE", "FIX") for quantity in (VOLT, CURR)),
        *(Setting(f"{sense}:{quantity}:NPLC", nplc) for quantity in (VOLT, CURR)),
        Setting(":FORM", "ASC"),
        Setting(":FORM:ELEM:SENS", ELEMENTS),
    )


def plain_functions(channel: int) -> tuple[str, ...]:
    """Told and not read back: what is not measured is answered as not-a-number, which no reading may hold."""
    return (f":SENS{channel}:FUNC:OFF:ALL", f':SENS{channel}:FUNC "VOLT","CURR"')


@lru_cache(ASKED_OFTEN)
def reading_query(drive: Drive) -> bytes:
    """A spot measurement, which starts no sweep, and the same data once more: with a byte lost the two differ.

    The automatic switching on is switched off once more, for after a power failure it would be on again, and this very
    question would switch the output on. The limit is asked for before and after, for anybody may turn it at the panel;
    the level is among the data.
    """
    channel, limit = drive.channel, f"{drive.limit_setting().header}?"
    output = f":OUTP{channel}"
    asked = f"{output}?;:SOUR{channel}:FUNC:MODE?;:SENS{channel}:REM?;{limit}"
    return f"{output}:ON:AUTO 0;{asked};:MEAS? (@{channel});:FETC? (@{channel});{limit};{output}?".encode()


def parse_identity(answer: str) -> Identity:
    """Maker, model, serial, firmware: ``Keysight Technologies,B2902A,MY51143745,3.4.2011.5100``."""
    fields = [field.strip() for field in answer.split(",", 3)]
    if len(fields) != 4 or fields[1] not in CHANNELS or not re.match(r"keysight|agilent", fields[0], re.IGNORECASE):
        raise BadReply("*IDN?", answer.encode(), f"not one of {', '.join(CHANNELS)}")
    return Identity(*fields)


class Sample(NamedTuple):
    """An answer to a reading that is whole and finite."""

    voltage_V: float
    current_A: float
    output_on: bool
    flags: frozenset[Flag]


def parse_reading(raw: bytes, drive: Drive) -> Sample:
    """BadReply unless everything in the answer agrees with itself and with how the channel is driven."""
    found = READING.fullmatch(raw.decode("latin-1").strip().replace(", ", ","))
    if found is None or (found[1], found[4], found[5]) != (found[8], found[7], found[6]):
        raise BadReply("a reading", raw, "not the same state and the same reading twice")
    if found[1] == "0":  # whatever it then answers: after a reset there are more elements
        return Sample(math.nan, math.nan, output_on=False, flags=frozenset())
    values = SET.fullmatch(found[5])
    if values is None:
        raise BadReply("a reading", raw, f"not {ELEMENTS}")
    voltage_V, current_A, status_word, level = (float(value) for value in values.groups())
    if found[2] != drive.function or found[3] != "1" or not _is_level(drive, level):
        raise BadReply("a reading", raw, "another source or level than was set, or two wires")
    _check_status(raw, int(status_word), (voltage_V, current_A), drive)
    _confirm_limit(drive, found[4])
    return Sample(voltage_V, current_A, output_on=True, flags=flags_of(int(status_word)))


@lru_cache(ASKED_OFTEN)
def _confirm_limit(drive: Drive, answer: str) -> None:
    """What was found right once is right again; what is wrong is an exception, and not remembered."""
    scpi.confirm_kept((drive.limit_setting(),), (answer,))


def _check_status(raw: bytes, status: int, values: tuple[float, float], drive: Drive) -> None:
    if status & OVERFLOW or not all(abs(value) < scpi.OVERFLOW for value in values):
        raise Overflow("a reading", raw, "overflow, or not measured")
    if status & TOO_HOT or bool(status & CURRENT_SOURCE) != (drive.function == CURR):
        raise BadReply("a reading", raw, f"status {status:#x} tells of another source, or is too hot")


@cache
def flags_of(status: int) -> frozenset[Flag]:
    """Every reading that is believed is one in four wires."""
    return frozenset((Flag.FOUR_WIRE, *(flag for bits, flag in FLAGS.items() if status & bits)))


def _is_level(drive: Drive, level: float) -> bool:
    return abs(level - drive.level) <= max(READ_BACK * abs(drive.level), RESOLUTION * drive.source_range)


def _current_source(channel: int, current_A: float, window_V: Window, spec: Spec) -> Drive:
    limit_V = clamp_V(window_V)
    return Drive(
        channel,
        CURR,
        current_range(current_A, (row[0] for row in spec), OVERRANGE),
        voltage_range((limit_V,), VOLTAGE_RANGES_V),
        current_A,
        limit_V,
    )


def _voltage_source(channel: int, level_V: float, limit_A: float, held_V: tuple[float, ...], spec: Spec) -> Drive:
    source_range_V = voltage_range(held_V, VOLTAGE_RANGES_V)
    return Drive(
        channel, VOLT, source_range_V, current_range(limit_A, (row[0] for row in spec), OVERRANGE), level_V, limit_A
    )
