"""PalmSens' own Python code asks our simulated EmStat4, over a serial line, what it asks a real one.

pypalmsens.connect() cannot be used here: discovery, the serial port and its measurements are in PalmSens.Core.dll, which is
closed, and needs .NET 10, which is on no package index. Above that everything is Python: CommProtocol says of itself that
it does not depend on the connection. So the four primitives of the device that it uses are given to it by pyserial, and
names of .NET that it imports and does not use by empty modules.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import serial

pytestmark = [
    pytest.mark.not_our_driver,
    pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is needed"),
]
PACKAGE = "palmsens_instruments"
CHARGE_A, CELL_V, CELL_OHM = 2e-4, 3.7, 1.0  # the bench's "battery"
MICRO, MILLI = 1e-6, 1e-3
XON = b"\x11"  # the simulator says what a script has to say when it is next spoken to; a real one says it at once
SCRIPT = """var p
var c
set_pgstat_chan 0
set_pgstat_mode 6
set_max_bandwidth 40
set_range db 1m
cell_on
meas_loop_cp p c 200u 100m 500m
pck_start
pck_add p
pck_add c
pck_end
endloop
on_finished:
cell_off
"""


class Port:
    """What CommProtocol asks of a device: nothing blocks, and what was read ends with a line."""

    def __init__(self, address: str) -> None:
        self._address, self._read = address, b""

    IsOpen = True

    def Open(self) -> None:
        self._port = serial.Serial(self._address, 921600, timeout=0)

    def Close(self) -> None:
        self._port.close()

    def Write(self, data: str) -> None:
        self._port.write(data.encode())

    def Read(self) -> str:
        self._port.write(XON)
        self._read += self._port.read(4096)
        lines, newline, self._read = self._read.rpartition(b"\n")
        return (lines + newline).decode()


@pytest.fixture
def protocol(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    found = find_spec("pypalmsens")
    if found is None or found.origin is None:
        pytest.skip("pypalmsens is not installed")
    package, devices, instrument = ModuleType(PACKAGE), ModuleType("PalmSens"), ModuleType(f"{PACKAGE}.instrument")
    package.__path__ = [str(Path(found.origin).parent / "_instruments")]
    devices.__dict__["Devices"] = SimpleNamespace(Device=Port)
    instrument.__dict__["Instrument"] = SimpleNamespace
    for module in (package, devices, instrument):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    yield importlib.import_module(f"{PACKAGE}.comm_protocol")
    for name in [name for name in sys.modules if name.startswith(f"{PACKAGE}.comm")]:
        del sys.modules[name]


@pytest.fixture
def emstat(protocol: Any) -> Iterator[Any]:
    command = [sys.executable, "-m", "sim_hardware.cli", "palmsens-emstat4", "--pty", "--cell", "battery"]
    with subprocess.Popen(
        [*command, "--until-stdin-closes"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as simulator:
        assert simulator.stdin is not None
        assert simulator.stdout is not None
        address = json.loads(simulator.stdout.readline())["address"]
        device = Port(address.removeprefix("ASRL").removesuffix("::INSTR"))
        with protocol.CommProtocol(SimpleNamespace(device=device, id="simulated")) as talks:
            talks.timeout, talks.delay = 5.0, 0.01
            yield talks
        simulator.stdin.close()


def test_palmsens_reads_who_it_is_and_what_it_can(emstat: Any) -> None:
    assert emstat.query("t").startswith("es4_hr")
    assert emstat.query("i")
    assert {"meas_loop_cp", "cell_on", "set_pgstat_mode"} <= set(emstat.get_methodscript_capabilities())
    assert emstat.get_communication_capabilities()


def value(field: str) -> float:
    """Seven hexadecimal digits about 2^27, and a prefix."""
    return (int(field[2:9], 16) - (1 << 27)) * {" ": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12}[field[9]]


def test_palmsens_runs_a_script_that_charges_the_cell(emstat: Any) -> None:
    said = emstat.run_methodscript(SCRIPT)
    points = [line[1:].split(";") for line in said.splitlines() if line.startswith("P")]
    assert len(points) >= 4
    for potential, current in points:
        assert value(potential) == pytest.approx(CELL_V + CHARGE_A * CELL_OHM, abs=0.02)
        assert value(current) == pytest.approx(CHARGE_A, rel=0.02)


def test_palmsens_aborts_what_runs_and_what_does_not(emstat: Any) -> None:
    emstat.write("e\n" + SCRIPT.replace("500m", "3600") + "\n")
    assert emstat.wait_until("e")
    emstat.abort()
    emstat.abort()  # nothing runs: error 0006, which it expects


def test_palmsens_is_told_of_a_word_that_is_none(emstat: Any, protocol: Any) -> None:
    with pytest.raises(protocol.CommProtocolError, match="4001"):
        emstat.run_methodscript(SCRIPT.replace("cell_on", "cel_on"))
