"""The attributes and functions of one SMU by their TSP names (2600BS-901-01 Rev. F section 9)."""

from __future__ import annotations

from collections.abc import Callable, Collection

from sim_hardware.keithley2600_lua import Attribute, Builtin, LuaRuntimeError, Table, Values, number
from sim_hardware.keithley2600_settings import (
    AMPS,
    FUNCTIONS,
    NOT_TO_BE,
    TOO_BIG,
    TOO_SMALL,
    VOLTS,
    Refused,
    Settings,
    measure_range,
    range_for,
    set_level,
    set_limit,
    set_output,
)
from sim_hardware.keithley2600_smu import Smu

CONSTANTS: dict[str, object] = {
    "OUTPUT_OFF": 0.0, "OUTPUT_ON": 1.0, "OUTPUT_HIGH_Z": 2.0, "OUTPUT_NORMAL": 0.0, "OUTPUT_ZERO": 1.0,
    "OUTPUT_DCAMPS": 0.0, "OUTPUT_DCVOLTS": 1.0, "SENSE_LOCAL": 0.0, "SENSE_REMOTE": 1.0, "ENABLE": 1.0, "DISABLE": 0.0,
    "AUTORANGE_OFF": 0.0, "AUTORANGE_ON": 1.0, "AUTOZERO_OFF": 0.0, "AUTOZERO_ONCE": 1.0, "AUTOZERO_AUTO": 2.0,
    "FILTER_OFF": 0.0, "FILTER_ON": 1.0, "FILTER_MOVING_AVG": 0.0, "FILTER_REPEAT_AVG": 1.0, "FILTER_MEDIAN": 2.0,
    "REL_OFF": 0.0, "REL_ON": 1.0, "DELAY_OFF": 0.0, "DELAY_AUTO": -1.0,
}  # fmt: skip

Fail = Callable[[int], None]


def smu_table(smu: Smu, fail: Fail) -> Table:
    names = _Names(smu, fail)
    sense = names.setting(lambda s: s.sense, _set_sense)
    functions = {"reset": Builtin(names.reset), "abort": Builtin(names.nothing)}
    return Table({**CONSTANTS, "source": names.source(), "measure": names.measure(), "sense": sense, **functions})


def choice(value: object, allowed: Collection[int]) -> int:
    chosen = number(value)
    if chosen not in allowed:
        raise Refused(NOT_TO_BE)
    return int(chosen)


def _set_sense(settings: Settings, value: object) -> None:
    settings.sense = choice(value, (0, 1, 3))


def _set_output(settings: Settings, value: object) -> None:
    set_output(settings, choice(value, (0, 1, 2)))


def _set_off_mode(settings: Settings, value: object) -> None:
    settings.off_mode = choice(value, (0, 1, 2))


def _set_off_function(settings: Settings, value: object) -> None:
    settings.off_function = FUNCTIONS[choice(value, (0, 1))]


def _set_function(settings: Settings, value: object) -> None:
    settings.function = FUNCTIONS[choice(value, (0, 1))]


class _Names:
    """Makes the attributes of one SMU."""

    def __init__(self, smu: Smu, fail: Fail) -> None:
        self._smu = smu
        self._fail = fail

    def source(self) -> Table:
        return Table(
            {
                "output": self.setting(lambda s: int(s.is_on), _set_output),
                "offmode": self.setting(lambda s: s.off_mode, _set_off_mode),
                "offfunc": self.setting(lambda s: FUNCTIONS.index(s.off_function), _set_off_function),
                "func": self.setting(lambda s: FUNCTIONS.index(s.function), _set_function),
                "compliance": Attribute(self._compliance),
                **{f"{name}{quantity}": self._sourced(name, quantity) for name in _SOURCED for quantity in FUNCTIONS},
                "limitp": self.kept("limitp", 0.0, 0.0, 200.0),
                "delay": self.kept("source.delay", 0.0, -1.0, 1e5),
                "sink": self.kept("sink", 0.0, 0.0, 1.0),
                "highc": self.kept("highc", 0.0, 0.0, 1.0),
                "settling": self.kept("settling", 0.0, 0.0, 131.0),
                "outputenableaction": self.kept("outputenableaction", 0.0, 0.0, 1.0),
            }
        )

    def measure(self) -> Table:
        relative = {q: Table({"enable": self._relative(q), "level": self._relative_to(q)}) for q in FUNCTIONS}
        averaging = Table({name: self.kept(f"filter.{name}", start, 0.0, 100.0) for name, start in _FILTER})
        return Table(
            {
                **self._readings(),
                **{f"range{q}": self._measure_range(q) for q in FUNCTIONS},
                **{f"autorange{q}": self._auto(lambda s: s.measure_auto, q) for q in FUNCTIONS},
                **{f"lowrange{q}": self.kept(f"measure.lowrange{q}", 0.0, 0.0, 200.0) for q in FUNCTIONS},
                **{f"rel{q}": table for q, table in relative.items()},
                "filter": averaging,
                "nplc": self.kept("nplc", 1.0, 0.001, 25.0),
                "count": self.kept("count", 1.0, 1.0, 60000.0),
                "autozero": self.kept("autozero", 2.0, 0.0, 2.0),
                "delay": self.kept("measure.delay", 0.0, -1.0, 1e5),
                "interval": self.kept("interval", 0.0, 0.0, 1.0),
            }
        )

    def setting(self, get: Callable[[Settings], float], change: Callable[[Settings, object], None]) -> Attribute:
        """A setting that is refused with an error while the script goes on, or put on the terminals at once."""
        smu = self._smu

        def set_(value: object) -> None:
            try:
                change(smu.settings, value)
            except Refused as refused:
                self._fail(refused.code)
            else:
                smu.rewire()

        return Attribute(lambda: float(get(smu.settings)), set_)

    def kept(self, name: str, start: float, low: float, high: float) -> Attribute:
        def change(settings: Settings, value: object) -> None:
            kept = number(value)
            if not low <= kept <= high:
                raise Refused(TOO_BIG if kept > high else TOO_SMALL)
            settings.plain[name] = kept

        return self.setting(lambda s: s.plain.get(name, start), change)

    def _compliance(self) -> object:
        """A boolean on a 2600B (Rev. B p. 7-220); 1 or 0 by the manual of the 2600A (2600AS-901-01 p. 3-5)."""
        is_limited = self._smu.is_limited()
        return is_limited if self._smu.model.name.endswith("B") else float(is_limited)

    def reset(self) -> Values:
        self._smu.reset()
        return ()

    def nothing(self) -> Values:
        return ()

    def _sourced(self, name: str, quantity: str) -> Attribute:
        get, change = _SOURCED[name]
        return self.setting(lambda s: get(s, quantity), lambda s, value: change(s, quantity, number(value)))

    def _auto(self, of: Callable[[Settings], dict[str, bool]], quantity: str) -> Attribute:
        def change(settings: Settings, value: object) -> None:
            of(settings)[quantity] = bool(choice(value, (0, 1)))

        return self.setting(lambda s: of(s)[quantity], change)

    def _measure_range(self, quantity: str) -> Attribute:
        def change(settings: Settings, value: object) -> None:
            settings.measure_range[quantity] = range_for(settings.model, quantity, number(value))
            settings.measure_auto[quantity] = False

        return self.setting(lambda s: measure_range(s, quantity), change)

    def _relative(self, quantity: str) -> Attribute:
        return self._auto(lambda s: s.relative, quantity)

    def _relative_to(self, quantity: str) -> Attribute:
        def change(settings: Settings, value: object) -> None:
            settings.relative_to[quantity] = number(value)

        return self.setting(lambda s: s.relative_to[quantity], change)

    def _readings(self) -> dict[str, object]:
        """iv() gives the current first. Into a buffer nothing is read here."""

        def taking(of: Callable[[float, float], Values]) -> Builtin:
            def take(*arguments: object) -> Values:
                if arguments:
                    raise LuaRuntimeError("reading buffers are not simulated")
                return of(*self._smu.measure())

            return Builtin(take)

        return {
            "iv": taking(lambda current_A, voltage_V: (current_A, voltage_V)),
            "i": taking(lambda current_A, _: (current_A,)),
            "v": taking(lambda _, voltage_V: (voltage_V,)),
            "p": taking(lambda current_A, voltage_V: (current_A * voltage_V,)),
            "r": taking(lambda current_A, voltage_V: (voltage_V / current_A if current_A else 9.91e37,)),
        }


def _set_source_range(settings: Settings, quantity: str, value: float) -> None:
    settings.source_range[quantity] = range_for(settings.model, quantity, value)
    settings.source_auto[quantity] = False


def _set_source_auto(settings: Settings, quantity: str, value: float) -> None:
    settings.source_auto[quantity] = bool(choice(value, (0, 1)))


def _set_off_limit(settings: Settings, quantity: str, value: float) -> None:
    settings.off_limit[quantity] = value


def _set_low_range(settings: Settings, quantity: str, value: float) -> None:
    settings.plain[f"source.lowrange{quantity}"] = value


_Get = Callable[[Settings, str], float]
_Change = Callable[[Settings, str, float], None]
_SOURCED: dict[str, tuple[_Get, _Change]] = {
    "level": (lambda s, q: s.level[q], set_level),
    "limit": (lambda s, q: s.limit[q], set_limit),
    "range": (lambda s, q: s.source_range[q], _set_source_range),
    "autorange": (lambda s, q: s.source_auto[q], _set_source_auto),
    "offlimit": (lambda s, q: s.off_limit[q], _set_off_limit),
    "lowrange": (lambda s, q: s.plain.get(f"source.lowrange{q}", 0.0), _set_low_range),
}
_FILTER = (("enable", 0.0), ("count", 1.0), ("type", 1.0))


def condition(smu: Smu) -> float:
    """``status.measurement.instrument.smuX.condition``: b0 voltage limit, b1 current limit (Rev. B p. 9-290)."""
    if not smu.is_limited():
        return 0.0
    return {VOLTS: 1.0, AMPS: 2.0}[smu.settings.limited]
