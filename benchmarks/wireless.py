"""Simulated instruments without sockets: an event loop whose connections call the instrument in the same process.

The service's own link runs on it unchanged; only the operating system is left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Answer = TypeVar("Answer")
Answering = Callable[[bytes], bytes]


class DirectTransport(asyncio.Transport):
    """What is written is answered in the loop's next round, as from a socket that is never late."""

    def __init__(self, protocol: asyncio.BaseProtocol, answering: Answering) -> None:
        super().__init__()
        self._protocol: Any = protocol
        self._answering = answering
        self._loop = asyncio.get_running_loop()
        self._open = True

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self._open and (reply := self._answering(bytes(data))):
            self._loop.call_soon(self._protocol.data_received, reply)

    def is_closing(self) -> bool:
        return not self._open

    def close(self) -> None:
        if self._open:
            self._open = False
            self._loop.call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()


class WirelessLoop(asyncio.SelectorEventLoop):
    """Ports below 1000 are instruments of this process."""

    def __init__(self) -> None:
        super().__init__()
        self.ports: dict[int, Answering] = {}

    async def create_connection(  # asyncio overloads it in ways that no other signature fits
        self,
        protocol_factory: Any,  # noqa: ANN401
        host: Any = None,  # noqa: ANN401
        port: Any = None,  # noqa: ANN401
        **more: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        if port not in self.ports:
            return await super().create_connection(protocol_factory, host, port, **more)
        protocol = protocol_factory()
        transport = DirectTransport(protocol, self.ports[port])
        protocol.connection_made(transport)
        return transport, protocol


def plug_in(answering: Answering) -> str:
    """Its address for as long as this loop runs."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, WirelessLoop):
        raise TypeError("this is for a WirelessLoop")
    port = len(loop.ports) + 1
    loop.ports[port] = answering
    return f"TCPIP0::127.0.0.1::{port}::SOCKET"


async def apart(work: Callable[[], Coroutine[object, object, Answer]]) -> Answer:
    """Done in a thread with a loop of its own."""

    def run() -> Answer:
        with asyncio.Runner(loop_factory=WirelessLoop) as runner:
            return runner.run(work())

    return await asyncio.to_thread(run)
