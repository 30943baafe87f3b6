"""A simulated Keysight B2901, B2902, B2911 or B2912 (A or B) on a LAN socket, written from the family's manuals."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from sim_hardware.keysightb2900_box import Box
from sim_hardware.keysightb2900_channel import Channel
from sim_hardware.keysightb2900_commands import COMMANDS
from sim_hardware.keysightb2900_models import FAMILY
from sim_hardware.keysightb2900_parser import Unit, build_tree, parse
from sim_hardware.keysightb2900_verbs import Command, Step
from sim_hardware.loads import Load, open_lead
from sim_hardware.scpi import ScpiError

INPUT_BUFFER = 65536
INPUT_OVERRUN, UNDEFINED = -363, -113
CACHED_MESSAGES = 4096
TREE = build_tree((*COMMANDS, "*IDN"))

Program = tuple[tuple[Step, int, tuple[str, ...]], ...]


class KeysightB2900:
    """The instrument as the line sees it; ``second`` hangs on channel 2 of a B2902 or B2912, by default nothing."""

    def __init__(
        self,
        load: Load,
        now: Callable[[], float],
        *,
        seed: int = 0,
        serial: str = "MY51140001",
        oven_K: Callable[[], float] | None = None,
        model: str = "B2901A",
        second: Load | None = None,
    ) -> None:
        self.model = model
        self.serial = serial
        self.log: deque[tuple[float, bytes]] = deque(maxlen=5000)
        self.identity = f"Keysight Technologies,{model},{serial},3.4.2011.5100"
        kind = FAMILY[model]
        loads = (load, second or open_lead())[: kind.channels]
        self.box = Box(kind, loads, now, seed, oven_K)
        self._pending = b""
        self._programs: dict[bytes, Program] = {}

    @property
    def first(self) -> Channel:
        return self.box.channels[1]

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the line, in whatever pieces, and return what the instrument sends back."""
        *lines, rest = (self._pending + data).split(b"\n")
        self._pending = rest
        if len(rest) > INPUT_BUFFER:
            self._pending = b""
            self.box.fail(INPUT_OVERRUN)
        return b"".join([self._run(line.strip()) for line in lines if line.strip()])

    def line_lost(self) -> None:
        """The connection is gone: half a message is no message. The outputs stay as they were."""
        self._pending = b""

    def power_cycle(self) -> None:
        self._pending = b""
        self.box.power_cycle()

    def truth(self) -> dict[str, object]:
        return self.box.truth()

    def set_fault(self, name: str, value: str | float) -> None:
        self.box.set_fault(name, value)

    def _run(self, message: bytes) -> bytes:
        self.box.catch_up()
        self.log.append((self.box.at_s, message))
        answers: list[str] = []
        for step, channel, arguments in self._programs.get(message) or self._compile(message):
            try:
                answer = step(self.box, self.box.channels[channel], arguments)
            except ScpiError as error:
                self.box.fail(error.code)
                break  # what follows an error in a message is taken not to be carried out
            if answer is not None:
                answers.append(answer)
        return ";".join(answers).encode() + b"\n" if answers else b""

    def _compile(self, message: bytes) -> Program:
        units = parse(message.decode("latin-1"), TREE, len(self.box.channels))
        program = tuple((self._step(unit), unit.channel, unit.arguments) for unit in units)
        if len(self._programs) < CACHED_MESSAGES:
            self._programs[message] = program
        return program

    def _step(self, unit: Unit) -> Step:
        if unit.error:
            return _failing(unit.error)
        command = Command(query=self._identify) if unit.command == "*IDN" else COMMANDS[unit.command]
        return (command.query if unit.is_query else command.set) or _failing(UNDEFINED)

    def _identify(self, _box: Box, _channel: Channel, _arguments: tuple[str, ...]) -> str:
        return self.identity


def _failing(code: int) -> Step:
    def fail(_box: Box, _channel: Channel, _arguments: tuple[str, ...]) -> str | None:
        raise ScpiError(code)

    return fail
