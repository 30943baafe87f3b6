"""What one output of a simulated NGU or NGM remembers, and the source this makes at its terminals.

Pages: NGU = user manual 1179.2531.02-03, NGM = user manual 1178.8736.02. What holds after a reset is not in the pages at
hand: the values are invented so that an output switched on at once harms a cell.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sim_hardware.circuit import CurrentSource, Disconnected, Source, VoltageSource
from sim_hardware.rs_ngu_models import HIGHEST_V, Model
from sim_hardware.scpi import ScpiError

SETTINGS_CONFLICT, OUT_OF_RANGE = -221, -222
UNLIMITED_A = 3.0  # what an NGM sinks by its data sheet; no page says that CURRent limits it
OPEN_SENSE_V = 21.0  # "unregulated voltage output" where the sense leads are off (RsNgx 3.1.0, VOLTage:SENSe)
RESET_A = 0.1
SWITCHES = (
    "ramp", "fast", "delay", "impedance", "resistance", "fuse", "ovp", "opp", "triggered", "modulation", "slew",
)  # fmt: skip


@dataclass(slots=True)
class Settings:
    """``selected`` and the instrument's master switch together make it on."""

    model: Model
    selected: bool = False
    priority: str = "VOLT"
    mode: str = "AUTO"
    sense: str = "AUTO"
    level_V: float = 0.0
    limit_A: float = RESET_A
    negative_A: float = -RESET_A
    ovp_V: float = HIGHEST_V
    range_A: float = 0.0
    range_V: float = 20.0
    measure_A: float = 10.0
    measure_V: float = 20.0
    auto: dict[str, bool] = field(default_factory=lambda: {"CURR": True, "VOLT": True})
    switches: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(SWITCHES, False))

    def __post_init__(self) -> None:
        self.range_A = self.model.source_A[-1] if self.model.source_A else 6.0

    @property
    def is_four_quadrant(self) -> bool:
        return self.model.lowest_V < 0.0


@dataclass(frozen=True, slots=True)
class Errors:
    """One output's own small errors: of its voltage in V, of its limits as a share."""

    level_V: float = 0.0
    limit: float = 0.0


def first_range(ranges: tuple[float, ...], value: float) -> float:
    for full_scale in ranges:
        if abs(value) <= full_scale * (1.0 + 1e-9):
            return full_scale
    raise ScpiError(OUT_OF_RANGE)


def set_level(settings: Settings, value: float) -> None:
    if not settings.model.lowest_V <= value <= HIGHEST_V:
        raise ScpiError(OUT_OF_RANGE)
    if settings.model.source_V and abs(value) > 1.005 * settings.range_V:
        raise ScpiError(OUT_OF_RANGE)
    settings.level_V = value


def set_limit(settings: Settings, value: float) -> None:
    """In voltage priority a magnitude; an NGM takes steps of 0.1 mA."""
    lowest_A = -settings.range_A if settings.priority == "CURR" else settings.model.smallest_A
    if not lowest_A <= value <= 1.005 * settings.range_A:
        raise ScpiError(OUT_OF_RANGE)
    settings.limit_A = value if settings.model.has_sink_limit else round(value, 4)


def set_negative(settings: Settings, value: float) -> None:
    """A negative number, as users of the NGU401 write it."""
    if not -1.005 * settings.range_A <= value <= -settings.model.smallest_A:
        raise ScpiError(OUT_OF_RANGE)
    settings.negative_A = value


def set_range_A(settings: Settings, value: float) -> None:
    full_scale = first_range(settings.model.source_A, value)
    if max(settings.limit_A, -settings.negative_A) > 1.005 * full_scale:
        raise ScpiError(SETTINGS_CONFLICT)
    settings.range_A = full_scale


def set_range_V(settings: Settings, value: float) -> None:
    full_scale = first_range(settings.model.source_V, value)
    if abs(settings.level_V) > 1.005 * full_scale:
        raise ScpiError(SETTINGS_CONFLICT)
    settings.range_V = full_scale


def source_for(settings: Settings, errors: Errors, *, is_on: bool, sense_is_open: bool) -> Source:
    if not is_on:
        return Disconnected()
    if settings.priority == "CURR":
        return CurrentSource(settings.limit_A, abs(settings.level_V))
    level_V = OPEN_SENSE_V if sense_is_open and settings.sense == "EXT" else settings.level_V + errors.level_V
    down_A = -settings.negative_A if settings.model.has_sink_limit else UNLIMITED_A
    return VoltageSource(
        level_V if settings.is_four_quadrant else max(0.0, level_V),
        0.0 if settings.mode == "SINK" else settings.limit_A * (1.0 + errors.limit),
        0.0 if settings.mode == "SOUR" else down_A * (1.0 + errors.limit),
    )
