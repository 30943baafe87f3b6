"""A simulated Keithley 2400 on an RS-232 line, written from the 2400 Series User's Manual (2400S-900-01 Rev K)."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable

from sim_hardware.keithley2400_commands import COMMANDS
from sim_hardware.keithley2400_smu import Smu
from sim_hardware.keithley2400_verbs import Step
from sim_hardware.loads import Load
from sim_hardware.scpi import ScpiError, Unit, build_tree, parse

ABORT = re.compile(rb"[\x03\x18]")  # ^C and ^X (14-14; the manual prints the latter as "decimal 18")
CR, CR_OR_LF = re.compile(rb"\r"), re.compile(rb"[\r\n]")
TERMINATORS = (
    b"\r",
    b"\n",
    b"\r\n",
    b"\n\r",
)  # of its answers; commands are taken at CR (14-15), at LF if that is chosen
INPUT_BUFFER = 4096
INPUT_OVERRUN = -363
CACHED_MESSAGES = 4096
TREE = build_tree(COMMANDS)

Program = tuple[tuple[Step, tuple[str, ...]], ...]


class Keithley2400:
    """The instrument as the line sees it. ``log`` holds the newest messages with the time they came at."""

    model = "2400"

    def __init__(
        self,
        load: Load,
        now: Callable[[], float],
        *,
        seed: int = 0,
        serial: str = "1000001",
        oven_K: Callable[[], float] | None = None,
        terminator: bytes = b"\n",
    ) -> None:
        if terminator not in TERMINATORS:
            raise ValueError(f"no terminator {terminator!r}; there are {TERMINATORS}")
        self.serial = serial
        self._terminator = terminator
        self._line_end = CR_OR_LF if terminator == b"\n" else CR
        self.log: deque[tuple[float, bytes]] = deque(maxlen=5000)
        identity = f"KEITHLEY INSTRUMENTS INC.,MODEL {self.model},{serial},C34   Sep 21 2010 15:30:00/A02  /K/J"
        self.smu = Smu(load, now, seed, identity, oven_K)
        self._pending = b""
        self._programs: dict[bytes, Program] = {}

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the line, in whatever pieces, and return what the instrument sends back."""
        line = data.rstrip(b"\r\n") + b"\n"
        if not self._pending and line in self._programs and self._line_end.search(data, len(line) - 1):
            return self._run(line)  # one whole message seen before
        aborts = list(ABORT.finditer(data))
        if aborts:
            before, data = data[: aborts[-1].start()], data[aborts[-1].end() :]
            self._take(before)  # carried out, but what it answered is thrown away
            self._pending = b""
        return self._take(data)

    def line_lost(self) -> None:
        """The line went dead: half a message is no message."""
        self._pending = b""

    def power_cycle(self) -> None:
        self._pending = b""
        self.smu.power_cycle()

    def truth(self) -> dict[str, object]:
        return self.smu.truth()

    def set_fault(self, name: str, value: str | float) -> None:
        self.smu.set_fault(name, value)

    def _take(self, data: bytes) -> bytes:
        *lines, rest = self._line_end.split(self._pending + data)
        self._pending = rest = rest.lstrip(b"\n")  # of a CR+LF that was taken at CR
        if len(rest) > INPUT_BUFFER:
            self._pending = b""
            self.smu.fail(INPUT_OVERRUN)
        return b"".join([self._run(line.strip(b"\n") + b"\n") for line in lines if line.strip()])

    def _run(self, message: bytes) -> bytes:
        smu = self.smu
        smu.catch_up()
        self.log.append((smu.at_s, message))
        answers: list[str] = []
        for step, arguments in self._programs.get(message) or self._compile(message):
            try:
                answer = step(smu, arguments)
            except ScpiError as error:
                smu.fail(error.code)
                if -200 < error.code <= -100:
                    break  # a command error discards the rest of the message (14-12)
            else:
                if answer is not None:
                    answers.append(answer)
        return ";".join(answers).encode() + self._terminator if answers else b""

    def _compile(self, message: bytes) -> Program:
        program = tuple((_step(unit), unit.arguments) for unit in parse(message.decode("latin-1").strip(), TREE))
        if len(self._programs) < CACHED_MESSAGES:
            self._programs[message] = program
        return program


def _step(unit: Unit) -> Step:
    if unit.error:
        return _failing(unit.error)
    command = COMMANDS[unit.command]
    return (command.query if unit.is_query else command.set) or _failing(-113)


def _failing(code: int) -> Step:
    def fail(_smu: Smu, _arguments: tuple[str, ...]) -> str | None:
        raise ScpiError(code)

    return fail
