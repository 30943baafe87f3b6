"""Where a broker's name leads: the computer's resolver is asked in a thread, for it may hang and must hold up nobody."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import Future
from dataclasses import replace

from cycler_ctl.publish.endpoint import Endpoint, here, is_address

WITHIN_S = 2.5


class Unresolved(OSError):  # noqa: N818 - what happened
    """The resolver does not know the name, or does not answer."""


class Names:
    """A name is asked for once at a time, however often one wants to know: a resolver that hangs costs one thread."""

    def __init__(self, within_s: float = WITHIN_S) -> None:
        self._within_s = within_s
        self._asked: dict[str, Future[tuple[str, ...]]] = {}

    async def locate(self, broker: Endpoint) -> Endpoint:
        """What to connect to. OSError: it is not known, or in clear and not this computer."""
        asked = self._ask(broker.host)
        try:
            async with asyncio.timeout(self._within_s):
                return _led(broker, asked.result() if asked.done() else await asyncio.wrap_future(asked))
        except TimeoutError:
            raise self._silent(broker) from None
        finally:
            self._forget(broker.host, asked)

    def locate_here(self, broker: Endpoint) -> Endpoint:
        """The same in a thread that may wait."""
        asked = self._ask(broker.host)
        try:
            return _led(broker, asked.result(self._within_s))
        except TimeoutError:
            raise self._silent(broker) from None
        finally:
            self._forget(broker.host, asked)

    def _silent(self, broker: Endpoint) -> Unresolved:
        return Unresolved(f"this computer's resolver says nothing of {broker.host} within {self._within_s:g} s")

    def _ask(self, host: str) -> Future[tuple[str, ...]]:
        """An answer that came too late is the next one's: it may never come sooner."""
        if host not in self._asked:
            asked = self._asked[host] = Future()
            asked.set_running_or_notify_cancel()  # nobody who goes away takes the answer from others
            if is_address(host):
                asked.set_result((host,))
            else:
                threading.Thread(target=_resolve, args=(host, asked), name=f"name {host}", daemon=True).start()
        return self._asked[host]

    def _forget(self, host: str, asked: Future[tuple[str, ...]]) -> None:
        if asked.done():
            self._asked.pop(host, None)


def _resolve(host: str, asked: Future[tuple[str, ...]]) -> None:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        asked.set_exception(Unresolved(f"{host} is not known here ({error})"))
    else:
        asked.set_result(tuple(str(each[4][0]) for each in found))


def _led(broker: Endpoint, addresses: tuple[str, ...]) -> Endpoint:
    """With TLS by its name, which the certificate must bear."""
    return broker if broker.tls is not None else replace(broker, host=here(broker.host, addresses))
