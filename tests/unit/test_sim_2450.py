"""The simulated Keithley 2450 family against rules and examples of its manuals (2450-901-01 Rev. B where not said)."""

from __future__ import annotations

import re

import pytest

from sim_hardware.cli import main
from sim_hardware.keithley2400_abuse import CHARGE_WHILE_OFF, DUMPED, NOT_APART, OHMS, RANGE_COMPLIANCE, TWO_WIRES
from sim_hardware.keithley2450 import Keithley2450
from sim_hardware.keithley2450_abuse import SWITCHED_LIVE
from sim_hardware.keithley2450_models import FAMILY
from sim_hardware.loads import Battery, Load

pytestmark = pytest.mark.not_our_driver

NOTHING = '0,"No error;0;0 0"'
WHOLE = ':READ? "defbuffer1", SOUR, READ, SOURSTAT, STAT'


class Bench:
    """A 2450 with a time of its own."""

    def __init__(self, load: Load, model: str = "2450", language: str = "SCPI", seed: int = 1) -> None:
        self.now_s = 0.0
        self.smu = Keithley2450(load, lambda: self.now_s, seed=seed, model=model, language=language)

    def send(self, *messages: str) -> None:
        for message in messages:
            assert self.smu.receive(message.encode() + b"\n") == b"", message

    def ask(self, message: str) -> str:
        reply = self.smu.receive(message.encode() + b"\n")
        assert reply.endswith(b"\n"), f"{message} was not answered"
        return reply.decode().removesuffix("\n")

    def error(self) -> str:
        return self.ask(":SYST:ERR?")

    def code(self) -> int:
        return int(self.error().split(",", 1)[0])

    def read(self) -> tuple[float, float, int, int]:
        """Source value, measured value, source status, measure status."""
        sourced, measured, source_status, status = self.ask(WHOLE).split(",")
        return float(sourced), float(measured), int(source_status), int(status)

    def truth(self, key: str) -> float:
        value = self.smu.truth()[key]
        assert isinstance(value, float)
        return value

    def abuse(self) -> object:
        return self.smu.truth()["abuse"]

    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    def set_up(self) -> None:
        self.send(":OUTP:SMOD HIMP", ":SENS:VOLT:RSEN ON", ":SENS:CURR:RSEN ON")

    def current_source(self, level: str, limit: str = "5") -> None:
        self.set_up()
        self.send(':SENS:FUNC "VOLT"', ":SOUR:FUNC CURR", ":SOUR:CURR:RANG 1e-3", f":SOUR:CURR {level}")
        self.send(f":SOUR:CURR:VLIM {limit}", ":OUTP ON")
        assert self.error() == NOTHING

    def voltage_source(self, level: str, limit: str) -> None:
        self.set_up()
        self.send(':SENS:FUNC "CURR"', ":SOUR:FUNC VOLT", ":SOUR:VOLT:RANG 20", f":SOUR:VOLT {level}")
        self.send(f":SOUR:VOLT:ILIM {limit}", ":SENS:CURR:RANG 1e-3", ":OUTP ON")
        assert self.error() == NOTHING


@pytest.fixture
def bench() -> Bench:
    return Bench(Battery(3.7, 100.0))


@pytest.mark.parametrize("model", FAMILY)
def test_identity_and_language_are_told_by_every_model(model: str) -> None:
    bench = Bench(Battery(3.7, 100.0), model)
    maker, name, serial, firmware = bench.ask("*IDN?").split(",")  # B-5
    assert maker.startswith("KEITHLEY INSTRUMENTS")
    assert (name, serial) == (f"MODEL {model}", "04024567")
    assert firmware
    assert bench.ask("*LANG?") == "SCPI"


def test_another_language_is_spoken_from_the_next_power_on(bench: Bench) -> None:
    bench.send("*LANG TSP")  # B-5
    assert bench.ask("*LANG?") == "SCPI"
    bench.smu.power_cycle()
    assert bench.ask("*LANG?") == "TSP"
    bench.send(":OUTP?", "*LANG SCPI")
    bench.smu.power_cycle()
    assert bench.ask(":OUTP?") == "0"
    bench.send("*LANG BASIC")
    assert bench.code() == -108


def test_in_tsp_no_scpi_command_does_anything_and_tsp_switches_off() -> None:
    bench = Bench(Battery(3.7, 100.0), language="TSP")
    bench.smu.smu.settings.output = True
    bench.send(":OUTP OFF;:OUTP:SMOD HIMP")
    assert bench.smu.truth()["output_on"] is True
    bench.send("smu.source.offmode = smu.OFFMODE_HIGHZ smu.source.output = smu.OFF")  # 2-6, 8-140
    assert bench.smu.truth()["relay_closed"] is False
    assert bench.ask("*IDN?").startswith("KEITHLEY")
    assert bench.smu.receive(b"smu.source.output = smu.OFF please\n") == b""
    assert bench.smu.smu.log.errors() == 2


def test_emulating_a_2400_it_knows_one_off_mode_and_not_its_own_commands() -> None:
    bench = Bench(Battery(3.7, 100.0), language="SCPI2400")
    assert bench.ask("*LANG?") == "SCPI2400"
    bench.send(":OUTP OFF;:OUTP:SMOD HIMP")
    assert bench.smu.truth()["relay_closed"] is False
    bench.send(":SOUR:VOLT:ILIM 1e-3")
    assert bench.code() == -113


def test_an_unknown_header_is_silence_and_an_error(bench: Bench) -> None:
    bench.send(":SYST:RSEN ON")  # a 2400's command, which the 2450 does not have (appendix D)
    assert re.fullmatch(r'-113,"Undefined header;1;\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{3}"', bench.error())  # 12-111
    assert bench.error() == NOTHING


@pytest.mark.parametrize(
    "message",
    [
        ":FORM:ELEM VOLT",
        ":SENS:FUNC:CONC ON",
        ":SENS:VOLT:PROT 5",
        ":SOUR:CLE:AUTO OFF",
        ":OUTP:SMOD:HIMP",
        ":OUTPU ON",
    ],
)
def test_what_only_a_2400_knows_is_no_header(bench: Bench, message: str) -> None:
    bench.send(message)
    assert bench.code() == -113


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (":SOUR:VOLT", -109),
        (":SOUR:VOLT 1,2", -108),
        (":SOUR:VOLT five", -104),
        (":SOUR:VOLT 5000", -222),
        (":OUTP PERHAPS", -141),
        (":OUTP:CURR:SMOD HIMPED", -141),
        (":SENS:FUNC VOLT", -150),
        (":SOUR:VOLT:PROT PROT3", -141),
        (":SOUR:VOLT:RANG 2;:SOUR:VOLT 4.2", -222),
        (":SOUR:VOLT 4.2;:SOUR:VOLT:RANG 2", -221),
        (':READ? "nobuffer"', -222),
        (':READ? "defbuffer1", VOLTS', -141),
        (':READ? "defbuffer1"' + ", READ" * 15, -108),
        (":READ", -113),
        (":FETC?", -221),
    ],
)
def test_what_is_refused_changes_nothing_and_says_so(bench: Bench, message: str, code: int) -> None:
    bench.send(message)
    assert bench.code() == code
    assert bench.ask(":OUTP?;:OUTP:SMOD?") == "0;NORM"


@pytest.mark.parametrize(
    "message",
    [  # what an independent driver sends (pymeasure 0.16, Keithley2450)
        "*RST;:stat:pres;:*CLS;",
        ":SOUR:CURR:RANG:AUTO 0;:SOUR:CURR:RANG 0.001",
        ":SENS:FUNC 'VOLT';:SENS:VOLT:NPLC 1.000000;",
        ":SENS:VOLT:RANG:AUTO 1;",
        ":SENS:RES:RSENSE 1",
        ":SOUR:CURR:LEV 0.0002",
        ":SENS:FUNC 'RES';:SENS:RES:NPLC 1.000000;",
        "OUTPUT OFF",
        ":ABOR",
    ],
)
def test_what_an_independent_driver_sends_is_understood(bench: Bench, message: str) -> None:
    bench.send(message)
    assert bench.error() == NOTHING


def test_what_follows_an_error_in_a_message_is_not_carried_out(bench: Bench) -> None:
    bench.send(":SOUR:VOLT 5000;:OUTP ON")
    assert bench.ask(":OUTP?") == "0"
    assert bench.ask("*OPC?;:NONSENSE;:OUTP?") == "1"


def test_bytes_may_come_in_any_pieces(bench: Bench) -> None:
    whole = bench.smu.receive(b"*OPC?\r\n:OUTP?\n:SOUR:FUNC?\n")
    assert whole == b"1\n0\nVOLT\n"
    assert b"".join(bench.smu.receive(bytes([byte])) for byte in b"*OPC?\r\n:OUTP?\n:SOUR:FUNC?\n") == whole


def test_half_a_message_dies_with_its_connection_and_a_flood_is_an_overrun(bench: Bench) -> None:
    bench.smu.receive(b":OUTP O")
    bench.smu.line_lost()
    bench.smu.receive(b"N\n")
    assert bench.ask(":OUTP?") == "0"
    assert bench.code() == -113
    bench.smu.receive(b"A" * 70_000)
    assert bench.code() == -363


@pytest.mark.parametrize(
    ("query", "expected"),
    [  # defaults of section 6
        (":OUTP?", "0"),
        (":OUTP:VOLT:SMOD?", "NORM"),
        (":OUTP:CURR:SMOD?", "NORM"),
        (":ROUT:TERM?", "FRON"),
        (":SOUR:FUNC?", "VOLT"),
        (":SENS:FUNC?", '"CURR:DC"'),
        (":SENS:VOLT:RSEN?", "0"),
        (":SOUR:VOLT:ILIM?", "1.05e-4"),
        (":SOUR:CURR:VLIM?", "21"),
        (":SOUR:VOLT:RANG?", "0.02"),
        (":SOUR:VOLT:RANG:AUTO?", "1"),
        (":SOUR:VOLT:READ:BACK?", "1"),
        (":SOUR:VOLT:PROT?", "NONE"),
        (":SENS:VOLT:NPLC?", "1"),
        (":FORM:ASC:PREC?", "0"),
    ],
)
def test_reset_state_is_that_of_the_manual(bench: Bench, query: str, expected: str) -> None:
    bench.current_source("1e-4")
    bench.send(":SOUR:VOLT:READ:BACK 0", ":ROUT:TERM REAR", ":SOUR:VOLT:PROT PROT40", ":FORM:ASC:PREC 10", "*RST")
    reply = bench.ask(query)
    try:
        assert float(reply) == pytest.approx(float(expected))
    except ValueError:
        assert reply == expected


@pytest.mark.parametrize(("model", "limit_V"), [("2450", 21.0), ("2460", 7.35), ("2461", 7.35), ("2470", 0.21)])
def test_voltage_limit_after_reset_is_the_models_own(model: str, limit_V: float) -> None:
    bench = Bench(Battery(3.7, 100.0), model)  # 6-71, 2461 6-94, 2470 12-78
    assert float(bench.ask(":SOUR:CURR:VLIM?")) == pytest.approx(limit_V)


def test_a_2470_switched_on_after_a_reset_dumps_a_cell_into_its_default_limit() -> None:
    bench = Bench(Battery(3.7, 100.0), "2470")
    bench.set_up()
    bench.send(':SENS:FUNC "VOLT"', ":SOUR:FUNC CURR", ":OUTP ON")
    assert bench.truth("current_A") < -0.03
    assert DUMPED in bench.smu.smu.abuse.acts


def test_normal_off_drains_the_cell_at_a_tenth_of_the_range_and_high_impedance_does_not(bench: Bench) -> None:
    bench.wait(3600.0)  # 8-139: 0 V behind 10 % of the present current range, that of the 105 uA limit
    assert bench.truth("current_A") == pytest.approx(-1e-5)
    assert bench.truth("charge_C") == pytest.approx(-0.036)
    bench.send(":OUTP:SMOD HIMP")
    drained_C = bench.truth("charge_C")
    bench.wait(3600.0)
    assert bench.truth("charge_C") == drained_C
    assert bench.abuse() == ()


def test_the_off_mode_belongs_to_the_source_function(bench: Bench) -> None:
    bench.send(":SOUR:FUNC CURR", ":OUTP:CURR:SMOD HIMP")  # 2-84
    assert bench.smu.truth()["relay_closed"] is False
    bench.send(":SOUR:FUNC VOLT")
    assert bench.smu.truth()["relay_closed"] is True
    assert bench.truth("current_A") < 0.0
    assert bench.abuse() == (NOT_APART,)
    bench.send(":OUTP:SMOD HIMP")  # 6-32: for all
    assert bench.ask(":OUTP:VOLT:SMOD?;:OUTP:CURR:SMOD?;:OUTP:SMOD?") == "HIMP;HIMP;HIMP"


def test_zero_and_guard_off_drain_as_well(bench: Bench) -> None:
    bench.send(":SOUR:VOLT:ILIM 1e-2", ":OUTP:SMOD ZERO")
    assert bench.truth("current_A") == pytest.approx(-1e-2)
    bench.send(":SOUR:FUNC CURR")
    assert bench.truth("current_A") < 0.0
    bench.send(":OUTP:SMOD GUAR")
    assert bench.truth("current_A") < -1e-3


@pytest.mark.parametrize("act", ["*RST", ":OUTP:SMOD NORM"])
def test_reset_brings_back_the_drain(bench: Bench, act: str) -> None:
    bench.current_source("1e-4")
    bench.send(":OUTP OFF", act)
    bench.wait(1.0)
    bench.ask("*OPC?")
    assert bench.abuse() == (NOT_APART, CHARGE_WHILE_OFF)


def test_a_power_cycle_forgets_everything_but_the_cell_and_blames_nobody(bench: Bench) -> None:
    bench.current_source("1e-4")
    bench.wait(100.0)
    charge_C = bench.truth("charge_C")
    bench.smu.power_cycle()
    assert bench.ask(":OUTP?;:OUTP:SMOD?;:SOUR:FUNC?") == "0;NORM;VOLT"
    assert int(bench.ask("*ESR?")) & 128
    assert bench.truth("charge_C") == charge_C
    assert bench.abuse() == ()


def test_a_current_source_reads_both_quantities_and_its_state(bench: Bench) -> None:
    bench.current_source("-3.927e-4")
    current_A, voltage_V, source_status, status = bench.read()
    assert current_A == pytest.approx(-3.927e-4, abs=4e-7)
    assert voltage_V == pytest.approx(3.7 - 0.03927, abs=1e-3)
    assert source_status == 8 + 64 + 128  # read back, four wires, on: 2470 14-32
    assert status == 8  # front terminals: 2461 6-162
    assert bench.ask(":SOUR:CURR:VLIM:TRIP?") == "0"
    assert bench.abuse() == ()


def test_a_voltage_source_at_its_limit_says_so(bench: Bench) -> None:
    bench.voltage_source("4.2", "2e-4")
    voltage_V, current_A, source_status, _ = bench.read()
    assert current_A == pytest.approx(2e-4, rel=5e-3)
    assert voltage_V == pytest.approx(3.72, abs=1e-3)
    assert source_status & 32
    assert bench.ask(":SOUR:VOLT:ILIM:TRIP?") == "1"
    assert bench.ask(":SOUR:CURR:VLIM:TRIP?") == "0"


def test_without_read_back_the_programmed_value_looks_like_a_measurement(bench: Bench) -> None:
    bench.voltage_source("4.2", "2e-4")
    bench.send(":SOUR:VOLT:READ:BACK OFF")
    sourced, _, source_status, _ = bench.read()
    assert sourced == 4.2  # the cell is at 3.72 V
    assert not source_status & 8


def test_numbers_have_the_digits_asked_for(bench: Bench) -> None:
    bench.current_source("1e-4")
    assert re.fullmatch(r"\d\.\d{6}E[+-]\d\d", bench.ask(":READ?"))  # 2461 6-11: -6.580474E-05
    bench.send(":FORM:ASC:PREC 10")
    assert re.fullmatch(r"\d\.\d{9}E[+-]\d\d", bench.ask(':READ? "defbuffer1"'))  # 6-28: -6.999999881E-01


def test_elements_come_in_the_order_asked_for_and_as_often(bench: Bench) -> None:
    bench.current_source("1e-4")
    reading = bench.ask(':READ? "defbuffer1", READ, UNIT, READ, SOURUNIT, RELATIVE').split(",")  # 6-4
    assert reading[0] == reading[2]
    assert reading[1::2] == ["Volt DC", "Amp DC"]
    assert bench.ask(":FETC?") == reading[0]


def test_with_the_output_off_a_reading_is_answered_and_means_nothing(bench: Bench) -> None:
    bench.current_source("1e-4")
    bench.send(":OUTP OFF")
    _, voltage_V, source_status, _ = bench.read()
    assert abs(voltage_V) < 0.5
    assert not source_status & (64 + 128)  # two wires while off, 6-58


def test_measuring_by_the_measure_command_switches_nothing_on(bench: Bench) -> None:
    bench.send(":OUTP:SMOD HIMP")
    bench.ask(":MEAS:VOLT?")
    assert bench.ask(":OUTP?;:SENS:FUNC?") == '0;"VOLT:DC"'


def test_measuring_ohms_takes_the_source_over(bench: Bench) -> None:
    bench.voltage_source("3.7", "2e-4")
    bench.send(':SENS:FUNC "RES"')  # 2461 2-100
    assert bench.ask(":SOUR:FUNC?;:OUTP?") == "CURR;0"
    bench.send(":OUTP ON")
    assert bench.truth("current_A") == pytest.approx(0.1)
    assert OHMS in bench.smu.smu.abuse.acts


def test_a_change_of_the_sense_turns_the_output_off(bench: Bench) -> None:
    bench.current_source("1e-4")
    bench.send(":SENS:VOLT:RSEN ON")
    assert bench.ask(":OUTP?") == "1"
    bench.send(":SENS:VOLT:RSEN OFF")  # 2470 12-58
    assert bench.ask(":OUTP?") == "0"


@pytest.mark.parametrize("change", [":SOUR:FUNC VOLT", ":ROUT:TERM REAR"])
def test_a_change_of_the_wiring_turns_the_output_off(bench: Bench, change: str) -> None:
    bench.current_source("1e-4")
    bench.send(change)
    assert bench.ask(":OUTP?") == "0"


def test_a_limit_below_a_tenth_of_the_range_is_refused_and_the_old_one_stays(bench: Bench) -> None:
    bench.voltage_source("3.7", "2e-4")
    bench.send(":SOUR:VOLT:ILIM 1e-4")  # 2470 12-78: 10.6 % of the measure range
    assert bench.code() == -222
    assert float(bench.ask(":SOUR:VOLT:ILIM?")) == 2e-4


def test_a_larger_measure_range_raises_a_small_limit_with_no_more_than_a_warning(bench: Bench) -> None:
    bench.send(":SOUR:VOLT:ILIM 1e-4", ":SENS:CURR:RANG 1e-2")  # 2470 12-78
    assert float(bench.ask(":SOUR:VOLT:ILIM?")) == pytest.approx(1.06e-3)
    assert bench.ask(":SYST:EVEN:COUN?;:SYST:ERR:COUN?") == "1;0"
    assert bench.error() == NOTHING  # and the warning is gone with it, 6-101
    assert bench.ask(":SYST:EVEN:NEXT?") == '0,"No error;0,0,0"'


def test_a_range_is_answered_as_its_full_scale_and_a_sourced_quantity_has_the_sources(bench: Bench) -> None:
    bench.send(":SOUR:VOLT:RANG 3", ":SENS:VOLT:RANG 2", ":SENS:CURR:RANG 0.05")
    assert float(bench.ask(":SOUR:VOLT:RANG?")) == 20.0
    assert float(bench.ask(":SENS:VOLT:RANG?")) == 20.0  # 6-54: ignored while it is sourced, and kept
    assert float(bench.ask(":SENS:CURR:RANG?")) == 0.1
    bench.send(":SOUR:FUNC CURR")
    assert float(bench.ask(":SENS:VOLT:RANG?")) == 2.0


@pytest.mark.parametrize(("model", "range_V"), [("2450", 20.0), ("2461", 7.0), ("2470", 20.0)])
def test_each_model_has_its_own_ranges(model: str, range_V: float) -> None:
    bench = Bench(Battery(3.7, 100.0), model)
    bench.send(":SOUR:VOLT:RANG 5")
    assert float(bench.ask(":SOUR:VOLT:RANG?")) == range_V


def test_a_limit_above_the_overvoltage_protection_is_refused(bench: Bench) -> None:
    bench.send(":SOUR:VOLT:PROT PROT5", ":SOUR:CURR:VLIM 6")  # 6-71
    assert bench.code() == -222
    assert bench.ask(":SOUR:VOLT:PROT?") == "PROT5"


def test_overvoltage_protection_below_the_cell_dumps_it() -> None:
    bench = Bench(Battery(3.7, 100.0))
    bench.send(":SOUR:VOLT:PROT PROT2")
    bench.current_source("1e-4", limit="2")
    assert bench.read()[2] & 4 == 0  # the limit, not the protection, decides
    bench.send(":OUTP OFF", ":SOUR:VOLT:PROT PROT5", ":SOUR:CURR:VLIM 5", ":SOUR:VOLT:PROT PROT2", ":OUTP ON")
    assert bench.read()[2] & 4
    assert bench.ask(":SOUR:VOLT:PROT:TRIP?") == "1"
    assert bench.truth("current_A") < -0.01


def test_a_cell_above_the_voltage_limit_of_a_current_source_is_dumped(bench: Bench) -> None:
    bench.current_source("1e-4", limit="2.5")
    assert bench.truth("voltage_V") == pytest.approx(2.5)
    assert bench.truth("current_A") == pytest.approx(-0.012)
    assert bench.abuse() == (DUMPED,)


def test_a_fixed_measure_range_below_the_limit_clamps(bench: Bench) -> None:
    bench.current_source("1e-4")
    bench.send(":SENS:VOLT:RANG 2")
    assert bench.truth("current_A") < -0.01
    assert RANGE_COMPLIANCE in bench.smu.smu.abuse.acts
    assert SWITCHED_LIVE in bench.smu.smu.abuse.acts


def test_an_overflow_is_no_number_of_volts(bench: Bench) -> None:
    bench.set_up()
    bench.send(':SENS:FUNC "CURR"', ":SOUR:VOLT:RANG 0.2", ":SOUR:VOLT 0.18", ":OUTP ON")
    sourced, _, _, status = bench.read()
    assert sourced == 9.9e37
    assert status & 1


def test_two_wires_are_an_act_of_abuse(bench: Bench) -> None:
    bench.send(":OUTP:SMOD HIMP", ":SENS:VOLT:RSEN ON", ":OUTP ON")  # but current is measured
    assert bench.abuse() == (TWO_WIRES,)


def test_someone_at_the_front_panel_is_not_the_hosts_doing(bench: Bench) -> None:
    bench.current_source("1e-4")
    bench.smu.set_fault("output", value=False)
    assert not bench.read()[2] & 128
    assert bench.abuse() == ()


def test_a_relative_offset_falsifies_what_is_read(bench: Bench) -> None:
    bench.current_source("0")
    bench.send(":SENS:VOLT:REL 1", ":SENS:VOLT:REL:STAT ON")
    assert bench.read()[1] == pytest.approx(2.7, abs=1e-3)


def test_math_makes_something_else_of_what_is_read(bench: Bench) -> None:
    bench.current_source("0")
    bench.send(":CALC:VOLT:MATH:STAT ON")
    assert bench.read()[1] == pytest.approx(270.0, abs=0.1)  # percent


def test_a_2450_is_not_offered_on_a_serial_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keithley-2450", "--pty"]) == 1
    assert "no serial port" in capsys.readouterr().err


def test_the_event_log_is_a_thousand_deep_and_then_says_so(bench: Bench) -> None:
    for _ in range(1100):
        bench.send(":NONSENSE")
    assert bench.ask(":SYST:ERR:COUN?") == "1000"
    codes = [bench.code() for _ in range(1000)]
    assert (codes[0], codes[-1]) == (-113, -350)
    assert bench.error() == NOTHING
    bench.send(":NONSENSE", "*CLS")
    assert bench.error() == NOTHING


def test_a_welded_relay_an_open_lead_and_a_bad_contact_are_felt(bench: Bench) -> None:
    bench.current_source("1e-3")
    bench.smu.set_fault("contact_ohm", 500.0)
    assert bench.read()[1] == pytest.approx(3.7 + 0.6, abs=2e-3)
    bench.smu.set_fault("lead", "open")
    assert bench.read()[2] & 32
    bench.smu.set_fault("lead", "good")
    bench.smu.set_fault("welded", value=True)
    assert bench.ask(":OUTP OFF;:OUTP?") == "1"
    with pytest.raises(ValueError, match="no fault"):
        bench.smu.set_fault("lead", "perhaps")


def test_one_seed_gives_the_same_noise_and_a_stuck_meter_repeats_itself() -> None:
    def readings(seed: int) -> list[tuple[float, float, int, int]]:
        bench = Bench(Battery(3.7, 100.0), seed=seed)
        bench.current_source("1e-4")
        return [bench.read() for _ in range(10)]

    assert readings(7) == readings(7)
    assert readings(7) != readings(8)
    bench = Bench(Battery(3.7, 100.0))
    bench.current_source("1e-4")
    bench.smu.set_fault("stuck", value=True)
    assert bench.read() == bench.read()


def test_looking_at_the_truth_changes_nothing() -> None:
    def charge_C(looks: int) -> float:
        bench = Bench(Battery(3.7, 100.0, slope_V_per_C=0.01))
        bench.voltage_source("4", "2e-4")
        for _ in range(30 * looks):
            bench.wait(60.0 / looks)
            assert bench.truth("charge_C") > 0.0
        return bench.truth("charge_C")

    assert charge_C(1) == pytest.approx(charge_C(4), rel=1e-9)
