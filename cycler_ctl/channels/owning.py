"""One owner for one instrument among the programs of this computer: by address before it is opened, by serial after.

The locks are the operating system's and end with the process that holds them, so a killed one leaves nothing behind.
Turning off by hand takes none: ``safe-off`` must work whoever holds an instrument.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from cycler_ctl.errors import RefusedError
from cycler_ctl.instrument import Identity
from cycler_ctl.link.address import SerialAddress, SocketAddress, VisaAddress, parse_address

VARIABLE = "CYCLER_CTL_LOCKS"
FOLDER = "cycler-ctl"


def lock_folder() -> Path:
    """Shared by all users of this computer, or two of them could own one instrument."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("PROGRAMDATA", tempfile.gettempdir())) / FOLDER
    shared = Path("/run/lock")  # the Filesystem Hierarchy Standard's place for it; gone after a reboot
    return (shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir())) / FOLDER


def address_key(address: str) -> str:
    """One text for the several spellings of one address."""
    match parse_address(address):
        case SocketAddress(host=host, port=port):
            return f"socket {'127.0.0.1' if host.casefold() == 'localhost' else host.casefold()} {port}"
        case SerialAddress(port=port):
            return f"serial {Path(port).resolve() if sys.platform != 'win32' else port.upper()}"
        case VisaAddress(resource=resource):
            return f"visa {resource.upper().removesuffix('::INSTR')}"


def identity_key(identity: Identity, address: str) -> str:
    """Maker, model and serial number; on this computer itself, where simulators repeat theirs, with the address."""
    key = f"identity {identity.maker} {identity.model} {identity.serial}"
    return f"{key} {address_key(address)}" if not identity.serial or is_local(address) else key


def is_local(address: str) -> bool:
    """A loopback port or a pseudo-terminal: a simulator, or a program that passes bytes on."""
    match parse_address(address):
        case SocketAddress(host=host):
            with suppress(ValueError):
                return ipaddress.ip_address(host).is_loopback
            return host.casefold() == "localhost"
        case SerialAddress(port=port):
            return str(Path(port).resolve()).startswith("/dev/pts/")
        case VisaAddress():
            return False


@contextmanager
def owned(key: str, what: str, name: str = "") -> Generator[None]:
    """Hold ``what`` while entered; RefusedError names the process that has it already."""
    folder = lock_folder()
    stem = hashlib.sha256(key.encode()).hexdigest()[:24]
    try:
        _make_shared(folder)
        lock = FileLock(folder / f"{stem}.lock", timeout=0, mode=0o666, thread_local=False)
        lock.acquire()
    except Timeout as error:
        raise RefusedError(
            f"{what} is in use by {_holder(folder / f'{stem}.owner')}: one program at a time may own an instrument; "
            "end that one first"
        ) from error
    except OSError as error:
        raise RefusedError(
            f"cannot lock {what} against other programs: {folder}: {error.strerror}; make that folder writable, or set "
            f"{VARIABLE} to one that every program here shares"
        ) from error
    try:
        _say_who(folder / f"{stem}.owner", name or what)
        yield
    finally:
        lock.release()


def in_use(address: str) -> str | None:
    """Why this address must be left alone now, None if nobody here has it."""
    try:
        with owned(address_key(address), address):
            return None
    except RefusedError as error:
        return str(error)


def _make_shared(folder: Path) -> None:
    """Not sticky: where it is, Linux keeps even root from opening another user's file for writing (protected_regular)."""
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):  # another user's: then it was done when it was made
        folder.chmod(0o777)


def _say_who(path: Path, name: str) -> None:
    """For the message to the next one who asks; the lock itself does not depend on it."""
    fresh = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        fresh.write_text(json.dumps({"pid": os.getpid(), "name": name}), encoding="utf-8")
        fresh.replace(path)


def _holder(path: Path) -> str:
    with suppress(OSError, ValueError, KeyError, TypeError):
        said = json.loads(path.read_text(encoding="utf-8"))
        return f"process {said['pid']} ({said['name']})"
    return "another process"
