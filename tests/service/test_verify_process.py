"""``cycler-ctl verify`` as people call it: a process under its guardian, stopped by Ctrl-C, refused where another owns it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from lab import end, make_lab, open_bench
from rig import until

from cycler_ctl.channels.owning import address_key, owned
from cycler_ctl.clock import SystemClock
from cycler_ctl.verify.ledger import in_words, last_verification
from cycler_ctl.watching.register import read_register
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.loads import resistor
from sim_hardware.server import serve_tcp

STATION = """
[station]
name = "lab-3"
data_dir = "data"
[instruments.smu1]
driver = "keithley-2400"
address = "%s"
[channels.a1]
instrument = "smu1"
limits = { voltage = "-0.5 V to 4.5 V", current = "10 uA", step_capacity = "20 mAh" }
temperature = "unmonitored"
"""
OHM = 100e3


@asynccontextmanager
async def bench(folder: Path) -> AsyncGenerator[tuple[Keithley2400, str]]:
    sim = Keithley2400(resistor(OHM), SystemClock().now)
    async with serve_tcp(sim) as there, asyncio.timeout(60):
        (folder / "station.toml").write_text(STATION % there.address, encoding="ascii")
        yield sim, there.address


async def verify(folder: Path, *more: str) -> asyncio.subprocess.Process:
    command = [sys.executable, "-P", "-m", "cycler_ctl.cli", "verify", "a1", "--resistor", "100 kohm"]
    return await asyncio.create_subprocess_exec(
        *command, "--config", str(folder / "station.toml"), *more,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder,
    )  # fmt: skip


async def test_the_command_prints_the_errors_and_stores_them(tmp_path: Path) -> None:
    async with bench(tmp_path) as (sim, _):
        process = await verify(tmp_path, "--tolerance", "0.1 %", "--json")
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        assert not sim.truth()["output_on"]
    made = last_verification(tmp_path / "data", "a1")
    assert made is not None
    said = json.loads(out)
    assert (said["passed"], said["mark"], len(said["rows"])) == (True, made.mark, len(made.rows))
    assert in_words(tmp_path / "data", "a1") == made.date
    assert read_register(tmp_path / "data") == {}


@pytest.mark.skipif(sys.platform == "win32", reason="signals to one process")
async def test_ctrl_c_turns_off_before_it_ends_and_stores_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path) as (sim, _):
        process = await verify(tmp_path)
        await until(lambda: bool(sim.truth()["output_on"]))
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
        assert process.returncode not in {0, None}, out.decode()
        assert "the output is off, nothing is stored" in err.decode()
        assert not sim.truth()["output_on"]
    assert last_verification(tmp_path / "data", "a1") is None
    assert read_register(tmp_path / "data") == {}


async def test_what_another_process_has_is_refused_and_hears_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path) as (sim, address):
        with owned(address_key(address), address, "smu1"):
            process = await verify(tmp_path)
            out, err = await process.communicate()
        assert (process.returncode, out) == (1, b"")
        assert "is in use by process" in err.decode()
        assert not sim.log
    assert in_words(tmp_path / "data", "a1") == "never"


async def test_what_the_service_has_is_refused_and_the_service_goes_on(tmp_path: Path) -> None:
    """With the real one: guardian, station and all."""
    with open_bench(tmp_path, cell="c") as instruments:
        lab = make_lab(tmp_path, instruments)
        try:
            service = await lab.serve()
            done = await asyncio.to_thread(lab.command, "verify", "a1", "--resistor", "100 kohm")
            assert (done.returncode, done.stdout) == (1, "")
            assert "another cycler-ctl serves" in done.stderr
            assert service.poll() is None
            assert lab.channel()["energised"] is False
            assert not instruments.truth()["output_on"]
        finally:
            end(lab)
    assert in_words(lab.data, "a1") == "never"
