"""The B2900's commands as a table: header as in chapters 3 and 4 of its command reference, and what it does."""

from __future__ import annotations

from collections.abc import Iterable

from sim_hardware import keysightb2900_verbs as do
from sim_hardware.keysightb2900_box import Box
from sim_hardware.keysightb2900_models import CURR, RES, VOLT
from sim_hardware.keysightb2900_settings import (
    RESET_LIMIT,
    Settings,
    measure_range,
    set_level,
    set_limit,
    set_sense_range,
    set_source_range,
)
from sim_hardware.keysightb2900_verbs import (
    LONG,
    Command,
    action,
    answer,
    decimal,
    kept,
    named,
    quantity,
    setting,
    shared,
    switch,
    switched,
    whole,
    yes_or_no,
)
from sim_hardware.scpi import number, register

MOST = {VOLT: 210.0, CURR: 3.03}
READ_BY_ELEMENT = {"VOLT": "VOLTage[:DC]", "CURR": "CURRent[:DC]", "RES": "RESistance"}


def _source_commands(name: str) -> Iterable[tuple[str, Command]]:
    base = f"[:SOURce[c]]:{LONG[name]}"
    yield (
        f"{base}[:LEVel][:IMMediate][:AMPLitude]",
        quantity(lambda settings, value: set_level(settings, name, value), lambda s: s.level[name], MOST[name]),
    )
    yield (
        f"{base}:RANGe",
        quantity(lambda s, value: set_source_range(s, name, value), lambda s: s.source_range[name], MOST[name]),
    )
    yield f"{base}:RANGe:AUTO", switched(lambda s: s.source_auto, name)
    yield f"{base}:MODE", setting(do.set_source_mode(name), lambda s: s.source_mode[name])


def _sense_commands(name: str) -> Iterable[tuple[str, Command]]:
    base = f":SENSe[c]:{LONG[name]}[:DC]"
    yield (
        f"{base}:RANGe[:UPPer]",
        quantity(lambda s, value: set_sense_range(s, name, abs(value)), lambda s: measure_range(s, name), MOST[name]),
    )
    yield f"{base}:RANGe:AUTO", switched(lambda s: s.sense_auto, name)
    yield (
        f"{base}:PROTection[:LEVel][:BOTH]",
        quantity(
            lambda s, value: set_limit(s, name, value), lambda s: s.limit[name], MOST[name], default=RESET_LIMIT[name]
        ),
    )
    yield (
        f"{base}:PROTection:TRIPped",
        answer(lambda _, channel: str(int(channel.is_limited(name)))),
    )
    yield kept(f"{base}:NPLCycles", "+1.000000E-01", decimal(4e-4, 100.0, 0.1))
    yield kept(f"{base}:NPLCycles:AUTO", "1", switch)


def _reading_commands() -> Iterable[tuple[str, Command]]:
    yield ":READ[:SCALar]", Command(query=do.read())
    yield ":MEASure", Command(query=do.measure())
    yield ":FETCh[:SCALar]", Command(query=do.fetch())
    for element, spelled in READ_BY_ELEMENT.items():
        yield f":READ[:SCALar]:{spelled}", Command(query=do.read(element))
        yield f":MEASure:{spelled}", Command(query=do.measure(element))
        yield f":FETCh[:SCALar]:{spelled}", Command(query=do.fetch(element))
    yield ":FETCh[:SCALar]:STATus", Command(query=do.fetch("STAT"))
    for layer in ("[:ALL]", ":ACQuire", ":TRANsient"):
        yield f":INITiate[:IMMediate]{layer}", Command(do.initiate)
        yield f":ABORt{layer}", Command(do.abort)
    yield ":FORMat:ELEMents:SENSe", Command(do.set_elements, answer(lambda box, _: ",".join(box.elements)).query)
    yield shared(":FORMat:SREGister", "ASC", named("ASCii", "HEXadecimal", "OCTal", "BINary"))
    yield shared(":FORMat[:DATA]", "ASC", named("ASCii", "REAL"))


def _function_commands() -> Iterable[tuple[str, Command]]:
    yield ":SENSe[c]:FUNCtion[:ON]", Command(do.functions(enabled=True), do.tell_functions)
    yield ":SENSe[c]:FUNCtion[:ON]:ALL", Command(do.all_functions(enabled=True))
    yield (
        ":SENSe[c]:FUNCtion[:ON]:COUNt",
        answer(lambda _, channel: f"{len(channel.settings.functions):+d}"),
    )
    yield ":SENSe[c]:FUNCtion:OFF", Command(do.functions(enabled=False))
    yield ":SENSe[c]:FUNCtion:OFF:ALL", Command(do.all_functions(enabled=False))
    yield (
        ":SENSe[c]:RESistance:MODE",
        setting(do.set_ohms, lambda settings: "AUTO" if settings.ohms_auto else "MAN"),
    )
    yield ":SENSe[c]:REMote", setting(do.set_remote, lambda settings: str(int(settings.remote)))


def _set_auto_on(settings: Settings, value: bool) -> None:  # noqa: FBT001 - a setter
    settings.auto_on = value


def _set_auto_off(settings: Settings, value: bool) -> None:  # noqa: FBT001 - a setter
    settings.auto_off = value


def _set_protection(settings: Settings, value: bool) -> None:  # noqa: FBT001 - a setter
    settings.protection = value


def _output_commands() -> Iterable[tuple[str, Command]]:
    base = ":OUTPut[c]"
    yield (
        f"{base}[:STATe]",
        Command(setting(do.set_output, lambda _: "").set, answer(lambda _, channel: str(int(channel.output))).query),
    )
    yield f"{base}:OFF:MODE", setting(do.set_off_mode, lambda settings: settings.off_mode)
    yield f"{base}:ON:AUTO", yes_or_no(_set_auto_on, lambda settings: settings.auto_on)
    yield f"{base}:OFF:AUTO", yes_or_no(_set_auto_off, lambda settings: settings.auto_off)
    yield f"{base}:PROTection[:STATe]", yes_or_no(_set_protection, lambda settings: settings.protection)
    yield kept(f"{base}:LOW", "GRO", named("FLOat", "GROund"))
    yield kept(f"{base}:HCAPacitance[:STATe]", "0", switch)
    yield "[:SOURce[c]]:FUNCtion:MODE", setting(do.set_source, lambda settings: settings.source)
    yield kept("[:SOURce[c]]:FUNCtion[:SHAPe]", "DC", named("DC", "PULSe"))


def _system_commands() -> Iterable[tuple[str, Command]]:
    yield ":SYSTem:ERRor[:NEXT]", answer(lambda box, _: box.errors.pop())
    yield ":SYSTem:ERRor:ALL", answer(lambda box, _: box.errors.pop_all())
    yield ":SYSTem:ERRor:COUNt", answer(lambda box, _: f"{len(box.errors):+d}")
    yield ":SYSTem:VERSion", answer(lambda _box, _: "1999.0")
    yield shared(":SYSTem:LFRequency", "50", whole(50, 60))


def _common_commands() -> Iterable[tuple[str, Command]]:
    yield "*RST", action(lambda box: box.reset())
    yield "*CLS", action(do.clear_status)
    yield "*OPC", Command(action(lambda _: None).set, answer(lambda _box, _: "1").query)
    yield "*WAI", action(lambda _: None)
    yield "*TRG", action(lambda _: None)
    yield "*TST", answer(lambda _box, _: "+0")
    yield "*ESR", answer(do.event_status)
    yield "*STB", answer(lambda box, _: "+4" if len(box.errors) else "+0")
    yield "*ESE", Command(shared("*ESE", "+0", _register)[1].set, answer(lambda box, _: _event_enable(box)).query)
    yield shared("*SRE", "+0", _register)


def _event_enable(box: Box) -> str:
    enabled, told_as = box.plain.get("*ESE", "+0"), box.plain.get(":FORMat:SREGister", "ASC")
    return enabled if told_as == "ASC" else register(int(enabled), told_as)


def _register(text: str) -> str:
    return f"{int(number(text, 0, 255, 0)):+d}"


def _all_commands() -> Iterable[tuple[str, Command]]:
    for name in (VOLT, CURR):
        yield from _source_commands(name)
        yield from _sense_commands(name)
    yield from _function_commands()
    yield from _reading_commands()
    yield from _output_commands()
    yield from _system_commands()
    yield from _common_commands()
    yield kept(f":SENSe[c]:{LONG[RES]}:NPLCycles", "+1.000000E-01", decimal(4e-4, 100.0, 0.1))


COMMANDS: dict[str, Command] = dict(_all_commands())
