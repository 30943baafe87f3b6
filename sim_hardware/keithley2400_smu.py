"""The measuring part of a simulated Keithley 2400: settings, terminals, meter, and what one trigger does.

Pessimistic where the manual (2400S-900-01 Rev K) is silent: what might harm a cell does. Time comes from ``now``; the
cell is advanced to ``now()`` before anything else happens.
"""

from __future__ import annotations

from collections.abc import Callable

from sim_hardware.circuit import Disconnected, Terminals
from sim_hardware.keithley2400_abuse import Abuse
from sim_hardware.keithley2400_meter import TIME_WRAP_S, Meter, Sample, spell
from sim_hardware.keithley2400_settings import Settings, source_when_off, source_when_on, take_pending
from sim_hardware.loads import Load
from sim_hardware.scpi import ErrorQueue, ScpiError

NOT_PERMITTED_WITH_OUTPUT_OFF, NO_DATA = 803, -230
EVENT_POWER_ON, EVENT_COMMAND, EVENT_EXECUTION, EVENT_DEVICE = 128, 32, 16, 8
THERMAL_STEP_S = 30.0  # how often the cell follows its oven
BUFFER = 2500  # readings the sample buffer holds
ERROR_TEXTS = {  # appendix B
    0: "No error", -100: "Command error", -102: "Syntax error", -104: "Data type error", -108: "Parameter not allowed",
    -109: "Missing parameter", -112: "Program mnemonic too long", -113: "Undefined header",
    -141: "Invalid character data", -150: "String data error", -221: "Settings conflict",
    -222: "Parameter data out of range", -230: "Data corrupt or stale", -350: "Queue overflow",
    -361: "Parity error in program message", -362: "Framing error in program message",
    -363: "Input buffer overrun", 701: "ASCII only with RS-232", 803: "Not permitted with OUTPUT off",
    822: "Too small for sense range", 823: "Invalid with source read-back on", 824: "Cannot exceed compliance range",
    825: "Invalid with auto-ohms on",
}  # fmt: skip

FAULTS = {
    "lead": '"open", "short" (which also shorts the cell) or "good"',
    "contact_ohm": "a resistance between leads and cell",
    "noise": "a factor on the noise",
    "stuck": "true: the same voltage and current for ever",
    "output": "someone presses the OUTPUT key: on or off",
    "welded": "true: the output cannot be switched off any more, and says so",
}


class Smu:
    """One instrument with one load on whichever terminals are selected."""

    def __init__(
        self, load: Load, now: Callable[[], float], seed: int, identity: str, oven_K: Callable[[], float] | None
    ) -> None:
        self.identity = identity
        self.meter = Meter(seed)
        self.terminals = Terminals(load)
        self.errors = ErrorQueue(ERROR_TEXTS)
        self.abuse = Abuse()
        self.settings = Settings()
        self._now = now
        self.welded = False
        self.woke_on = False  # with a welded relay, after a power failure: no host has armed it so
        self._oven_K = oven_K
        self._warmed_K = 0.0
        self._status_words: dict[tuple[bool, bool], int] = {}
        self.at_s = self._oven_at_s = now()
        self.power_cycle()

    def power_cycle(self) -> None:
        """Nothing survives it but the cell: output off, NORMAL, limits at their defaults."""
        self.catch_up()
        self.settings = Settings()
        self.errors.clear()
        self.events = EVENT_POWER_ON
        self.stored: tuple[Sample, ...] = ()
        self._booted_s = self.at_s
        self.abuse.forgive()
        self._connect()
        self.woke_on = self.settings.output

    def rewire(self) -> None:
        """Put the settings on the terminals; called after every change of one by the host."""
        self._connect()
        self.woke_on = self.woke_on and self.settings.output
        if not self.woke_on:
            self.abuse.look(self.settings, self.terminals)

    def _connect(self) -> None:
        settings = self.settings
        settings.output = settings.output or self.welded
        self._status_words.clear()
        on = source_when_on(settings, self.meter.source_errors) if settings.output else source_when_off(settings)
        if on != self.terminals.source:
            self.terminals.drive(on)

    def truth(self) -> dict[str, object]:
        """What really is now, as no driver can ask it; asking changes nothing, not even the steps of the cell."""
        now_s = self._now()
        with self.terminals.ahead(now_s - self.at_s):
            point = self.terminals.cell_operating()
            return {
                "output_on": self.settings.output,
                "off_mode": self.settings.off_mode,
                "relay_closed": not isinstance(self.terminals.source, Disconnected),
                "source": self.settings.source,
                "limited": point.limited,
                "current_A": point.current_A,
                "voltage_V": point.voltage_V,
                "charge_C": self.terminals.cell_charge_C,
                "at_s": now_s,
                "errors": len(self.errors),
                "abuse": tuple(self.abuse.acts),
                "cell": self.terminals.load.truth(),
            }

    def reset_clock(self) -> None:
        self._booted_s = self.at_s

    def set_fault(self, name: str, value: str | float) -> None:
        """From now on; see FAULTS."""
        self.catch_up()
        match name, value:
            case "lead", "open" | "short" | "good":
                self.terminals.set_lead(str(value))
            case "contact_ohm", int() | float():
                self.terminals.set_contact(float(value))
            case "noise", int() | float():
                self.meter.noise = float(value)
            case "stuck", bool():
                self.meter.stuck = value
            case "output", bool():
                self.settings.output = value
            case "welded", bool():
                self.welded = value
            case _:
                raise ValueError(f"no fault {name!r} with value {value!r}; there are {', '.join(FAULTS)}")
        self.abuse.forgive()
        self._connect()

    def measure(self) -> None:
        """One source-measure cycle into the sample buffer (:INITiate); refused while the output is off (p. 17-5)."""
        settings = self.settings
        if not settings.output and not settings.auto_clear:
            raise ScpiError(NOT_PERMITTED_WITH_OUTPUT_OFF)
        if not settings.output:
            settings.output = True
            self.rewire()
        if take_pending(settings):
            self.rewire()
        count = settings.counts["arm"] * settings.counts["trigger"]
        elapsed_s = self.at_s - self._booted_s
        point = self.terminals.operating()
        self.stored = tuple([self.meter.sample(settings, point, elapsed_s) for _ in range(min(count, BUFFER))])
        if settings.auto_clear:
            settings.output = False
            self.rewire()

    def fetch(self) -> str:
        if not self.stored:
            raise ScpiError(NO_DATA)
        return ",".join([spell(self.settings, sample, self._status_words) for sample in self.stored])

    def elapsed_s(self) -> float:
        return (self.at_s - self._booted_s) % TIME_WRAP_S

    def fail(self, code: int) -> None:
        self.errors.push(code)
        if -200 < code <= -100:
            self.events |= EVENT_COMMAND
        else:
            self.events |= EVENT_EXECUTION if -300 < code <= -200 or 800 <= code < 900 else EVENT_DEVICE

    def catch_up(self) -> None:
        now_s = self._now()
        dt_s = now_s - self.at_s
        if dt_s > 0.0:
            before_C = self.terminals.cell_charge_C
            self.terminals.advance(dt_s)
            self.abuse.look_back(self.settings, self.terminals.cell_charge_C - before_C)
            self.at_s = now_s
            if self._oven_K is not None and now_s - self._oven_at_s >= THERMAL_STEP_S:
                self._oven_at_s = now_s
                self._warm(self._oven_K())

    def _warm(self, temperature_K: float) -> None:
        if abs(self._warmed_K - temperature_K) > 0.05:
            self._warmed_K = temperature_K
            self.terminals.set_temperature(temperature_K)
