"""One owner for one instrument, among programs and among the instruments of one station."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from cycler_ctl.channels import owning
from cycler_ctl.channels.host import InstrumentHost, Wiring
from cycler_ctl.channels.owning import address_key, identity_key, in_use, owned
from cycler_ctl.clock import SystemClock
from cycler_ctl.config import InstrumentSettings
from cycler_ctl.errors import RefusedError
from cycler_ctl.instrument import Identity
from cycler_ctl.plugins import load_driver
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.loads import Battery
from sim_hardware.server import Endpoint, serve_tcp

HOLDER = """
import sys
from cycler_ctl.channels.owning import owned
with owned(sys.argv[1], "an instrument", "smu1"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_program(key: str) -> Generator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDER, key]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def host_at(address: str, name: str = "smu1", serial: str | None = None) -> InstrumentHost:
    settings = InstrumentSettings(driver="keithley-2400", address=address, serial=serial)
    return InstrumentHost(Wiring(name, settings, {}, load_driver("keithley-2400"), "@py"), SystemClock(), lambda: None)


@asynccontextmanager
async def hosted(host: InstrumentHost) -> AsyncGenerator[InstrumentHost]:
    """Its first try has come to something."""
    task = asyncio.create_task(host.run(), name="host")
    try:
        async with asyncio.timeout(30):
            await host.first_try()
        yield host
    finally:
        task.cancel()
        await asyncio.wait({task})


def simulated(serial: str) -> Keithley2400:
    return Keithley2400(Battery(1.0, 10.0), SystemClock().now, serial=serial)


@asynccontextmanager
async def two_instruments() -> AsyncGenerator[tuple[Endpoint, Endpoint]]:
    async with serve_tcp(simulated("1111111")) as first, serve_tcp(simulated("2222222")) as second:
        yield first, second


async def test_an_instrument_that_another_program_has_is_left_alone_and_its_holder_named() -> None:
    sim = simulated("1111111")
    async with serve_tcp(sim) as there:
        with another_program(address_key(there.address)) as holder:
            async with hosted(host_at(there.address)) as host:
                assert f"process {holder.pid} (smu1)" in host.status().message
                assert host.status().link == "absent"
                assert not sim.log
            assert in_use(there.address) is not None
        assert in_use(there.address) is None  # it was killed: nothing to clean up
        async with hosted(host_at(there.address)) as host:
            assert host.status().link == "connected"
        assert sim.log


async def test_one_instrument_under_two_addresses_has_one_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: str) -> bool:
        return False

    monkeypatch.setattr(owning, "is_local", never)
    async with (
        serve_tcp(simulated("1111111")) as lan,
        serve_tcp(simulated("1111111")) as serial_server,
        hosted(host_at(lan.address)) as owner,
        hosted(host_at(serial_server.address, "smu2")) as other,
    ):
        assert owner.status().link == "connected"
        assert other.status().link == "absent"
        assert "serial number 1111111, is in use by process" in other.status().message


async def test_an_instrument_that_another_program_has_by_another_port_is_found_by_its_serial_number_and_stays_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when two services were given one instrument's LAN and serial address; or ports that changed their names."""

    def never(_: str) -> bool:
        return False

    monkeypatch.setattr(owning, "is_local", never)
    sim = simulated("1111111")
    async with serve_tcp(sim) as there:
        async with hosted(host_at(there.address)) as host:
            identity = host.connected().identity
        key = identity_key(identity, "GPIB0::24::INSTR")
        with another_program(key) as holder:
            async with hosted(host_at(there.address)) as host:
                assert host.status().link == "absent"
                assert f"serial number 1111111, is in use by process {holder.pid} (smu1)" in host.status().message
                with pytest.raises(RefusedError, match="one program at a time"):
                    host.connected()
        async with hosted(host_at(there.address)) as host:
            assert host.status().link == "connected"


async def test_simulators_on_this_computer_may_repeat_their_serial_number() -> None:
    async with (
        serve_tcp(simulated("1111111")) as one,
        serve_tcp(simulated("1111111")) as two,
        hosted(host_at(one.address)) as first,
        hosted(host_at(two.address, "smu2")) as second,
    ):
        assert [first.status().link, second.status().link] == ["connected", "connected"]


async def test_swapped_ports_are_refused_with_both_serial_numbers() -> None:
    async with (
        two_instruments() as (first, second),
        hosted(host_at(second.address, "smu1", "1111111")) as smu1,
        hosted(host_at(first.address, "smu2", "2222222")) as smu2,
    ):
        assert [smu1.status().link, smu2.status().link] == ["absent", "absent"]
        assert "serial number 2222222, not 1111111" in smu1.status().message
        assert "serial number 1111111, not 2222222" in smu2.status().message
        with pytest.raises(RefusedError, match="check the cabling"):
            smu1.connected()


async def test_an_instrument_that_was_exchanged_meanwhile_is_named_with_the_one_before() -> None:
    """Nothing was on and no serial number was asked for, so it is taken; but never without a word."""
    async with serve_tcp(simulated("1111111")) as first:
        address, port = first.address, int(first.address.split("::")[2])
        host = host_at(address)
        task = asyncio.create_task(host.run(), name="host")
        await host.online()
    host.drop()
    async with serve_tcp(simulated("2222222"), port=port), asyncio.timeout(30):
        await host.online()
        assert "serial number 2222222 now and was 1111111" in host.status().message
        task.cancel()
        await asyncio.wait({task})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("TCPIP0::LocalHost::5025::SOCKET", "TCPIP::127.0.0.1::5025::SOCKET"),
        ("GPIB0::24::INSTR", "gpib0::24"),
        ("serial:///dev/null?baudrate=9600", "ASRL/dev/null::INSTR"),
    ],
)
def test_the_spellings_of_one_address_are_one_lock(one: str, other: str) -> None:
    assert address_key(one) == address_key(other)


@pytest.mark.skipif(sys.platform == "win32", reason="stable names of ports are links on Linux")
def test_a_port_by_its_stable_name_is_the_port(tmp_path: Path) -> None:
    (tmp_path / "usb-FTDI_1234-if00").symlink_to("/dev/null")
    assert address_key(f"serial://{tmp_path / 'usb-FTDI_1234-if00'}") == address_key("serial:///dev/null")


def test_instruments_without_a_serial_number_are_told_apart_by_their_address() -> None:
    nameless = Identity("maker", "model", "", "")
    assert identity_key(nameless, "GPIB0::24::INSTR") != identity_key(nameless, "GPIB0::25::INSTR")
    named = Identity("maker", "model", "7", "")
    assert identity_key(named, "GPIB0::24::INSTR") == identity_key(named, "TCPIP0::10.0.0.5::5025::SOCKET")


def test_a_lock_folder_that_cannot_be_written_is_a_refusal_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("", encoding="ascii")
    monkeypatch.setenv(owning.VARIABLE, str(tmp_path / "file" / "locks"))
    with pytest.raises(RefusedError, match=owning.VARIABLE), owned("key", "an instrument"):
        pass
