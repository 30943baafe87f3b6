"""Instruments that serve one raw socket and do not notice that its client is gone: a second port frees the first.

Whoever connects there throws out whoever is connected, so it is done only where an output may be on and nobody answers.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from cycler_ctl.errors import ConfigError
from cycler_ctl.instrument import LinkDefaults
from cycler_ctl.link.address import SocketAddress, parse_address

FREEING_S = 1.0


async def free_socket(address: str, defaults: LinkDefaults) -> bool:
    """True when the instrument's dead-socket port took our call; what comes of it, the next connection shows."""
    try:
        target = parse_address(address)
    except ConfigError:
        return False
    if defaults.dead_socket is None or not isinstance(target, SocketAddress):
        return False
    with suppress(OSError, ValueError):
        async with asyncio.timeout(FREEING_S):
            _, writer = await asyncio.open_connection(target.host, defaults.dead_socket)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            return True
    return False
