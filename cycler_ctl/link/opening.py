"""One address, one open link: natively for sockets and serial ports, through PyVISA for the rest."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import partial

from cycler_ctl.clock import Clock
from cycler_ctl.errors import ConfigError
from cycler_ctl.instrument import Link, LinkDefaults
from cycler_ctl.link.address import Address, SerialAddress, SocketAddress, VisaAddress, parse_address, visa_resource
from cycler_ctl.link.stream import open_socket
from cycler_ctl.link.threaded import Port, open_threaded


def open_link(
    address: str, defaults: LinkDefaults, clock: Clock, *, backend: str | None = None, visa_backend: str = "@py"
) -> AbstractAsyncContextManager[Link]:
    """Open on entering, close for good on leaving. ``backend="visa"`` forces PyVISA; ``visa_backend`` names its library.

    ConfigError: not an address. LinkError: cannot be opened, with the reason and what to try.
    """
    if backend not in {None, "visa"}:
        raise ConfigError(f'backend = "{backend}" is unknown; leave it out, or write backend = "visa"')
    target = parse_address(address)
    if isinstance(target, SocketAddress) and backend is None:
        return open_socket(address, target, defaults, clock)
    return open_threaded(
        address, defaults, clock, partial(_open_port, address, target, defaults, backend, visa_backend)
    )


def _open_port(address: str, target: Address, defaults: LinkDefaults, backend: str | None, visa_backend: str) -> Port:
    """Runs in the link's own thread, which also pays for the import of the library."""
    if isinstance(target, SerialAddress) and backend is None:
        from cycler_ctl.link.serial_port import open_serial

        return open_serial(address, target, defaults)
    from cycler_ctl.link.visa import open_visa

    resource = target.resource if isinstance(target, VisaAddress) else visa_resource(address)
    wire = target if isinstance(target, SerialAddress) else SerialAddress("")
    return open_visa(address, resource, wire, defaults, visa_backend)
