"""The 2400's commands as a table: header as in section 18 of the manual, what setting and asking it does."""

from __future__ import annotations

from collections.abc import Iterable

from sim_hardware import keithley2400_verbs as do
from sim_hardware.keithley2400_settings import (
    CURR,
    LARGEST,
    OVERRANGE,
    RES,
    VOLT,
    Settings,
    measure_range,
    set_level,
    set_pending,
    set_protection,
    set_sense_range,
    set_source_range,
)
from sim_hardware.keithley2400_smu import Smu
from sim_hardware.keithley2400_verbs import (
    LONG,
    SPELLED,
    Command,
    action,
    answer,
    decimal,
    kept,
    named,
    quantity,
    real,
    setting,
    switch,
    whole,
)
from sim_hardware.scpi import flag


def _source_commands(name: str) -> Iterable[tuple[str, Command]]:
    base, largest = f":SOURce[1]:{LONG[name]}", LARGEST[name]

    def change_auto(smu: Smu, text: str) -> None:
        settings = smu.settings
        settings.source_auto[name] = flag(text)
        if settings.source_auto[name]:
            set_level(settings, name, settings.level[name])

    yield (
        f"{base}[:LEVel][:IMMediate][:AMPLitude]",
        quantity(lambda s, value: set_level(s, name, value), lambda s: s.level[name], -largest, largest, 0.0),
    )
    yield (
        f"{base}[:LEVel]:TRIGgered[:AMPLitude]",
        quantity(
            lambda s, value: set_pending(s, name, value),
            lambda s: s.pending.get(name, s.level[name]),
            -largest,
            largest,
            0.0,
        ),
    )
    yield (
        f"{base}:RANGe",
        quantity(
            lambda s, value: set_source_range(s, name, value),
            lambda s: OVERRANGE * s.source_range[name],
            -largest,
            largest,
            Settings().source_range[name],
        ),
    )
    yield f"{base}:RANGe:AUTO", setting(change_auto, lambda smu: str(int(smu.settings.source_auto[name])))
    yield kept(f"{base}:MODE", "FIX", named("FIXed"))


def _sense_commands(name: str) -> Iterable[tuple[str, Command]]:
    base, largest = f"[:SENSe[1]]:{LONG[name]}{'' if name == RES else '[:DC]'}", LARGEST[name]

    def change_auto(smu: Smu, text: str) -> None:
        settings = smu.settings
        settings.sense_auto[name] = flag(text)
        if settings.sense_auto[name] and name in settings.protection:
            set_protection(settings, name, settings.protection[name])

    def change_nplc(settings: Settings, value: float) -> None:
        settings.nplc = value  # one setting for all functions

    yield (
        f"{base}:RANGe[:UPPer]",
        quantity(
            lambda s, value: set_sense_range(s, name, value),
            lambda s: OVERRANGE * measure_range(s, name),
            0.0 if name == RES else -largest,
            largest,
            Settings().sense_range[name],
        ),
    )
    yield f"{base}:RANGe:AUTO", setting(change_auto, lambda smu: str(int(smu.settings.sense_auto[name])))
    yield f"{base}:NPLCycles", quantity(change_nplc, lambda s: s.nplc, 0.01, 10.0, 1.0)
    if name == RES:
        yield kept(f"{base}:MODE", "AUTO", named("MANual", "AUTO"))
        return
    yield (
        f"{base}:PROTection[:LEVel]",
        quantity(
            lambda s, value: set_protection(s, name, value),
            lambda s: s.protection[name],
            -largest,
            largest,
            Settings().protection[name],
        ),
    )
    yield f"{base}:PROTection:TRIPped", answer(do.tripped(name))
    yield kept(f"{base}:PROTection:RSYNchronize", "0", switch)


def _measure_commands() -> Iterable[tuple[str, Command]]:
    for name in (VOLT, CURR, RES):
        yield f":MEASure:{LONG[name]}{'' if name == RES else '[:DC]'}", answer(do.measure(name))
        yield f":CONFigure:{LONG[name]}{'' if name == RES else '[:DC]'}", action(do.configure(name))
    yield ":READ", answer(do.read)
    yield ":FETCh", answer(Smu.fetch)
    yield "[:SENSe[1]]:DATA[:LATest]", answer(Smu.fetch)
    yield ":INITiate[:IMMediate]", action(Smu.measure)
    yield ":MEASure", answer(do.read)
    yield ":ABORt", action(lambda _: None)


def _function_commands() -> Iterable[tuple[str, Command]]:
    base = "[:SENSe[1]]:FUNCtion"

    def off(smu: Smu) -> str:
        return ",".join(f'"{spelled}"' for name, spelled in SPELLED.items() if name not in smu.settings.functions)

    yield f"{base}[:ON]", Command(do.functions_on, answer(do.functions).query)
    yield f"{base}:OFF", Command(do.functions_off, answer(off).query)
    yield f"{base}[:ON]:ALL", action(lambda smu: smu.settings.functions.update(SPELLED))
    yield f"{base}:OFF:ALL", action(lambda smu: smu.settings.functions.clear())
    yield f"{base}:CONCurrent", setting(do.set_concurrent, lambda smu: str(int(smu.settings.concurrent)))
    yield "[:SENSe[1]]:AVERage[:STATe]", setting(do.set_filter, lambda smu: str(int(smu.settings.filtered)))
    yield kept("[:SENSe[1]]:AVERage:COUNt", "10", whole(1, 100))
    yield kept("[:SENSe[1]]:AVERage:TCONtrol", "REP", named("REPeat", "MOVing"))
    yield ":FORMat:ELEMents[:SENSe[1]]", Command(do.set_elements, answer(do.elements).query)
    yield kept(":FORMat:SREGister", "ASC", named("ASCii", "HEXadecimal", "OCTal", "BINary"))
    yield ":FORMat[:DATA]", setting(do.set_format, lambda _: "ASC")


def _output_commands() -> Iterable[tuple[str, Command]]:
    def off(smu: Smu) -> None:
        smu.settings.output = False

    yield ":OUTPut[1][:STATe]", setting(do.set_output, lambda smu: str(int(smu.settings.output)))
    yield ":OUTPut[1]:SMODe", setting(do.set_off_mode, lambda smu: smu.settings.off_mode)
    yield ":ROUTe:TERMinals", setting(do.set_terminals, lambda smu: smu.settings.terminals)
    yield ":SOURce[1]:FUNCtion[:MODE]", setting(do.set_source, lambda smu: smu.settings.source)
    yield ":SOURce[1]:CLEar:AUTO", setting(do.set_auto_clear, lambda smu: str(int(smu.settings.auto_clear)))
    yield ":SOURce[1]:CLEar[:IMMediate]", action(off)
    yield (
        ":SOURce[1]:VOLTage:PROTection[:LEVel]",
        quantity(do.set_overvoltage, lambda s: s.overvoltage_V, -210, 210, 210),
    )
    yield ":SOURce[1]:VOLTage:PROTection:TRIPped", answer(do.ovp_tripped)
    yield kept(":SOURce[1]:DELay", real(1e-3), decimal(0.0, 9999.999))
    yield kept(":SOURce[1]:DELay:AUTO", "1", switch)


def _trigger_commands() -> Iterable[tuple[str, Command]]:
    arm, trigger = ":ARM[:SEQuence[1]][:LAYer[1]]", ":TRIGger[:SEQuence[1]]"
    yield ":ARM[:SEQuence[1]][:LAYer[1]]:COUNt", do.counted("arm")
    yield ":TRIGger[:SEQuence[1]]:COUNt", do.counted("trigger")
    yield kept(f"{arm}:SOURce", "IMM", named("IMMediate", "TLINk", "TIMer", "MANual", "BUS", "NSTest", "PSTest"))
    yield kept(f"{arm}:TIMer", real(0.1), decimal(1e-3, 99999.99))
    yield kept(f"{trigger}:SOURce", "IMM", named("IMMediate", "TLINk"))
    yield kept(f"{trigger}:DELay", real(0.0), decimal(0.0, 999.9999))
    for base in (arm, trigger):
        yield kept(f"{base}[:TCONfigure]:ILINe", "1", whole(1, 4))
        yield kept(f"{base}[:TCONfigure]:OLINe", "2", whole(1, 4))
        yield kept(f"{base}[:TCONfigure]:OUTPut", "NONE", named("NONE", "TENTer", "TEXit", "SOURce", "DELay", "SENSe"))
    yield f"{trigger}:CLEar", action(lambda _: None)


def _system_commands() -> Iterable[tuple[str, Command]]:
    yield ":SYSTem:RSENse", setting(do.set_remote_sense, lambda smu: str(int(smu.settings.remote_sense)))
    yield kept(":SYSTem:AZERo[:STATe]", "1", lambda text: "1" if text.upper() == "ONCE" else switch(text))
    yield ":SYSTem:ERRor[:NEXT]", answer(lambda smu: smu.errors.pop())
    yield ":SYSTem:ERRor:ALL", answer(do.all_errors)
    yield ":SYSTem:ERRor:COUNt", answer(lambda smu: str(len(smu.errors)))
    yield ":STATus:QUEue[:NEXT]", answer(lambda smu: smu.errors.pop())
    yield ":STATus:QUEue:CLEar", action(lambda smu: smu.errors.clear())
    yield ":STATus:PRESet", action(lambda _: None)
    yield ":SYSTem:CLEar", action(lambda smu: smu.errors.clear())
    yield ":SYSTem:VERSion", answer(lambda _: "1996.0")  # 18-112
    yield ":SYSTem:PRESet", action(do.reset)
    yield ":SYSTem:TIME:RESet", action(Smu.reset_clock)
    yield ":SYSTem:TIME", answer(lambda smu: real(smu.elapsed_s()))
    for header in (":SYSTem:LOCal", ":SYSTem:REMote"):
        yield header, action(lambda _: None)
    yield kept(":SYSTem:RWLock", "0", switch)
    yield kept(":SYSTem:BEEPer:STATe", "1", switch)
    yield kept(":SYSTem:LFRequency", "50", whole(50, 60))
    yield kept(":SYSTem:LFRequency:AUTO", "1", switch)
    yield kept(":DISPlay:ENABle", "1", switch)
    yield kept(":DISPlay:DIGits", "6", whole(4, 7))


def _common_commands() -> Iterable[tuple[str, Command]]:
    yield "*IDN", answer(lambda smu: smu.identity)
    yield "*RST", action(do.reset)
    yield "*CLS", action(do.clear_status)
    yield "*OPC", Command(action(lambda _: None).set, answer(lambda _: "1").query)
    yield "*WAI", action(lambda _: None)
    yield "*TRG", action(lambda _: None)
    yield "*TST", answer(lambda _: "0")
    yield "*OPT", answer(lambda _: "0")
    yield "*ESR", answer(do.event_status)
    yield "*STB", answer(lambda smu: "4" if len(smu.errors) else "0")
    yield "*ESE", Command(kept("*ESE", "0", whole(0, 255))[1].set, answer(do.event_enable).query)
    yield kept("*SRE", "0", whole(0, 255))


def _all_commands() -> Iterable[tuple[str, Command]]:
    for name in (VOLT, CURR):
        yield from _source_commands(name)
    for name in (VOLT, CURR, RES):
        yield from _sense_commands(name)
    yield from _function_commands()
    yield from _output_commands()
    yield from _measure_commands()
    yield from _trigger_commands()
    yield from _system_commands()
    yield from _common_commands()


COMMANDS: dict[str, Command] = dict(_all_commands())
