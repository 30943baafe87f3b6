"""Where instruments may be: what the system and VISA list, what station.toml names, what a person asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from cycler_ctl.channels.owning import address_key
from cycler_ctl.config import Config
from cycler_ctl.errors import ConfigError
from cycler_ctl.link.address import SerialAddress, parse_address
from cycler_ctl.link.visa import FAILURES
from cycler_ctl.scan import visa
from cycler_ctl.scan.ports import serial_ports, usb_instruments
from cycler_ctl.scan.progress import Say, trouble
from cycler_ctl.within import within

LIST_S = 8.0  # a broadcast on each network and a walk over each bus take a second or two


@dataclass(frozen=True, slots=True)
class Place:
    """``ask``: a question may be sent there. ``trouble``: known already, so nothing is opened."""

    address: str
    what: str = ""
    ask: bool = False
    trouble: str | None = None
    driver: str | None = None
    name: str | None = None
    backend: str | None = None
    visa_backend: str = visa.PYTHON
    options: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for: addresses to be asked, serial ports that may be."""

    addresses: Sequence[str] = ()
    ask: Sequence[str] = ()


def places(config: Config | None, wanted: Wanted, say: Say) -> list[Place]:
    """Each place once, however many lists have it; ConfigError for an address that is none."""
    found: dict[str, Place] = {}
    for one in (*_named(wanted), *_of_station(config), *_listed(config, say)):
        key = address_key(one.address)
        found[key] = _merged(found[key], one) if key in found else one
    return list(found.values())


def _merged(first: Place, again: Place) -> Place:
    return replace(
        first,
        what=first.what or again.what,
        ask=first.ask or again.ask,
        trouble=first.trouble or again.trouble,
        driver=first.driver or again.driver,
        name=first.name or again.name,
        backend=first.backend or again.backend,
        options=first.options or again.options,
    )


def _named(wanted: Wanted) -> Iterator[Place]:
    for address in wanted.addresses:
        yield Place(_as_address(address), ask=True)
    for port in wanted.ask:
        yield Place(_as_address(port), ask=True)


def _as_address(text: str) -> str:
    """An address, or a bare port such as /dev/ttyUSB0 or COM3."""
    if text.startswith("/dev/") or (text.upper().startswith("COM") and text[3:].isdecimal()):
        return f"serial://{text}"
    parse_address(text)
    return text


def _of_station(config: Config | None) -> Iterator[Place]:
    if config is None:
        return
    for name, one in config.instruments.items():
        yield Place(
            one.address, f"{name} of station.toml", ask=True, driver=one.driver, name=name, backend=one.backend,
            visa_backend=config.station.visa_backend, options=one.options,
        )  # fmt: skip


def _listed(config: Config | None, say: Say) -> Iterator[Place]:
    say("serial ports")
    for port in within(LIST_S, serial_ports):
        yield Place(f"serial://{port.device}", port.what, trouble=port.trouble)
    chosen = visa.PYTHON if config is None else config.station.visa_backend
    listed: set[str] = set()
    for backend in visa.backends(chosen):
        say(f"VISA resources ({backend})")
        for resource in _resources(backend):
            listed.add(resource.upper())
            if _may_be_asked(resource):
                yield Place(resource, ask="???" not in resource, visa_backend=backend, trouble=_unreadable(resource))
    yield from _unreached(listed)


def _resources(backend: str) -> tuple[str, ...]:
    try:
        return within(LIST_S, partial(visa.listed, backend), FAILURES)
    except (*FAILURES, TimeoutError) as error:
        trouble(f"VISA ({backend}) lists nothing: {error}")
        return ()


def _may_be_asked(resource: str) -> bool:
    """Instruments; not boards, backplanes or what cannot be an address."""
    try:
        parse_address(resource)
    except ConfigError:
        return False
    return resource.upper().endswith(("::INSTR", "::SOCKET")) and resource.upper().startswith(("USB", "TCPIP", "GPIB"))


def _unreadable(resource: str) -> str | None:
    if "???" not in resource:
        return None
    return "its serial number cannot be read: on Linux this user lacks the permission (a udev rule), see doctor"


def _unreached(listed: set[str]) -> Iterator[Place]:
    """USB instruments that the kernel sees and VISA does not list."""
    for one in usb_instruments():
        if not any(one.serial and one.serial.upper() in resource for resource in listed):
            why = one.trouble or visa.missing("USB INSTR") or "VISA does not list it: plug it in again"
            hint = "" if one.trouble else "; pip install 'cycler-ctl[usb]' installs pyusb and libusb"
            yield Place(one.address, one.what, trouble=why + hint)


def is_serial(address: str) -> bool:
    return isinstance(parse_address(address), SerialAddress)
