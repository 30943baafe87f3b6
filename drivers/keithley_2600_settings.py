"""What an output of a 2600 must be told for a setpoint, as data: ranges, settings, the meaning of its answers. No I/O.

Page numbers are those of 2600BS-901-01 Rev. F unless another revision is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from cycler_ctl.errors import BadReply, DeviceFault
from cycler_ctl.instrument import (
    Asking,
    ConstantCurrent,
    ConstantVoltage,
    Flag,
    Identity,
    Rest,
    Setpoint,
    Window,
)
from drivers import scpi
from drivers.keithley_2600_ratings import NUMBERS, REST_RANGE_A, spec_of, voltage_ranges_of
from drivers.source_measure import (
    HIGHEST_V,
    check_below_limit,
    check_way,
    check_window,
    clamp_V,
    current_range,
    voltage_range,
)

STEP = 1e-4  # of a range: coarser than any resolution
READ_BACK = 1e-3
QUIET_LIMIT = 0.11  # of the measure range; below a tenth the limit would be on another range of its own

VOLTS, AMPS = "v", "i"
FUNCTION = {AMPS: 0.0, VOLTS: 1.0}  # OUTPUT_DCAMPS, OUTPUT_DCVOLTS
HIGH_Z, REMOTE = 2.0, 1.0  # OUTPUT_HIGH_Z (Rev. B p. 7-227), SENSE_REMOTE
NO_SIDE_V = 0.005  # nearer to 0 V than this noise has the sign, and a current soon gives the voltage its own
DIGITS = 10  # of format.asciiprecision
NUMBER = re.compile(rf"-?\d\.\d{{{DIGITS - 1}}}e[+-]\d{{2}}")


@dataclass(frozen=True, slots=True)
class Setting:
    """One attribute, and the value it is to have. ``name`` has no "smuX." before it."""

    name: str
    value: float
    step: float = 0.0

    def command(self, smu: str) -> str:
        return f"{smu}.{self.name} = {self.value:.9e}"

    def confirm(self, answer: str) -> None:
        """DeviceFault unless the instrument holds what it was told: within 0.1 % or one step."""
        if not self.holds(number(self.name, answer)):
            raise DeviceFault(f"{self.name} = {self.value:g} was not taken: the instrument answers {answer}")

    def holds(self, value: float) -> bool:
        return abs(value - self.value) <= max(READ_BACK * abs(self.value), self.step)


@dataclass(frozen=True, slots=True)
class Drive:
    """How an output is driven: ``function`` is sourced at ``level``, the other quantity is limited (a magnitude)."""

    function: str
    source_range: float
    measure_range: float
    level: float
    limit: float
    sink: bool | None = None
    """Sink mode: right in quadrants II and IV, and wrong by up to 10 % of range in I and III (2600AS p. 19-140)."""

    @property
    def measured(self) -> str:
        return AMPS if self.function == VOLTS else VOLTS

    def function_setting(self) -> Setting:
        return Setting("source.func", FUNCTION[self.function])

    def level_setting(self) -> Setting:
        return Setting(f"source.level{self.function}", self.level, STEP * self.source_range)

    def limit_setting(self) -> Setting:
        return Setting(f"source.limit{self.measured}", self.limit, STEP * self.measure_range)

    def settings(self) -> Iterator[Setting]:
        """Output off; the ranges first, for a level out of its range is told only on switching on (Rev. C p. 2-84)."""
        yield self.function_setting()
        if self.sink is not None:
            yield Setting("source.sink", float(self.sink))
        yield Setting(f"source.range{self.function}", self.source_range)
        yield self.level_setting()
        yield Setting(f"measure.range{self.measured}", self.measure_range)
        yield self.limit_setting()

    def essence(self) -> tuple[Setting, ...]:
        """What makes switching on harmless. The voltage limit of a reset is (40 V or more); its current limit is not."""
        limit = (self.limit_setting(),) if self.function == VOLTS else ()
        return self.function_setting(), self.level_setting(), *limit

    def continues(self, before: Drive) -> bool:
        """Whether the level can change without opening the relay."""
        return replace(self, level=before.level, limit=before.limit) == before

    def quiet(self, seen_V: float) -> Drive:
        """How to switch on: at the cell's own voltage with as little current as can be, or at 0 A."""
        if self.function == AMPS:
            return replace(self, level=0.0)
        return replace(self, level=seen_V, limit=min(self.limit, QUIET_LIMIT * self.measure_range))


def rest_drive(window_V: Window, model: str) -> Drive:
    """0 A on a low range; the limit is above any cell, for a cell above it would be dumped into.

    The voltage is measured on the range that holds the window: beyond it the answer is an overflow, not a clamp (9-230).
    """
    range_V = voltage_range((clamp_V(window_V),), voltage_ranges_of(model))
    return Drive(AMPS, REST_RANGE_A, range_V, 0.0, HIGHEST_V)


def window_of(setpoint: Setpoint) -> Window:
    if isinstance(setpoint, ConstantVoltage):
        return (setpoint.voltage_V, setpoint.voltage_V)
    return setpoint.window_V


def drive_for(setpoint: Setpoint, regulation: str, model: str, seen_V: float) -> Drive:
    """The drive of a setpoint; ``seen_V`` is the cell's voltage, which the source's range must hold as well."""
    match setpoint:
        case Rest(window_V=window_V):
            return rest_drive(window_V, model)
        case ConstantCurrent(current_A=current_A, window_V=window_V) if current_A == 0:
            return rest_drive(window_V, model)
        case ConstantCurrent(current_A=current_A, window_V=window_V):
            check_window(window_V)
            if regulation == "current":
                return _current_source(current_A, window_V, model)
            edge_V = window_V[1] if current_A > 0 else window_V[0]
            sinks = abs(seen_V) > NO_SIDE_V and current_A * seen_V < 0
            return _voltage_source(edge_V, abs(current_A), (*window_V, seen_V), model, sinks=sinks)
        case ConstantVoltage(voltage_V=voltage_V, current_limit_A=limit_A):
            sinks = abs(seen_V) > NO_SIDE_V and (voltage_V - seen_V) * seen_V < 0
            return _voltage_source(voltage_V, limit_A, (voltage_V, seen_V), model, sinks=sinks)


def check_direction(setpoint: Setpoint, drive: Drive, seen_V: float) -> None:
    """DeviceFault for a cell beyond the limit, or beyond the edge it is to be driven to: it would go the other way."""
    if drive.function == VOLTS:
        check_way(setpoint, drive.level, seen_V)
    else:
        check_below_limit(seen_V, drive.limit)


def wiring() -> tuple[Setting, Setting]:
    return Setting("source.offmode", HIGH_Z), Setting("sense", REMOTE)


def safe_settings(nplc: float) -> tuple[Setting, ...]:
    """What must hold before an output goes on, the most important first."""
    return (
        *wiring(),
        Setting("source.autorangev", 0.0),
        Setting("source.autorangei", 0.0),
        Setting("measure.autorangev", 0.0),
        Setting("measure.autorangei", 0.0),
        Setting("source.limitp", 0.0),  # 0: no power limit
        Setting("source.delay", 0.0),
        Setting("measure.nplc", nplc),
        Setting("measure.autozero", 2.0),
        Setting("measure.count", 1.0),
        Setting("measure.filter.enable", 0.0),
        Setting("measure.relv.enable", 0.0),
        Setting("measure.reli.enable", 0.0),
    )


def number(query: str, text: str) -> float:
    """A finite number, spelled as it was asked for: with a byte lost it is none. Overflow is an error (9-230)."""
    return scpi.number(query, text, NUMBER)


def parse_identity(answer: str) -> Identity:
    """As a real one answers (pyvisa issue 636): maker, Model nnnnX, serial, firmware."""
    fields = [field.strip() for field in answer.split(",", 3)]
    found = re.fullmatch(r"Model (\d{4})([AB]?)", fields[1]) if len(fields) == 4 else None
    if found is None or found[1] not in NUMBERS or not fields[0].startswith("Keithley"):
        raise BadReply("*IDN?", answer.encode(), f"not a Keithley {', '.join(NUMBERS)}, with or without A or B")
    return Identity(fields[0], found[1] + found[2], fields[2], fields[3])


ASKING = Asking(b"*IDN?", parse_identity)


@dataclass(frozen=True, slots=True)
class Sample:
    """An answer to what ``reading_chunk`` asks: whole, finite, and twice the same."""

    current_A: float
    voltage_V: float
    is_limited: bool
    settings: tuple[float, ...]

    @property
    def flags(self) -> frozenset[Flag]:
        return frozenset({Flag.FOUR_WIRE, *((Flag.COMPLIANCE,) if self.is_limited else ())})


MEASURED = ("i", "v", "c", "o", "f", "l", "m", "r", "h")


def reading_chunk(smu: str, drive: Drive) -> str:
    """The reading, and in the same moment how the output is driven: a reboot or a hand at the panel shows at once."""
    return (
        f"i, v = {smu}.measure.iv() s = {smu}.source c = s.compliance o = s.output f = s.func "
        f"l = s.level{drive.function} m = s.limit{drive.measured} r = {smu}.sense h = s.offmode"
    )


def parse_reading(fields: Sequence[str]) -> Sample | None:
    """With a byte changed on the way the two halves differ. None: the output is off, and what it measures is nothing."""
    half = len(MEASURED)
    if len(fields) != 2 * half or list(fields[:half]) != list(fields[half:]):
        raise BadReply("reading", "\t".join(fields).encode(), "not the same reading twice")
    current, voltage, limited, output, *settings = fields[:half]
    if number("output", output) != 1.0:
        return None
    held = tuple(number("setting", text) for text in settings)
    return Sample(number("current", current), number("voltage", voltage), _is_true(limited), held)


def _is_true(text: str) -> bool:
    """It is spelled true or false by a 2600B (Rev. B p. 7-220), 1 or 0 by the manual of the 2600A (p. 3-5)."""
    if text not in {"true", "false"} and number("compliance", text) not in {0.0, 1.0}:
        raise BadReply("compliance", text.encode(), "neither true nor false")
    return text == "true" or (text != "false" and number("compliance", text) == 1.0)


def read_settings(drive: Drive) -> tuple[Setting, ...]:
    """What the last five of a reading must be."""
    wires = (Setting("sense", REMOTE), Setting("source.offmode", HIGH_Z))
    return (drive.function_setting(), drive.level_setting(), drive.limit_setting(), *wires)


def _current_source(current_A: float, window_V: Window, model: str) -> Drive:
    limit_V = clamp_V(window_V)
    return Drive(
        AMPS,
        current_range(current_A, (row[0] for row in spec_of(model))),
        voltage_range((limit_V,), voltage_ranges_of(model)),
        current_A,
        limit_V,
    )


def _voltage_source(level_V: float, limit_A: float, held_V: tuple[float, ...], model: str, *, sinks: bool) -> Drive:
    """A 2600 without a letter has no sink mode, as far as is known."""
    range_V = voltage_range(held_V, voltage_ranges_of(model))
    return Drive(
        VOLTS,
        range_V,
        current_range(limit_A, (row[0] for row in spec_of(model))),
        level_V,
        limit_A,
        sinks if model[4:] else None,
    )
