"""Each way a port can fail, as Linux, Windows and VISA say it, and what the user is told to do."""

from __future__ import annotations

import errno
import socket

import pytest

from cycler_ctl.link.explain import exchange_error, open_error

SERIAL, USB, GPIB = "serial:///dev/ttyUSB0", "USB0::0x05E6::0x2450::1::INSTR", "GPIB0::24::INSTR"
WINDOWS = "could not open port 'COM3': "


@pytest.mark.parametrize(
    ("address", "error", "told"),
    [
        (SERIAL, OSError(errno.EACCES, "Permission denied"), "group dialout"),
        (USB, OSError(errno.EACCES, "Access denied (insufficient permissions)"), "udev rule"),
        (SERIAL, OSError(errno.ENOENT, "No such file or directory"), "cycler-ctl scan"),
        (SERIAL, OSError(errno.EAGAIN, "Resource temporarily unavailable"), "another program has it open"),
        (SERIAL, OSError(errno.EBUSY, "Device or resource busy"), "another program has it open"),
        (SERIAL, OSError(WINDOWS + "PermissionError(13, 'Access is denied.', None, 5)"), "another program has it open"),
        (
            SERIAL,
            OSError(WINDOWS + "FileNotFoundError(2, 'The system cannot find the file specified.')"),
            "no such port",
        ),
        (SERIAL, OSError(WINDOWS + "OSError(22, 'The semaphore timeout period has expired.')"), "unplug it"),
        (SERIAL, OSError(WINDOWS + "OSError(22, 'A device attached to the system is not functioning.')"), "unplug it"),
        (SERIAL, OSError("Could not configure port: (25, 'Inappropriate ioctl for device')"), "no serial port"),
        (SERIAL, OSError(errno.EISDIR, "Is a directory"), "no serial port"),
        (SERIAL, OSError(errno.EIO, "Input/output error"), "unplug it"),
        (SERIAL, OSError(WINDOWS + "OSError(9, 'The handle is invalid.', None, 6)"), "no serial port"),
        (USB, NotImplementedError("Operation not supported or unimplemented on this platform"), "WinUSB"),
        (USB, Exception("VI_ERROR_LIBRARY_NFOUND (-1073807202): A code library required"), "NI-VISA"),
        (USB, ValueError("Please install PyUSB to use this resource type.\nNo module named 'usb'"), "cycler-ctl[usb]"),
        (USB, ValueError("No backend available"), "cycler-ctl[usb]"),
        (USB, ValueError("No device found."), "is it on and plugged in"),
        (USB, Exception("VI_ERROR_RSRC_NFOUND (-1073807343): Insufficient location information"), "cycler-ctl scan"),
        (USB, Exception("VI_ERROR_RSRC_BUSY (-1073807246): The resource is valid, but"), "another program has it open"),
        (GPIB, ValueError("Please install linux-gpib (Linux) or gpib-ctypes"), "linux-gpib"),
        (GPIB, OSError("Could not open VISA library:\n"), "NI-VISA"),
        ("TCPIP0::smu::5025::SOCKET", socket.gaierror(-2, "Name or service not known"), "IP address"),
        ("TCPIP0::10.0.0.5::5025::SOCKET", TimeoutError(), "on this network"),
        ("TCPIP0::10.0.0.5::5025::SOCKET", ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "nobody listens"),
        (SERIAL, RuntimeError("surprise"), "check the address, the cable and the power"),
    ],
)
def test_each_failure_to_open_is_one_line_with_what_to_do(address: str, error: Exception, told: str) -> None:
    said = str(open_error(address, error))
    assert told in said
    assert said.startswith(f"cannot open {address}: ")
    assert "\n" not in said


def test_an_error_without_words_of_its_own_is_told_by_its_kind() -> None:
    assert str(exchange_error(SERIAL, BrokenPipeError())).endswith("(BrokenPipeError)")
    assert str(exchange_error(SERIAL, OSError("gone"))).endswith("(gone)")
