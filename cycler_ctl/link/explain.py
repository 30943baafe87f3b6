"""What a library or the system raised, as one of our errors: what failed, on which address, what to do."""

from __future__ import annotations

import errno
import socket

from cycler_ctl.errors import AnsweredLate, LinkClosed, LinkError, LinkTimeout

REFUSED = "nobody listens there; is the instrument on, and is this its port?"
NO_HOST = "no such host; check the name, or write the IP address"
SILENT = "no answer to the connection request; is the instrument on and on this network?"
ABSENT = "no such port; is the adapter plugged in? `cycler-ctl scan` lists what is there"
NOT_SERIAL = "that is no serial port; `cycler-ctl scan` lists what is there"
BUSY = "port busy: another program has it open"
FORBIDDEN = "no permission; on Linux add your user to the group dialout and log in again"
USB_FORBIDDEN = (
    "no permission for this USB device; on Linux add a udev rule such as "
    'SUBSYSTEM=="usb", ATTR{idVendor}=="05e6", MODE="0660", GROUP="dialout" and plug it in again'
)
NO_USB = "VISA over USB needs pyusb and libusb: pip install 'cycler-ctl[usb]'; on Windows also the driver WinUSB"
NO_GPIB = 'GPIB needs linux-gpib, or a vendor\'s VISA (visa_backend = "@ivi" under [station])'
NO_VISA = "no vendor's VISA is installed; install NI-VISA or Keysight's, or leave visa_backend out"
NO_SUCH_INSTRUMENT = "VISA finds no such instrument; is it on and plugged in? `cycler-ctl scan` lists what is there"
STUCK = "the adapter does not answer; unplug it and plug it in again"
GONE = "the connection is closed; is the instrument still on and plugged in?"

XON, XOFF = 0x11, 0x13
XON_XOFF = (
    "; XON or XOFF came with it: set the instrument's flow control to NONE, or write flow=xonxoff in the address "
    "(serial:///dev/ttyUSB0?flow=xonxoff)"
)
GARBLED = "; that is no text: are baud rate, data bits and parity those of the instrument?"
HELD = "; it holds the line with XOFF and takes no more bytes"
CR_ONLY = "; it ends in CR: set the instrument's terminator to LF or CR+LF"

BY_ERRNO = {
    errno.ECONNREFUSED: REFUSED,
    errno.EHOSTUNREACH: SILENT,
    errno.ENETUNREACH: SILENT,
    errno.ETIMEDOUT: SILENT,
    errno.ENOENT: ABSENT,
    errno.ENXIO: ABSENT,
    errno.ENODEV: ABSENT,
    errno.ENOTTY: NOT_SERIAL,
    errno.EISDIR: NOT_SERIAL,
    errno.EIO: STUCK,
    errno.EBUSY: BUSY,
    errno.EAGAIN: BUSY,  # the exclusive lock of a serial port
    errno.EACCES: FORBIDDEN,
    errno.EPERM: FORBIDDEN,
}
# Windows' serial errors, and all of PyVISA's, carry their kind only in the text.
BY_TEXT = {
    "FileNotFoundError": ABSENT,
    "PermissionError": BUSY,
    "exclusively lock": BUSY,
    "Inappropriate ioctl": NOT_SERIAL,
    "handle is invalid": NOT_SERIAL,
    "semaphore timeout": STUCK,
    "not functioning": STUCK,
    "PyUSB": NO_USB,
    "No backend available": NO_USB,
    "gpib": NO_GPIB,
    "not supported or unimplemented": NO_USB,
    "VISA library": NO_VISA,
    "VI_ERROR_LIBRARY_NFOUND": NO_VISA,
    "VI_ERROR_RSRC_NFOUND": NO_SUCH_INSTRUMENT,
    "No device found": NO_SUCH_INSTRUMENT,
    "VI_ERROR_RSRC_BUSY": BUSY,
    "VI_ERROR_RSRC_LOCKED": BUSY,
}


def open_error(address: str, error: BaseException) -> LinkError:
    """Why this address could not be opened."""
    return LinkClosed(f"cannot open {address}: {_why(address, error)} ({' '.join(str(error).split())})")


def exchange_error(address: str, error: BaseException) -> LinkError:
    """Why an exchange failed for another reason than silence."""
    refused = isinstance(error, ConnectionRefusedError)
    return LinkClosed(f"lost {address}: {REFUSED if refused else GONE} ({str(error) or type(error).__name__})")


def silence(address: str, timeout_s: float, heard: bytes = b"", because: str = "") -> LinkTimeout:
    """``heard``: what came of an answer that did not end."""
    only = f"; it sent only {heard[:64]!r}{line_hint(heard)}" if heard else ""
    return LinkTimeout(f"no whole answer from {address} within {timeout_s:g} s{only}{because}")


def late(address: str, took_s: float) -> AnsweredLate:
    """It has come, and lay here."""
    return AnsweredLate(f"{address} was asked {took_s:.2g} s before its answer was seen: this computer stood still")


def line_hint(heard: bytes) -> str:
    """What these bytes tell of a serial line's settings, to stand at the end of a sentence; empty for good text."""
    if XON in heard or XOFF in heard:
        return XON_XOFF
    if any(byte > 126 or (byte < 32 and byte not in b"\r\n\t") for byte in heard):
        return GARBLED
    return CR_ONLY if heard.endswith(b"\r") else ""


def out_of_step(address: str) -> LinkTimeout:
    return LinkTimeout(f"{address} is out of step since an answer did not come: clear and identify it first")


def _why(address: str, error: BaseException) -> str:
    if isinstance(error, socket.gaierror):
        return NO_HOST
    if isinstance(error, TimeoutError):
        return SILENT
    number = error.errno if isinstance(error, OSError) else None
    if number in BY_ERRNO:
        forbidden = BY_ERRNO[number] == FORBIDDEN
        return USB_FORBIDDEN if forbidden and address.upper().startswith("USB") else BY_ERRNO[number]
    found = [why for text, why in BY_TEXT.items() if text in str(error)]
    return found[0] if found else "check the address, the cable and the power"
