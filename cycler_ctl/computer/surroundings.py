"""The computer around a station: ports and rights, VISA, clock, sleep, disk. Every look is bounded; nothing is changed."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

from cycler_ctl.link.visa import FAILURES
from cycler_ctl.scan import visa
from cycler_ctl.scan.ports import forbidden, serial_ports, usb_instruments
from cycler_ctl.settings import Config
from cycler_ctl.terminal.finding import MEND, OK, Finding
from cycler_ctl.within import within

LONGEST_S = 5.0
COMMAND_S = 3.0
WRITES, SLOW_S, WRITING_S = 8, 0.1, 3.0
TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
NTP_INTERVAL = "'w32tm /resync' as administrator; 'w32tm /query /status' shows it"

Check = Callable[[], Finding]


def surroundings(config: Config | None) -> Iterator[Finding]:
    checks: list[tuple[str, Check]] = [
        ("visa", partial(visa_libraries, config)),
        ("usb", usb_access),
        ("gpib", gpib_access),
        ("serial ports", serial_access),
        ("clock", clock),
        ("sleep", sleep),
    ]
    if config is not None:
        checks += [(f"port of {name}", partial(port_of, name, one.address)) for name, one in config.instruments.items()]
        checks += [("disk", partial(disk, config.station.data_dir))]
    for what, check in checks:
        yield bounded(what, check)


def bounded(what: str, check: Check) -> Finding:
    """A library or a command that hangs or fails is a finding of its own."""
    try:
        return within(LONGEST_S, check, (OSError, ValueError, ImportError, subprocess.SubprocessError, *FAILURES))
    except TimeoutError:
        return Finding(OK, what, f"could not be looked at within {LONGEST_S:.0f} s", look=True)
    except (OSError, ValueError, ImportError, subprocess.SubprocessError, *FAILURES) as error:
        return Finding(OK, what, f"could not be looked at: {error}", look=True)


def visa_libraries(config: Config | None) -> Finding:
    vendor = visa.vendor_library()
    if config is not None and config.station.visa_backend.endswith(visa.VENDOR) and vendor is None:
        cure = "install NI-VISA or another vendor's VISA, or take that line out"
        return Finding(
            MEND, "visa", f'station.toml says visa_backend = "{config.station.visa_backend}", and there is none: {cure}'
        )
    found = f'also a vendor\'s at {vendor} (visa_backend = "@ivi")' if vendor else "no vendor's library, none is needed"
    return Finding(OK, "visa", f"the Python library pyvisa-py; {found}")


def usb_access() -> Finding:
    """VISA over USB needs pyusb with libusb and the right to the device; serial adapters need neither."""
    seen = usb_instruments()
    trouble = next((one.trouble for one in seen if one.trouble), None)
    if trouble:
        return Finding(MEND, "usb", f"{trouble}")
    lacking = visa.missing("USB INSTR") or visa.no_libusb()
    if lacking is None:
        return Finding(OK, "usb", f"VISA reaches USB instruments ({len(seen)} plugged in)")
    cure = f"{lacking}: pip install 'cycler-ctl[usb]' installs pyusb and libusb"
    plugged = f"; {', '.join(one.what or one.address for one in seen)} cannot be reached" if seen else ""
    return Finding(not seen, "usb", f"USB instruments need more: {cure}{plugged}")


def gpib_access() -> Finding:
    if visa.missing("GPIB INTFC") is None or visa.vendor_library():
        return Finding(OK, "gpib", "a GPIB library is there")
    return Finding(OK, "gpib", "no GPIB library; for GPIB instruments install linux-gpib or a vendor's VISA")


def serial_access() -> Finding:
    ports = serial_ports()
    for port in ports:
        if port.trouble:
            return Finding(OK, "serial ports", f"{port.device}: {port.trouble}", look=True)
    named = ", ".join(port.device for port in ports) or "none plugged in"
    return Finding(OK, "serial ports", named)


def port_of(name: str, address: str) -> Finding:
    """A serial port of station.toml: that it is there and may be opened; other addresses are for 'scan'."""
    from cycler_ctl.link.address import SerialAddress, VisaAddress, parse_address

    what, parsed = f"port of {name}", parse_address(address)
    if isinstance(parsed, VisaAddress) and (lacking := _lacking(parsed.resource)):
        return Finding(MEND, what, f"{address} cannot be reached: {lacking}")
    if not isinstance(parsed, SerialAddress) or sys.platform == "win32":
        return Finding(OK, what, f"{address}: 'cycler-ctl scan' asks who is there")
    if not Path(parsed.port).exists():
        return Finding(
            MEND, what, f"{parsed.port} is not there: is the adapter plugged in? 'cycler-ctl scan' lists ports"
        )
    trouble = forbidden(parsed.port)
    if trouble:
        return Finding(MEND, what, f"{parsed.port}: {trouble}")
    unstable = re.fullmatch(r"/dev/tty(USB|ACM)\d+", parsed.port) is not None
    hint = "; it may be another one after a reboot: write its name under /dev/serial/by-id" if unstable else ""
    return Finding(OK, what, f"{parsed.port} may be opened{hint}", look=unstable)


def _lacking(resource: str) -> str | None:
    """What VISA has not got for this instrument; a vendor's library has all of it."""
    if visa.vendor_library() is not None:
        return None
    if resource.upper().startswith("USB") and (why := visa.missing("USB INSTR") or visa.no_libusb()):
        return f"{why}: pip install 'cycler-ctl[usb]' installs pyusb and libusb"
    if resource.upper().startswith("GPIB") and visa.missing("GPIB INTFC"):
        return "no GPIB library; install linux-gpib or a vendor's VISA"
    return None


def clock() -> Finding:
    synchronised = _windows_clock() if sys.platform == "win32" else _unix_clock()
    if synchronised is None:
        return Finding(OK, "clock", "nobody here can tell whether it is synchronised", look=True)
    if synchronised:
        return Finding(OK, "clock", "synchronised")
    cure = NTP_INTERVAL if sys.platform == "win32" else "'sudo timedatectl set-ntp true', or install chrony"
    why = "durations do not suffer, but the dates of rows would be wrong"
    return Finding(OK, "clock", f"not synchronised: {cure}; {why}", look=True)


def _unix_clock() -> bool | None:
    """What the kernel has been told by whoever keeps the time; reading needs no rights (adjtimex(2), modes 0)."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    state = int(adjtimex(ctypes.create_string_buffer(512)))  # struct timex has 208 bytes
    return None if state < 0 else state != TIME_ERROR


def _windows_clock() -> bool | None:
    """The first number of the status is the leap indicator, in whatever language; 3 is "not synchronised"."""
    said = command("w32tm", "/query", "/status")
    found = None if said is None else re.search(r":\s*(\d)\(", said)
    return None if found is None else found[1] != "3"


def sleep() -> Finding:
    asleep = _windows_sleep() if sys.platform == "win32" else _linux_sleep()
    return asleep or Finding(OK, "sleep", "this computer does not go to sleep by itself")


def _linux_sleep() -> Finding | None:
    """A server has no such service; a desktop suspends when nobody types, in the middle of a run."""
    states = _read("/sys/power/state")
    masked = os.path.realpath("/etc/systemd/system/sleep.target") == "/dev/null"
    if not {"mem", "freeze", "disk"} & set(states.split()) or masked:
        return None
    kind = command("gsettings", "get", "org.gnome.settings-daemon.plugins.power", "sleep-inactive-ac-type")
    if kind is None or "nothing" in kind:
        return None
    cure = "'sudo systemctl mask sleep.target suspend.target hibernate.target hybrid-sleep.target'"
    return Finding(OK, "sleep", f"it may suspend when nobody uses it, in the middle of a run: {cure}", look=True)


def _windows_sleep() -> Finding | None:
    said = command("powercfg", "/query", "SCHEME_CURRENT", "SUB_SLEEP", "STANDBYIDLE")
    settings = re.findall(r"0x([0-9a-f]{8})\s*$", said or "", re.MULTILINE | re.IGNORECASE)
    if len(settings) < 2 or int(settings[-2], 16) == 0:  # the last two are on mains and on battery, in s
        return None
    after_min = int(settings[-2], 16) // 60
    cure = "'powercfg /change standby-timeout-ac 0'"
    return Finding(OK, "sleep", f"it sleeps after {after_min} min, in the middle of a run: {cure}", look=True)


def disk(folder: Path) -> Finding:
    """A few synced writes, as a run makes them several times a second."""
    folder.mkdir(parents=True, exist_ok=True)
    took_s = synced_writes(folder / f".doctor-{os.getpid()}")
    text = f"a synced write takes {median(took_s) * 1e3:.1f} ms (at most {max(took_s) * 1e3:.0f} ms of {len(took_s)})"
    if median(took_s) <= SLOW_S:
        return Finding(OK, "disk", text)
    cure = "use a local SSD, and except data_dir from the virus scanner"
    return Finding(OK, "disk", f"{text}, which is slow: {cure}", look=True)


def synced_writes(probe: Path) -> list[float]:
    took_s: list[float] = []
    try:
        with probe.open("wb") as file:
            while len(took_s) < WRITES and sum(took_s) < WRITING_S:
                began_s = time.perf_counter()
                file.write(bytes(4096))
                file.flush()
                os.fsync(file.fileno())
                took_s.append(time.perf_counter() - began_s)
    finally:
        probe.unlink(missing_ok=True)
    return took_s


def command(*words: str) -> str | None:
    """What a program of the system says; None where it is not there or fails."""
    try:
        done = subprocess.run(words, capture_output=True, timeout=COMMAND_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
