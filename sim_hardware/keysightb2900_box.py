"""What the channels of a simulated B2900 share: time, error queue, status, format of the readings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from sim_hardware.keysightb2900_channel import Channel
from sim_hardware.keysightb2900_meter import ELEMENTS, TOO_HOT
from sim_hardware.keysightb2900_models import Model
from sim_hardware.loads import Load

EVENT_POWER_ON, EVENT_COMMAND, EVENT_EXECUTION, EVENT_DEVICE = 128, 32, 16, 8
THERMAL_STEP_S = 30.0  # how often the cells follow their oven
DEPTH = 100  # of the error queue; the pages at hand do not say
OVERFLOW, TRIPPED = -350, 701  # the positive number is invented: B2900-specific errors are positive (p. 5-2)
TEXTS = {
    0: "No error", -104: "Data type error", -108: "Parameter not allowed", -109: "Missing parameter",
    -112: "Program mnemonic too long", -113: "Undefined header", -114: "Header suffix out of range",
    -141: "Invalid character data", -150: "String data error", -221: "Settings conflict",
    -222: "Data out of range", -224: "Illegal parameter value", -350: "Error queue overflow",
    -363: "Input buffer overrun", TRIPPED: "Emergency; over temperature",
}  # fmt: skip
FAULTS = {
    "lead": '"open", "short" (which also shorts the cell) or "good"',
    "contact_ohm": "a resistance between leads and cell",
    "noise": "a factor on the noise",
    "stuck": "true: the same voltage and current for ever",
    "output": "someone presses the On/Off key: on or off",
    "welded": "true: the output cannot be switched off any more, and says so",
    "trip": "true: too hot; 0 V and the switch opens by itself",
}


class ErrorQueue:
    """First in, first out; the last place says -350 when more would come (p. 5-2)."""

    def __init__(self) -> None:
        self._codes: list[int] = []

    def __len__(self) -> int:
        return len(self._codes)

    def push(self, code: int) -> None:
        if len(self._codes) < DEPTH:
            self._codes.append(code)
        else:
            self._codes[-1] = OVERFLOW

    def pop(self) -> str:
        return _spelled(self._codes.pop(0) if self._codes else 0)

    def pop_all(self) -> str:
        codes, self._codes = self._codes, []
        return ",".join(_spelled(code) for code in codes or (0,))

    def clear(self) -> None:
        self._codes.clear()


def _spelled(code: int) -> str:
    return f'{code:+d},"{TEXTS.get(code, "Unknown")}"'


class Box:
    """One instrument with a load on each channel. ``oven_K`` warms them all."""

    def __init__(
        self,
        model: Model,
        loads: tuple[Load, ...],
        now: Callable[[], float],
        seed: int,
        oven_K: Callable[[], float] | None,
    ) -> None:
        seeds = Random(seed)  # noqa: S311 - noise, not secrets
        self.channels: Mapping[int, Channel] = {
            number: Channel(model, load, seeds.getrandbits(32)) for number, load in enumerate(loads, start=1)
        }
        self.errors = ErrorQueue()
        self._now = now
        self._oven_K = oven_K
        self._warmed_K = 0.0
        self.at_s = self._oven_at_s = self._booted_s = now()
        self.elements: tuple[str, ...] = tuple(ELEMENTS)
        self.events = EVENT_POWER_ON
        self.plain: dict[str, str] = {}

    def power_cycle(self) -> None:
        self.catch_up()
        self.errors.clear()
        self.events = EVENT_POWER_ON
        self.elements = tuple(ELEMENTS)
        self.plain.clear()
        self._booted_s = self.at_s
        for channel in self.channels.values():
            channel.power_cycle()

    def reset(self) -> None:
        """The error queue stays (p. 5-2)."""
        self.elements = tuple(ELEMENTS)
        for channel in self.channels.values():
            channel.reset()

    def rewire(self) -> None:
        for channel in self.channels.values():
            channel.rewire()

    @property
    def time_s(self) -> float:
        return self.at_s - self._booted_s

    def fail(self, code: int) -> None:
        self.errors.push(code)
        if -200 < code <= -100:
            self.events |= EVENT_COMMAND
        else:
            self.events |= EVENT_EXECUTION if -300 < code <= -200 else EVENT_DEVICE

    def truth(self) -> dict[str, object]:
        """Of the first channel, but what is on and what was done of all; with two, ``channels`` holds each."""
        now_s = self._now()
        each = {str(number): one.truth(now_s - self.at_s) for number, one in self.channels.items()}
        acts = [act for channel in self.channels.values() for act in channel.abuse.acts]
        return {
            **each["1"],
            "output_on": any(one["output_on"] for one in each.values()),
            "relay_closed": any(one["relay_closed"] for one in each.values()),
            "abuse": tuple(dict.fromkeys(acts)),
            "at_s": now_s,
            "errors": len(self.errors),
            "channels": each,
        }

    def set_fault(self, name: str, value: str | float) -> None:
        """On every channel from now on; see FAULTS."""
        self.catch_up()
        if (name, value) == ("trip", True):
            self.errors.push(TRIPPED)
        for channel in self.channels.values():
            _set_fault(channel, name, value)
            channel.abuse.forgive()

    def catch_up(self) -> None:
        now_s = self._now()
        dt_s = now_s - self.at_s
        if dt_s > 0.0:
            for channel in self.channels.values():
                channel.advance(dt_s)
            self.at_s = now_s
            if self._oven_K is not None and now_s - self._oven_at_s >= THERMAL_STEP_S:
                self._oven_at_s = now_s
                self._warm(self._oven_K())

    def _warm(self, temperature_K: float) -> None:
        if abs(self._warmed_K - temperature_K) > 0.05:
            self._warmed_K = temperature_K
            for channel in self.channels.values():
                channel.terminals.set_temperature(temperature_K)


def _set_fault(channel: Channel, name: str, value: str | float) -> None:
    match name, value:
        case "lead", "open" | "short" | "good":
            channel.terminals.set_lead(str(value))
        case "contact_ohm", int() | float():
            channel.terminals.set_contact(float(value))
        case "noise", int() | float():
            channel.meter.noise = float(value)
        case "stuck", bool():
            channel.meter.stuck = value
        case "output", bool():
            channel.press(on=value)
        case "welded", bool():
            channel.welded = value
        case "trip", True:
            channel.emergency(TOO_HOT)
        case _:
            raise ValueError(f"no fault {name!r} with value {value!r}; there are {', '.join(FAULTS)}")
