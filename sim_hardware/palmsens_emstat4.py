"""A simulated EmStat4 (LR, HR, Multi) or Nexus on a serial line: PalmSens' communication protocol and MethodSCRIPT.

Written from what PalmSens publishes: the questions and answers of palmsens-sdk 39c885d (comm_protocol.md, comm_registry.py)
and MethodSCRIPT_Examples bd1a44a. Time comes from ``now``; the cell is advanced to ``now()`` before anything else happens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from sim_hardware.circuit import Disconnected
from sim_hardware.loads import Load
from sim_hardware.palmsens_emstat4_cell import Electrodes
from sim_hardware.palmsens_emstat4_machine import Abort, EndLoop, Machine, Run
from sim_hardware.palmsens_emstat4_models import MODELS
from sim_hardware.palmsens_emstat4_script import Code, ScriptError, parse

THERMAL_STEP_S = 30.0  # how often the cell follows its oven
# What an EmStat4 with MethodSCRIPT 1.9 answers: comm_protocol.md.
CAPABLE = {
    "CC": "000000000000000000000000000000000000002F0000003FFFFF98FF00000002",
    "CM": "000000000000000000000000000003FFFFBFE8FFFFFFFFFFFFFFFFFFFFBFFFFE",
}
FLOW_CONTROL = bytes((0x11, 0x13))
FAULTS = {
    "lead": '"open", "short" (which also shorts the cell) or "good"',
    "contact_ohm": "a resistance between leads and cell",
    "noise": "a factor on the noise",
    "script": "true: the running script fails at its next statement",
    "welded": "true: the cell cannot be switched off any more",
}


class EmStat4:
    """The instrument as the line sees it. ``log`` holds the newest lines with the time they came at.

    ``deaf_s``: so long after an error it hears nothing. ``lead``: a loop's first point, in intervals after its start.
    What a script says on its own waits here until the line is next spoken to.
    """

    def __init__(
        self,
        load: Load,
        now: Callable[[], float],
        *,
        seed: int = 0,
        serial: str = "ES4HR20B0008",
        oven_K: Callable[[], float] | None = None,
        model: str = "emstat4-hr",
        deaf_s: float = 0.0,
        lead: float = 0.0,
    ) -> None:
        self.model = model
        self.serial = serial
        self.log: deque[tuple[float, bytes]] = deque(maxlen=5000)
        self.capable = dict(CAPABLE)
        self.cell = Electrodes(MODELS[model], load, seed)
        self.deaf_s, self.lead = deaf_s, lead
        self._now = now
        self._oven_K = oven_K
        self._warmed_K = 0.0
        self.at_s = self._oven_at_s = now()
        self._deaf_until_s = self.at_s
        self._pending = b""
        self._said: list[str] = []
        self._loading: list[str] | None = None
        self._machine: Machine | None = None
        self._run: Run | None = None
        self._wake_s = 0.0

    @property
    def is_running(self) -> bool:
        return self._run is not None

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the line, in whatever pieces, and return what the instrument sends back."""
        self._catch_up()
        *lines, rest = (self._pending + data.translate(None, FLOW_CONTROL)).split(b"\n")
        self._pending = rest
        for line in lines:
            if self.at_s >= self._deaf_until_s:
                self.log.append((self.at_s, line))
                self._take(line.decode("latin-1"))
        said = "".join(f"{line}\n" for line in self._said).encode("latin-1")
        self._said.clear()
        return said

    def line_lost(self) -> None:
        """Nobody at the other end is nothing to it: the script runs on."""

    def power_cycle(self) -> None:
        self._catch_up()
        self._pending, self._loading = b"", None
        self._said.clear()
        self._machine = self._run = None
        self.cell.power_on()

    def truth(self) -> dict[str, object]:
        """What really is now, as no driver can ask it; asking changes nothing, not even the steps of the cell."""
        self._run_due()
        now_s, terminals = self._now(), self.cell.terminals
        with terminals.ahead(now_s - self.at_s):
            point = terminals.cell_operating()
            return {
                "output_on": self.cell.is_on,
                "relay_closed": not isinstance(terminals.source, Disconnected),
                "off_mode": "HIMP",  # its switch opens
                "running": self.is_running,
                "mode": self.cell.mode,
                "current_A": point.current_A,
                "voltage_V": point.voltage_V,
                "charge_C": terminals.cell_charge_C,
                "at_s": now_s,
                "abuse": tuple(self.cell.abuse),
                "cell": terminals.load.truth(),
            }

    def set_fault(self, name: str, value: str | float) -> None:
        """From now on; see FAULTS."""
        self._catch_up()
        match name, value:
            case "lead", "open" | "short" | "good":
                self.cell.terminals.set_lead(str(value))
            case "contact_ohm", int() | float():
                self.cell.terminals.set_contact(float(value))
            case "noise", int() | float():
                self.cell.noise = float(value)
            case "script", bool() if self._machine is not None:
                self._machine.broken = value
            case "welded", bool():
                self.cell.welded = value
            case _:
                raise ValueError(f"no fault {name!r} with value {value!r}; there are {', '.join(FAULTS)}")

    def _take(self, line: str) -> None:
        if self._loading is None:
            self._command(line)
        elif line:
            self._loading.append(line)
        else:
            lines, self._loading = self._loading, None
            self._start(lines)

    def _command(self, line: str) -> None:
        match line:
            case "":
                if not self.is_running:
                    self._said.append("")
            case "Z" if self.is_running:
                self._said.append("Z")
                self._resume(Abort())
            case "Y" if self._machine is not None and self._machine.in_loop:
                self._said.append("Y")
                self._resume(EndLoop())
            case "Z" | "Y":
                self._refuse(line, Code.WRONG_MODE)
            case _ if self.is_running:
                self._refuse(line, Code.WRONG_MODE)
            case "e":
                self._loading = []
            case _:
                self._tell(line)

    def _tell(self, line: str) -> None:
        model = MODELS[self.model]
        answers = {
            "t": f"t{model.code}1500#Mar 12 2026 14:28:01\nR*",
            "i": f"i{self.serial}",
            "v": "v01.09.00",
            **{name: f"C{bits}" for name, bits in self.capable.items()},
        }
        if line in answers:
            self._said.append(answers[line])
        else:
            self._refuse(line, Code.COMMAND_UNKNOWN)

    def _refuse(self, line: str, code: Code) -> None:
        self._said.append(f"{line[0]}!{code:04X}")
        self._deaf_until_s = self.at_s + self.deaf_s

    def _start(self, lines: list[str]) -> None:
        """``e`` is said before the script's own lines, or with what is wrong with it."""
        try:
            script = parse(lines)
        except ScriptError as error:
            self._said.append(f"e{error}")
            self._deaf_until_s = self.at_s + self.deaf_s
            return
        self._said.append("e")
        self._machine = Machine(script, self.cell, lambda: self.at_s, self._said.append, self.lead)
        self._run = self._machine.run()
        self._resume(None)

    def _resume(self, what: Exception | None) -> None:
        """Let the script go on until it waits for time to pass, or is over."""
        if self._run is None:
            return
        try:
            self._wake_s = next(self._run) if what is None else self._run.throw(what)
        except StopIteration:
            self._said.append("")
            self._over()
        except ScriptError as error:
            self._said.append(str(error))
            self._deaf_until_s = self.at_s + self.deaf_s
            self._over()

    def _over(self) -> None:
        self._machine = self._run = None
        self.cell.left()

    def _catch_up(self) -> None:
        self._run_due()
        self._advance(self._now())

    def _run_due(self) -> None:
        """Everything the script wanted to do until now, each at its time."""
        now_s = self._now()
        while self._run is not None and self._wake_s <= now_s:
            self._advance(self._wake_s)
            self._resume(None)

    def _advance(self, to_s: float) -> None:
        if to_s > self.at_s:
            self.cell.terminals.advance(to_s - self.at_s)
            self.at_s = to_s
            if self._oven_K is not None and to_s - self._oven_at_s >= THERMAL_STEP_S:
                self._oven_at_s = to_s
                self._warm(self._oven_K())

    def _warm(self, temperature_K: float) -> None:
        if abs(self._warmed_K - temperature_K) > 0.05:
            self._warmed_K = temperature_K
            self.cell.terminals.set_temperature(temperature_K)
