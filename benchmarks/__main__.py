"""All of them, or those named: ``python -m benchmarks link store``; ``fleet`` has options of its own (``fleet --help``)."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from collections.abc import Awaitable, Callable, Mapping

from benchmarks import engine, fleet, link, mqtt, outage, path, store

ALL: Mapping[str, Callable[[], Awaitable[None]]] = {
    "link": link.bench,
    "engine": engine.bench,
    "store": store.bench,
    "mqtt": mqtt.bench,
    "path": path.bench,
    "outage": outage.bench,
    "fleet": fleet.bench,
}
SHORT = [name for name in ALL if name not in {"outage", "fleet"}]
"""Those take minutes: only where they are named."""


async def main(names: list[str]) -> None:
    for name in names:
        await ALL[name]()


if __name__ == "__main__":
    if sys.argv[1:2] == ["fleet"]:
        asyncio.run(fleet.bench(fleet.wanted_of(sys.argv[2:])))
        sys.exit()
    wanted = sys.argv[1:] or SHORT
    if not set(wanted) <= ALL.keys():
        sys.exit(f"there are {', '.join(ALL)}")
    print(
        f"{platform.system()}, Python {platform.python_version()}, {os.cpu_count()} cores; medians, asyncio's own loop"
    )
    asyncio.run(main(wanted))
