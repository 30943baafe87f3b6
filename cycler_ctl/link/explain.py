"""What a library or the system raised, as one of our errors: what failed, on which address, what to do."""

from __future__ import annotations

import errno
import socket

from cycler_ctl.errors import LinkClosed, LinkError, LinkTimeout

REFUSED = "nobody listens there; is the instrument on, and is this its port?"
NO_HOST = "no such host; check the name, or write the IP address"
SILENT = "no answer to the connection request; is the instrument on and on this network?"
ABSENT = "no such port; is the adapter plugged in? `cycler-ctl scan` lists what is there"
BUSY = "port busy: another program has it open"
FORBIDDEN = "no permission; on Linux add your user to the group dialout and log in again"
GONE = "the connection is closed; is the instrument still on and plugged in?"

BY_ERRNO = {
    errno.ECONNREFUSED: REFUSED,
    errno.EHOSTUNREACH: SILENT,
    errno.ENETUNREACH: SILENT,
    errno.ETIMEDOUT: SILENT,
    errno.ENOENT: ABSENT,
    errno.ENXIO: ABSENT,
    errno.ENODEV: ABSENT,
    errno.EBUSY: BUSY,
    errno.EAGAIN: BUSY,  # the exclusive lock of a serial port
    errno.EACCES: FORBIDDEN,
    errno.EPERM: FORBIDDEN,
}
# Windows' serial errors carry their kind only in the text.
BY_TEXT = {"FileNotFoundError": ABSENT, "PermissionError": BUSY, "exclusively lock": BUSY}


def open_error(address: str, error: BaseException) -> LinkError:
    """Why this address could not be opened."""
    return LinkClosed(f"cannot open {address}: {_why(error)} ({error})")


def exchange_error(address: str, error: BaseException) -> LinkError:
    """Why an exchange failed for another reason than silence."""
    refused = isinstance(error, ConnectionRefusedError)
    return LinkClosed(f"lost {address}: {REFUSED if refused else GONE} ({error or type(error).__name__})")


def silence(address: str, timeout_s: float) -> LinkTimeout:
    return LinkTimeout(f"no whole answer from {address} within {timeout_s:g} s")


def out_of_step(address: str) -> LinkTimeout:
    return LinkTimeout(f"{address} is out of step since an answer did not come: clear and identify it first")


def _why(error: BaseException) -> str:
    if isinstance(error, socket.gaierror):
        return NO_HOST
    if isinstance(error, TimeoutError):
        return SILENT
    number = error.errno if isinstance(error, OSError) else None
    if number in BY_ERRNO:
        return BY_ERRNO[number]
    found = [why for text, why in BY_TEXT.items() if text in str(error)]
    return found[0] if found else "check the address, the cable and the power"
