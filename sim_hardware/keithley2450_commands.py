"""The 2450's commands as a table: header as in section 6 of the manual, what setting and asking it does."""

from __future__ import annotations

from collections.abc import Iterable

from sim_hardware import keithley2450_verbs as do
from sim_hardware.keithley2450_models import CURR, RES, VOLT
from sim_hardware.keithley2450_settings import (
    FUNCTIONS,
    measure_range,
    set_level,
    set_limit,
    set_source_range,
)
from sim_hardware.keithley2450_smu import Smu
from sim_hardware.keithley2450_verbs import (
    LONG,
    Command,
    action,
    answer,
    decimal,
    kept,
    named,
    quantity,
    setting,
    switch,
    switched,
    whole,
)
from sim_hardware.scpi import number

MOST = {VOLT: 1100.0, CURR: 10.5, RES: 2e8}


def _source_commands(name: str) -> Iterable[tuple[str, Command]]:
    base, other, most = f":SOURce[1]:{LONG[name]}", CURR if name == VOLT else VOLT, MOST[name]
    limit = f"{base}:{'ILIMit' if name == VOLT else 'VLIMit'}[:LEVel]"
    yield (
        f"{base}[:LEVel][:IMMediate][:AMPLitude]",
        quantity(lambda smu, value: set_level(smu.settings, name, value), lambda s: s.level[name], most),
    )
    yield (
        f"{base}:RANGe",
        quantity(lambda smu, value: set_source_range(smu.settings, name, value), lambda s: s.source_range[name], most),
    )
    yield f"{base}:RANGe:AUTO", switched(lambda s: s.source_auto, name)
    yield (
        limit,
        quantity(lambda smu, value: set_limit(smu.settings, other, value), lambda s: s.limit[other], MOST[other]),
    )
    yield f"{limit}:TRIPped", answer(do.tripped(other))
    yield f"{base}:READ:BACK", switched(lambda s: s.readback, name)
    yield kept(f"{base}:DELay", "0.000000E+00", decimal(0.0, 10_000.0, 0.0))
    yield kept(f"{base}:DELay:AUTO", "1", switch)
    yield kept(f"{base}:HIGH:CAPacitance", "0", switch)


def _sense_commands(name: str) -> Iterable[tuple[str, Command]]:
    base = f"[:SENSe[1]]:{LONG[name]}{'' if name == RES else '[:DC]'}"

    def set_relative(smu: Smu, value: float) -> None:
        smu.settings.relative_to[name] = value

    yield (
        f"{base}:RANGe[:UPPer]",
        quantity(do.fix_sense_range(name), lambda s: measure_range(s, name), MOST[name]),
    )
    yield f"{base}:RANGe:AUTO", switched(lambda s: s.sense_auto, name)
    yield kept(f"{base}:NPLCycles", "1.000000E+00", decimal(0.01, 10.0, 1.0))
    yield f"{base}:RSENse", setting(do.set_remote(name), lambda smu: str(int(smu.settings.remote[name])))
    yield f"{base}:RELative:STATe", switched(lambda s: s.relative, name)
    yield f"{base}:RELative", quantity(set_relative, lambda s: s.relative_to[name], MOST[name])
    yield kept(f"{base}:AVERage[:STATe]", "0", switch)
    yield kept(f"{base}:AVERage:COUNt", "10", whole(1, 100))
    yield kept(f"{base}:AVERage:TCONtrol", "REP", named("REPeat", "MOVing"))
    yield kept(f"{base}:AZERo[:STATe]", "1", switch)
    yield (
        f":CALCulate[1]:{LONG[name]}{'' if name == RES else '[:DC]'}:MATH:STATe",
        switched(lambda s: s.with_math, name),
    )


def _measure_commands() -> Iterable[tuple[str, Command]]:
    for name in FUNCTIONS:
        yield f":MEASure:{LONG[name]}{'' if name == RES else '[:DC]'}", Command(query=do.measure(name))
    yield ":READ", Command(query=do.read)
    yield ":FETCh", Command(query=do.fetch)
    yield ":MEASure", Command(query=do.read)
    yield ":ABORt", action(Smu.abort)
    yield (
        "[:SENSe[1]]:FUNCtion[:ON]",
        setting(do.set_function, lambda smu: do.SPELLED[smu.settings.measure]),
    )

    def set_count(smu: Smu, text: str) -> None:
        smu.settings.count = int(number(text, 1, 300_000, 1))

    def set_precision(smu: Smu, text: str) -> None:
        smu.settings.precision = int(number(text, 0, 16, 0))

    yield "[:SENSe[1]]:COUNt", setting(set_count, lambda smu: str(smu.settings.count))
    yield ":FORMat:ASCii:PRECision", setting(set_precision, lambda smu: str(smu.settings.precision))
    yield kept(":FORMat[:DATA]", "ASC", named("ASCii", "REAL", "SREal"))
    yield ":TRACe:CLEar", Command(lambda _smu, _arguments: None)


def _output_commands() -> Iterable[tuple[str, Command]]:
    yield ":OUTPut[1][:STATe]", setting(do.set_output, lambda smu: str(int(smu.settings.output)))
    yield (
        ":OUTPut[1]:SMODe",
        setting(do.set_off_mode(VOLT, CURR), lambda smu: smu.settings.off_mode[smu.settings.source]),
    )
    yield ":OUTPut[1]:VOLTage[:DC]:SMODe", setting(do.set_off_mode(VOLT), lambda smu: smu.settings.off_mode[VOLT])
    yield ":OUTPut[1]:CURRent[:DC]:SMODe", setting(do.set_off_mode(CURR), lambda smu: smu.settings.off_mode[CURR])
    yield ":OUTPut[1]:INTerlock:TRIPped", answer(lambda _: "0")
    yield ":ROUTe:TERMinals", setting(do.set_terminals, lambda smu: smu.settings.terminals)
    yield ":SOURce[1]:FUNCtion[:MODE]", setting(do.set_source, lambda smu: smu.settings.source)
    yield ":SOURce[1]:VOLTage:PROTection[:LEVel]", setting(do.set_overvoltage, do.overvoltage)
    yield ":SOURce[1]:VOLTage:PROTection[:LEVel]:TRIPped", answer(do.ovp_tripped)


def _system_commands() -> Iterable[tuple[str, Command]]:
    yield ":SYSTem:ERRor[:NEXT]", answer(lambda smu: smu.log.next_error())
    yield ":SYSTem:ERRor:COUNt", answer(lambda smu: str(smu.log.errors()))
    yield ":SYSTem:EVENtlog:NEXT", answer(lambda smu: smu.log.next_event())
    yield ":SYSTem:EVENtlog:COUNt", answer(lambda smu: str(len(smu.log)))
    yield ":SYSTem:CLEar", action(lambda smu: smu.log.clear())
    yield ":SYSTem:VERSion", answer(lambda _: "1996.0")
    yield kept(":SYSTem:ACCess", "FULL", named("FULL", "EXCLusive", "PROTected", "LOCKout"))
    yield ":STATus:PRESet", action(lambda _: None)
    yield ":STATus:CLEar", action(lambda _: None)


def _common_commands() -> Iterable[tuple[str, Command]]:
    yield "*RST", action(do.reset)
    yield "*CLS", action(do.clear_status)
    yield "*OPC", Command(action(lambda _: None).set, answer(lambda _: "1").query)
    yield "*WAI", action(lambda _: None)
    yield "*TRG", action(lambda _: None)
    yield "*TST", answer(lambda _: "0")
    yield "*ESR", answer(do.event_status)
    yield "*STB", answer(lambda smu: "4" if smu.log.errors() else "0")
    yield kept("*ESE", "0", whole(0, 255))
    yield kept("*SRE", "0", whole(0, 255))


def _all_commands() -> Iterable[tuple[str, Command]]:
    for name in (VOLT, CURR):
        yield from _source_commands(name)
    for name in FUNCTIONS:
        yield from _sense_commands(name)
    yield from _measure_commands()
    yield from _output_commands()
    yield from _system_commands()
    yield from _common_commands()


COMMANDS: dict[str, Command] = dict(_all_commands())
# What a 2450 that emulates a 2400 still takes as a 2400 would (appendix D): one off-mode, of no function.
EMULATED = {header: COMMANDS[header] for header in COMMANDS if header.startswith(("*", ":SYSTem:ERR", ":OUTPut[1]["))}
EMULATED[":OUTPut[1]:SMODe"] = COMMANDS[":OUTPut[1]:SMODe"]
