"""A Eurotherm 2400, 3200 or 3500 temperature controller as a thermometer in °C, by Modbus RTU. It is only read.

The temperature is read with function 3 and the status with function 4, which mean the same to the controller: so a
late answer to the one can never pass for the other.
"""

from __future__ import annotations

import math
import struct
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from cycler_ctl.clock import real_sleep
from cycler_ctl.errors import BadReply, LinkTimeout
from cycler_ctl.instrument import Channel, DriverSpec, Identity, Instrument, Link, LinkDefaults, Measurement, Sensor
from drivers import modbus

PV = 1
FLOATS = 0x8000  # the IEEE float of parameter n is at 0x8000 + 2 n, high word first
STATUS = 75
SENSOR_BREAK, PV_OUT_OF_RANGE = 1 << 5, 1 << 10
TRIES = 3


class Options(BaseModel):
    """``decimals`` None reads the IEEE float; with a number, the integer as the controller's decimal point scales it.

    A 2400-series controller tells a sensor break in register 258: ``status_register = 258, fault_mask = 1``.
    ``status_register = 0``: the controller has none, and a break shows only as a temperature out of range.
    ``frame_gap_s``: the silence between two frames, 3.5 characters at 9600 baud (Modbus over Serial Line V1.02,
    2.5.1.1); 0 where something else keeps it, as a gateway does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    slave: int = Field(default=1, ge=1, le=247)
    decimals: int | None = Field(default=None, ge=0, le=3)
    status_register: int = Field(default=STATUS, ge=0, le=0x7FFF)
    fault_mask: int = Field(default=SENSOR_BREAK | PV_OUT_OF_RANGE, ge=1, le=0xFFFF)
    lowest_degC: float = -50.0
    highest_degC: float = 500.0
    frame_gap_s: float = Field(default=0.005, ge=0.0, le=0.1)


@dataclass(frozen=True, slots=True)
class Thermometer:
    """The controller's process value."""

    link: Link
    options: Options

    @property
    def unit(self) -> str:
        return "degC"

    async def read(self) -> Measurement:
        """A temperature the controller vouches for; BadReply for a broken sensor or a value out of range."""
        celsius = await self._temperature()
        at_s = self.link.now()
        if self.options.status_register:
            if self.options.frame_gap_s:
                await real_sleep(self.options.frame_gap_s)
            await self._check_status()
        return Measurement(celsius, at_s)

    async def _temperature(self) -> float:
        decimals = self.options.decimals
        first, count = (FLOATS + 2 * PV, 2) if decimals is None else (PV, 1)
        request = modbus.read_request(self.options.slave, modbus.HOLDING, first, count)
        reply = await self.link.query(request)
        celsius = _celsius(modbus.registers(request, reply), decimals)
        if not (math.isfinite(celsius) and self.options.lowest_degC <= celsius <= self.options.highest_degC):
            raise BadReply(request.hex(" "), reply, f"{celsius} °C is no temperature of this oven")
        return celsius

    async def answers_in_turn(self) -> None:
        """Modbus numbers no questions: a late answer is told by its length or its function, BadReply.

        The setpoint beside the temperature is asked for here only, so no late reading passes for it.
        """
        words = 1 if self.options.decimals is not None else 2
        first = PV if self.options.decimals is not None else FLOATS + 2 * PV
        slave, status = self.options.slave, self.options.status_register
        asked = [(modbus.HOLDING, first, 2 * words), (modbus.HOLDING, first, words)]
        for function, register, count in [*asked, (modbus.INPUT, status, 1)] if status else asked:
            request = modbus.read_request(slave, function, register, count)
            modbus.registers(request, await self.link.query(request))
            if self.options.frame_gap_s:
                await real_sleep(self.options.frame_gap_s)

    async def _check_status(self) -> None:
        """After the temperature, so that a sensor that breaks in between is still told."""
        request = modbus.read_request(self.options.slave, modbus.INPUT, self.options.status_register, 1)
        reply = await self.link.query(request)
        status = int.from_bytes(modbus.registers(request, reply), "big")
        if status & self.options.fault_mask:
            raise BadReply(request.hex(" "), reply, f"sensor break or out of range (status {status:#06x})")


def _celsius(registers: bytes, decimals: int | None) -> float:
    if decimals is None:
        return float(struct.unpack(">f", registers)[0])
    return int.from_bytes(registers, "big", signed=True) / 10.0**decimals


@dataclass(frozen=True, slots=True)
class Controller:
    """One controller with its sensor ``"1"``."""

    identity: Identity
    thermometer: Thermometer

    @property
    def channels(self) -> Mapping[str, Channel]:
        return {}

    @property
    def sensors(self) -> Mapping[str, Sensor]:
        return {"1": self.thermometer}

    async def resync(self) -> None:
        """Clear, and see questions of three kinds answered in turn; what the answers say is the next reading's matter."""
        for tries_left in reversed(range(TRIES)):
            await self.thermometer.link.clear()
            try:
                await self.thermometer.answers_in_turn()
            except (LinkTimeout, BadReply):
                if not tries_left:
                    raise
            else:
                return


@asynccontextmanager
async def connect(link: Link, options: Options) -> AsyncGenerator[Instrument]:
    """The controller says no serial number; it is known by its slave address."""
    await link.clear()
    yield Controller(Identity("Eurotherm", "Modbus RTU", f"slave {options.slave}", ""), Thermometer(link, options))


DRIVER = DriverSpec(
    title="Eurotherm 2400, 3200, 3500 (temperature)",
    options=Options,
    link=LinkDefaults(write_terminator=b"", strip=b"", reply_length=modbus.reply_length),
    connect=connect,
    status="experimental",
    notes=("it is never written: the oven's setpoint stays a person's matter", "not behind an adapter that echoes"),
)
