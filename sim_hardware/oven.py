"""A simulated oven behind a Eurotherm-type controller: a Modbus RTU slave, written from its register tables.

The temperature is a function of time, seed and what was written, never of how often it was asked.
Registers: Eurotherm 2400 and 32xx as listed in an AERCO SP23 manual and in the minimalmodbus documentation (3500).
"""

from __future__ import annotations

import math
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from sim_hardware.modbus import (
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    READ_HOLDING,
    READ_INPUT,
    WRITE_ONE,
    WRITE_SEVERAL,
    ModbusError,
    sealed,
    take_request,
)

PV, TARGET, MANUAL_OUTPUT, OUTPUT, WORKING_SETPOINT = 1, 2, 3, 4, 5
SETPOINT_1, REMOTE_SETPOINT, ALARM, STATUS, RATE_DISABLE = 24, 26, 74, 75, 78
SENSOR_BREAK, MANUAL, ACKNOWLEDGE, REMOTE, PV_LOOP_1 = 258, 273, 274, 276, 289
FLOAT_BASE = 0x8000  # the IEEE float of parameter N sits at 0x8000 + 2 N, high word first
STATUS_BREAK, STATUS_OUT_OF_RANGE = 1 << 5, 1 << 10
LOWEST_C, HIGHEST_C = 0.0, 500.0
BROKEN_C = 1372.0  # a broken thermocouple reads the top of its curve: a number, and nonsense
ROOM_C = 25.0
TIME_CONSTANT_S = 600.0
MOST_REGISTERS = 125


@dataclass(frozen=True, slots=True)
class Approach:
    """The oven left ``from_C`` at ``at_s`` on its way to the working setpoint of that moment."""

    at_s: float
    from_C: float
    to_C: float

    def celsius(self, now_s: float) -> float:
        return self.to_C + (self.from_C - self.to_C) * math.exp(-(now_s - self.at_s) / TIME_CONSTANT_S)


@dataclass(frozen=True, slots=True)
class Wander:
    """A small, slow unrest: three waves of seeded height and phase, together within ``±0.1`` °C."""

    waves: tuple[tuple[float, float, float], ...]

    def celsius(self, now_s: float) -> float:
        return sum(height * math.sin(rate * now_s + phase) for height, rate, phase in self.waves)


def seeded_wander(seed: int) -> Wander:
    spread = Random(seed).uniform  # noqa: S311 - weather, not secrets
    periods_s = (97.0, 613.0, 5200.0)
    return Wander(tuple((spread(0.01, 0.033), 2.0 * math.pi / period_s, spread(0.0, 6.28)) for period_s in periods_s))


class Oven:
    """One controller with one loop. ``decimals`` is its configured decimal point: 120.0 °C is 1200 with one."""

    model = "eurotherm"

    def __init__(
        self,
        now: Callable[[], float],
        *,
        seed: int = 0,
        slave: int = 1,
        setpoint_C: float = 120.0,
        decimals: int = 1,
        serial: str = "OVEN-1",
    ) -> None:
        self.serial = serial
        self.log: deque[tuple[float, bytes]] = deque(maxlen=5000)
        self._now = now
        self._slave = slave
        self._scale = 10**decimals
        self._wander = seeded_wander(seed)
        self._approach = Approach(now(), setpoint_C, setpoint_C)
        self._sensor_broken = False
        self._buffer = b""
        self._local_C = self._remote_C = setpoint_C
        self._manual = self._remote = self._rate_disable = 0

    def nominal_C(self) -> float:
        """The oven's temperature without its small unrest: what a heavy cell inside follows."""
        return self._approach.celsius(self._now())

    def temperature_C(self) -> float:
        return self.nominal_C() + self._wander.celsius(self._now())

    def truth(self) -> dict[str, object]:
        return {
            "temperature_C": self.temperature_C(),
            "setpoint_C": self._approach.to_C,
            "sensor_broken": self._sensor_broken,
            "at_s": self._now(),
        }

    def receive(self, data: bytes) -> bytes:
        self._buffer += data
        replies: list[bytes] = []
        while True:
            frame, self._buffer = take_request(self._buffer)
            if frame is None:
                return b"".join(replies)
            self.log.append((self._now(), frame))
            if frame[0] == self._slave:
                replies.append(self._answer(frame[1], frame[2:-2]))

    def line_lost(self) -> None:
        self._buffer = b""

    def power_cycle(self) -> None:
        """It comes back in automatic, on the setpoint it keeps in its EEPROM."""
        self._buffer = b""
        self._manual = self._remote = 0
        self._go_to(self._local_C)

    def set_fault(self, name: str, value: str | float) -> None:
        """``sensor_break`` (true, false) or ``setpoint_C`` (someone at the front panel)."""
        if name == "sensor_break" and isinstance(value, bool):
            self._sensor_broken = value
        elif name == "setpoint_C" and isinstance(value, (int, float)):
            self._local_C = float(value)
            self._go_to(self._working_C())
        else:
            raise ValueError(f"no fault {name!r} with value {value!r}")

    def _answer(self, function: int, body: bytes) -> bytes:
        try:
            return sealed(bytes((self._slave, function)) + self._carry_out(function, body))
        except ModbusError as error:
            return sealed(bytes((self._slave, function | 0x80, error.code)))

    def _carry_out(self, function: int, body: bytes) -> bytes:
        if function in {READ_HOLDING, READ_INPUT}:
            first, count = struct.unpack(">HH", body)
            return self._read(first, count)
        if function == WRITE_ONE:
            address, value = struct.unpack(">Hh", body)
            self._write(address, value)
            return body
        if function == WRITE_SEVERAL:
            return self._write_several(body)
        raise ModbusError(ILLEGAL_FUNCTION)

    def _read(self, first: int, count: int) -> bytes:
        if not 1 <= count <= MOST_REGISTERS:
            raise ModbusError(ILLEGAL_VALUE)
        registers = self._registers()
        words = b"".join([self._word(address, registers) for address in range(first, first + count)])
        return bytes((len(words),)) + words

    def _word(self, address: int, registers: dict[int, float]) -> bytes:
        if address >= FLOAT_BASE:
            number, half = divmod(address - FLOAT_BASE, 2)
            value = registers.get(number)
            if value is None:
                raise ModbusError(ILLEGAL_ADDRESS)
            return struct.pack(">f", value)[2 * half : 2 * half + 2]
        value = registers.get(address)
        if value is None:
            raise ModbusError(ILLEGAL_ADDRESS)
        scaled = round(value * self._scale) if address in _SCALED else int(value)
        return struct.pack(">h", max(-32768, min(32767, scaled)))

    def _write_several(self, body: bytes) -> bytes:
        first, count, size = struct.unpack(">HHB", body[:5])
        values = body[5:]
        if size != 2 * count or len(values) != size:
            raise ModbusError(ILLEGAL_VALUE)
        if first >= FLOAT_BASE:
            self._write_float(first, count, values)
        else:
            for offset, (value,) in enumerate(struct.iter_unpack(">h", values)):
                self._write(first + offset, value)
        return body[:4]

    def _write_float(self, first: int, count: int, values: bytes) -> None:
        if count != 2 or first % 2:
            raise ModbusError(ILLEGAL_ADDRESS)
        (value,) = struct.unpack(">f", values)
        self._set((first - FLOAT_BASE) // 2, value)

    def _write(self, address: int, value: int) -> None:
        self._set(address, value / self._scale if address in _SCALED else value)

    def _set(self, address: int, value: float) -> None:
        if address not in _WRITABLE:
            raise ModbusError(ILLEGAL_ADDRESS)
        if address in _SETPOINTS and not LOWEST_C <= value <= HIGHEST_C:
            raise ModbusError(ILLEGAL_VALUE)
        if address in {TARGET, SETPOINT_1}:
            self._local_C = value
        elif address == REMOTE_SETPOINT:
            self._remote_C = value
        elif address == REMOTE:
            self._remote = int(value)
        elif address == MANUAL:
            self._manual = int(value)
        elif address == RATE_DISABLE:
            self._rate_disable = int(value)
        self._go_to(self._working_C())

    def _working_C(self) -> float:
        return self._remote_C if self._remote else self._local_C

    def _go_to(self, setpoint_C: float) -> None:
        if setpoint_C != self._approach.to_C:
            self._approach = Approach(self._now(), self.nominal_C(), setpoint_C)

    def _registers(self) -> dict[int, float]:
        shown_C = BROKEN_C if self._sensor_broken else self.temperature_C()
        output = 0.0 if self._sensor_broken else max(0.0, min(100.0, (self._approach.to_C - ROOM_C) * 0.4))
        broken = int(self._sensor_broken)
        return {
            PV: shown_C,
            TARGET: self._local_C,
            MANUAL_OUTPUT: output,
            OUTPUT: output,
            WORKING_SETPOINT: self._approach.to_C,
            SETPOINT_1: self._local_C,
            REMOTE_SETPOINT: self._remote_C,
            ALARM: broken,
            STATUS: broken * (STATUS_BREAK | STATUS_OUT_OF_RANGE),
            RATE_DISABLE: self._rate_disable,
            SENSOR_BREAK: broken,
            MANUAL: self._manual,
            REMOTE: self._remote,
            PV_LOOP_1: shown_C,
        }


_SETPOINTS = frozenset({TARGET, SETPOINT_1, REMOTE_SETPOINT})
_SCALED = _SETPOINTS | {PV, MANUAL_OUTPUT, OUTPUT, WORKING_SETPOINT, PV_LOOP_1}
_WRITABLE = _SETPOINTS | {MANUAL_OUTPUT, RATE_DISABLE, MANUAL, ACKNOWLEDGE, REMOTE}
