"""What the VISA libraries list, and which of them there are."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib import import_module

from cycler_ctl.link.visa import FAILURES

PYTHON, VENDOR = "@py", "@ivi"


def listed(backend: str) -> tuple[str, ...]:
    """Every resource but serial ports, which have better names; whatever the library raises is raised."""
    import pyvisa

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that zeroconf is missing is no news for who has no HiSLIP instrument
        manager = pyvisa.ResourceManager(backend)
        try:
            found = manager.list_resources("?*")
        finally:
            manager.close()
    return tuple(one for one in found if not one.upper().startswith(("ASRL", "PRLGX")))


def vendor_library() -> str | None:
    """The path of NI's, Keysight's or another vendor's VISA, if one is installed."""
    from pyvisa.ctwrapper.highlevel import IVIVisaLibrary

    try:
        paths = IVIVisaLibrary.get_library_paths()
    except FAILURES:
        return None
    return str(paths[0]) if paths else None


def backends(chosen: str) -> tuple[str, ...]:
    """The one station.toml names, and the vendor's where there is one."""
    return tuple(dict.fromkeys((chosen, *((VENDOR,) if vendor_library() else ()))))


def missing(wanted: str) -> str | None:
    """Why PyVISA's Python library cannot reach a kind of resource such as ``USB INSTR``; None if it can."""
    library = import_module("pyvisa_py.highlevel").PyVisaLibrary
    said: Mapping[str, object] = library.get_debug_info()
    found = said.get(wanted, "not known to this version")
    if isinstance(found, str) and found.strip().startswith("Available"):
        return None
    return str(found) if isinstance(found, str) else "its library is not installed"


def no_libusb() -> str | None:
    """Why pyusb finds no libusb to work with; None if it does, or if there is no pyusb to ask."""
    try:
        backend = import_module("usb.backend.libusb1")
    except ImportError:
        return None
    try:
        package = import_module("libusb_package")
    except ImportError:
        found = backend.get_backend()
    else:
        found = backend.get_backend(find_library=package.find_library)
    return None if found is not None else "libusb is not there"
