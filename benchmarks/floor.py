"""The least that does the whole path: ask over TCP, parse, compare with a cut-off, one FULL commit and one message each 0.25 s.

No guard, no protocol, no checkpoint, no verified output, no time-out: what a careful service costs is told as a
multiple of this. ``python -m benchmarks.floor SPEC``, as ``benchmarks.path`` starts it.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from aiomqtt import Client

from benchmarks.link import Bare
from benchmarks.placing import pin, realtime
from benchmarks.spec import Spec, measured, runner
from cycler_ctl.clock import real_sleep

SETTINGS = (
    b":SOUR:FUNC:MODE CURR;:SENS:VOLT:PROT 5;:SENS:REM ON;:SENS:VOLT:NPLC 0.01;:SENS:CURR:NPLC 0.01;"
    b":FORM:ELEM:SENS VOLT,CURR,STAT;:OUTP ON\n"
)
READING = b":MEAS? (@1)\n"
CUT_OFF_V, FLUSH_S = 4.2, 0.25
Sample = tuple[int, float, float, float]


class Floor:
    def __init__(self, spec: Spec, rows: sqlite3.Connection, client: Client) -> None:
        self.spec, self._rows, self._client = spec, rows, client
        self._loop, self._disk = asyncio.get_running_loop(), ThreadPoolExecutor(1)
        self._waiting: list[Sample] = []
        self.count = 0

    async def channel(self, number: int, port: int) -> None:
        _, wire = await self._loop.create_connection(Bare, "127.0.0.1", port)
        wire.transport.write(SETTINGS)
        due_s = self._loop.time() + number / len(self.spec.ports) / self.spec.hz
        while True:
            await real_sleep(due_s - self._loop.time())
            voltage_V, current_A, _ = map(float, (await wire.query(READING)).split(b","))
            self._waiting.append((number, self._loop.time(), voltage_V, current_A))
            self.count += 1
            if voltage_V >= CUT_OFF_V:
                wire.transport.write(b":OUTP1 OFF\n")
                return
            due_s += 1 / self.spec.hz
            while due_s <= self._loop.time():
                due_s += 1 / self.spec.hz

    async def flush(self) -> None:
        while True:
            await real_sleep(FLUSH_S)
            taken, self._waiting = self._waiting, []
            await self._loop.run_in_executor(self._disk, self._commit, taken)
            await self._client.publish("floor/samples", json.dumps(taken), qos=1)

    def _commit(self, taken: list[Sample]) -> None:
        self._rows.executemany("INSERT INTO samples VALUES (?, ?, ?, ?)", taken)
        self._rows.commit()


async def main(spec: Spec) -> None:
    rows = sqlite3.connect(f"{spec.folder}/floor.sqlite", check_same_thread=False)
    rows.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE samples (n, at_s, V, A)")
    broker = urlsplit(spec.broker)
    async with Client(broker.hostname or "", broker.port or 1883) as client, asyncio.TaskGroup() as group:
        floor = Floor(spec, rows, client)
        tasks = [group.create_task(floor.channel(*each)) for each in enumerate(spec.ports)]
        tasks.append(group.create_task(floor.flush()))
        await measured(spec, lambda: floor.count)
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    pin(measured=True)
    realtime(5)
    spec = Spec.of(sys.argv[1])
    with runner(spec) as loop:
        loop.run(main(spec))
