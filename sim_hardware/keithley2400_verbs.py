"""What each command of a simulated 2400 does, and the few shapes commands have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sim_hardware.keithley2400_abuse import CONFIGURED
from sim_hardware.keithley2400_settings import (
    CURR,
    ELEMENTS,
    RES,
    SETTINGS_CONFLICT,
    VOLT,
    Settings,
    compliance,
)
from sim_hardware.keithley2400_smu import Smu
from sim_hardware.scpi import (
    MISSING_PARAMETER,
    PARAMETER_NOT_ALLOWED,
    ScpiError,
    choice,
    flag,
    number,
    quoted,
    register,
)

Step = Callable[[Smu, tuple[str, ...]], str | None]

LONG = {VOLT: "VOLTage", CURR: "CURRent", RES: "RESistance"}
SPELLED = {VOLT: "VOLT:DC", CURR: "CURR:DC", RES: "RES"}
OFF_MODES = {"HIMP": "HIMPEDANCE", "NORM": "NORMAL", "ZERO": "ZERO", "GUAR": "GUARD"}
TERMINALS = {"FRON": "FRONT", "REAR": "REAR"}
SOURCES = {VOLT: "VOLTAGE", CURR: "CURRENT"}
ASCII_ONLY = 701


@dataclass(frozen=True, slots=True)
class Command:
    set: Step | None = None
    query: Step | None = None


def real(value: float) -> str:
    return f"{value:.6E}"


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
    change: Callable[[Settings, float], None], ask: Callable[[Settings], float], low: float, high: float, default: float
) -> Command:
    """A number with limits; its query also takes MIN, MAX and DEF."""

    def query(smu: Smu, arguments: tuple[str, ...]) -> str:
        return real(number(one(arguments), low, high, default) if arguments else ask(smu.settings))

    command = setting(lambda smu, text: change(smu.settings, number(text, low, high, default)), lambda _: "")
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


def decimal(low: float, high: float) -> Callable[[str], str]:
    return lambda text: real(number(text, low, high, low))


def named(*names: str) -> Callable[[str], str]:
    known = {"".join(letter for letter in name if letter.isupper()): name.upper() for name in names}
    return lambda text: choice(text, known)


def set_output(smu: Smu, text: str) -> None:
    smu.settings.output = flag(text)


def set_off_mode(smu: Smu, text: str) -> None:
    smu.settings.off_mode = choice(text, OFF_MODES)


def set_source(smu: Smu, text: str) -> None:
    source = choice(text, SOURCES)
    if source != smu.settings.source:
        smu.settings.output = False  # the manual does not say: the harmful way is taken
    smu.settings.source = source


def set_terminals(smu: Smu, text: str) -> None:
    terminals = choice(text, TERMINALS)
    if terminals != smu.settings.terminals:
        smu.settings.output = False
    smu.settings.terminals = terminals


def set_auto_clear(smu: Smu, text: str) -> None:
    smu.settings.auto_clear = flag(text)


def set_remote_sense(smu: Smu, text: str) -> None:
    smu.settings.remote_sense = flag(text)


def set_filter(smu: Smu, text: str) -> None:
    smu.settings.filtered = flag(text)


def set_concurrent(smu: Smu, text: str) -> None:
    settings = smu.settings
    settings.concurrent = flag(text)
    if not settings.concurrent:
        settings.functions = {VOLT}  # p. 18-52: switching it off leaves one function


def _functions(arguments: tuple[str, ...]) -> list[str]:
    if not arguments:
        raise ScpiError(MISSING_PARAMETER)
    known = {short: LONG[short].upper() for short in LONG}
    return [choice(quoted(text).upper().removesuffix(":DC"), known) for text in arguments]


def functions_on(smu: Smu, arguments: tuple[str, ...]) -> None:
    names = _functions(arguments)
    if smu.settings.concurrent:
        names = [*names, *smu.settings.functions]
    elif len(names) > 1:
        raise ScpiError(SETTINGS_CONFLICT)
    smu.settings.functions = set(names)
    smu.rewire()


def functions_off(smu: Smu, arguments: tuple[str, ...]) -> None:
    smu.settings.functions -= set(_functions(arguments))
    smu.rewire()


def functions(smu: Smu) -> str:
    return ",".join(f'"{spelled}"' for name, spelled in SPELLED.items() if name in smu.settings.functions)


def set_elements(smu: Smu, arguments: tuple[str, ...]) -> None:
    if not arguments:
        raise ScpiError(MISSING_PARAMETER)
    known = {short: long.upper() for short, long in LONG.items()} | {"TIME": "TIME", "STAT": "STATUS"}
    smu.settings.elements = frozenset(choice(text, known) for text in arguments)


def elements(smu: Smu) -> str:
    return ",".join(name for name in ELEMENTS if name in smu.settings.elements)


def event_enable(smu: Smu) -> str:
    plain = smu.settings.plain
    return register(int(plain.get("*ESE", "0")), plain.get(":FORMat:SREGister", "ASC"))


def set_format(_smu: Smu, text: str) -> None:
    if text.upper() not in {"ASC", "ASCII"}:
        raise ScpiError(ASCII_ONLY)


def clear_status(smu: Smu) -> None:
    smu.errors.clear()
    smu.events = 0


def event_status(smu: Smu) -> str:
    events, smu.events = smu.events, 0
    return str(events)


def all_errors(smu: Smu) -> str:
    if not len(smu.errors):
        return smu.errors.pop()
    return ",".join([smu.errors.pop() for _ in range(len(smu.errors))])


def reset(smu: Smu) -> None:
    smu.settings = Settings()


def read(smu: Smu) -> str:
    smu.measure()
    return smu.fetch()


def configure(name: str) -> Callable[[Smu], None]:
    """:CONFigure resets the function's controls and turns the output on (p. 17-2, 17-5)."""

    def configure_(smu: Smu) -> None:
        settings, defaults = smu.settings, Settings()
        settings.functions = {name}
        for values, fresh in ((settings.sense_range, defaults.sense_range), (settings.protection, defaults.protection)):
            if name in values:
                values[name] = fresh[name]
        settings.sense_auto[name] = True
        settings.output = True
        smu.abuse.add(CONFIGURED)
        smu.rewire()

    return configure_


def measure(name: str) -> Callable[[Smu], str]:
    def ask(smu: Smu) -> str:
        configure(name)(smu)
        return read(smu)

    return ask


def tripped(name: str) -> Callable[[Smu], str]:
    """Whether the source is in compliance *now*."""

    def ask(smu: Smu) -> str:
        settings = smu.settings
        return "1" if settings.output and settings.limited == name and smu.terminals.operating().limited else "0"

    return ask


def ovp_tripped(smu: Smu) -> str:
    return "1" if tripped(VOLT)(smu) == "1" and compliance(smu.settings)[1] == "ovp" else "0"


def set_overvoltage(settings: Settings, value: float) -> None:
    """A value between two levels takes the lower one, below the lowest that one (p. 18-81)."""
    steps = (20.0, 40.0, 60.0, 80.0, 100.0, 120.0, 160.0)
    lower_V = max((step for step in steps if step <= abs(value)), default=steps[0])
    settings.overvoltage_V = 210.0 if abs(value) > steps[-1] else lower_V


def counted(layer: str) -> Command:
    def change(smu: Smu, text: str) -> None:
        smu.settings.counts[layer] = int(number(text, 1, 2500, 1))

    return setting(change, lambda smu: str(smu.settings.counts[layer]))
