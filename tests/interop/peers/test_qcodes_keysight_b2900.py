"""The simulated B2900 as drivers of other people drive it: QCoDeS' for the B2962A, of the same command family."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.not_our_driver]
qcodes = pytest.importorskip("qcodes")
keysight = pytest.importorskip("qcodes.instrument_drivers.Keysight.Keysight_B2962A")

CELL_V = 3.7  # the bench's "battery": 3.7 V behind 1 ohm


@pytest.fixture
def address() -> Iterator[str]:
    command = [sys.executable, "-m", "sim_hardware.cli", "keysight-b2902a", "--cell", "battery", "--until-stdin-closes"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as simulator:
        assert simulator.stdout is not None
        assert simulator.stdin is not None
        yield json.loads(simulator.stdout.readline())["address"]
        simulator.stdin.close()


@pytest.fixture
def smu(address: str) -> Iterator[Any]:
    instrument = keysight.KeysightB2962A("smu", address, visalib="@py", device_clear=False)
    yield instrument
    instrument.close()


def test_qcodes_reads_who_it_is(smu: Any) -> None:
    identity = smu.get_idn()
    assert (identity["vendor"], identity["model"]) == ("Keysight Technologies", "B2902A")


@pytest.mark.parametrize("name", ["ch1", "ch2"])
def test_qcodes_holds_a_voltage_on_either_channel(smu: Any, name: str) -> None:
    channel = getattr(smu, name)
    channel.source_mode("voltage")
    channel.remote_sensing(True)
    channel.current_limit(1e-3)
    channel.source_voltage(3.9)
    channel.enable(True)
    assert channel.enable() is True
    assert channel.current_limit() == pytest.approx(1e-3)
    assert channel.current() == pytest.approx(1e-3, rel=0.01)
    assert channel.voltage() == pytest.approx(CELL_V + 1e-3, abs=0.01)
    channel.enable(False)
    assert channel.enable() is False


def test_qcodes_drives_a_current_and_reads_what_it_set(smu: Any) -> None:
    channel = smu.ch1
    channel.source_mode("current")
    channel.remote_sensing(True)
    channel.voltage_limit(5)
    channel.source_current(-2e-4)
    channel.enable(True)
    assert channel.source_mode() == "current"
    assert channel.source_current() == pytest.approx(-2e-4)
    assert channel.current() == pytest.approx(-2e-4, rel=0.01)
    channel.enable(False)
    assert smu.ask(":SYST:ERR?").startswith("+0,")
