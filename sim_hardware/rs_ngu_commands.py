"""The commands of an NGU or NGM as a table. Headers as RsNgx 3.1.0 lists them, and READ? as users' programs do.

What a user's program showed on hardware is marked so; the rest of the behaviour is the vendor's description.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sim_hardware.rs_ngu_frame import Frame
from sim_hardware.rs_ngu_models import HIGHEST_V, MOST_A, Model
from sim_hardware.rs_ngu_output import Output
from sim_hardware.rs_ngu_settings import (
    OUT_OF_RANGE,
    Settings,
    first_range,
    set_level,
    set_limit,
    set_negative,
    set_range_A,
    set_range_V,
)
from sim_hardware.scpi import MISSING_PARAMETER, PARAMETER_NOT_ALLOWED, ScpiError, choice, flag, number

Step = Callable[[Frame, Output, tuple[str, ...]], str | None]
MODES = {"AUTO": "AUTO", "SINK": "SINK", "SOUR": "SOURCE"}
PRIORITIES = {"VOLT": "VOLTAGE", "CURR": "CURRENT"}
SENSES = {"AUTO": "AUTO", "EXT": "EXT"}
QUESTIONABLE = ":STATus:QUEStionable:INSTrument:ISUMmary{}:CONDition"


@dataclass(frozen=True, slots=True)
class Command:
    set: Step | None = None
    query: Step | None = None


def _one(arguments: tuple[str, ...]) -> str:
    if len(arguments) != 1:
        raise ScpiError(PARAMETER_NOT_ALLOWED if arguments else MISSING_PARAMETER)
    return arguments[0]


def _none(arguments: tuple[str, ...]) -> None:
    if arguments:
        raise ScpiError(PARAMETER_NOT_ALLOWED)


def real(value: float) -> str:
    """As an NGM202 spells it: 5.0000000E+00 (README of a driver used on one)."""
    return f"{value:.7E}"


def of_output(change: Callable[[Settings, str], None], ask: Callable[[Settings], str]) -> Command:
    """A setting of the selected output, or of the one a channel list names."""

    def set_(frame: Frame, output: Output, arguments: tuple[str, ...]) -> None:
        change(output.settings, _one(arguments))
        frame.rewire()

    def query(_frame: Frame, output: Output, arguments: tuple[str, ...]) -> str:
        _none(arguments)
        return ask(output.settings)

    return Command(set_, query)


def of_frame(change: Callable[[Frame, str], None] | None, ask: Callable[[Frame], str] | None) -> Command:
    def set_(frame: Frame, _output: Output, arguments: tuple[str, ...]) -> None:
        if change is not None:
            change(frame, _one(arguments))
        frame.rewire()

    def query(frame: Frame, _output: Output, arguments: tuple[str, ...]) -> str:
        _none(arguments)
        return ask(frame) if ask is not None else ""

    return Command(set_ if change else None, query if ask else None)


def asked(ask: Callable[[Output], str]) -> Command:
    def query(_frame: Frame, output: Output, arguments: tuple[str, ...]) -> str:
        _none(arguments)
        return ask(output)

    return Command(query=query)


def action(do: Callable[[Frame, Output], None]) -> Command:
    def set_(frame: Frame, output: Output, arguments: tuple[str, ...]) -> None:
        _none(arguments)
        do(frame, output)
        frame.rewire()

    return Command(set_)


def quantity(
    change: Callable[[Settings, float], None], ask: Callable[[Settings], float], low: float, high: float
) -> Command:
    return of_output(
        lambda settings, text: change(settings, number(text, low, high, low)), lambda settings: real(ask(settings))
    )


def switch(name: str) -> Command:
    def change(settings: Settings, text: str) -> None:
        settings.switches[name] = flag(text)

    return of_output(change, lambda settings: str(int(settings.switches[name])))


def named(attribute: str, names: Mapping[str, str]) -> Command:
    def change(settings: Settings, text: str) -> None:
        setattr(settings, attribute, choice(text, names))

    return of_output(change, lambda settings: str(getattr(settings, attribute)))


def _switch_output(frame: Frame, output: Output, arguments: tuple[str, ...]) -> None:
    """On: the output and the master switch; off: this output (on an NGM202 seen to be SELect and GENeral in one)."""
    output.settings.selected = flag(_one(arguments))
    if output.settings.selected:
        frame.master = True
    frame.rewire()


def _output_commands() -> Iterable[tuple[str, Command]]:
    def select(settings: Settings, text: str) -> None:
        settings.selected = flag(text)

    def set_master(frame: Frame, text: str) -> None:
        frame.master = flag(text)

    yield ":OUTPut[:STATe]", Command(_switch_output, asked(lambda output: str(int(output.is_on))).query)
    yield ":OUTPut:SELect", of_output(select, lambda settings: str(int(settings.selected)))
    yield ":OUTPut:GENeral[:STATe]", of_frame(set_master, lambda frame: str(int(frame.master)))
    yield ":OUTPut:MODE", named("mode", MODES)
    yield ":OUTPut:FTResponse", switch("fast")
    yield ":OUTPut:DELay[:STATe]", switch("delay")
    yield ":OUTPut:IMPedance:STATe", switch("impedance")
    yield ":OUTPut:TRIGgered[:STATe]", switch("triggered")


def _protection_commands() -> Iterable[tuple[str, Command]]:
    def set_ovp(settings: Settings, value: float) -> None:
        settings.ovp_V = value

    level = "[:SOURce]:VOLTage:PROTection"
    yield f"{level}[:STATe]", switch("ovp")
    yield f"{level}:LEVel", quantity(set_ovp, lambda settings: settings.ovp_V, 0.0, HIGHEST_V + 2.0)
    for header, name in ((level, "ovp"), (":FUSE", "fuse"), ("[:SOURce]:POWer:PROTection", "opp")):
        clear = ":TRIPped:CLEar" if name == "fuse" else ":CLEar"
        yield f"{header}:TRIPped", _has_tripped(name)
        yield f"{header}{clear}", _forget_trip(name)
    yield ":FUSE[:STATe]", switch("fuse")
    yield "[:SOURce]:POWer:PROTection[:STATe]", switch("opp")


def _has_tripped(name: str) -> Command:
    return asked(lambda output: str(int(name in output.tripped)))


def _forget_trip(name: str) -> Command:
    return action(lambda _frame, output: output.tripped.discard(name))


def _source_commands(model: Model) -> Iterable[tuple[str, Command]]:
    amplitude = "[:LEVel][:IMMediate][:AMPLitude]"
    low_A = model.smallest_A
    yield f"[:SOURce]:VOLTage{amplitude}", quantity(set_level, lambda s: s.level_V, model.lowest_V, HIGHEST_V)
    low = -MOST_A if model.has_priority else low_A
    yield f"[:SOURce]:CURRent{amplitude}", quantity(set_limit, lambda s: s.limit_A, low, MOST_A)
    yield "[:SOURce]:VOLTage:RAMP[:STATe]", switch("ramp")
    yield "[:SOURce]:VOLTage:SENSe[:SOURce]", named("sense", SENSES)
    if model.has_resistance:
        yield "[:SOURce]:RESistance:STATe", switch("resistance")
    if model.lowest_V < 0.0:
        yield "[:SOURce]:MODulation", switch("modulation")
    if not model.has_priority:
        return
    yield ":SOURce:PRIority", named("priority", PRIORITIES)
    yield (
        f"[:SOURce]:CURRent:NEGative{amplitude}",
        quantity(set_negative, lambda s: s.negative_A, -model.source_A[-1], -low_A),
    )
    yield "[:SOURce]:VOLTage:RANGe", quantity(set_range_V, lambda s: s.range_V, 0.0, model.source_V[-1])
    yield "[:SOURce]:CURRent:RANGe", quantity(set_range_A, lambda s: s.range_A, 0.0, model.source_A[-1])


def _measure_commands(model: Model) -> Iterable[tuple[str, Command]]:
    def fix_A(settings: Settings, value: float) -> None:
        settings.measure_A = first_range(model.measure_A, value)
        settings.auto["CURR"] = False

    def fix_V(settings: Settings, value: float) -> None:
        settings.measure_V = first_range(model.measure_V, value)
        settings.auto["VOLT"] = False

    def automatic(name: str) -> Command:
        def change(settings: Settings, text: str) -> None:
            settings.auto[name] = flag(text)

        return of_output(change, lambda settings: str(int(settings.auto[name])))

    yield ":READ", asked(lambda output: ",".join(map(real, output.measure())))
    yield ":MEASure[:SCALar][:VOLTage][:DC]", asked(lambda output: real(output.measure()[0]))
    yield ":MEASure[:SCALar]:CURRent[:DC]", asked(lambda output: real(output.measure()[1]))
    yield ":SENSe:CURRent:RANGe[:UPPer]", quantity(fix_A, lambda s: s.measure_A, 0.0, model.measure_A[-1])
    yield ":SENSe:VOLTage:RANGe[:UPPer]", quantity(fix_V, lambda s: s.measure_V, 0.0, model.measure_V[-1])
    yield ":SENSe:CURRent:RANGe:AUTO", automatic("CURR")
    yield ":SENSe:VOLTage:RANGe:AUTO", automatic("VOLT")


def _select(frame: Frame, text: str) -> None:
    wanted = number(text, 1, 4, 1)
    if wanted not in range(1, frame.model.outputs + 1):
        raise ScpiError(OUT_OF_RANGE)
    frame.number = int(wanted)


def _system_commands(model: Model) -> Iterable[tuple[str, Command]]:
    if model.outputs > 1:
        yield ":INSTrument:NSELect", of_frame(_select, lambda frame: str(frame.number))
    yield ":SYSTem:ERRor[:NEXT]", of_frame(None, lambda frame: frame.errors.pop())
    yield ":SYSTem:VERSion", of_frame(None, lambda _: "1999.0")
    yield ":SYSTem:UPTime", of_frame(None, lambda frame: str(int(frame.uptime_s)))
    for name in ("LOCal", "REMote", "RWLock"):
        yield f":SYSTem:{name}", action(lambda _frame, _output: None)


def _clear(frame: Frame, _output: Output) -> None:
    frame.errors.clear()
    frame.events = 0


def _event_status(frame: Frame) -> str:
    events, frame.events = frame.events, 0
    return str(events)


def _register(name: str) -> Command:
    def change(frame: Frame, text: str) -> None:
        frame.enables[name] = int(number(text, 0, 255, 0))

    return of_frame(change, lambda frame: str(frame.enables[name]))


def _common_commands() -> Iterable[tuple[str, Command]]:
    nothing = action(lambda _frame, _output: None)
    yield "*RST", action(lambda frame, _: frame.reset())
    yield "*CLS", action(_clear)
    yield "*OPC", Command(nothing.set, of_frame(None, lambda _: "1").query)
    yield "*WAI", nothing
    yield "*TST", of_frame(None, lambda _: "0")
    yield "*OPT", of_frame(None, lambda _: "0")
    yield "*ESR", of_frame(None, _event_status)
    yield "*STB", of_frame(None, lambda frame: "4" if len(frame.errors) else "0")
    yield "*ESE", _register("*ESE")
    yield "*SRE", _register("*SRE")


def commands(model: Model) -> Mapping[str, Command]:
    table = [*_output_commands(), *_protection_commands(), *_source_commands(model), *_measure_commands(model)]
    table += [*_system_commands(model), *_common_commands()]
    table += [(QUESTIONABLE.format(n), _condition(n)) for n in range(1, model.outputs + 1)]
    return dict(table)


def _condition(one: int) -> Command:
    """The register's own number says which output; the selected one does not matter."""
    return of_frame(None, lambda frame: str(frame.outputs[one - 1].condition()))
