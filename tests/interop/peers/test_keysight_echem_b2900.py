"""The simulated B2901 as the package keysight-echem drives it, written by electrochemists for their B2901."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.not_our_driver]
echem = pytest.importorskip("keysight_echem.b2901")
pyvisa = pytest.importorskip("pyvisa")


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    opened = pyvisa.ResourceManager.open_resource

    def by_lines(manager: Any, name: str) -> Any:
        """The package counts on USB, where messages end by themselves; a socket has lines."""
        return opened(manager, name, read_termination="\n")

    monkeypatch.setattr(pyvisa.ResourceManager, "open_resource", by_lines)
    command = [sys.executable, "-m", "sim_hardware.cli", "keysight-b2901a", "--cell", "battery", "--until-stdin-closes"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as simulator:
        assert simulator.stdout is not None
        assert simulator.stdin is not None
        yield json.loads(simulator.stdout.readline())["address"]
        simulator.stdin.close()


@pytest.mark.parametrize("held", ["current", "voltage"])
def test_keysight_echem_measures_what_it_drives(address: str, tmp_path: Path, held: str) -> None:
    file = tmp_path / "log.csv"
    with echem.KeysightB2901(address) as smu, echem.DataLogger(str(file)) as logger:
        if held == "current":
            smu.constant_current(2e-4, 0.3, 20, voltage_compliance=5.0, logger=logger)
        else:
            smu.constant_voltage(3.9, 0.3, 20, current_compliance=2e-4, logger=logger)
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert len(rows) >= 3
    assert all(float(row["Current (A)"]) == pytest.approx(2e-4, rel=0.01) for row in rows)
    assert all(float(row["Voltage (V)"]) == pytest.approx(3.7002, abs=0.01) for row in rows)
