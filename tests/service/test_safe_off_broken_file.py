"""safe-off with a station.toml in which something is wrong: what it names goes off, and what nobody knows is never off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from proofs import proven

from cycler_ctl.config import check_config_text
from cycler_ctl.terminal.safe_off import safe_off_station
from cycler_ctl.watching.register import REGISTER_FILE, SafeOffEntry, write_entries, write_register

STATION = """\
[station]
name = "lab-3"
data_dir = "kept"
[http]
listen = "127.0.0.1:8787"
[instruments.smu1]
driver = "keithley-2400"
address = "ADDRESS-1"
[instruments.smu2]
driver = "keithley-2400"
address = "ADDRESS-2"
[instruments.oven1]
driver = "eurotherm"
address = "TCPIP0::127.0.0.1::1::SOCKET"
[channels.a1]
instrument = "smu1"
temperature = "unmonitored"
limits = { voltage = "-0.5 V to 5 V", current = "10 mA" }
[channels.a2]
instrument = "smu2"
temperature = "unmonitored"
limits = { voltage = "-0.5 V to 5 V", current = "10 mA" }
"""


@dataclass
class Smu:
    """A 2400's output as safe-off meets it: on until it is told to go off."""

    address: str = ""
    on: bool = True
    peers: list[asyncio.StreamWriter] = field(default_factory=list[asyncio.StreamWriter])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.peers.append(writer)
        while line := await reader.readline():
            self.on = self.on and b":OUTP OFF" not in line and b":OUTP 0" not in line
            if b"?" in line:
                writer.write(proven(line, b"1;HIMP\n" if self.on else b"0;HIMP\n"))
        writer.close()


@asynccontextmanager
async def two_on() -> AsyncGenerator[tuple[Smu, Smu]]:
    found = Smu(), Smu()
    servers = [await asyncio.start_server(one.serve, "127.0.0.1", 0) for one in found]
    for one, server in zip(found, servers, strict=True):
        one.address = f"TCPIP0::127.0.0.1::{server.sockets[0].getsockname()[1]}::SOCKET"
    try:
        yield found
    finally:
        for server in servers:
            server.close()


def station_of(smus: tuple[Smu, Smu], text: str = STATION) -> str:
    return text.replace("ADDRESS-1", smus[0].address).replace("ADDRESS-2", smus[1].address)


async def safe_off(folder: Path, text: str | bytes) -> int:
    file = folder / "station.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return await asyncio.to_thread(safe_off_station, file)


UNIMPORTANT = {
    "an escalation program that is not there": ("[http]", '[escalation]\ncommand = "no-such-program"\n[http]'),
    "a wrong rule of notify": ("[http]", "[notify.phone]\nwhom = 3\n[http]"),
    "an address of the page that is none": ('"127.0.0.1:8787"', '"nowhere at all"'),
    "a page open to the network": ('"127.0.0.1:8787"', '"0.0.0.0:8787"'),
    "a broker's url that is none": ("[http]", '[mqtt]\nurl = "carrier pigeon"\n[http]'),
    "a key nobody knows": ("[http]", "[htttp]\n[http]"),
    "no name": ('name = "lab-3"\n', ""),
    "a share inside the data folder": ("[http]", '[share]\nfolder = "kept/x"\n[http]'),
    "limits in the wrong unit": ('current = "10 mA"', 'current = "10 V"'),
    "a channel without limits": ('limits = { voltage = "-0.5 V to 5 V", current = "10 mA" }\n', ""),
    "a driver's option that is none": ('driver = "keithley-2400"', 'driver = "keithley-2400"\nfront = 7'),
    "two channels on one output": ('instrument = "smu2"', 'instrument = "smu1"'),
    "a line of http that is no TOML": ('listen = "127.0.0.1:8787"', 'listen = 127.0.0.1:8787"'),
    "a title that is no TOML": ("[http]", "[http"),
    "a table given twice": ("[http]", "[http]\n[http]"),
    "a line of an instrument that is no TOML": ("[instruments.smu2]", "[instruments.smu2]\ncalibrated = someday"),
}


@pytest.mark.parametrize("what", UNIMPORTANT)
async def test_what_turning_off_does_not_need_may_be_wrong(
    what: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    old, new = UNIMPORTANT[what]
    async with two_on() as smus:
        text = station_of(smus, STATION.replace(old, new))
        assert check_config_text(text, "station.toml")[0] is None, "this file has no error"
        assert await safe_off(tmp_path, text) == 0
        assert not any(smu.on for smu in smus)
    out, err = capfd.readouterr()
    assert out.count("off, read back") == 2
    assert "error[" in err


UNKNOWN = {
    "an instrument without an address": ('address = "ADDRESS-2"\n', "", "instruments.smu2 has no driver or no address"),
    "an address that is none": ('"ADDRESS-2"', '"somewhere"', "instruments.smu2"),
    "a driver that nobody has": ('driver = "keithley-2400"\naddress = "ADDRESS-2"', 'driver = "x"\naddress = "y"', "'x'"),
    "an instrument that is no table": (
        '[instruments.smu2]\ndriver = "keithley-2400"\naddress = "ADDRESS-2"\n',
        "[instruments]\nsmu2 = 3\n",
        "instruments.smu2 is not a table",
    ),
    "a title of an instrument that is no TOML": ("[instruments.smu2]", "[instruments.smu2", "cannot be read"),
    "an address that is no TOML": ('"ADDRESS-2"', '"ADDRESS-2', "cannot be read: address"),
    "instruments under a name that is none": ("[instruments.smu2]", "[instrments.smu2]", "'smu2'"),
}  # fmt: skip


@pytest.mark.parametrize("what", UNKNOWN)
async def test_what_is_known_goes_off_and_what_is_not_known_is_status_4(
    what: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    old, new, why = UNKNOWN[what]
    async with two_on() as smus:
        assert await safe_off(tmp_path, station_of(smus, STATION.replace(old, new))) == 4
        assert not smus[0].on
    err = capfd.readouterr().err
    assert "NOT KNOWN whether every output is off" in err
    assert why in err


async def test_an_instrument_that_cannot_be_read_is_turned_off_as_it_was_last_served(tmp_path: Path) -> None:
    async with two_on() as smus:
        write_entries(tmp_path / "kept", [SafeOffEntry("smu2", "keithley-2400", smus[1].address)])
        assert await safe_off(tmp_path, station_of(smus, STATION.replace('"ADDRESS-2"', '"ADDRESS-2'))) == 4
        assert not any(smu.on for smu in smus)


async def test_a_file_that_is_no_text_leaves_the_register_and_status_4(tmp_path: Path) -> None:
    async with two_on() as smus:
        write_register(tmp_path / "data", {"a1": SafeOffEntry("smu1", "keithley-2400", smus[0].address)})
        write_entries(tmp_path / "data", [SafeOffEntry("smu2", "keithley-2400", smus[1].address)])
        assert await safe_off(tmp_path, b"\xff\xfe\x00nothing") == 4
        assert not any(smu.on for smu in smus)


async def test_what_the_register_says_is_on_goes_off_where_it_was_though_the_file_says_elsewhere_now(
    tmp_path: Path,
) -> None:
    moved = STATION.replace("ADDRESS-2", "TCPIP0::127.0.0.1::1::SOCKET").replace("::1::SOCKET", "::2::SOCKET", 1)
    async with two_on() as smus:
        write_register(tmp_path / "kept", {"a2": SafeOffEntry("smu2", "keithley-2400", smus[1].address)})
        assert await safe_off(tmp_path, station_of(smus, moved)) == 4
        assert not any(smu.on for smu in smus)


async def test_an_instrument_in_the_register_and_in_the_file_is_asked_by_one_at_a_time(tmp_path: Path) -> None:
    async with two_on() as smus:
        write_register(tmp_path / "kept", {"a1": SafeOffEntry("smu1", "keithley-2400", smus[0].address)})
        assert await safe_off(tmp_path, station_of(smus)) == 0
        assert len(smus[0].peers) == 1


async def test_a_register_that_cannot_be_read_is_made_up_for_by_what_was_last_served(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with two_on() as smus:
        write_entries(tmp_path / "kept", [SafeOffEntry("old", "keithley-2400", smus[1].address)])
        (tmp_path / "kept" / REGISTER_FILE).write_text("{", encoding="ascii")
        only_one = STATION[: STATION.index("[channels.a2]")].replace('"ADDRESS-2"', '"TCPIP0::127.0.0.1::2::SOCKET"')
        without = only_one.replace(
            only_one[only_one.index("[instruments.smu2]") : only_one.index("[instruments.oven1]")], ""
        )
        assert await safe_off(tmp_path, station_of(smus, without)) == 0
        assert not any(smu.on for smu in smus)
    assert "as it was last served" in capfd.readouterr().err
