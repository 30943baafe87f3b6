"""What all SMUs of a simulated 2600 share, by its TSP names: error queue, format, local node, output.

Page numbers are those of 2600BS-901-01 Rev. F unless another is named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from sim_hardware.keithley2600_lua import Attribute, Builtin, Table, Values, Wait, number
from sim_hardware.keithley2600_smu import Smu
from sim_hardware.keithley2600_tree import condition, smu_table

REVISION = "3.3.5"
QUEUE_DEPTH = 256  # of the error queue; the manual does not say
QUEUE_OVERFLOW, INPUT_OVERRUN, TOO_BIG = -350, -363, 1101
TEXTS = {
    TOO_BIG: "Parameter too big",
    1102: "Parameter too small",
    1105: "Parameter is not valid",
    QUEUE_OVERFLOW: "Queue overflow",
    INPUT_OVERRUN: "Input buffer overrun",
}
RECOVERABLE = 20.0
AFTER_RESET = {"precision": 6.0, "data": 1.0}
AFTER_POWER_ON = {**AFTER_RESET, "prompts": 0.0, "showerrors": 0.0}


class Entry(NamedTuple):
    """Of the error queue (2606B-901-01 Rev. C, errorqueue.next)."""

    code: int
    text: str


class Node:
    """One instrument's names since its last power-on; ``sent`` is what waits to go out."""

    def __init__(self, model: str, serial: str, smus: Mapping[str, Smu], now: Callable[[], float]) -> None:
        self.sent = b""
        self.errors: list[Entry] = []
        self._about: dict[str, object] = {"model": model, "serialno": serial, "revision": REVISION}
        self._smus = smus
        self._now = now
        self._settings = dict(AFTER_POWER_ON)

    @property
    def prompts(self) -> bool:
        return bool(self._settings["prompts"])

    def fail(self, code: int, text: str = "") -> None:
        if len(self.errors) < QUEUE_DEPTH:
            self.errors.append(Entry(code, text or TEXTS.get(code, "Unknown")))
        else:
            self.errors[-1] = Entry(QUEUE_OVERFLOW, TEXTS[QUEUE_OVERFLOW])

    def say(self, text: str) -> None:
        self.sent += text.encode("latin-1") + b"\n"

    def reset(self) -> Values:
        for smu in self._smus.values():
            smu.reset()
        self._settings.update(AFTER_RESET)
        return ()

    def names(self) -> dict[str, object]:
        instrument = Table({f"smu{output}": _condition_table(smu) for output, smu in self._smus.items()})
        return {
            **{f"smu{output}": smu_table(smu, self.fail) for output, smu in self._smus.items()},
            "status": Table({"measurement": Table({"instrument": instrument})}),
            "localnode": self._local_node(),
            "format": Table({"asciiprecision": self._number("precision", 16.0), "data": self._number("data", 3.0)}),
            "errorqueue": self._error_queue(),
            "display": _display(),
            "os": Table({"time": Builtin(lambda: (float(int(self._now())),))}),
            "print": Builtin(self._print),
            "delay": Builtin(_delay),
            "waitcomplete": Builtin(_nothing),
            "reset": Builtin(self.reset),
        }

    def _local_node(self) -> Table:
        return Table(
            {
                **self._about,
                "linefreq": Attribute(lambda: 50.0),
                "prompts": self._number("prompts"),
                "showerrors": self._number("showerrors"),
            }
        )

    def _error_queue(self) -> Table:
        count = Attribute(lambda: float(len(self.errors)))
        return Table({"count": count, "clear": Builtin(self._clear), "next": Builtin(self._next_error)})

    def _number(self, name: str, most: float = 1.0) -> Attribute:
        def set_(value: object) -> None:
            if 0.0 <= number(value) <= most:
                self._settings[name] = number(value)
            else:
                self.fail(TOO_BIG)

        return Attribute(lambda: self._settings[name], set_)

    def _clear(self) -> Values:
        self.errors.clear()
        return ()

    def _next_error(self) -> Values:
        if not self.errors:
            return (0.0, "Queue Is Empty", 0.0, 1.0)
        entry = self.errors.pop(0)
        return (float(entry.code), entry.text, RECOVERABLE, 1.0)

    def _print(self, *values: object) -> Values:
        self.say("\t".join(map(self._spelled, values)))
        return ()

    def _spelled(self, value: object) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, float):
            return f"{value:.{max(int(self._settings['precision']) - 1, 0)}e}"
        return "nil" if value is None else value if isinstance(value, str) else "table: 0x40"


def _condition_table(smu: Smu) -> Table:
    return Table({"condition": Attribute(lambda: condition(smu))})


def _display() -> Table:
    """Whatever is shown there is nobody's matter here."""
    shown = {"screen": 0.0, "SMUA": 0.0, "SMUB": 1.0, "SMUA_SMUB": 2.0, "USER": 3.0, "locallockout": 0.0}
    return Table({**shown, **dict.fromkeys(("clear", "settext", "setcursor"), Builtin(_nothing))})


def _nothing(*_: object) -> Values:
    return ()


def _delay(seconds: object) -> Wait:
    yield max(0.0, number(seconds))
