"""Serial ports and USB instruments as the system lists them; nothing is opened for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

BY_ID = Path("/dev/serial/by-id")
USB_DEVICES = Path("/sys/bus/usb/devices")
TEST_AND_MEASUREMENT = "fe", "03"  # USB class and subclass of USBTMC


@dataclass(frozen=True, slots=True)
class SerialPort:
    """``device`` by its stable name where there is one. ``trouble``: why it could not be opened, as far as seen."""

    device: str
    what: str
    trouble: str | None


@dataclass(frozen=True, slots=True)
class UsbInstrument:
    """A USBTMC device, seen by the kernel whether or not any VISA library can use it."""

    vendor: str
    product: str
    serial: str
    what: str
    trouble: str | None

    @property
    def address(self) -> str:
        return f"USB0::0x{self.vendor.upper()}::0x{self.product.upper()}::{self.serial}::INSTR"


def serial_ports() -> list[SerialPort]:
    """With the adapter's maker, product and serial number; UARTs without hardware behind them are left out."""
    from serial.tools import list_ports

    names = stable_names(BY_ID)
    found: list[SerialPort] = []
    for port in sorted(list_ports.comports(), key=lambda one: one.device):
        if port.hwid == "n/a" and not port.description.strip("n/a "):
            continue
        said = [
            port.manufacturer,
            port.product or port.description,
            port.serial_number and f"serial {port.serial_number}",
        ]
        what = ", ".join(dict.fromkeys(text for text in said if text and text != "n/a"))
        device = names.get(os.path.realpath(port.device), port.device)
        found.append(SerialPort(device, what or "serial port", forbidden(port.device)))
    return found


def stable_names(by_id: Path) -> dict[str, str]:
    """Linux names a port by its adapter under by-id; ttyUSB0 may be another one after the next reboot."""
    if not by_id.is_dir():
        return {}
    return {os.path.realpath(link): str(link) for link in sorted(by_id.iterdir(), reverse=True)}


def forbidden(device: str) -> str | None:
    """Why this user may not open it, None where nobody can tell or he may."""
    if sys.platform == "win32" or not Path(device).exists() or os.access(device, os.R_OK | os.W_OK):
        return None
    group = group_of(device)
    return f"no permission: it belongs to the group {group}; 'sudo usermod -aG {group} $USER', then log in again"


def group_of(device: str) -> str:
    if sys.platform == "win32":
        return ""
    import grp

    number = Path(device).stat().st_gid
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def usb_instruments(devices: Path = USB_DEVICES) -> list[UsbInstrument]:
    """Linux only: elsewhere a device without a driver cannot be seen by its class."""
    if not devices.is_dir():
        return []
    names = {interface.name.partition(":")[0] for interface in _interfaces(devices)}  # 1-2:1.0 is an interface of 1-2
    return [_usb_instrument(devices / name) for name in sorted(names)]


def _interfaces(devices: Path) -> Iterator[Path]:
    for interface in devices.glob("*:*"):
        if (_text(interface / "bInterfaceClass"), _text(interface / "bInterfaceSubClass")) == TEST_AND_MEASUREMENT:
            yield interface


def _usb_instrument(device: Path) -> UsbInstrument:
    vendor, product, serial = (_text(device / name) for name in ("idVendor", "idProduct", "serial"))
    what = _joined((_text(device / "manufacturer"), _text(device / "product"), f"serial {serial}" if serial else ""))
    return UsbInstrument(vendor, product, serial, what, _usb_trouble(device))


def _usb_trouble(device: Path) -> str | None:
    bus, number = _text(device / "busnum"), _text(device / "devnum")
    node = f"/dev/bus/usb/{int(bus):03d}/{int(number):03d}" if bus.isdecimal() and number.isdecimal() else ""
    if not node or not Path(node).exists() or os.access(node, os.R_OK | os.W_OK):
        return None
    rule = f'SUBSYSTEM=="usb", ATTR{{idVendor}}=="{_text(device / "idVendor")}", MODE="0660", GROUP="dialout"'
    return f"no permission: write {rule} into /etc/udev/rules.d/50-instruments.rules and plug it in again"


def _joined(texts: Iterable[str]) -> str:
    return ", ".join(filter(None, texts))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
