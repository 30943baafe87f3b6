"""The simulated heater as pymodbus, a Modbus master that we did not write, asks and sets it: RTU on a serial line."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import pytest
from pymodbus import FramerType
from pymodbus.client import AsyncModbusSerialClient
from pymodbus.exceptions import ModbusIOException

from cycler_ctl.clock import SystemClock
from sim_hardware.oven import SETPOINT_1, STATUS_BREAK, WORKING_SETPOINT, Oven
from sim_hardware.server import serve_pty

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is needed")
PV, STATUS, FLOAT_OF_PV = 1, 75, 0x8000 + 2
ILLEGAL_ADDRESS = 2


@asynccontextmanager
async def asked(oven: Oven) -> AsyncGenerator[AsyncModbusSerialClient]:
    async with serve_pty(oven) as endpoint:
        port = endpoint.address.removeprefix("ASRL").removesuffix("::INSTR")
        client = AsyncModbusSerialClient(port, framer=FramerType.RTU, baudrate=9600, timeout=2.0, retries=0)
        assert await client.connect()
        try:
            yield client
        finally:
            client.close()


def made(decimals: int = 1) -> Oven:
    return Oven(SystemClock().now, decimals=decimals)


def celsius(oven: Oven) -> float:
    return float(str(oven.truth()["temperature_C"]))


async def registers(client: AsyncModbusSerialClient, address: int, count: int = 1) -> Sequence[int]:
    answer = await client.read_holding_registers(address, count=count)
    assert not answer.isError(), answer
    return answer.registers


async def test_pymodbus_reads_the_temperature_in_both_spellings() -> None:
    oven = made()
    async with asked(oven) as client:
        scaled, floating = await registers(client, PV), await registers(client, FLOAT_OF_PV, 2)
    assert scaled[0] / 10 == pytest.approx(celsius(oven), abs=0.2)
    value = client.convert_from_registers(list(floating), client.DATATYPE.FLOAT32)
    assert value == pytest.approx(celsius(oven), abs=0.2)


async def test_pymodbus_reads_input_registers_alike() -> None:
    oven = made()
    async with asked(oven) as client:
        answer = await client.read_input_registers(PV, count=1)
    assert answer.registers[0] / 10 == pytest.approx(celsius(oven), abs=0.2)


@pytest.mark.parametrize("several", [False, True])
async def test_pymodbus_sets_the_setpoint_and_reads_it_back(*, several: bool) -> None:
    async with asked(made()) as client:
        write = (
            partial(client.write_registers, SETPOINT_1, [1200])
            if several
            else partial(client.write_register, SETPOINT_1, 1200)
        )
        assert not (await write()).isError()
        assert list(await registers(client, SETPOINT_1)) == [1200]
        assert list(await registers(client, WORKING_SETPOINT)) == [1200]


async def test_pymodbus_is_told_of_a_broken_sensor() -> None:
    oven = made()
    async with asked(oven) as client:
        assert not (await registers(client, STATUS))[0] & STATUS_BREAK
        oven.set_fault("sensor_break", value=True)
        assert (await registers(client, STATUS))[0] & STATUS_BREAK


async def test_pymodbus_is_refused_a_register_that_is_none_and_goes_on() -> None:
    async with asked(made()) as client:
        answer = await client.read_holding_registers(999, count=1)
        assert answer.isError()
        assert answer.exception_code == ILLEGAL_ADDRESS
        assert await registers(client, PV)


async def test_pymodbus_hears_nothing_from_another_slave() -> None:
    async with asked(made()) as client:
        client.ctx.comm_params.timeout_connect = 0.1
        with pytest.raises(ModbusIOException):
            await client.read_holding_registers(PV, count=1, device_id=9)
        assert await registers(client, PV)
