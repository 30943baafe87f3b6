"""The negative control of the rule that no test ends with an abused cell unnoticed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = """
import json, socket, subprocess, sys

import pytest

from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.loads import Battery

TWO_WIRES, NOT_APART = "on in two wires", "off, but still connected"


def harm():
    Keithley2400(Battery(3.7, 50.0), lambda: 0.0).receive(b":OUTP ON\\n")


def test_harmed():
    harm()


def test_harmed_in_another_process():
    command = [sys.executable, "-m", "sim_hardware.cli", "keithley-2400", "--cell", "battery"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        address = json.loads(process.stdout.readline())["address"]
        with socket.create_connection(("127.0.0.1", int(address.split("::")[2]))) as wire:
            wire.sendall(b":OUTP ON;*OPC?\\n")
            wire.recv(10)
        process.kill()


def test_harmed_otherwise_than_named(provokes):
    provokes(TWO_WIRES)
    harm()


def test_named_and_not_done(provokes):
    provokes(TWO_WIRES)


def test_done_as_named(provokes):
    provokes(TWO_WIRES, NOT_APART)
    harm()


@pytest.mark.not_our_driver
def test_harmed_by_another_host():
    harm()


@pytest.fixture(scope="module")
def late():
    yield
    harm()


def test_harmed_when_its_module_is_left(late):
    pass
"""
FOUND = {
    "test_harmed": "a cell was abused: off, but still connected, on in two wires",
    "test_harmed_in_another_process": "a cell was abused: off, but still connected, on in two wires",
    "test_harmed_otherwise_than_named": "a cell was abused: off, but still connected",
    "test_named_and_not_done": "said to provoke, but did not: on in two wires",
    "test_harmed_when_its_module_is_left": "after the last test: off, but still connected, on in two wires",
}


def test_an_act_of_abuse_fails_its_test_wherever_it_was_done_unless_it_was_named(tmp_path: Path) -> None:
    file = tmp_path / "test_harm.py"
    file.write_text(TESTS, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = not_our_driver\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "judged", "-p", "no:cacheprovider", "-rE", "--tb=no", str(file)]
    ran = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'tests' / 'support'}", "COLUMNS": "300"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    found = [line for line in ran.stdout.splitlines() if line.startswith("ERROR ")]
    assert [line.partition("::")[2] for line in found] == [f"{test} - Failed: {why}" for test, why in FOUND.items()]
    assert "7 passed" in ran.stdout
