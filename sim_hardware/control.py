"""The control port of a simulator: one JSON object a line in, one out. It sees what no driver can, and breaks things.

``{"do": "list"}`` · ``{"do": "truth", "name": "smu1"}`` · ``{"do": "log", "last": 20}`` · ``{"do": "time"}``
``{"do": "fault", "kind": "drop", "count": 1, "match": "READ", "seconds": 0}`` (count null: until cleared)
``{"do": "fault", "kind": "lead", "value": "open"}`` · ``{"do": "clear"}`` · ``{"do": "reboot"}``
``{"do": "speed", "value": 100}`` · ``{"do": "jump", "seconds": 3600}``

``name`` may be left out where there is one instrument. Answers hold ``"ok": true``, or false and an ``"error"``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

from sim_hardware.bench import Bench, BenchInstrument
from sim_hardware.faults import LINE_FAULTS, LineFault
from sim_hardware.simtime import SimTime

Request = Mapping[str, Any]
Answer = dict[str, object]
LONGEST_LINE = 65536


class Control:
    """Carries out requests on one bench."""

    def __init__(self, bench: Bench, time: SimTime) -> None:
        self._bench = bench
        self._time = time
        self._verbs: dict[str, Callable[[Request], Answer]] = {
            "list": self._list,
            "truth": self._truth,
            "log": self._log,
            "fault": self._fault,
            "clear": self._clear,
            "reboot": self._reboot,
            "time": self._tell_time,
            "speed": self._speed,
            "jump": self._jump,
        }

    def answer(self, line: bytes) -> bytes:
        try:
            reply = {"ok": True} | self._carry_out(line)
        except (ValueError, KeyError, TypeError) as error:
            reply = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        return json.dumps(reply).encode() + b"\n"

    def _carry_out(self, line: bytes) -> Answer:
        request: Request = json.loads(line)
        verb = self._verbs.get(request["do"])
        if verb is None:
            raise ValueError(f'"do" is one of {", ".join(self._verbs)}')
        return verb(request)

    def _instrument(self, request: Request) -> BenchInstrument:
        instruments = self._bench.instruments
        name = request.get("name", next(iter(instruments)) if len(instruments) == 1 else None)
        if name not in instruments:
            raise ValueError(f'"name" is one of {", ".join(instruments)}')
        return instruments[name]

    def _list(self, _: Request) -> Answer:
        return {"instruments": described(self._bench)}

    def _truth(self, request: Request) -> Answer:
        return {"truth": self._instrument(request).truth()}

    def _log(self, request: Request) -> Answer:
        last = int(request.get("last", 100))
        log = self._instrument(request).command_log()[-last:]
        return {"log": [[at_s, message.decode("latin-1")] for at_s, message in log]}

    def _fault(self, request: Request) -> Answer:
        line, kind = self._instrument(request).line, str(request["kind"])
        if kind not in LINE_FAULTS:
            line.instrument.set_fault(kind, request["value"])
            return {}
        count = request.get("count", 1)
        match = str(request.get("match", "")).encode("latin-1")
        line.inject(LineFault(kind, None if count is None else int(count), match, float(request.get("seconds", 0.0))))
        return {}

    def _clear(self, request: Request) -> Answer:
        line = self._instrument(request).line
        line.clear_faults()
        return {"hits": dict(line.hits)}

    def _reboot(self, request: Request) -> Answer:
        self._instrument(request).line.instrument.power_cycle()
        return {}

    def _tell_time(self, _: Request) -> Answer:
        return {"at_s": self._time(), "speed": self._time.speed}

    def _speed(self, request: Request) -> Answer:
        self._time.set_speed(float(request["value"]))
        return self._tell_time(request)

    def _jump(self, request: Request) -> Answer:
        self._time.jump(float(request["seconds"]))
        return self._tell_time(request)


def described(bench: Bench) -> dict[str, dict[str, str]]:
    return {
        one.name: {"address": one.address, "model": one.model, "serial": one.serial, "cell": one.cell}
        for one in bench.instruments.values()
    }


class _ControlClient(asyncio.Protocol):
    def __init__(self, control: Control, clients: set[asyncio.Transport]) -> None:
        self._control = control
        self._clients = clients
        self._transport: asyncio.Transport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not of that class
        self._clients.add(self._transport)

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        if self._transport is None:
            return
        for line in lines:
            self._transport.write(self._control.answer(line))
        if len(self._buffer) > LONGEST_LINE:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._transport is not None:
            self._clients.discard(self._transport)


@asynccontextmanager
async def serve_control(control: Control, port: int = 0, host: str = "127.0.0.1") -> AsyncGenerator[int]:
    """Serve on loopback until left; gives the port."""
    clients: set[asyncio.Transport] = set()
    server = await asyncio.get_running_loop().create_server(lambda: _ControlClient(control, clients), host, port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for transport in tuple(clients):
            transport.abort()
        await server.wait_closed()
