"""What a 2400 must be told for a setpoint, as data: ranges, settings, the meaning of its answers. No I/O.

Page numbers are those of the 2400 Series user's manual, 2400S-900-01 Rev. K; figures of accuracy are SPEC-2400 Rev. H.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from cycler_ctl.errors import BadReply, Overflow
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
from drivers.keithley_2400_ratings import SPECS, Spec
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
VOLTAGE_STEP = 2.5e-5  # programming resolution as a fraction of range, SPEC-2400
CURRENT_STEP = 5e-5
QUIET_LIMIT = 2e-3  # of the measure range; a limit below 1e-3 of it is refused (p. 18-68)

VOLT, CURR = "VOLT", "CURR"
# Fig. 18-1, and exactly so: with a byte lost it must not be a number. Not-a-number may lack digits (18-49).
FIELD = rb"([+-]\d\.\d{6}E[+-]\d{2}|[+-]?9\.9\d*[eE]\+?37)"
SAMPLE = rb" *, *".join([FIELD] * 3)
READING = re.compile(rb" *; *".join([SAMPLE] * 2) + rb" *; *([^;]+?) *; *([^;]+)")
# Measured once and told twice, for :FETC? repeats the newest reading (section 17): without parity RS-232 has nothing
# else that shows a digit that became another one on the way. Level and limit with it, for anybody may turn them.
READ = ":READ?;:FETC?;{level}?;{limit}?"
ASKED_OFTEN = 512  # drives in use at the same time, with room
# The status word, p. 18-50.
OVERFLOW, COMPLIANCE, OVP, RANGE_COMPLIANCE, FOUR_WIRE, PULSE = (1 << bit for bit in (0, 3, 4, 16, 22, 23))
AUTO_OHMS, VOLTAGE_MEASURED, CURRENT_MEASURED, OHMS_MEASURED, V_SOURCE, I_SOURCE = (1 << bit for bit in range(10, 16))
FLAGS = {
    COMPLIANCE: Flag.COMPLIANCE,
    OVP: Flag.OVERVOLTAGE_PROTECTION,
    RANGE_COMPLIANCE: Flag.RANGE_COMPLIANCE,
    FOUR_WIRE: Flag.FOUR_WIRE,
}


@dataclass(frozen=True, slots=True)
class Drive:
    """How the output is driven: ``function`` is sourced at ``level``, the other quantity is limited (a magnitude)."""

    function: str
    source_range: float
    measure_range: float
    level: float
    limit: float

    @property
    def source_header(self) -> str:
        return f":SOUR:{self.function}"

    @property
    def limit_header(self) -> str:
        return f":SENS:{CURR if self.function == VOLT else VOLT}:PROT"

    def level_setting(self, level: float) -> Setting:
        step = VOLTAGE_STEP if self.function == VOLT else CURRENT_STEP
        return Setting(self.source_header, level, step * self.source_range)

    def level_settings(self, level: float) -> tuple[Setting, Setting]:
        """The level, and the same again as the one a 2400 goes to at its next trigger, which any reading is (p. 18-79).

        What another program left there may outlive a level that is set at once: the manual does not say.
        """
        now = self.level_setting(level)
        return now, replace(now, header=f"{now.header}:TRIG")

    def limit_setting(self) -> Setting:
        step = CURRENT_STEP if self.function == VOLT else VOLTAGE_STEP
        return Setting(self.limit_header, self.limit, step * self.measure_range)

    def measure_range_setting(self) -> Setting:
        header = f":SENS:{CURR if self.function == VOLT else VOLT}:RANG"
        return Setting(header, self.measure_range, is_range=True)

    def essence(self) -> tuple[Setting, ...]:
        """What makes switching on harmless; the limits of a reset are, too: 21 V, above any cell, and 105 uA."""
        return Setting(":SOUR:FUNC", self.function), *self.level_settings(self.level)

    def continues(self, before: Drive) -> bool:
        """Whether the level can change without opening the relay."""
        return (self.function, self.source_range, self.measure_range) == (
            before.function,
            before.source_range,
            before.measure_range,
        )

    def quiet(self, level: float) -> Drive:
        """How to switch on: at that level, and a voltage with next to no current, for the cell may have relaxed."""
        limit = min(self.limit, QUIET_LIMIT * self.measure_range) if self.function == VOLT else self.limit
        return replace(self, level=level, limit=limit)

    def agrees(self, status: int) -> bool:
        """Whether the status word tells of this source and of two measured quantities in four wires.

        What is sourced but not measured is answered as programmed and would look like a measurement (p. 18-50).
        Measuring ohms, the instrument chooses the source's current itself: up to 100 mA (p. 4-4, 18-61).
        """
        source = V_SOURCE if self.function == VOLT else I_SOURCE
        wanted = source | VOLTAGE_MEASURED | CURRENT_MEASURED | FOUR_WIRE
        return status & (wanted | V_SOURCE | I_SOURCE | AUTO_OHMS | OHMS_MEASURED | PULSE) == wanted


def rest_drive(spec: Spec) -> Drive:
    """0 A on the lowest range; the limit is above any cell, for a cell above it would be dumped into (p. 3-22)."""
    return Drive(CURR, spec[0][0], HIGHEST_V, 0.0, HIGHEST_V)


def drive_for(setpoint: Setpoint, regulation: str, spec: Spec, seen_V: float) -> Drive:
    """The drive of a setpoint; ``seen_V`` is the cell's voltage, which the source's range must hold as well."""
    match setpoint:
        case Rest():
            return rest_drive(spec)
        case ConstantCurrent(current_A=current_A) if current_A == 0:
            return rest_drive(spec)
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


def drive_settings(drive: Drive, quiet_level: float, held_limit: float) -> Iterator[Setting]:
    """In the order in which a 2400 takes them, output off.

    The limit must stay within 0.1 % of the measure range and the range within the limit's range (error 824), so
    what grows, grows limit first. 1.01 mA is measured on the 10 mA range, though a limit of 1.01 mA is of the 1 mA
    range, which takes 5 % more: on the way the limit is the range's name, which is of that range whatever it takes.
    ``:SENS:CURR:RANG`` is refused while current is sourced (823): hence the function first.
    """
    yield Setting(":SOUR:FUNC", drive.function)
    yield Setting(f"{drive.source_header}:MODE", "FIX")
    yield from drive.level_settings(0.0)  # an old level outside the new range would refuse it
    yield from fixed(Setting(f"{drive.source_header}:RANG", drive.source_range, is_range=True))
    yield from drive.level_settings(quiet_level)
    limit, ranging = replace(drive, limit=drive.measure_range).limit_setting(), fixed(drive.measure_range_setting())
    yield from (limit, *ranging) if drive.measure_range >= held_limit else (*ranging, limit)


def fixed(chosen: Setting) -> tuple[Setting, Setting]:
    """A range, and that it stays: an automatic one may be the right one by chance, and follows the level later."""
    return chosen, Setting(f"{chosen.header}:AUTO", "0")


def wiring() -> tuple[Setting, Setting]:
    return Setting(":OUTP:SMOD", "HIMP"), Setting(":SYST:RSEN", "1")


def safe_settings(terminals: str, nplc: float) -> tuple[Setting, ...]:
    """What must hold before any output goes on; the first is the most important."""
    return (
        *wiring(),
        Setting(":SOUR:CLE:AUTO", "0"),
        Setting(":SOUR:VOLT:PROT", HIGHEST_V, is_range=True),
        Setting(":ROUT:TERM", {"front": "FRON", "rear": "REAR"}[terminals]),
        Setting(":SENS:FUNC:CONC", "1"),
        Setting(":SENS:VOLT:NPLC", nplc),
        Setting(":ARM:COUN", 1.0),
        Setting(":TRIG:COUN", 1.0),
    )


# Told and not read back: a wrong one shows in every reading, for the parser is strict. Raw readings, no filter.
# All functions go off first, for naming some adds them to what is on, and with ohms a 2400 chooses its source itself.
PLAIN = (
    ":SENS:FUNC:CONC ON",
    ":SENS:FUNC:OFF:ALL",
    ':SENS:FUNC "VOLT","CURR"',
    ":FORM:ELEM VOLT,CURR,STAT",
    ":SYST:AZER ON",
    ":SENS:AVER OFF",
)


def parse_identity(answer: str) -> Identity:
    """Page 16-3: maker, MODEL nnnn, serial, firmware."""
    fields = [field.strip() for field in answer.split(",", 3)]
    found = re.fullmatch(r"MODEL (24\d\d\S*)", fields[1]) if len(fields) == 4 else None
    if found is None:
        raise BadReply("*IDN?", answer.encode(), "not a Keithley 2400")
    return Identity(fields[0], found[1], fields[2], fields[3])


def recognise(answer: str) -> Identity:
    """Of a model that is driven here; a 2450 answers alike."""
    identity = parse_identity(answer)
    if identity.model[:4] not in SPECS:
        raise BadReply("*IDN?", answer.encode(), f"not one of {', '.join(SPECS)}")
    return identity


ASKING = Asking(b"*IDN?", recognise)


@lru_cache(ASKED_OFTEN)
def reading_query(drive: Drive) -> bytes:
    return READ.format(level=drive.source_header, limit=drive.limit_header).encode()


def parse_reading(raw: bytes, drive: Drive) -> tuple[float, float, frozenset[Flag]]:
    """(voltage, current, flags) of an answer to ``READ`` with the elements VOLT, CURR, STAT; BadReply otherwise.

    Another level or limit is a bad reply, too: they are told once, and the resync that follows tells noise from a hand.
    """
    found = READING.fullmatch(raw.strip())
    if found is None or found.group(1, 2, 3) != found.group(4, 5, 6):
        raise BadReply(READ, raw, "not the same three numbers twice")
    voltage_V, current_A, status_word = float(found[1]), float(found[2]), float(found[3])
    if not (abs(voltage_V) < scpi.OVERFLOW and abs(current_A) < scpi.OVERFLOW):
        raise Overflow(READ, raw, "overflow, or not measured")
    status = int(status_word)
    if status != status_word or status < 0:
        raise BadReply(READ, raw, "a status that is no word of bits")
    if status & OVERFLOW:
        raise Overflow(READ, raw, "overflow")
    if not drive.agrees(status):
        raise BadReply(READ, raw, f"status {status:#x} tells of another source or sense than was set")
    if strayed := _strayed(drive, found[7], found[8]):
        raise BadReply(READ, raw, f"{strayed} does not hold any more")
    return voltage_V, current_A, flags_of(status)


@lru_cache(ASKED_OFTEN)
def _strayed(drive: Drive, level: bytes, limit: bytes) -> str:
    """Which setting these answers contradict; empty: both hold. The same answers come again and again."""
    for setting, answer in (drive.level_setting(drive.level), level), (drive.limit_setting(), limit):
        if not setting.holds(answer.decode("latin-1")):
            return setting.command
    return ""


@cache
def flags_of(status: int) -> frozenset[Flag]:
    return frozenset(flag for bit, flag in FLAGS.items() if status & bit)


def _current_source(current_A: float, window_V: Window, spec: Spec) -> Drive:
    limit_V = clamp_V(window_V)
    return Drive(
        CURR,
        current_range(current_A, (row[0] for row in spec)),
        voltage_range((limit_V,), VOLTAGE_RANGES_V),
        current_A,
        limit_V,
    )


def _voltage_source(level_V: float, limit_A: float, held_V: tuple[float, ...], spec: Spec) -> Drive:
    source_range_V = voltage_range(held_V, VOLTAGE_RANGES_V)
    return Drive(VOLT, source_range_V, current_range(limit_A, (row[0] for row in spec)), level_V, limit_A)
