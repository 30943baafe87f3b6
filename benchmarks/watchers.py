"""Browsers that keep the page open: each reads the stream of news for ever. ``python -m benchmarks.watchers URL COUNT``"""

from __future__ import annotations

import asyncio
import sys
from urllib.parse import urlsplit

from benchmarks.placing import pin


async def watch(url: str) -> None:
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(f"GET /api/v1/stream HTTP/1.1\r\nHost: {where.netloc}\r\n\r\n".encode())
    while await reader.read(65536):
        pass


async def main(url: str, count: int) -> None:
    await asyncio.gather(*(watch(url) for _ in range(count)))


if __name__ == "__main__":
    pin(measured=False)
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
