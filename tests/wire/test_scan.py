"""Who is there: every simulated instrument is recognised by one question, and nobody else's port is touched."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cycler_ctl.channels.owning import address_key, owned
from cycler_ctl.clock import SystemClock
from cycler_ctl.config import check_config_text
from cycler_ctl.errors import ConfigError
from cycler_ctl.plugins import driver_names, load_driver
from cycler_ctl.scan import places as places_module
from cycler_ctl.scan.asking import Enquiry, Found, State
from cycler_ctl.scan.command import paste, render
from cycler_ctl.scan.places import Place, Wanted, places
from cycler_ctl.scan.ports import SerialPort, UsbInstrument, forbidden, stable_names, usb_instruments
from sim_hardware.faults import Instrument, Line, LineFault
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.keithley2450 import Keithley2450
from sim_hardware.keithley2600 import Keithley2600
from sim_hardware.keysightb2900 import KeysightB2900
from sim_hardware.loads import Battery
from sim_hardware.oven import Oven
from sim_hardware.palmsens_emstat4 import EmStat4
from sim_hardware.rs_ngu import RsNgu
from sim_hardware.server import serve_pty, serve_tcp

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
CLOCK = SystemClock()
ANSWER_S = 0.5


def always(value: object) -> Callable[..., object]:
    def call(*_: object) -> object:
        return value

    return call


def cell() -> Battery:
    return Battery(3.7, 50.0)


BY_IDN: dict[str, Callable[[], Instrument]] = {
    "keithley-2400": lambda: Keithley2400(cell(), CLOCK.now),
    "keithley-2450": lambda: Keithley2450(cell(), CLOCK.now),
    "keithley-2600": lambda: Keithley2600([cell(), cell()], CLOCK.now),
    "keysight-b2900": lambda: KeysightB2900(cell(), CLOCK.now),
    "rs-ngu": lambda: RsNgu(cell(), CLOCK.now),
}


async def looked_at(*wanted: Place) -> list[Found]:
    specs = {name: load_driver(name) for name in driver_names()}
    return await Enquiry(specs, CLOCK, ANSWER_S).all(wanted, lambda _: None)


@pytest.mark.parametrize("driver", BY_IDN)
async def test_each_instrument_fits_one_driver_and_was_asked_one_question(driver: str) -> None:
    sim = BY_IDN[driver]()
    async with serve_tcp(sim) as there:
        (found,) = await looked_at(Place(there.address, ask=True))
        assert (found.state, found.fits) == (State.IDENTIFIED, (driver,))
        assert [message.strip() for _, message in sim.log] == [b"*IDN?"]


@posix_only
@pytest.mark.parametrize(
    ("driver", "sim"),
    [
        ("keithley-2400", lambda: Keithley2400(cell(), CLOCK.now)),
        ("palmsens-emstat4", lambda: EmStat4(cell(), CLOCK.now)),
    ],
)
async def test_a_serial_port_that_may_be_asked_is_asked_every_way(driver: str, sim: Callable[[], Instrument]) -> None:
    async with serve_pty(sim()) as there:
        (found,) = await looked_at(Place(there.address, ask=True))
    assert (found.state, found.fits) == (State.IDENTIFIED, (driver,))


@posix_only
async def test_a_sensor_of_station_toml_is_asked_by_its_driver() -> None:
    async with serve_pty(Oven(CLOCK.now, seed=1)) as there:
        (found,) = await looked_at(Place(there.address, ask=True, driver="eurotherm", name="oven1"))
    assert (found.state, found.fits) == (State.IDENTIFIED, ("eurotherm",))


@posix_only
async def test_a_bare_serial_port_hears_nothing() -> None:
    sim = Keithley2400(cell(), CLOCK.now)
    async with serve_pty(sim) as there:
        (found,) = await looked_at(Place(there.address, "FTDI, USB-RS232, serial A5"))
    assert found.state is State.NOT_ASKED
    assert "--ask" in found.message
    assert not sim.log


async def test_a_port_that_a_program_holds_hears_nothing() -> None:
    sim = Keithley2400(cell(), CLOCK.now)
    async with serve_tcp(sim) as there:
        with owned(address_key(there.address), there.address, "smu1"):
            (found,) = await looked_at(Place(there.address, ask=True, name="smu1"))
        assert found.state is State.HELD
        assert "(smu1)" in found.message
        assert not sim.log


async def test_what_answers_otherwise_or_not_at_all_is_said() -> None:
    strange = Keithley2400(cell(), CLOCK.now)
    strange.smu.identity = "ACME,TOASTER,1,2"
    mute = Line(Keithley2400(cell(), CLOCK.now))
    mute.inject(LineFault("drop", None, b""))
    async with serve_tcp(strange) as one, serve_tcp(mute) as two:
        unknown, silent = await looked_at(Place(one.address, ask=True), Place(two.address, ask=True))
    assert (unknown.state, silent.state) == (State.UNKNOWN, State.SILENT)
    assert "'ACME,TOASTER,1,2': no driver" in unknown.message


async def test_a_port_that_cannot_be_opened_is_told_why_and_never_tried_where_that_is_known() -> None:
    gone, forbidden_one = await looked_at(
        Place("serial:///dev/ttyNOT_HERE", ask=True),
        Place("serial:///dev/null", ask=True, trouble="no permission: ..."),
    )
    assert gone.state is forbidden_one.state is State.FAILED
    assert "no such port" in gone.message
    assert forbidden_one.message.startswith("no permission")


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """What the system and VISA would list."""

    def lists(serial: Sequence[SerialPort] = (), visa: Sequence[str] = (), usb: Sequence[UsbInstrument] = ()) -> None:
        monkeypatch.setattr(places_module, "serial_ports", always(list(serial)))
        monkeypatch.setattr(places_module, "usb_instruments", always(list(usb)))
        monkeypatch.setattr("cycler_ctl.scan.visa.backends", always(("@py",)))
        monkeypatch.setattr("cycler_ctl.scan.visa.listed", always(tuple(visa)))

    return lists


STATION = """
[station]
name = "lab-3"
[instruments.smu1]
driver = "keithley-2400"
address = "serial:///dev/ttyUSB7?baudrate=57600"
[channels.a1]
instrument = "smu1"
limits = { voltage = "-0.5 V to 5 V", current = "10 mA", step_capacity = "20 mAh" }
temperature = "unmonitored"
"""


def test_only_instruments_that_a_question_cannot_harm_are_asked(listed: Callable[..., None]) -> None:
    listed(
        [SerialPort("/dev/ttyUSB7", "FTDI", None), SerialPort("/dev/ttyACM0", "Arduino", None)],
        ["GPIB0::24::INSTR", "GPIB0::INTFC", "USB0::0x05E6::0x2450::1::INSTR", "PXI0::1::INSTR"],
    )
    config, _ = check_config_text(STATION, "station.toml")
    found = {one.address: one for one in places(config, Wanted(), lambda _: None)}
    asked = {address: one.ask for address, one in found.items()}
    assert asked == {
        "serial:///dev/ttyUSB7?baudrate=57600": True,
        "serial:///dev/ttyACM0": False,
        "GPIB0::24::INSTR": True,
        "USB0::0x05E6::0x2450::1::INSTR": True,
    }
    of_station = found["serial:///dev/ttyUSB7?baudrate=57600"]
    assert (of_station.name, of_station.driver, of_station.what) == ("smu1", "keithley-2400", "smu1 of station.toml")


def test_a_port_named_on_the_command_line_may_be_asked(listed: Callable[..., None]) -> None:
    listed([SerialPort("/dev/ttyACM0", "Arduino", None)])
    (found,) = places(None, Wanted(ask=["/dev/ttyACM0"]), lambda _: None)
    assert found == Place("serial:///dev/ttyACM0", "Arduino", ask=True)
    assert places(None, Wanted(ask=["COM12"]), lambda _: None)[0].address == "serial://COM12"
    with pytest.raises(ConfigError, match="not an address"):
        places(None, Wanted(["nonsense"]), lambda _: None)


def test_a_usb_instrument_that_visa_does_not_list_is_shown_with_the_cure(listed: Callable[..., None]) -> None:
    seen = UsbInstrument("05e6", "2450", "0402", "Keithley, 2450", None)
    listed(usb=[seen], visa=["USB0::0x05E6::0x2450::0402::INSTR"])
    assert [one.trouble for one in places(None, Wanted(), lambda _: None)] == [None]
    listed(usb=[seen])
    (found,) = places(None, Wanted(), lambda _: None)
    assert found.address == "USB0::0x05E6::0x2450::0402::INSTR"
    assert "cycler-ctl[usb]" in str(found.trouble)


def test_the_kernel_knows_usb_instruments_by_their_class(tmp_path: Path) -> None:
    files = {
        "1-2/idVendor": "05e6", "1-2/idProduct": "2450", "1-2/serial": "0402", "1-2/manufacturer": "Keithley",
        "1-2:1.0/bInterfaceClass": "fe", "1-2:1.0/bInterfaceSubClass": "03",
        "1-3/idVendor": "046d", "1-3:1.0/bInterfaceClass": "03", "1-3:1.0/bInterfaceSubClass": "01",
    }  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n", encoding="ascii")
    (found,) = usb_instruments(tmp_path)
    assert found.address == "USB0::0x05E6::0x2450::0402::INSTR"
    assert found.what == "Keithley, serial 0402"
    assert usb_instruments(tmp_path / "windows") == []


@posix_only
def test_a_port_has_its_stable_name(tmp_path: Path) -> None:
    (tmp_path / "usb-FTDI_1234-if00-port0").symlink_to("/dev/null")
    assert stable_names(tmp_path) == {"/dev/null": str(tmp_path / "usb-FTDI_1234-if00-port0")}
    assert stable_names(tmp_path / "none") == {}


@posix_only
def test_a_port_without_permission_names_the_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = tmp_path / "ttyUSB0"
    port.write_text("", encoding="ascii")
    assert forbidden(str(port)) is None
    monkeypatch.setattr("cycler_ctl.scan.ports.os.access", always(value=False))
    monkeypatch.setattr("cycler_ctl.scan.ports.group_of", always("dialout"))
    assert "usermod -aG dialout" in str(forbidden(str(port)))


async def test_what_is_pasted_is_a_station_file(listed: Callable[..., None]) -> None:
    listed()
    async with serve_tcp(Keithley2450(cell(), CLOCK.now)) as there:
        (found,) = await looked_at(Place(there.address, ask=True))
    pasted = "\n".join(paste(found, frozenset({"smu1"})))
    channel = STATION[STATION.index("[channels.a1]") :].replace("smu1", "smu2")
    config, diagnostics = check_config_text(f'[station]\nname = "lab-3"\n{pasted}\n{channel}', "station.toml")
    assert config is not None, diagnostics
    assert config.instruments["smu2"].serial == "04024567"
    assert pasted.splitlines()[0] in render([found], frozenset({"smu1"}))
    assert json.dumps(found.as_json())


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
async def test_progress_is_shown_on_a_terminal_and_nothing_of_it_to_a_program(tmp_path: Path) -> None:
    """As a person calls it: standard error is a terminal, or the other end of a pipe."""
    async with serve_tcp(Keithley2450(cell(), CLOCK.now)) as there:
        command = [sys.executable, "-P", "-m", "cycler_ctl.cli", "scan", there.address]
        master, terminal = os.openpty()
        try:
            shown = await asyncio.create_subprocess_exec(
                *command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=terminal
            )
            found, _ = await shown.communicate()  # one after the other: an instrument has one owner at a time
            quiet = await asyncio.create_subprocess_exec(
                *command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            same, errors = await quiet.communicate()
            said = os.read(master, 65536).decode()
        finally:
            os.close(master)
            os.close(terminal)
    assert b"serial number 04024567" in found
    assert b"serial number 04024567" in same
    assert errors == b""
    assert f"scan: 1/1 {there.address}: identified" in said
    assert "\n" not in said  # one line, written over
    assert said.endswith(" \r")
