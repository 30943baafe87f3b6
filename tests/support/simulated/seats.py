"""One channel as the judge knows it: its instrument and its cell as they truly are, and what its station says of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cycler_ctl.live import ChannelState
from simulated.wires import Wire

MOST_A = 10e-3
CELL_V = (2.5, 4.4)
MARGIN_V = 0.05  # the window's edge is 20 mV outside, and meters err
OVERVOLTAGE_V = 20.0
LONG_AGO_S = -1e9
SWITCHES = 6  # a minute (F46)


@dataclass
class Seat:
    channel: str
    smu: Any
    wire: Wire
    cell_voltage: Callable[[float], float]
    sample_every_s: float
    slot: Any = None
    """The station's own; None while there is no station."""
    hindered: Callable[[], bool] = lambda: False
    """Whether neither the station nor the guardian can do anything now."""
    on: bool = False
    flowing_A: float = 0.0
    line_hits: int = 0
    measured_s: float = LONG_AGO_S
    reset_s: float = LONG_AGO_S
    leased_s: float = LONG_AGO_S
    hindered_s: float = LONG_AGO_S
    wrong_since_s: float | None = None
    silent_since_s: float | None = None
    charge_C: float = 0.0
    excess_C: float = 0.0
    episodes: int = 1
    step: tuple[str, int] = ("", 0)
    step_C: float = 0.0
    slack_C: float = 0.0
    latched: bool = False
    shorted: bool = False
    """It once was: that drained the cell while the output was off, without our doing."""
    switched_s: deque[float] = field(default_factory=lambda: deque[float](maxlen=SWITCHES + 1))
    """When it was switched on, the newest times; what a protocol's next step needs is told, and never refused."""
    switched_at: tuple[str, int] = ("", 0)
    """The run and its step when it was switched on last."""
    acknowledging: bool = False
    resuming: bool = False
    """A person goes on with an interrupted run: who may do that has looked."""
    samples: dict[tuple[str, str], list[float]] = field(default_factory=dict[tuple[str, str], list[float]])
    """When the instrument measured what it answered, by its digits."""
    stored: object = None
    """The newest such answer."""

    @property
    def stale_s(self) -> float:
        return max(2.0, 3 * self.sample_every_s)

    @property
    def current_A(self) -> float:
        terminals = self.smu.terminals
        return float(terminals.operating().current_A) if self.smu.settings.output and terminals.lead == "good" else 0.0

    @property
    def state(self) -> ChannelState | None:
        return None if self.slot is None else self.slot.status().state

    @property
    def runner(self) -> Any:
        return None if self.slot is None or self.slot._current is None else self.slot._current.runner

    def next_step(self) -> bool:
        """Whether it is another step than the first of the same run that switches it on."""
        (run, step), before = self.at_step(), self.switched_at
        self.switched_at = run, step
        return run == before[0] and step > max(before[1], 1)

    def at_step(self) -> tuple[str, int]:
        return ("", 0) if self.runner is None else (self.slot._current.run, self.runner.state.course.step_count)

    def hit(self) -> bool:
        """Whether anything keeps others from this instrument, or just did."""
        before, self.line_hits = self.line_hits, sum(self.wire.line.hits.values())
        return self.wire.blocked or self.smu.welded or self.line_hits != before or self.hindered()


def unarmed(settings: Any) -> list[str]:
    """What must never be so while an output is on, whatever is set for the moment."""
    source, limited = settings.source, settings.limited
    wrong = {
        "it measures in two wires": not settings.remote_sense,
        "off would not be high impedance": settings.off_mode != "HIMP",
        "it is on for each reading only": settings.auto_clear,
        "it chooses its source by itself": settings.auto_ohms,
        "its source's range is not fixed": settings.source_auto[source],
        "its measure range is not fixed": settings.sense_auto[limited],
        "its over-voltage protection is not armed": not settings.overvoltage_V <= OVERVOLTAGE_V,
    }
    return [text for text, is_so in wrong.items() if is_so]


def too_wide(settings: Any) -> list[str]:
    """What the channel does not permit; a setting gone wrong stands until it was read back, or seen in a reading."""
    level, limit = settings.level[settings.source], settings.protection[settings.limited]
    wrong = [] if {"VOLT", "CURR"} <= settings.functions else ["voltage and current are not both measured"]
    if settings.source == "CURR":
        return wrong if abs(level) <= MOST_A else [*wrong, f"a current of {level:g} A is set"]
    if not abs(limit) <= MOST_A * 1.05:
        wrong.append(f"a limit of {limit:g} A is set")
    if not CELL_V[0] - MARGIN_V <= abs(level) <= CELL_V[1] + MARGIN_V:
        wrong.append(f"a voltage of {level:g} V is set")
    return wrong
