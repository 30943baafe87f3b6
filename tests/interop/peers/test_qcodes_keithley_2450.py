"""The simulated 2450 as QCoDeS' driver, which we did not write, drives it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.not_our_driver]
keithley = pytest.importorskip("qcodes.instrument_drivers.Keithley")

CELL_V, CELL_OHM = 3.7, 1.0  # the bench's "battery"


@pytest.fixture
def smu() -> Iterator[Any]:
    command = [sys.executable, "-m", "sim_hardware.cli", "keithley-2450", "--cell", "battery", "--until-stdin-closes"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as simulator:
        assert simulator.stdout is not None
        assert simulator.stdin is not None
        address = json.loads(simulator.stdout.readline())["address"]
        instrument = keithley.Keithley2450("smu", address, visalib="@py", terminator="\n", device_clear=False)
        yield instrument
        instrument.close()
        simulator.stdin.close()


def test_qcodes_reads_who_it_is(smu: Any) -> None:
    identity = smu.get_idn()
    assert (identity["vendor"], identity["model"]) == ("KEITHLEY INSTRUMENTS", "MODEL 2450") or identity[
        "model"
    ] == "2450"


def test_qcodes_sources_a_current_and_senses_the_voltage(smu: Any) -> None:
    smu.source.function("current")
    smu.sense.function("voltage")
    smu.sense.four_wire_measurement(True)
    smu.source.range(1e-3)
    smu.source.limit(4.2)
    smu.source.current(5e-4)
    with smu.output_enabled.set_to(True):
        assert smu.sense.voltage() == pytest.approx(CELL_V + 5e-4 * CELL_OHM, abs=5e-3)
        assert smu.source.current() == pytest.approx(5e-4)
    assert not smu.output_enabled()
    assert smu.ask(":SYST:ERR:COUN?") == "0"


def test_qcodes_sources_a_voltage_within_its_current_limit(smu: Any) -> None:
    smu.source.function("voltage")
    smu.sense.function("current")
    smu.sense.four_wire_measurement(True)
    smu.source.range(20)
    smu.source.limit(1e-3)
    smu.source.voltage(3.9)
    with smu.output_enabled.set_to(True):
        assert smu.sense.current() == pytest.approx(1e-3, rel=0.01)
    assert smu.ask(":SYST:ERR:COUN?") == "0"
