"""A simulated R&S NGU201, NGU401, NGM201 or NGM202 on a LAN socket, for their SCPI dialect.

An error in one command of a message does not keep the next from being carried out (nothing at hand says it does), so
that a host which selects an output and switches in one breath may switch the other one.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable

from sim_hardware.loads import Load, open_lead
from sim_hardware.rs_ngu_commands import QUESTIONABLE, commands
from sim_hardware.rs_ngu_frame import Frame
from sim_hardware.rs_ngu_models import FAMILY
from sim_hardware.rs_ngu_output import Output
from sim_hardware.scpi import PARAMETER_NOT_ALLOWED, Node, ScpiError, Unit, build_tree, parse

INPUT_BUFFER = 65536
INPUT_OVERRUN = -363
CHANNELS = re.compile(r"\(@([1-4])\)")  # NGM manual -09 p. 183; lists of several are not understood here


class RsNgu:
    """The instrument as the line sees it. ``log`` holds the newest messages with the time they came at."""

    def __init__(
        self,
        load: Load,
        now: Callable[[], float],
        *,
        second: Load | None = None,
        seed: int = 0,
        serial: str = "3638.4472k03/101403",
        oven_K: Callable[[], float] | None = None,
        model: str = "ngu401",
    ) -> None:
        self.model = model
        self.serial = serial
        self.log: deque[tuple[float, bytes]] = deque(maxlen=5000)
        self.identity = f"Rohde&Schwarz,{model.upper()},{serial},03.068"
        loads = (load, second or open_lead())[: FAMILY[model].outputs]
        self.frame = Frame(FAMILY[model], loads, now, seed, oven_K)
        self._commands = commands(FAMILY[model])
        self._tree = _tree(self._commands, FAMILY[model].outputs)
        self._pending = b""
        self._parsed: dict[bytes, tuple[Unit, ...]] = {}

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the line, in whatever pieces, and return what the instrument sends back."""
        *lines, rest = (self._pending + data).split(b"\n")
        self._pending = rest
        if len(rest) > INPUT_BUFFER:
            self._pending = b""
            self.frame.fail(INPUT_OVERRUN)
        return b"".join([self._run(line.strip()) for line in lines if line.strip()])

    def line_lost(self) -> None:
        """The connection is gone: half a message is no message. The outputs stay as they were."""
        self._pending = b""

    def power_cycle(self) -> None:
        self._pending = b""
        self.frame.power_cycle()

    def truth(self) -> dict[str, object]:
        return self.frame.truth()

    def set_fault(self, name: str, value: str | float) -> None:
        self.frame.set_fault(name, value)

    def _run(self, message: bytes) -> bytes:
        self.frame.catch_up()
        self.log.append((self.frame.at_s, message))
        units = self._parsed.get(message)
        if units is None:
            units = parse(message.decode("latin-1"), self._tree)
            if len(self._parsed) < 4096:
                self._parsed[message] = units
        answers: list[str] = []
        for unit in units:
            try:
                answer = self._do(unit)
            except ScpiError as error:
                self.frame.fail(error.code)
                continue
            if answer is not None:
                answers.append(answer)
        return ";".join(answers).encode() + b"\n" if answers else b""

    def _do(self, unit: Unit) -> str | None:
        if unit.error:
            raise ScpiError(unit.error)
        if unit.command == "*IDN":
            return self.identity
        command = self._commands[unit.command]
        step = command.query if unit.is_query else command.set
        if step is None:
            raise ScpiError(-113)
        output, arguments = self._addressed(unit.arguments)
        return step(self.frame, output, arguments)

    def _addressed(self, arguments: tuple[str, ...]) -> tuple[Output, tuple[str, ...]]:
        """The output a channel list names, or the selected one."""
        found = CHANNELS.fullmatch(arguments[-1]) if arguments else None
        if found is None:
            return self.frame.selected, arguments
        if int(found[1]) > len(self.frame.outputs):
            raise ScpiError(PARAMETER_NOT_ALLOWED)
        return self.frame.outputs[int(found[1]) - 1], arguments[:-1]


def _tree(table: Iterable[str], outputs: int) -> Node:
    """The summary registers' numbers are part of their names."""
    numbered = {QUESTIONABLE.format(n) for n in range(1, outputs + 1)}
    tree = build_tree((*(header for header in table if header not in numbered), "*IDN"))
    leaf = QUESTIONABLE.replace("{}", "")
    at = build_tree((leaf,)).children["STAT"]
    for name in ("STAT", "STATUS"):
        tree.children[name] = at
    instrument = at.children["QUES"].children["INST"]
    for n in range(1, outputs + 1):
        condition = Node(command=QUESTIONABLE.format(n))
        node = Node(children={"COND": condition, "CONDITION": condition})
        instrument.children[f"ISUM{n}"] = instrument.children[f"ISUMMARY{n}"] = node
    return tree
