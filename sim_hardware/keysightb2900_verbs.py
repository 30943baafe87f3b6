"""What each command of a simulated B2900 does, and the few shapes commands have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sim_hardware.keysightb2900_box import Box
from sim_hardware.keysightb2900_channel import Channel
from sim_hardware.keysightb2900_meter import ELEMENTS, real, spell
from sim_hardware.keysightb2900_models import CURR, RES, VOLT
from sim_hardware.keysightb2900_parser import channel_list
from sim_hardware.keysightb2900_settings import FUNCTIONS, Settings
from sim_hardware.scpi import MISSING_PARAMETER, PARAMETER_NOT_ALLOWED, ScpiError, choice, flag, number, quoted

Step = Callable[[Box, Channel, tuple[str, ...]], str | None]

LONG = {VOLT: "VOLTage", CURR: "CURRent", RES: "RESistance"}
OFF_MODES = {"NORM": "NORMAL", "HIZ": "HIZ", "ZERO": "ZERO"}
SOURCE_MODES = {"FIX": "FIXED", "SWE": "SWEEP", "LIST": "LIST"}


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


def answer(ask: Callable[[Box, Channel], str]) -> Command:
    def query(box: Box, channel: Channel, arguments: tuple[str, ...]) -> str:
        none(arguments)
        return ask(box, channel)

    return Command(query=query)


def setting(change: Callable[[Channel, str], None], ask: Callable[[Settings], str]) -> Command:
    """A command of one channel with one parameter that may change what the terminals do."""

    def set_(_box: Box, channel: Channel, arguments: tuple[str, ...]) -> None:
        change(channel, one(arguments))
        channel.rewire()

    return Command(set_, answer(lambda _, channel: ask(channel.settings)).query)


def action(do: Callable[[Box], None]) -> Command:
    def set_(box: Box, _channel: Channel, arguments: tuple[str, ...]) -> None:
        none(arguments)
        do(box)
        box.rewire()

    return Command(set_)


def quantity(
    change: Callable[[Settings, float], None], ask: Callable[[Settings], float], largest: float, default: float = 0.0
) -> Command:
    """A number with limits; its query also takes MIN, MAX and DEF."""

    def query(_box: Box, channel: Channel, arguments: tuple[str, ...]) -> str:
        value = number(one(arguments), -largest, largest, default) if arguments else ask(channel.settings)
        return real(value)

    command = setting(
        lambda channel, text: change(channel.settings, number(text, -largest, largest, default)), lambda _: ""
    )
    return Command(command.set, query)


def kept(header: str, default: str, check: Callable[[str], str]) -> tuple[str, Command]:
    """A setting of a channel without effect on the simulation: checked, kept, answered."""

    def change(channel: Channel, text: str) -> None:
        channel.settings.plain[header] = check(text)

    return header, setting(change, lambda settings: settings.plain.get(header, default))


def shared(header: str, default: str, check: Callable[[str], str]) -> tuple[str, Command]:
    """The same for the whole instrument."""

    def set_(box: Box, _channel: Channel, arguments: tuple[str, ...]) -> None:
        box.plain[header] = check(one(arguments))

    return header, Command(set_, answer(lambda box, _: box.plain.get(header, default)).query)


def switch(text: str) -> str:
    return "1" if flag(text) else "0"


def whole(low: int, high: int) -> Callable[[str], str]:
    return lambda text: str(int(number(text, low, high, low)))


def decimal(low: float, high: float, default: float) -> Callable[[str], str]:
    return lambda text: real(number(text, low, high, default))


def named(*names: str) -> Callable[[str], str]:
    known = {"".join(letter for letter in name if letter.isupper()): name.upper() for name in names}
    return lambda text: choice(text, known)


def switched(get: Callable[[Settings], dict[str, bool]], name: str) -> Command:
    """A yes or no that is kept for each quantity."""

    def change(channel: Channel, text: str) -> None:
        get(channel.settings)[name] = flag(text)

    return setting(change, lambda settings: str(int(get(settings)[name])))


def yes_or_no(change: Callable[[Settings, bool], None], ask: Callable[[Settings], bool]) -> Command:
    return setting(
        lambda channel, text: change(channel.settings, flag(text)),
        lambda settings: str(int(ask(settings))),
    )


def set_output(channel: Channel, text: str) -> None:
    channel.switch(on=flag(text))


def set_source(channel: Channel, text: str) -> None:
    source = choice(text, {VOLT: "VOLTAGE", CURR: "CURRENT"})
    if source != channel.settings.source and channel.output:
        channel.output = False  # the manuals do not say: the harmful way is taken
    channel.settings.source = source


def set_remote(channel: Channel, text: str) -> None:
    wanted = flag(text)
    if channel.settings.remote is not wanted and channel.output:
        channel.output = False  # as above
    channel.settings.remote = wanted


def set_off_mode(channel: Channel, text: str) -> None:
    channel.settings.off_mode = choice(text, OFF_MODES)


def set_source_mode(name: str) -> Callable[[Channel, str], None]:
    def change(channel: Channel, text: str) -> None:
        channel.settings.source_mode[name] = choice(text, SOURCE_MODES)

    return change


def set_ohms(channel: Channel, text: str) -> None:
    channel.settings.ohms_auto = choice(text, {"MAN": "MANUAL", "AUTO": "AUTO"}) == "AUTO"


def _function(text: str) -> str:
    return choice(quoted(text).upper().removesuffix(":DC"), {short: long.upper() for short, long in LONG.items()})


def functions(*, enabled: bool) -> Step:
    """``:SENSe:FUNCtion:ON`` and ``:OFF`` with a list of names in quotes."""

    def change(_box: Box, channel: Channel, arguments: tuple[str, ...]) -> None:
        if not arguments:
            raise ScpiError(MISSING_PARAMETER)
        chosen = {_function(text) for text in arguments}
        channel.settings.functions = (
            channel.settings.functions | chosen if enabled else channel.settings.functions - chosen
        )
        channel.rewire()

    return change


def all_functions(*, enabled: bool) -> Step:
    def change(_box: Box, channel: Channel, arguments: tuple[str, ...]) -> None:
        none(arguments)
        channel.settings.functions = set(FUNCTIONS) if enabled else set()
        channel.rewire()

    return change


def tell_functions(_box: Box, channel: Channel, arguments: tuple[str, ...]) -> str:
    none(arguments)
    return ",".join(f'"{name}"' for name in FUNCTIONS if name in channel.settings.functions) or '""'


def set_elements(box: Box, _channel: Channel, arguments: tuple[str, ...]) -> None:
    if not arguments:
        raise ScpiError(MISSING_PARAMETER)
    chosen = {choice(text, ELEMENTS) for text in arguments}
    box.elements = tuple(element for element in ELEMENTS if element in chosen)


def _listed(box: Box, arguments: tuple[str, ...]) -> list[Channel]:
    return [box.channels[number] for number in channel_list(arguments, len(box.channels))]


def measure(*elements: str) -> Step:
    """A spot measurement of each channel in the list; all elements chosen, or these."""

    def ask(box: Box, _channel: Channel, arguments: tuple[str, ...]) -> str:
        samples = [channel.measure(box.time_s) for channel in _listed(box, arguments)]
        return spell(samples, elements or box.elements)

    return ask


def read(*elements: str) -> Step:
    """:INITiate and :FETCh? in one (2961 4-83)."""

    def ask(box: Box, channel: Channel, arguments: tuple[str, ...]) -> str:
        initiate(box, channel, arguments)
        return spell([one.last for one in _listed(box, arguments)], elements or box.elements)

    return ask


def fetch(*elements: str) -> Step:
    """The latest data again; it is there until the next measurement (2961 4-17)."""

    def ask(box: Box, _channel: Channel, arguments: tuple[str, ...]) -> str:
        return spell([channel.last for channel in _listed(box, arguments)], elements or box.elements)

    return ask


def initiate(box: Box, _channel: Channel, arguments: tuple[str, ...]) -> None:
    for channel in _listed(box, arguments):
        channel.measure(box.time_s)
        channel.after_triggered()


def abort(box: Box, _channel: Channel, arguments: tuple[str, ...]) -> None:
    """Nothing is under way here for longer than a message."""
    _listed(box, arguments)


def clear_status(box: Box) -> None:
    box.errors.clear()
    box.events = 0


def event_status(box: Box, _channel: Channel) -> str:
    events, box.events = box.events, 0
    return f"{events:+d}"
