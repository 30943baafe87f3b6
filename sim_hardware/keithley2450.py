"""A simulated Keithley 2450, 2460, 2461 or 2470 on a LAN socket, written from the family's reference manuals.

It speaks SCPI; told another language, it speaks that from its next power-on (p. B-5): a little of TSP, and of the 2400's.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable

from sim_hardware.keithley2450_commands import COMMANDS, EMULATED
from sim_hardware.keithley2450_models import FAMILY
from sim_hardware.keithley2450_smu import Smu
from sim_hardware.keithley2450_verbs import Command, Step
from sim_hardware.loads import Load
from sim_hardware.scpi import PARAMETER_NOT_ALLOWED, ScpiError, Unit, build_tree, parse

INPUT_BUFFER = 65536
INPUT_OVERRUN, TSP_SYNTAX = -363, -285
CACHED_MESSAGES = 4096
LANGUAGES = ("SCPI", "TSP", "SCPI2400")
TABLES = {"SCPI": COMMANDS, "SCPI2400": EMULATED}
TREES = {language: build_tree((*table, "*IDN", "*LANG")) for language, table in TABLES.items()}
COMMON = re.compile(r"\*(IDN\?|LANG\?|LANG (?P<language>\w+)|CLS|RST)", re.IGNORECASE)
# Manual p. 2-6 and 8-139 f.
TSP_OFF = re.compile(r"smu\.source\.output\s*=\s*(smu\.OFF|0)")
TSP_APART = re.compile(r"smu\.source\.offmode\s*=\s*smu\.OFFMODE_HIGHZ")

Program = tuple[tuple[Step, tuple[str, ...]], ...]


class Keithley2450:
    """The instrument as the line sees it. ``log`` holds the newest messages with the time they came at."""

    def __init__(
        self,
        load: Load,
        now: Callable[[], float],
        *,
        seed: int = 0,
        serial: str = "04024567",
        oven_K: Callable[[], float] | None = None,
        model: str = "2450",
        language: str = "SCPI",
    ) -> None:
        self.model = model
        self.serial = serial
        self.log: deque[tuple[float, bytes]] = deque(maxlen=5000)
        self.identity = f"KEITHLEY INSTRUMENTS,MODEL {model},{serial},1.7.12b"
        if model == "2450":
            self.identity = self.identity.replace("INSTRUMENTS", "INSTRUMENTS INC.")  # both are met in the family
        self.smu = Smu(FAMILY[model], load, now, seed, oven_K)
        self.language = self._next_language = language
        self._pending = b""
        self._programs: dict[bytes, Program] = {}

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the line, in whatever pieces, and return what the instrument sends back."""
        *lines, rest = (self._pending + data).split(b"\n")
        self._pending = rest
        if len(rest) > INPUT_BUFFER:
            self._pending = b""
            self.smu.fail(INPUT_OVERRUN)
        return b"".join([self._run(line.strip()) for line in lines if line.strip()])

    def line_lost(self) -> None:
        """The connection is gone: half a message is no message. The output stays as it was."""
        self._pending = b""

    def power_cycle(self) -> None:
        self._pending = b""
        self.language = self._next_language
        self._programs.clear()
        self.smu.power_cycle()

    def truth(self) -> dict[str, object]:
        return self.smu.truth()

    def set_fault(self, name: str, value: str | float) -> None:
        self.smu.set_fault(name, value)

    def _run(self, message: bytes) -> bytes:
        self.smu.catch_up()
        self.log.append((self.smu.at_s, message))
        if self.language == "TSP":
            return self._run_tsp(message.decode("latin-1"))
        answers: list[str] = []
        for step, arguments in self._programs.get(message) or self._compile(message):
            try:
                answer = step(self.smu, arguments)
            except ScpiError as error:
                self.smu.fail(error.code)
                break  # what follows an error in a message is not carried out
            if answer is not None:
                answers.append(answer)
        return ";".join(answers).encode() + b"\n" if answers else b""

    def _compile(self, message: bytes) -> Program:
        units = parse(message.decode("latin-1"), TREES[self.language])
        program = tuple((self._step(unit), unit.arguments) for unit in units)
        if len(self._programs) < CACHED_MESSAGES:
            self._programs[message] = program
        return program

    def _step(self, unit: Unit) -> Step:
        if unit.error:
            return _failing(unit.error)
        own = {"*IDN": Command(query=self._identify), "*LANG": Command(self._set_language, self._tell_language)}
        command = own.get(unit.command) or TABLES[self.language][unit.command]
        return (command.query if unit.is_query else command.set) or _failing(-113)

    def _identify(self, _smu: Smu, _arguments: tuple[str, ...]) -> str:
        return self.identity

    def _tell_language(self, _smu: Smu, _arguments: tuple[str, ...]) -> str:
        return self.language

    def _set_language(self, _smu: Smu, arguments: tuple[str, ...]) -> None:
        if len(arguments) != 1 or arguments[0].upper() not in LANGUAGES:
            raise ScpiError(PARAMETER_NOT_ALLOWED)
        self._next_language = arguments[0].upper()

    def _run_tsp(self, message: str) -> bytes:
        """A chunk that does not parse does nothing at all, and nothing is answered."""
        if common := COMMON.fullmatch(message):
            return self._run_common(message.upper(), common["language"])
        off, apart = TSP_OFF.search(message), TSP_APART.search(message)
        if not (off or apart) or TSP_APART.sub("", TSP_OFF.sub("", message)).strip():
            self.smu.fail(TSP_SYNTAX)
            return b""
        settings = self.smu.settings
        if apart:
            settings.off_mode[settings.source] = "HIMP"
        if off:
            settings.output = False
        self.smu.rewire()
        return b""

    def _run_common(self, message: str, language: str | None) -> bytes:
        if language:
            self._set_language(self.smu, (language,))
        return {"*IDN?": self.identity.encode() + b"\n", "*LANG?": b"TSP\n"}.get(message, b"")


def _failing(code: int) -> Step:
    def fail(_smu: Smu, _arguments: tuple[str, ...]) -> str | None:
        raise ScpiError(code)

    return fail
