"""Outputs that do not go off: what the guardian and safe-off by hand do about them, and what they never say."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from filelock import FileLock
from guarded import watched
from proofs import proven

from cycler_ctl.guardian import LOCK_FILE
from cycler_ctl.terminal.safe_off import safe_off_station
from cycler_ctl.watching.register import SafeOffEntry, read_register, write_register

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="kill -9 and SIGSTOP are POSIX; T18 needs its own runner"
)


class StuckRelay(asyncio.Protocol):
    """An instrument that takes every command and whose output stays on until ``mended``."""

    mended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        for line in data.splitlines():
            if line.endswith(b":OUTP?;:OUTP:SMOD?"):
                self.transport.write(proven(line, b"0;HIMP\n" if self.mended else b"1;HIMP\n"))


@asynccontextmanager
async def stuck_relay() -> AsyncGenerator[str]:
    StuckRelay.mended = False
    server = await asyncio.get_running_loop().create_server(StuckRelay, "127.0.0.1", 0)
    async with server:
        yield f"TCPIP0::127.0.0.1::{server.sockets[0].getsockname()[1]}::SOCKET"


async def test_an_output_that_does_not_go_off_gives_status_4_and_is_never_called_off(tmp_path: Path) -> None:
    async with stuck_relay() as address:
        write_register(tmp_path, {"a1": SafeOffEntry("smu1", "keithley-2400", address)})
        async with watched(tmp_path, address, "steady", "--hasty") as both:
            await both.said(f"smu1 at {address}: OFF NOT CONFIRMED")
            assert await both.stopped() == 4
            assert list(read_register(tmp_path)) == ["a1"]
            assert "off, read back" not in both.words()


async def test_an_output_that_could_not_go_off_at_first_is_tried_until_it_is(tmp_path: Path) -> None:
    async with stuck_relay() as address:
        write_register(tmp_path, {"a1": SafeOffEntry("smu1", "keithley-2400", address)})
        async with watched(tmp_path, address, "steady", "--hasty") as both:
            await both.said("NOT EVERY OUTPUT IS CONFIRMED OFF")
            StuckRelay.mended = True
            await both.said(f"smu1 at {address}: off, read back")
            assert await both.stopped() == 1
            assert read_register(tmp_path) == {}


async def test_the_guardian_runs_the_labs_relay_for_what_it_cannot_turn_off_and_does_not_believe_it(
    tmp_path: Path,
) -> None:
    async with stuck_relay() as address:
        relay = (sys.executable, "-c", "import os, sys; sys.exit(os.environ['CYCLER_CTL_CHANNEL'] != 'a1')")
        write_register(tmp_path, {"a1": SafeOffEntry("smu1", "keithley-2400", address, relay=relay)})
        async with watched(tmp_path, address, "steady", "--hasty") as both:
            await both.said("ended with status 0")
            assert await both.stopped() == 4
            assert read_register(tmp_path)["a1"].relay == relay
            assert "off, read back" not in both.words()


async def test_relays_of_several_channels_are_run_at_once_or_a_manager_would_lose_patience(tmp_path: Path) -> None:
    """Each waits for the other: one after the other neither would end with status 0."""
    wait = (
        "import os, pathlib, sys; folder = pathlib.Path(sys.argv[1]); name = os.environ['CYCLER_CTL_CHANNEL']; "
        "(folder / ('here-' + name)).touch()\n"
        "while len(list(folder.glob('here-*'))) < 2: pass"
    )
    relay = (sys.executable, "-c", wait, str(tmp_path))
    async with stuck_relay() as address:
        names = {"a1": "smu1", "a2": "smu2"}
        entries = {one: SafeOffEntry(smu, "keithley-2400", address, relay=relay) for one, smu in names.items()}
        write_register(tmp_path, entries)
        async with watched(tmp_path, address, "steady", "--hasty") as both:
            await both.said("a1: the escalation command")
            await both.said("a2: the escalation command")
            assert both.words().count("ended with status 0") == 2
            assert await both.stopped() == 4


STATION = """
[station]
name = "lab-3"
data_dir = "data"
[escalation]
command = [{command}]
[instruments.smu1]
driver = "keithley-2400"
address = "{address}"
[channels.a1]
instrument = "smu1"
temperature = "unmonitored"
limits = {{ voltage = "-0.5 V to 5 V", current = "10 mA" }}
"""


async def test_safe_off_by_hand_runs_the_labs_relay_too_and_still_says_that_off_is_not_confirmed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    relay = (sys.executable, "-c", "import os, sys; sys.exit(os.environ['CYCLER_CTL_CHANNEL'] != 'a1')")
    async with stuck_relay() as address:
        file = tmp_path / "station.toml"
        file.write_text(STATION.format(command=", ".join(map(json.dumps, relay)), address=address), encoding="utf-8")
        assert await asyncio.to_thread(safe_off_station, file) == 4
        out, err = capfd.readouterr()
        assert "OFF NOT CONFIRMED" in out
        assert "a1: the escalation command" in err
        assert "ended with status 0; look whether the output is off" in err
        StuckRelay.mended = True
        assert await asyncio.to_thread(safe_off_station, file) == 0
        assert capfd.readouterr().err == ""  # what is off needs no relay


async def test_safe_off_by_hand_cuts_nothing_under_a_service_that_holds_the_instrument(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with stuck_relay() as address:
        file = tmp_path / "station.toml"
        file.write_text(STATION.format(command=json.dumps(sys.executable), address=address), encoding="utf-8")
        (tmp_path / "data").mkdir()
        with FileLock(tmp_path / "data" / LOCK_FILE):
            assert await asyncio.to_thread(safe_off_station, file) == 4
        err = capfd.readouterr().err
        assert "the service is running" in err
        assert "escalation" not in err
