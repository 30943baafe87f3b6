"""Addresses as people write them: any VISA resource name, or ``serial:///dev/ttyUSB0?baudrate=57600``."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from cycler_ctl.errors import ConfigError

SOCKET = re.compile(r"TCPIP\d*::(?P<host>.+)::(?P<port>\d{1,5})::SOCKET", re.IGNORECASE)
ASRL = re.compile(r"ASRL(?P<port>.+?)(::INSTR)?", re.IGNORECASE)
RESOURCE = re.compile(r"(TCPIP|GPIB|USB|VICP|PRLGX|VXI|PXI|ASRL)\w*(::.+|/.*|COM\d+.*)?", re.IGNORECASE)
PARITIES = ("N", "E", "O")
FLOWS = ("none", "xonxoff")


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """A raw TCP port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class SerialAddress:
    """A serial port; None where the driver's default counts."""

    port: str
    baudrate: int | None = None
    parity: str | None = None
    stopbits: int | None = None
    flow: str = "none"


@dataclass(frozen=True, slots=True)
class VisaAddress:
    """Whatever PyVISA opens."""

    resource: str


Address = SocketAddress | SerialAddress | VisaAddress


def parse_address(address: str) -> Address:
    """Which wire this address names; ConfigError when it names none."""
    if address.lower().startswith("serial://"):
        return _serial_url(address)
    if found := SOCKET.fullmatch(address):
        return SocketAddress(found["host"].strip("[]"), _tcp_port(address, found["port"]))
    if found := ASRL.fullmatch(address):
        return SerialAddress(_serial_port(found["port"]))
    if RESOURCE.fullmatch(address):
        return VisaAddress(address)
    raise ConfigError(
        f"{address!r} is not an address: write a VISA resource name such as TCPIP0::192.168.0.5::5025::SOCKET or "
        "GPIB0::24::INSTR, or serial:///dev/ttyUSB0?baudrate=9600"
    )


def visa_resource(address: str) -> str:
    """The resource name PyVISA takes for this address."""
    parsed = parse_address(address)
    return f"ASRL{parsed.port}::INSTR" if isinstance(parsed, SerialAddress) else address


def _tcp_port(address: str, port: str) -> int:
    if not 0 < int(port) < 65536:
        raise ConfigError(f"{address!r}: {port} is not a TCP port (1 to 65535)")
    return int(port)


def _serial_port(board: str) -> str:
    """``ASRL3`` is COM3 on Windows; elsewhere VISA counts from /dev/ttyS0."""
    if not board.isdecimal():
        return board
    return f"COM{board}" if sys.platform == "win32" else f"/dev/ttyS{int(board) - 1}"


def _serial_url(address: str) -> SerialAddress:
    parts = urlsplit(address)
    port = unquote(parts.netloc + parts.path)
    if re.fullmatch(r"/COM\d+", port, re.IGNORECASE):
        port = port[1:]
    if not port:
        raise ConfigError(f"{address!r} names no port: write serial:///dev/ttyUSB0 or serial://COM3")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(options.keys() - {"baudrate", "parity", "stopbits", "flow"}):
        raise ConfigError(f"{address!r}: unknown option {unknown[0]!r}; there are baudrate, parity, stopbits, flow")
    return SerialAddress(
        port,
        _number(address, options, "baudrate"),
        _parity(address, options),
        _number(address, options, "stopbits"),
        _flow(address, options),
    )


def _number(address: str, options: dict[str, str], name: str) -> int | None:
    text = options.get(name)
    if text is not None and not (text.isdecimal() and int(text) > 0):
        raise ConfigError(f"{address!r}: {name} must be a whole number, not {text!r}")
    return None if text is None else int(text)


def _parity(address: str, options: dict[str, str]) -> str | None:
    parity = options.get("parity")
    if parity is not None and parity.upper() not in PARITIES:
        raise ConfigError(f"{address!r}: parity must be N, E or O, not {parity!r}")
    return None if parity is None else parity.upper()


def _flow(address: str, options: dict[str, str]) -> str:
    flow = options.get("flow", "none").lower()
    if flow not in FLOWS:
        raise ConfigError(f"{address!r}: flow must be {' or '.join(FLOWS)}, not {flow!r}")
    return flow
