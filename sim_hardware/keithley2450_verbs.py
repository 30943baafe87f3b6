"""What each command of a simulated 2450 does, and the few shapes commands have."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from sim_hardware.keithley2450_events import LIMIT_RAISED
from sim_hardware.keithley2450_meter import ELEMENTS, real, spell
from sim_hardware.keithley2450_models import CURR, RES, VOLT
from sim_hardware.keithley2450_settings import Settings, compliance, set_measure, set_sense_range
from sim_hardware.keithley2450_smu import Smu
from sim_hardware.scpi import MISSING_PARAMETER, PARAMETER_NOT_ALLOWED, ScpiError, choice, flag, number, quoted

Step = Callable[[Smu, tuple[str, ...]], str | None]

LONG = {VOLT: "VOLTage", CURR: "CURRent", RES: "RESistance"}
SPELLED = {VOLT: '"VOLT:DC"', CURR: '"CURR:DC"', RES: '"RES"'}
OFF_MODES = {"HIMP": "HIMPEDANCE", "NORM": "NORMAL", "ZERO": "ZERO", "GUAR": "GUARD"}
TERMINALS = {"FRON": "FRONT", "REAR": "REAR"}
PROTECTIONS = {f"PROT{level}": f"PROTECTION{level}" for level in (2, 5, 10, 20, 40, 60, 80)} | {"NONE": "NONE"}
BUFFERS = {"DEFBUFFER1", "DEFBUFFER2"}
MOST_ELEMENTS = 14  # p. 6-4


@dataclass(frozen=True, slots=True)
class Command:
    set: Step | None = None
    query: Step | None = None


def one(arguments: tuple[str, ...]) -> str:
    if len(arguments) != 1:
        raise ScpiError(PARAMETER_NOT_ALLOWED if arguments else MISSING_PARAMETER)
    return arguments[0]


def none(arguments: tuple[str, ...]) -> None:
    if arguments:
        raise ScpiError(PARAMETER_NOT_ALLOWED)


def setting(change: Callable[[Smu, str], None], ask: Callable[[Smu], str]) -> Command:
    """A command with one parameter that may change what the terminals do."""

    def set_(smu: Smu, arguments: tuple[str, ...]) -> None:
        change(smu, one(arguments))
        smu.rewire()

    return Command(set_, answer(ask).query)


def answer(ask: Callable[[Smu], str]) -> Command:
    def query(smu: Smu, arguments: tuple[str, ...]) -> str:
        none(arguments)
        return ask(smu)

    return Command(query=query)


def action(do: Callable[[Smu], None]) -> Command:
    def set_(smu: Smu, arguments: tuple[str, ...]) -> None:
        none(arguments)
        do(smu)
        smu.rewire()

    return Command(set_)


def quantity(
    change: Callable[[Smu, float], None], ask: Callable[[Settings], float], largest: float, default: float = 0.0
) -> Command:
    """A number with limits; its query also takes MIN, MAX and DEF."""

    def query(smu: Smu, arguments: tuple[str, ...]) -> str:
        value = number(one(arguments), -largest, largest, default) if arguments else ask(smu.settings)
        return real(smu.settings, value)

    command = setting(lambda smu, text: change(smu, number(text, -largest, largest, default)), lambda _: "")
    return Command(command.set, query)


def kept(header: str, default: str, check: Callable[[str], str]) -> tuple[str, Command]:
    """A setting without effect on the simulation: checked, kept, answered."""

    def change(smu: Smu, text: str) -> None:
        smu.settings.plain[header] = check(text)

    return header, setting(change, lambda smu: smu.settings.plain.get(header, default))


def switch(text: str) -> str:
    return "1" if flag(text) else "0"


def whole(low: int, high: int) -> Callable[[str], str]:
    return lambda text: str(int(number(text, low, high, low)))


def decimal(low: float, high: float, default: float) -> Callable[[str], str]:
    return lambda text: f"{number(text, low, high, default):.6E}"


def named(*names: str) -> Callable[[str], str]:
    known = {"".join(letter for letter in name if letter.isupper()): name.upper() for name in names}
    return lambda text: choice(text, known)


def switched(get: Callable[[Settings], dict[str, bool]], name: str) -> Command:
    """A yes or no that is kept for each function."""

    def change(smu: Smu, text: str) -> None:
        get(smu.settings)[name] = flag(text)

    return setting(change, lambda smu: str(int(get(smu.settings)[name])))


def set_output(smu: Smu, text: str) -> None:
    smu.settings.output = flag(text)


def set_off_mode(*functions: str) -> Callable[[Smu, str], None]:
    """Without a function in the header it is set for all (p. 6-32)."""

    def change(smu: Smu, text: str) -> None:
        mode = choice(text, OFF_MODES)
        for name in functions:
            smu.settings.off_mode[name] = mode

    return change


def set_source(smu: Smu, text: str) -> None:
    source = choice(text, {VOLT: "VOLTAGE", CURR: "CURRENT"})
    if source != smu.settings.source:
        smu.settings.output = False  # the manuals do not say: the harmful way is taken
    smu.settings.source = source


def set_terminals(smu: Smu, text: str) -> None:
    terminals = choice(text, TERMINALS)
    if terminals != smu.settings.terminals:
        smu.settings.output = False
    smu.settings.terminals = terminals


def set_remote(name: str) -> Callable[[Smu, str], None]:
    """A change of the sense turns the output off (2470 p. 12-58)."""

    def change(smu: Smu, text: str) -> None:
        settings, wanted = smu.settings, flag(text)
        if settings.remote[name] is not wanted:
            settings.output = False
        settings.remote[name] = wanted

    return change


def _function(text: str) -> str:
    return choice(quoted(text).upper().removesuffix(":DC"), {short: long.upper() for short, long in LONG.items()})


def set_function(smu: Smu, text: str) -> None:
    set_measure(smu.settings, _function(text))


def set_overvoltage(smu: Smu, text: str) -> None:
    level = choice(text, PROTECTIONS).removeprefix("PROT")
    smu.settings.overvoltage_V = math.inf if level == "NONE" else float(level)


def overvoltage(smu: Smu) -> str:
    level_V = smu.settings.overvoltage_V
    return "NONE" if math.isinf(level_V) else f"PROT{level_V:.0f}"


def fix_sense_range(name: str) -> Callable[[Smu, float], None]:
    def change(smu: Smu, value: float) -> None:
        if set_sense_range(smu.settings, name, abs(value)):
            smu.warn(LIMIT_RAISED)

    return change


def tripped(quantity_limited: str) -> Callable[[Smu], str]:
    """Whether the source is limited *now* (p. 6-72)."""

    def ask(smu: Smu) -> str:
        settings = smu.settings
        is_limited = settings.output and settings.limited == quantity_limited and smu.terminals.operating().limited
        return str(int(is_limited))

    return ask


def ovp_tripped(smu: Smu) -> str:
    return "1" if tripped(VOLT)(smu) == "1" and compliance(smu.settings)[1] == "ovp" else "0"


def _elements(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The buffer's name, and what of the reading is wanted; the reading itself if nothing is said (p. 6-6)."""
    if not arguments:
        return ("READ",)
    if quoted(arguments[0]).upper() not in BUFFERS:
        raise ScpiError(-222)
    if len(arguments) - 1 > MOST_ELEMENTS:
        raise ScpiError(PARAMETER_NOT_ALLOWED)
    return tuple(choice(text, ELEMENTS) for text in arguments[1:]) or ("READ",)


def read(smu: Smu, arguments: tuple[str, ...]) -> str:
    elements = _elements(arguments)
    return spell(smu.settings, smu.measure(), elements)


def fetch(smu: Smu, arguments: tuple[str, ...]) -> str:
    elements = _elements(arguments)
    if smu.last is None:
        raise ScpiError(-221)
    return spell(smu.settings, smu.last, elements)


def measure(name: str) -> Step:
    """:MEASure:<function>? selects the function and reads; it resets nothing and switches nothing on (p. 6-4)."""

    def ask(smu: Smu, arguments: tuple[str, ...]) -> str:
        set_measure(smu.settings, name)
        smu.rewire()
        return read(smu, arguments)

    return ask


def clear_status(smu: Smu) -> None:
    smu.log.clear()
    smu.events = 0


def event_status(smu: Smu) -> str:
    events, smu.events = smu.events, 0
    return str(events)


def reset(smu: Smu) -> None:
    smu.settings = Settings(smu.model)
