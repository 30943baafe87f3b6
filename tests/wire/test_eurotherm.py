"""The real driver against a simulated controller behind TCP and a pseudo-terminal."""

from __future__ import annotations

import struct
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import BadReply, DeviceFault
from cycler_ctl.instrument import Instrument
from cycler_ctl.link.opening import open_link
from drivers import modbus
from drivers.eurotherm import DRIVER, Options
from sim_hardware.faults import Line
from sim_hardware.oven import Oven
from sim_hardware.server import serve_pty, serve_tcp

WIRE = replace(DRIVER.link, timeout_s=2.0)  # the simulated instrument answers at once, but this machine may be busy


@asynccontextmanager
async def oven(
    options: Options | None = None, backend: str | None = None, *, terminal: bool = False, decimals: int = 1
) -> AsyncGenerator[tuple[Oven, Line, Instrument]]:
    clock = SystemClock()
    sim = Oven(clock.now, decimals=decimals, slave=options.slave if options else 1)
    line = Line(sim)
    async with (
        serve_pty(line) if terminal else serve_tcp(line) as endpoint,
        open_link(endpoint.address, WIRE, clock, backend=backend) as link,
        DRIVER.connect(link, options or Options()) as instrument,
    ):
        yield sim, line, instrument


@pytest.mark.parametrize("options", [Options(), Options(decimals=1), Options(decimals=1, slave=7)])
@pytest.mark.parametrize(
    ("backend", "terminal"),
    [
        (None, False),
        ("visa", False),
        pytest.param(None, True, marks=pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")),
        pytest.param("visa", True, marks=pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")),
    ],
)
async def test_the_temperature_is_read_over_every_wire(options: Options, backend: str | None, terminal: bool) -> None:
    async with oven(options, backend, terminal=terminal) as (sim, _, instrument):
        measured = await instrument.sensors["1"].read()
        assert measured.value == pytest.approx(sim.temperature_C(), abs=0.06)
        assert instrument.sensors["1"].unit == "degC"
        assert not instrument.channels


async def test_a_broken_sensor_is_an_error_never_its_number() -> None:
    async with oven(Options(highest_degC=2000)) as (sim, _, instrument):
        sim.set_fault("sensor_break", value=True)
        with pytest.raises(BadReply, match="sensor break"):
            await instrument.sensors["1"].read()


async def test_a_break_is_told_by_the_2400_series_register_too() -> None:
    async with oven(Options(status_register=258, fault_mask=1, highest_degC=2000)) as (sim, _, instrument):
        await instrument.sensors["1"].read()
        sim.set_fault("sensor_break", value=True)
        with pytest.raises(BadReply, match="sensor break"):
            await instrument.sensors["1"].read()


async def test_a_wrong_decimal_point_is_out_of_range_rather_than_tenfold() -> None:
    async with oven(Options(decimals=0)) as (_, _, instrument):
        with pytest.raises(BadReply, match="no temperature of this oven"):
            await instrument.sensors["1"].read()


async def test_a_register_the_controller_lacks_is_named() -> None:
    async with oven(Options(status_register=4000)) as (_, _, instrument):
        with pytest.raises(DeviceFault, match="illegal register address"):
            await instrument.sensors["1"].read()


async def test_a_late_answer_to_one_question_cannot_pass_for_the_other() -> None:
    temperature = modbus.read_request(1, modbus.HOLDING, 1, 1)
    status = modbus.read_request(1, modbus.INPUT, 75, 1)
    all_well = modbus.sealed(bytes((1, modbus.INPUT, 2, 0, 0)))
    assert modbus.registers(status, all_well) == b"\0\0"
    with pytest.raises(BadReply, match="another question"):
        modbus.registers(temperature, all_well)


@pytest.mark.parametrize(
    ("request_hex", "reply_hex", "value"),
    [
        # Recorded frames in minimalmodbus' documentation and tests, and in pymeasure's for a TC038D controller.
        ("0a0310010001d071", "0a030207d01e29", 2000),
        ("010310010001d10a", "010302202ca059", 8236),
        ("0a031000000181b1", "0a030200fa9dc6", 250),
    ],
)
def test_recorded_frames_of_other_peoples_controllers_are_understood(
    request_hex: str, reply_hex: str, value: int
) -> None:
    request, reply = bytes.fromhex(request_hex), bytes.fromhex(reply_hex)
    slave, function, first, count = struct.unpack(">BBHH", request[:-2])
    assert modbus.read_request(slave, function, first, count) == request
    assert modbus.reply_length(reply) == len(reply)
    assert modbus.reply_length(reply[:-1]) is None
    assert int.from_bytes(modbus.registers(request, reply), "big") == value


@pytest.mark.parametrize("reply_hex", ["010304000003e80102", "0203020007bd86", "", "0103"])
def test_frames_with_a_wrong_checksum_or_slave_are_refused(reply_hex: str) -> None:
    with pytest.raises(BadReply):
        modbus.registers(modbus.read_request(1, 3, 0, 2), bytes.fromhex(reply_hex))


def test_an_exception_frame_is_the_devices_refusal() -> None:
    request = bytes.fromhex("010300000002c40b")
    with pytest.raises(DeviceFault, match="illegal register address"):
        modbus.registers(request, bytes.fromhex("018302c0f1"))
