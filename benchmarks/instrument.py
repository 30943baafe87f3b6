"""A fake instrument in a process of its own, so that its CPU is nobody's cost: answers every line with one reading."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Generator
from contextlib import contextmanager
from subprocess import PIPE, Popen
from typing import cast

REPLY = b"+4.100000E+00,+2.000000E-04,+4.216840E+06\n"


class Answering(asyncio.Protocol):
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(REPLY * data.count(b"\n"))


@contextmanager
def fake_instrument() -> Generator[int]:
    """Its port on 127.0.0.1."""
    with Popen([sys.executable, "-m", "benchmarks.instrument"], stdout=PIPE, text=True) as child:
        try:
            yield int(child.stdout.readline() if child.stdout else 0)
        finally:
            child.terminate()


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
