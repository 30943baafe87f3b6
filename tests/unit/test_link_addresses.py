from __future__ import annotations

import sys

import pytest

from cycler_ctl.errors import ConfigError
from cycler_ctl.link.address import SerialAddress, SocketAddress, VisaAddress, parse_address, visa_resource


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("TCPIP0::127.0.0.1::5025::SOCKET", SocketAddress("127.0.0.1", 5025)),
        ("tcpip::smu.lab::5025::socket", SocketAddress("smu.lab", 5025)),
        ("TCPIP::[::1]::5025::SOCKET", SocketAddress("::1", 5025)),
        ("serial:///dev/ttyUSB0?baudrate=57600", SerialAddress("/dev/ttyUSB0", 57600)),
        ("serial:///dev/ttyUSB0?parity=e&stopbits=2", SerialAddress("/dev/ttyUSB0", None, "E", 2)),
        ("serial://COM3?baudrate=9600", SerialAddress("COM3", 9600)),
        ("serial:///COM12", SerialAddress("COM12")),
        ("ASRL/dev/ttyUSB0::INSTR", SerialAddress("/dev/ttyUSB0")),
        ("ASRLCOM5::INSTR", SerialAddress("COM5")),
        ("GPIB0::24::INSTR", VisaAddress("GPIB0::24::INSTR")),
        ("USB0::0x05E6::0x2450::0123::INSTR", VisaAddress("USB0::0x05E6::0x2450::0123::INSTR")),
        ("TCPIP0::10.0.0.7::INSTR", VisaAddress("TCPIP0::10.0.0.7::INSTR")),
        ("TCPIP0::10.0.0.7::hislip0::INSTR", VisaAddress("TCPIP0::10.0.0.7::hislip0::INSTR")),
    ],
)
def test_an_address_names_one_wire(text: str, address: object) -> None:
    assert parse_address(text) == address


def test_a_numbered_serial_resource_is_the_platforms_port_of_that_number() -> None:
    assert parse_address("ASRL3::INSTR") == SerialAddress("COM3" if sys.platform == "win32" else "/dev/ttyS2")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("127.0.0.1:5025", "not an address"),
        ("", "not an address"),
        ("TCPIP0::h::99999::SOCKET", "99999 is not a TCP port"),
        ("serial://", "names no port"),
        ("serial:///dev/ttyUSB0?baud=9600", "unknown option 'baud'"),
        ("serial:///dev/ttyUSB0?baudrate=fast", "baudrate must be a whole number"),
        ("serial:///dev/ttyUSB0?baudrate=0", "baudrate must be a whole number"),
        ("serial:///dev/ttyUSB0?parity=X", "parity must be N, E or O"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says.replace("(", r"\(")):
        parse_address(text)


def test_a_serial_url_has_a_name_visa_understands() -> None:
    assert visa_resource("serial:///dev/ttyUSB0?baudrate=9600") == "ASRL/dev/ttyUSB0::INSTR"
