"""Drivers we did not write against the simulated 2600: QCoDeS' and PyMeasure's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from sim_hardware.keithley2600 import Keithley2600
from sim_hardware.loads import resistor
from sim_hardware.server import serve_tcp

pytestmark = pytest.mark.not_our_driver


@contextmanager
def served() -> Generator[tuple[Keithley2600, str]]:
    """The simulated instrument in a thread's event loop: these drivers block. 10 kohm on a, 20 kohm on b."""
    sim = Keithley2600((resistor(1e4), resistor(2e4)), time.monotonic)  # noqa: TID251 - no clock of ours is involved
    loop = asyncio.new_event_loop()
    served_at: asyncio.Future[str] = loop.create_future()
    over = asyncio.Event()

    async def serve() -> None:
        async with serve_tcp(sim) as endpoint:
            served_at.set_result(endpoint.address)
            await over.wait()

    async def address() -> str:
        return await served_at

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(loop.run_until_complete, serve())
        try:
            yield sim, asyncio.run_coroutine_threadsafe(address(), loop).result(5)
        finally:
            loop.call_soon_threadsafe(over.set)
            running.result(5)
            loop.close()


def errors(sim: Keithley2600) -> object:
    return sim.truth()["errors"]


def test_qcodes_sources_and_measures_on_both_outputs() -> None:
    keithley = pytest.importorskip("qcodes.instrument_drivers.Keithley")
    with served() as (sim, address):
        smu = keithley.Keithley2602B("smu", address, terminator="\n", visalib="@py")
        try:
            assert smu.get_idn()["model"] == "2602B"
            smu.smua.mode("voltage")
            smu.smua.limiti(1e-3)
            smu.smua.measurerange_i(1e-3)
            smu.smua.volt(1.0)
            smu.smua.output(True)
            assert smu.smua.volt() == pytest.approx(1.0, abs=0.005)
            assert smu.smua.curr() == pytest.approx(1e-4, rel=0.01)
            assert smu.smua.res() == pytest.approx(1e4, rel=0.01)
            smu.smub.mode("current")
            smu.smub.limitv(5)
            smu.smub.curr(1e-4)
            smu.smub.output(True)
            assert smu.smub.volt() == pytest.approx(2.0, rel=0.01)
            smu.smua.output(False)
            assert not smu.smua.output()
            smu.reset()
            assert not smu.smub.output()
        finally:
            smu.close()
        assert errors(sim) == 0


@pytest.mark.filterwarnings("ignore:It is not known whether this device:FutureWarning")
def test_pymeasure_sources_and_measures_on_both_outputs() -> None:
    keithley = pytest.importorskip("pymeasure.instruments.keithley")
    with served() as (sim, address):
        smu = keithley.Keithley2600(address, visa_library="@py", read_termination="\n", write_termination="\n")
        try:
            a, b = smu.ChA, smu.ChB
            a.source_mode = "voltage"
            a.compliance_current = 1e-3
            a.source_voltage = 1.0
            a.source_output = "ON"
            assert a.source_output == "ON"
            assert a.current == pytest.approx(1e-4, rel=0.01)
            assert a.voltage == pytest.approx(1.0, abs=0.005)
            b.source_mode = "current"
            b.compliance_voltage = 5.0
            b.source_current = 1e-4
            b.source_output = "ON"
            assert b.voltage == pytest.approx(2.0, rel=0.01)
            assert b.compliance_voltage == 5.0
            a.source_output = "OFF"
            assert a.source_output == "OFF"
            assert smu.next_error == (0, "Queue Is Empty")
        finally:
            smu.adapter.close()
        assert errors(sim) == 0
