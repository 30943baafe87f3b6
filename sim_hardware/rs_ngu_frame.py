"""What all outputs of a simulated NGU or NGM share: the master switch, the selected output, time, errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from sim_hardware.loads import Load
from sim_hardware.rs_ngu_models import Model
from sim_hardware.rs_ngu_output import Output
from sim_hardware.scpi import ErrorQueue

POWER_ON, COMMAND, EXECUTION, DEVICE = 128, 32, 16, 8
THERMAL_STEP_S = 30.0  # how often the cells follow their oven
TEXTS = {
    0: "No error", -104: "Data type error", -108: "Parameter not allowed", -109: "Missing parameter",
    -112: "Program mnemonic too long", -113: "Undefined header", -141: "Invalid character data",
    -221: "Settings conflict", -222: "Data out of range", -350: "Queue overflow", -363: "Input buffer overrun",
}  # fmt: skip
FAULTS = {
    "lead": '"open", "short" (which also shorts the cell) or "good", of output 1',
    "sense": '"open" or "good": the sense leads of output 1',
    "contact_ohm": "a resistance between leads and cell",
    "noise": "a factor on the noise",
    "stuck": "true: the same voltage and current for ever",
    "output": "someone presses the OUTPUT key: on or off, all outputs",
    "trip": '"ovp", "fuse" or "opp": that protection of output 1 trips',
    "welded": "true: output 1 cannot be switched off any more, and says so",
}


class Frame:
    """Time comes from ``now``; the cells are advanced to ``now()`` before anything else happens."""

    def __init__(
        self,
        model: Model,
        loads: Sequence[Load],
        now: Callable[[], float],
        seed: int,
        oven_K: Callable[[], float] | None,
    ) -> None:
        self.model = model
        self.outputs = [Output(model, load, seed + number) for number, load in enumerate(loads)]
        self.errors = ErrorQueue(TEXTS)
        self._now = now
        self._oven_K = oven_K
        self.at_s = self._oven_at_s = now()
        self._warmed_K = 0.0
        self.master = False
        self.power_cycle()

    @property
    def selected(self) -> Output:
        return self.outputs[self.number - 1]

    def power_cycle(self) -> None:
        self.catch_up()
        self.errors.clear()
        self.events = POWER_ON
        self.enables = {"*ESE": 0, "*SRE": 0}
        self._booted_s = self.at_s
        self.reset()
        for output in self.outputs:
            output.abuse.forgive()

    def reset(self) -> None:
        self.number = 1
        self.master = False
        for output in self.outputs:
            output.reset()
            output.connect(master=False)

    @property
    def uptime_s(self) -> float:
        return self.at_s - self._booted_s

    def rewire(self) -> None:
        """After every change by the host."""
        for output in self.outputs:
            output.connect(master=self.master)
            output.look()
            output.protect(master=self.master)

    def fail(self, code: int) -> None:
        self.errors.push(code)
        self.events |= COMMAND if -200 < code <= -100 else EXECUTION if -300 < code <= -200 else DEVICE

    def catch_up(self) -> None:
        now_s = self._now()
        dt_s = now_s - self.at_s
        if dt_s <= 0.0:
            return
        self.at_s = now_s
        for output in self.outputs:
            output.advance(dt_s)
            output.protect(master=self.master)
        if self._oven_K is not None and now_s - self._oven_at_s >= THERMAL_STEP_S:
            self._oven_at_s = now_s
            self._warm(self._oven_K())

    def _warm(self, temperature_K: float) -> None:
        if abs(self._warmed_K - temperature_K) > 0.05:
            self._warmed_K = temperature_K
            for output in self.outputs:
                output.terminals.set_temperature(temperature_K)

    def truth(self) -> dict[str, object]:
        """Of output 1; on, closed and abused if any is. Asking changes nothing."""
        now_s = self._now()
        with ExitStack() as stack:
            for output in self.outputs:
                stack.enter_context(output.terminals.ahead(now_s - self.at_s))
            each = [output.truth() for output in self.outputs]
        return {
            **each[0],
            "output_on": any(one["output_on"] for one in each),
            "relay_closed": any(one["relay_closed"] for one in each),
            "abuse": tuple(dict.fromkeys(act for output in self.outputs for act in output.abuse.acts)),
            "at_s": now_s,
            "errors": len(self.errors),
            "outputs": {str(number): one for number, one in enumerate(each, start=1)},
        }

    def set_fault(self, name: str, value: str | float) -> None:
        """From now on; see FAULTS."""
        self.catch_up()
        self._set_fault(self.outputs[0], name, value)
        for output in self.outputs:
            output.abuse.forgive()
            output.connect(master=self.master)
            output.protect(master=self.master)

    def _set_fault(self, first: Output, name: str, value: str | float) -> None:
        match name, value:
            case "lead", "open" | "short" | "good":
                first.terminals.set_lead(str(value))
            case "sense", "open" | "good":
                first.sense_is_open = value == "open"
            case "contact_ohm", int() | float():
                first.terminals.set_contact(float(value))
            case "noise", int() | float():
                first.noise = float(value)
            case "output", bool():
                self.master = value
            case "trip", "ovp" | "fuse" | "opp":
                first.trip(str(value), master=self.master)
            case "welded" | "stuck", bool():
                setattr(first, name, value)
            case _:
                raise ValueError(f"no fault {name!r} with value {value!r}; there are {', '.join(FAULTS)}")
