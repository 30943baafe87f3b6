"""A simulated Keithley 2600, 2600A or 2600B on a LAN socket or RS-232: one Test Script Processor for all its SMUs.

While a script waits, what comes queues behind it; only ``abort`` is taken at once. What a script prints after a wait
goes out with the next bytes that come in. Page numbers are those of 2600BS-901-01 Rev. F unless another is named.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence

from sim_hardware.keithley2600_lua import Block, Function, LuaRuntimeError, Scope, Wait, run
from sim_hardware.keithley2600_models import FAMILY
from sim_hardware.keithley2600_node import INPUT_OVERRUN, REVISION, Node
from sim_hardware.keithley2600_smu import Smu
from sim_hardware.keithley2600_syntax import compiled
from sim_hardware.keithley2600_words import LuaSyntaxError
from sim_hardware.loads import Load

INPUT_BUFFER = 65536
CACHED_CHUNKS = 4096
SYNTAX, RUNTIME = -285, -286
SCRIPT = re.compile(r"(loadscript|loadandrunscript)(?:\s+(\w+))?")
# A plain number put into a name: what follows is then often a chunk that was met before.
LEADING = re.compile(r"(\w+)\s*=\s*(\d+)\s+(?!and\b|or\b)(?=[A-Za-z])")


class Keithley2600:
    """The instrument as the line sees it. ``log`` holds the newest messages with the time they came at."""

    def __init__(
        self,
        loads: Sequence[Load],
        now: Callable[[], float],
        *,
        seed: int = 0,
        serial: str = "1219110",
        oven_K: Callable[[], float] | None = None,
        model: str = "2602B",
    ) -> None:
        """The first load hangs on output a, the second on b; an output without one has its leads open."""
        self.model = model
        self.serial = serial
        self.closing_aborts = True
        """A client that closes its connection ends the script (2600AS-901-01 Rev. B p. 19-223); a serial port has none."""
        self.log: deque[tuple[float, bytes]] = deque(maxlen=5000)
        self._now = now
        outputs = FAMILY[model].outputs
        self.smus = {
            output: Smu(FAMILY[model], load, now(), seed + at, oven_K)
            for at, (output, load) in enumerate(zip(outputs, loads, strict=True))
        }
        self._chunks: dict[str, Block] = {}
        self._pending = b""
        self.power_cycle()

    @property
    def identity(self) -> str:
        return f"Keithley Instruments Inc., Model {self.model}, {self.serial}, {REVISION}"

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the line, in whatever pieces, and return what the instrument has sent by now."""
        self._settle()
        *lines, self._pending = (self._pending + data).split(b"\n")
        if len(self._pending) > INPUT_BUFFER:
            self._pending = b""
            self._node.fail(INPUT_OVERRUN)
        for line in lines:
            self._take(line.strip())
        self._work()
        sent, self._node.sent = self._node.sent, b""
        return sent

    def line_lost(self) -> None:
        """The connection is gone: half a message is no message. The script is aborted, and the outputs stay as they are."""
        self._settle()
        self._pending = self._node.sent = b""
        if self.closing_aborts:
            self._abort()

    def power_cycle(self) -> None:
        """Nothing survives it: off, NORMAL, two wires, no script."""
        self._settle_smus(self._now())
        self._pending = b""
        self._queue: deque[str] = deque()
        self._script: tuple[str, list[str]] | None = None
        self._running: Wait | None = None
        self._due_s = 0.0
        for smu in self.smus.values():
            smu.power_cycle()
        self._node = Node(self.model, self.serial, self.smus, self._now)
        self._names = Scope(self._node.names())

    def truth(self) -> dict[str, object]:
        """What really is now: of output a, and of each output under its name; ``abuse`` and the like are of all."""
        self._settle()
        each = {output: smu.truth(self._now()) for output, smu in self.smus.items()}
        return {
            **each["a"],
            "output_on": any(one["output_on"] for one in each.values()),
            "relay_closed": any(one["relay_closed"] for one in each.values()),
            "off_mode": "HIMP" if all(one["off_mode"] == "HIMP" for one in each.values()) else "NORM",
            "abuse": tuple(act for smu in self.smus.values() for act in smu.abuse.acts),
            "errors": len(self._node.errors),
            **each,
        }

    def set_fault(self, name: str, value: str | float) -> None:
        """On output a, or with ``b.`` before the name on b."""
        self._settle()
        self._settle_smus(self._now())
        output, _, fault = name.rpartition(".")
        self.smus[output or "a"].set_fault(fault, value)

    def _settle(self) -> None:
        """Let everything a script had to do until now happen, each at its own time."""
        self._work()

    def _settle_smus(self, at_s: float) -> None:
        for smu in self.smus.values():
            smu.catch_up(at_s)

    def _take(self, line: bytes) -> None:
        if not line:
            return
        self.log.append((self._now(), line))
        text = line.decode("latin-1")
        if text == "abort":
            # Harmful way: what was sent before it and is still to be done is lost with the script that ran, and an
            # entry is left in the error queue (why else does cyckei clear that after each abort).
            if self._running is not None:
                self._node.fail(RUNTIME, "TSP Runtime error: script aborted")
            self._abort()
        else:
            self._queue.append(text)

    def _abort(self) -> None:
        self._queue.clear()
        self._running = self._script = None

    def _work(self) -> None:
        now_s = self._now()
        while True:
            if self._running is not None:
                if self._due_s > now_s:
                    return
                self._go_on(self._running)
            elif self._queue:
                self._due_s = now_s
                self._begin(self._queue.popleft())
            else:
                return

    def _go_on(self, running: Wait) -> None:
        """To the next wait. Until then no time passes."""
        self._settle_smus(self._due_s)
        try:
            self._due_s += next(running)
        except StopIteration:
            self._end()
        except LuaRuntimeError as error:
            self._node.fail(RUNTIME, f"TSP Runtime error at line 1: {error}")
            self._end()

    def _end(self) -> None:
        self._running = None
        if self._node.prompts:
            self._node.say("TSP?" if self._node.errors else "TSP>")

    def _begin(self, text: str) -> None:
        if self._script is not None:
            self._collect(*self._script, text)
        elif found := SCRIPT.fullmatch(text):
            self._script = (f"{found[2] or ''} {found[1]}", [])
        elif text.startswith("*"):
            self._common(text.upper())
        else:
            self._start(text)

    def _collect(self, name: str, lines: list[str], text: str) -> None:
        if text != "endscript":
            lines.append(text)
            return
        self._script = None
        given, _, command = name.partition(" ")
        body = self._compile("\n".join(lines))
        if body is not None and given:
            self._names.write(given, Function((), body))
        if body is not None and command == "loadandrunscript":
            self._running = run(body, self._names)

    def _start(self, text: str) -> None:
        leading = LEADING.match(text)
        block = self._compile(text[leading.end() :] if leading else text)
        if block is None:
            return
        if leading:
            self._names.write(leading[1], float(leading[2]))
        self._running = run(block, self._names)

    def _compile(self, text: str) -> Block | None:
        """A chunk that is not understood does nothing at all (2600S-901-01 Rev. C p. B-2)."""
        block = self._chunks.get(text)
        if block is None:
            try:
                block = compiled(text)
            except LuaSyntaxError as error:
                self._node.fail(SYNTAX, f"TSP Syntax error at line 1: {error}")
                return None
            if len(self._chunks) < CACHED_CHUNKS:
                self._chunks[text] = block
        return block

    def _common(self, text: str) -> None:
        """Appendix D: they are no Lua, and stand alone in a message."""
        answers = {"*IDN?": self.identity, "*OPC?": "1", "*TST?": "0"}
        if text in answers:
            self._node.say(answers[text])
        elif text == "*RST":
            self._settle_smus(self._now())
            self._node.reset()
        elif text == "*CLS":
            self._node.errors.clear()
            self._node.sent = b""
        elif text not in {"*TRG", "*WAI", "*OPC"}:
            self._node.fail(SYNTAX, "TSP Syntax error at line 1: unexpected symbol near `*'")
