"""All of them, or those named: ``python -m benchmarks link store``; ``fleet`` has options of its own (``fleet --help``).

``--json``: one JSON document a line instead of tables, from those that make tables.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from benchmarks import engine, fleet, link, mqtt, outage, page, path, peers, reaction, start, storage, store, virtual
from benchmarks.measure import Table

ALL: Mapping[str, Callable[[], AsyncIterator[Table]]] = {
    "link": link.bench,
    "engine": engine.bench,
    "store": store.bench,
    "mqtt": mqtt.bench,
    "path": path.bench,
    "reaction": reaction.bench,
    "virtual": virtual.bench,
    "peers": peers.bench,
    "storage": storage.bench,
    "start": start.bench,
}
NAMED = {"path", "reaction", "peers", "storage", "start"}
"""Take minutes, and peers installs other programs: only where they are named."""
LONG: Mapping[str, Callable[[], Awaitable[None]]] = {"outage": outage.bench, "fleet": fleet.bench, "page": page.bench}
"""Those take minutes and print as they go on: only where they are named."""


async def main(names: list[str], written: Callable[[Table], str]) -> None:
    for name in names:
        if name in LONG:
            await LONG[name]()
            continue
        async for table in ALL[name]():
            print(written(table), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["fleet"]:
        asyncio.run(fleet.bench(fleet.wanted_of(sys.argv[2:])))
        sys.exit()
    as_json = "--json" in sys.argv
    wanted = [name for name in sys.argv[1:] if name != "--json"] or [name for name in ALL if name not in NAMED]
    if not set(wanted) <= {*ALL, *LONG}:
        sys.exit(f"there are {', '.join([*ALL, *LONG])}")
    if not as_json:
        print(f"{platform.system()}, Python {platform.python_version()}, {os.cpu_count()} cores; asyncio's own loop")
    asyncio.run(main(wanted, Table.json if as_json else Table.text))
