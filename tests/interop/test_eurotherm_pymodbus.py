"""Our frames against a Modbus server we did not write: pymodbus, RTU frames over TCP as behind a serial server."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from pymodbus import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import BadReply, DeviceFault
from cycler_ctl.instrument import Sensor
from cycler_ctl.link.opening import open_link
from drivers.eurotherm import DRIVER, Options


@asynccontextmanager
async def served(celsius: float, status: int, options: Options) -> AsyncGenerator[Sensor]:
    high, low = struct.unpack(">HH", struct.pack(">f", celsius))
    registers = [
        SimData(1, values=round(celsius * 10) & 0xFFFF, datatype=DataType.REGISTERS),
        SimData(75, values=status, datatype=DataType.REGISTERS),
        SimData(0x8002, values=[high, low], datatype=DataType.REGISTERS),
    ]
    server = ModbusTcpServer(
        SimDevice(options.slave, simdata=registers), framer=FramerType.RTU, address=("127.0.0.1", 0)
    )
    await server.listen()
    assert isinstance(server.transport, asyncio.Server)
    port = server.transport.sockets[0].getsockname()[1]
    try:
        async with (
            open_link(f"TCPIP0::127.0.0.1::{port}::SOCKET", DRIVER.link, SystemClock()) as link,
            DRIVER.connect(link, options) as instrument,
        ):
            yield instrument.sensors["1"]
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("options", [Options(), Options(decimals=1), Options(slave=17, decimals=1)])
@pytest.mark.parametrize("celsius", [120.0, 149.5, -12.3])
async def test_pymodbus_answers_our_questions_with_the_temperature_it_holds(options: Options, celsius: float) -> None:
    async with served(celsius, 0, options) as sensor:
        assert (await sensor.read()).value == pytest.approx(celsius, abs=1e-4)


async def test_a_sensor_break_that_pymodbus_tells_is_an_error() -> None:
    async with served(120.0, 1 << 5, Options()) as sensor:
        with pytest.raises(BadReply, match="sensor break"):
            await sensor.read()


async def test_a_refusal_by_pymodbus_is_a_device_fault() -> None:
    async with served(120.0, 0, Options(status_register=76)) as sensor:
        with pytest.raises(DeviceFault, match="illegal"):
            await sensor.read()
