"""Many fake B2901s in a process of their own, so that their CPU is nobody's cost.

Whatever is set and read back goes through the simulator; its answers to the reading that is asked again and again are
kept and repeated, so that a sample costs one comparison here. They see what the service cannot: how late a question
came, and how long after the crossing sample the output was told to go off.

``python -m benchmarks.instruments N``: the first line of its output holds N ports; then each line of input is a
command ``[word, number, ...]`` in JSON, and each is answered with a line.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import cycle
from subprocess import PIPE, Popen
from time import perf_counter
from typing import Any, cast

from benchmarks.placing import pin, realtime
from sim_hardware.keysightb2900 import KeysightB2900

READING, OFF = b":MEAS?", b":OUTP1 OFF"
KEPT = 16
MISSED = 1.5
"""Periods without a question that are too long."""
REST_V, CELL_OHM = 3.7, 0.1


class Cell:
    """A voltage that the benchmark moves, behind a resistance."""

    def __init__(self) -> None:
        self.voltage_V = REST_V

    def set_temperature(self, temperature_K: float) -> None:
        """The same at any."""

    def advance(self, dt_s: float, current_A: float) -> None:
        """It never fills up."""

    def voltage(self, current_A: float) -> float:
        return self.voltage_V + CELL_OHM * current_A

    def current_for(self, voltage_V: float, limit_A: float) -> float:
        return max(-limit_A, min(limit_A, (voltage_V - self.voltage_V) / CELL_OHM))

    def save(self) -> tuple[float, ...]:
        return ()

    def restore(self, state: tuple[float, ...]) -> None:
        """Nothing is lost with the power."""

    def truth(self) -> dict[str, float]:
        return {}


@dataclass(slots=True)
class Seen:
    """``reactions_s``: from the crossing answer to OFF."""

    readings: int = 0
    late: list[tuple[float, float, int]] = field(default_factory=list[tuple[float, float, int]])
    """Questions that came too late: when the last one came and when this one, and the periods that passed without."""
    reactions_s: list[float] = field(default_factory=list[float])


class Instrument(asyncio.Protocol):
    """One of them, and the connection to it."""

    def __init__(self, number: int, seen: Seen) -> None:
        self.cell = Cell()
        self.seen = seen
        self.period_s = 1.0
        self.silent = False
        self.armed_V: float | None = None
        self._sim = KeysightB2900(self.cell, perf_counter, seed=number, serial=f"MY{number:08}")
        self._reading = b""
        self._answers = cycle([b""])
        self._last_s: float | None = None
        self._crossed_s: float | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def begin(self, period_s: float) -> None:
        self.period_s, self._last_s = period_s, None

    def data_received(self, data: bytes) -> None:
        if self.silent:
            return
        if data == self._reading and self.armed_V is None:
            self._say(next(self._answers))
            self._count(perf_counter())
        elif data.startswith(OFF):
            self._told_off(data)
        else:
            self._say(self._asked(data))

    def _count(self, now_s: float) -> None:
        self.seen.readings += 1
        if self._last_s is not None and now_s - self._last_s > MISSED * self.period_s:
            self.seen.late.append((self._last_s, now_s, round((now_s - self._last_s) / self.period_s) - 1))
        self._last_s = now_s

    def _asked(self, data: bytes) -> bytes:
        """By the simulator; a reading is learned for the next time."""
        if READING not in data or not data.endswith(b"\n"):
            self._reading = b""
            return self._sim.receive(data)
        if self.armed_V is not None:
            self.cell.voltage_V = self.armed_V
        elif self._crossed_s is None:
            self._reading, self._answers = data, cycle([self._sim.receive(data) for _ in range(KEPT)])
        return self._sim.receive(data)

    def _say(self, answer: bytes) -> None:
        if answer and self.transport is not None:
            self.transport.write(answer)
            if self.armed_V is not None and self.cell.voltage_V == self.armed_V:
                self._crossed_s, self.armed_V = perf_counter(), None

    def _told_off(self, data: bytes) -> None:
        if self._crossed_s is not None:
            self.seen.reactions_s.append(perf_counter() - self._crossed_s)
        self._crossed_s, self.cell.voltage_V = None, REST_V
        self._say(self._asked(data))


class Rack:
    """All of them, and what the benchmark may tell them."""

    def __init__(self, count: int) -> None:
        self.seen = Seen()
        self.instruments = [Instrument(number, self.seen) for number in range(count)]

    def begin(self, period_s: float) -> None:
        self.seen.readings = 0
        self.seen.late.clear()
        self.seen.reactions_s.clear()
        for each in self.instruments:
            each.begin(period_s)

    def cross(self, number: float, voltage_V: float) -> None:
        """At its next reading."""
        self.instruments[int(number)].armed_V = voltage_V

    def silent(self, number: float, silent: float) -> None:
        self.instruments[int(number)].silent = bool(silent)

    def hang_up(self, number: float) -> float:
        transport = self.instruments[int(number)].transport
        if transport is not None:
            transport.abort()
        return perf_counter()

    def report(self) -> dict[str, object]:
        return asdict(self.seen)


class FakeRack:
    """The process, as the benchmark sees it."""

    def __init__(self, child: Popen[str]) -> None:
        self._child = child
        self.ports: list[int] = json.loads(self._line())

    def tell(self, word: str, *numbers: float) -> Any:  # noqa: ANN401 - whatever that command answers
        if self._child.stdin is not None:
            self._child.stdin.write(json.dumps([word, *numbers]) + "\n")
            self._child.stdin.flush()
        return json.loads(self._line())

    def report(self) -> Seen:
        return Seen(**self.tell("report"))

    def _line(self) -> str:
        return self._child.stdout.readline() if self._child.stdout else ""


@contextmanager
def fake_rack(count: int) -> Generator[FakeRack]:
    command = [sys.executable, "-m", "benchmarks.instruments", str(count)]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True) as child:
        try:
            yield FakeRack(child)
        finally:
            child.terminate()


async def main(count: int) -> None:
    loop, rack = asyncio.get_running_loop(), Rack(count)
    servers = [await loop.create_server(partial(_same, each), "127.0.0.1", 0) for each in rack.instruments]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    gc.disable()  # an instrument does not stand still now and then
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        word, *numbers = json.loads(line)
        print(json.dumps(getattr(rack, word)(*numbers)), flush=True)


def _same(instrument: Instrument) -> Instrument:
    return instrument


if __name__ == "__main__":
    pin(measured=False)
    realtime(20)
    asyncio.run(main(int(sys.argv[1])))
