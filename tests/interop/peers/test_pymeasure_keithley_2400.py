"""The simulated 2400 as PyMeasure's driver, which we did not write, drives it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.not_our_driver]
keithley = pytest.importorskip("pymeasure.instruments.keithley")

CELL_V, CELL_OHM = 3.7, 1.0  # the bench's "battery"


@pytest.fixture
def smu() -> Iterator[Any]:
    command = [sys.executable, "-m", "sim_hardware.cli", "keithley-2400", "--cell", "battery", "--until-stdin-closes"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as simulator:
        assert simulator.stdout is not None
        assert simulator.stdin is not None
        address = json.loads(simulator.stdout.readline())["address"]
        instrument = keithley.Keithley2400(
            address, visa_library="@py", read_termination="\n", write_termination="\n", timeout=5000
        )
        yield instrument
        instrument.adapter.close()
        simulator.stdin.close()


def test_pymeasure_reads_who_it_is(smu: Any) -> None:
    assert smu.id.startswith("KEITHLEY INSTRUMENTS INC.,MODEL 2400,")


def test_pymeasure_sources_a_current_and_measures_the_voltage(smu: Any) -> None:
    smu.wires = 4
    smu.apply_current(current_range=1e-3, compliance_voltage=4.2)
    smu.measure_voltage(nplc=1, voltage=20)
    smu.source_current = 5e-4
    smu.enable_source()
    assert smu.source_enabled
    assert smu.source_current == pytest.approx(5e-4)
    assert smu.compliance_voltage == pytest.approx(4.2)
    assert smu.voltage == pytest.approx(CELL_V + 5e-4 * CELL_OHM, abs=5e-3)
    smu.disable_source()
    assert not smu.source_enabled
    assert smu.next_error[0] == 0


def test_pymeasure_sources_a_voltage_within_its_current_limit(smu: Any) -> None:
    smu.wires = 4
    smu.apply_voltage(voltage_range=20, compliance_current=1e-3)
    smu.measure_current(nplc=1, current=1e-3)
    smu.source_voltage = 3.9
    smu.enable_source()
    assert smu.values(":READ?")[1] == pytest.approx(1e-3, rel=0.01)
    smu.shutdown()
    assert not smu.source_enabled
    assert smu.next_error[0] == 0


def test_its_way_of_measuring_puts_the_limit_back_to_its_default(smu: Any) -> None:
    """:MEAS? configures, and configuring defaults the function's controls (2400 manual, p. 17-2): no driver of ours uses it."""
    smu.wires = 4
    smu.apply_voltage(voltage_range=20, compliance_current=1e-3)
    smu.source_voltage = 3.9
    smu.enable_source()
    assert smu.current == pytest.approx(1.05e-4, rel=0.01)
    assert smu.compliance_current == pytest.approx(1.05e-4)
    smu.shutdown()
