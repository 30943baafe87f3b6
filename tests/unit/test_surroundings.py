"""What ``doctor`` says of the computer: each trouble with its cure, and never for long."""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cycler_ctl.computer import surroundings as looked
from cycler_ctl.config import check_config_text
from cycler_ctl.scan import visa
from cycler_ctl.scan.ports import SerialPort, UsbInstrument
from cycler_ctl.terminal.finding import Finding
from cycler_ctl.within import within

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="rights of device files")
Patch = Callable[[str, object], None]
POWERCFG = """
    Aktueller Index der Wechselstromeinstellung: 0x%08x
    Aktueller Index der Gleichstromeinstellung: 0x00000384
"""
W32TM = "Sprungindikator: %d(%s)\nStratum: 4\n"
STATION = """
[station]
name = "lab-3"
data_dir = "data"
[instruments.smu1]
driver = "keithley-2400"
address = "%s"
[channels.a1]
instrument = "smu1"
limits = { voltage = "-0.5 V to 5 V", current = "10 mA", step_capacity = "20 mAh" }
temperature = "unmonitored"
"""


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> Patch:
    """A function of the module that gives this, whatever it is asked."""

    def replace(name: str, value: object) -> None:
        def call(*_: object) -> object:
            return value

        monkeypatch.setattr(looked, name, call)

    return replace


def test_every_look_at_this_computer_ends_with_a_finding(tmp_path: Path) -> None:
    config, _ = check_config_text(STATION % "serial:///dev/ttyNOT_HERE", str(tmp_path / "station.toml"))
    found = {one.what: one for one in looked.surroundings(config)}
    assert set(found) == {"visa", "usb", "gpib", "serial ports", "clock", "sleep", "port of smu1", "disk"}
    assert all(one.message for one in found.values())
    assert "a synced write takes" in found["disk"].message


def test_what_hangs_is_left_behind_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looked, "LONGEST_S", 0.05)
    released = threading.Event()

    def hangs() -> Finding:
        released.wait(10)
        return Finding(ok=True, what="visa", message="too late")

    found = looked.bounded("visa", hangs)
    released.set()
    assert found.look
    assert "could not be looked at within" in found.message


def test_what_fails_is_a_finding_and_not_a_stack_trace() -> None:
    def fails() -> Finding:
        raise OSError("no bus")

    assert "no bus" in looked.bounded("usb", fails).message
    with pytest.raises(OSError, match="no bus"):
        within(1.0, fails)


def test_usb_instruments_that_cannot_be_reached_are_to_be_mended(
    always: Patch, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugged = UsbInstrument("05e6", "2450", "1", "Keithley, 2450", None)
    always("usb_instruments", [])
    monkeypatch.setattr("cycler_ctl.scan.visa.missing", str.upper)
    assert looked.usb_access().ok
    always("usb_instruments", [plugged])
    found = looked.usb_access()
    assert not found.ok
    assert "Keithley, 2450 cannot be reached" in found.message
    assert "cycler-ctl[usb]" in found.message
    always("usb_instruments", [UsbInstrument("05e6", "2450", "1", "", "no permission: write SUBSYSTEM")])
    assert not looked.usb_access().ok


def test_a_serial_port_nobody_may_open_is_worth_a_look(always: Patch) -> None:
    always("serial_ports", [SerialPort("/dev/ttyUSB0", "FTDI", "no permission: ... 'sudo usermod -aG dialout $USER'")])
    assert (looked.serial_access().look, looked.serial_access().ok) == (True, True)
    always("serial_ports", [SerialPort("/dev/ttyUSB0", "FTDI", None)])
    assert looked.serial_access().message == "/dev/ttyUSB0"


@posix_only
def test_a_port_of_the_station_that_is_absent_or_forbidden_is_to_be_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = looked.port_of("smu1", f"serial://{tmp_path / 'ttyUSB0'}")
    assert not absent.ok
    assert "plugged in" in absent.message
    (tmp_path / "ttyUSB0").write_text("", encoding="ascii")
    assert looked.port_of("smu1", f"serial://{tmp_path / 'ttyUSB0'}?baudrate=9600").ok
    if os.geteuid() != 0:
        (tmp_path / "ttyUSB0").chmod(stat.S_IRUSR)
    else:  # root may open everything

        def denied(*_: object) -> bool:
            return False

        monkeypatch.setattr("cycler_ctl.scan.ports.os.access", denied)
    forbidden = looked.port_of("smu1", f"serial://{tmp_path / 'ttyUSB0'}")
    assert not forbidden.ok
    assert "usermod" in forbidden.message
    assert "scan" in looked.port_of("smu1", "TCPIP0::10.0.0.5::5025::SOCKET").message


def test_a_vendors_visa_that_station_toml_wants_and_that_is_not_there_is_to_be_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = STATION.replace('data_dir = "data"', 'data_dir = "data"\nvisa_backend = "@ivi"') % "GPIB0::24::INSTR"
    config, wrong = check_config_text(text, str(tmp_path / "station.toml"))
    assert config is not None, wrong
    monkeypatch.setattr(visa, "vendor_library", lambda: None)
    assert not looked.visa_libraries(config).ok
    assert "install NI-VISA" in looked.visa_libraries(config).message
    assert looked.visa_libraries(None).ok  # nobody asks for one
    monkeypatch.setattr(visa, "vendor_library", lambda: "/usr/lib/libvisa.so")
    assert looked.visa_libraries(config).ok


@pytest.mark.parametrize(
    ("address", "lacks", "cure"),
    [
        ("USB0::0x05E6::0x2450::04024567::INSTR", "pyusb is not installed", "pip install 'cycler-ctl[usb]'"),
        ("USB0::0x05E6::0x2450::04024567::INSTR", None, "libusb is not there"),
        ("GPIB0::24::INSTR", "no library", "install linux-gpib"),
    ],
)
def test_an_instrument_of_the_station_that_visa_cannot_reach_is_to_be_mended(
    address: str, lacks: str | None, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visa, "vendor_library", lambda: None)
    monkeypatch.setattr(visa, "missing", lambda _: lacks)
    monkeypatch.setattr(visa, "no_libusb", lambda: "libusb is not there")
    found = looked.port_of("smu1", address)
    assert (found.ok, cure in found.message) == (False, True), found
    monkeypatch.setattr(visa, "vendor_library", lambda: "/usr/lib/libvisa.so")
    assert looked.port_of("smu1", address).ok


@pytest.mark.parametrize(("synchronised", "look"), [(True, False), (False, True), (None, True)])
def test_a_clock_that_nobody_keeps_is_worth_a_look(always: Patch, synchronised: bool | None, look: bool) -> None:
    always("_windows_clock" if sys.platform == "win32" else "_unix_clock", synchronised)
    assert looked.clock().look is look


def test_windows_says_in_any_language_whether_its_clock_is_kept(always: Patch) -> None:
    windows_clock = looked.__dict__["_windows_clock"]
    always("command", W32TM % (0, "keine Warnung"))
    assert windows_clock() is True
    always("command", W32TM % (3, "nicht synchronisiert"))
    assert windows_clock() is False
    always("command", None)
    assert windows_clock() is None


def test_windows_says_in_any_language_when_it_sleeps(always: Patch) -> None:
    windows_sleep = looked.__dict__["_windows_sleep"]
    always("command", POWERCFG % 0)
    assert windows_sleep() is None
    always("command", POWERCFG % 1800)
    assert "after 30 min" in windows_sleep().message


def test_a_desktop_that_suspends_is_worth_a_look(always: Patch) -> None:
    linux_sleep = looked.__dict__["_linux_sleep"]
    always("_read", "freeze mem disk\n")
    always("command", "'suspend'\n")
    assert "systemctl mask sleep.target" in linux_sleep().message
    always("command", "'nothing'\n")
    assert linux_sleep() is None
    always("_read", "")
    assert linux_sleep() is None


@pytest.mark.parametrize(("takes_s", "look"), [(0.001, False), (0.4, True)])
def test_a_slow_disk_is_worth_a_look(always: Patch, tmp_path: Path, takes_s: float, look: bool) -> None:
    always("synced_writes", [takes_s] * 3)
    assert looked.disk(tmp_path).look is look


def test_the_probe_of_the_disk_leaves_nothing(tmp_path: Path) -> None:
    assert len(looked.synced_writes(tmp_path / "probe")) >= 1
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_is_not_there_says_nothing() -> None:
    assert looked.command("no-such-program-here") is None
    assert looked.command(sys.executable, "-c", "raise SystemExit(1)") is None
    assert looked.command(sys.executable, "-c", "print(7)") == f"7{os.linesep}"
