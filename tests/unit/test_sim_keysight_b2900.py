"""The simulated B2900 family against rules and examples of its manuals.

Pages are those of the SCPI command reference (B2910-90030 Ed. 2), of the user's guide (UG, Ed. 2) and of the B2961A's
command reference (2961, Ed. 6), the same family.
"""

from __future__ import annotations

import pytest

from sim_hardware.cli import main
from sim_hardware.keithley2400_abuse import (
    AUTO_CLEAR,
    CHARGE_WHILE_OFF,
    DUMPED,
    NOT_APART,
    OHMS,
    RANGE_COMPLIANCE,
    TWO_WIRES,
)
from sim_hardware.keithley2450_abuse import SWITCHED_LIVE
from sim_hardware.keysightb2900 import KeysightB2900
from sim_hardware.keysightb2900_abuse import AUTO_ON, MOVING, PROTECTION, SWITCHED_ON_BY_READING, THROUGH_ZERO
from sim_hardware.keysightb2900_models import FAMILY
from sim_hardware.loads import Battery, Load

pytestmark = pytest.mark.not_our_driver

NOTHING = '+0,"No error"'
SAFE = ":OUTP:ON:AUTO 0;:OUTP:OFF:AUTO 0;:OUTP:OFF:MODE HIZ;:OUTP:PROT 0;:SENS:REM 1"
ELEMENTS = ":FORM:ELEM:SENS VOLT,CURR,STAT,SOUR"


class Bench:
    """A B2900 with a time of its own."""

    def __init__(self, load: Load | None = None, model: str = "B2902A", second: Load | None = None) -> None:
        self.now_s = 0.0
        self.smu = KeysightB2900(load or Battery(3.7, 100.0), lambda: self.now_s, seed=1, model=model, second=second)

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

    def read(self, command: str = ":MEAS? (@1)") -> list[float]:
        return [float(value) for value in self.ask(command).split(",")]

    def truth(self, key: str) -> object:
        return self.smu.truth()[key]

    def abuse(self) -> object:
        return self.truth("abuse")

    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    def voltage_source(self, level: str = "4.2", limit: str = "1e-3") -> None:
        self.send(SAFE, ":SOUR:FUNC:MODE VOLT;:SOUR:VOLT:RANG 20", f":SOUR:VOLT {level}")
        self.send(f":SENS:CURR:PROT {limit}", f":SENS:CURR:RANG {limit}", ":OUTP ON")
        assert self.error() == NOTHING

    def current_source(self, level: str, limit: str = "5") -> None:
        self.send(SAFE, ":SOUR:FUNC:MODE CURR", ":SOUR:CURR:RANG 1e-3", f":SOUR:CURR {level}")
        self.send(f":SENS:VOLT:PROT {limit}", ":OUTP ON")
        assert self.error() == NOTHING


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("model", FAMILY)
def test_every_model_says_who_it_is_and_has_its_channels_and_ranges(model: str) -> None:
    bench = Bench(model=model)
    maker, name, serial, _ = bench.ask("*IDN?").split(",")
    assert (maker, name, serial) == ("Keysight Technologies", model, "MY51140001")
    bench.send(":SOUR:CURR:RANG 1e-8")
    assert float(bench.ask(":SOUR:CURR:RANG?")) == (1e-8 if model[3] == "1" else 1e-7)
    bench.send(":OUTP2:OFF:MODE HIZ")
    assert bench.code() == (0 if model[4] == "2" else -114)  # 5-4


def test_after_a_reset_it_switches_itself_on_and_is_in_two_wires() -> None:
    bench = Bench()
    asked = ":OUTP?;:OUTP:ON:AUTO?;:OUTP:OFF:MODE?;:OUTP:PROT?;:SENS:REM?;:SENS:CURR:PROT?;:SENS:VOLT:PROT?"
    state = "0;1;NORM;0;0;+1.000000E-04;+2.000000E+00"  # 2961 4-67, 4-90
    assert bench.ask(asked) == state
    bench.voltage_source()
    bench.send("*RST")
    assert bench.ask(asked) == state
    assert bench.ask(":FORM:ELEM:SENS?") == "VOLT,CURR,RES,TIME,STAT,SOUR"  # 2961 4-21


@pytest.mark.parametrize("message", [":READ?", ":MEAS?", ":MEAS:VOLT?", ":INIT", ":READ:CURR? (@1)"])
def test_with_automatic_output_on_a_reading_switches_it_on(message: str) -> None:
    bench = Bench()
    bench.send(":OUTP:OFF:AUTO 0")
    bench.smu.receive(message.encode() + b"\n")
    assert bench.ask(":OUTP?") == "1"
    assert SWITCHED_ON_BY_READING in str(bench.abuse())
    bench.send(":OUTP OFF;:OUTP:ON:AUTO 0")
    bench.smu.receive(message.encode() + b"\n")
    assert bench.ask(":OUTP?") == "0"


def test_with_automatic_output_off_it_is_on_for_a_triggered_reading_only(bench: Bench) -> None:
    bench.ask(":READ?")
    assert bench.ask(":OUTP?") == "0"
    bench.ask(":MEAS?")
    assert bench.ask(":OUTP?") == "1"


@pytest.mark.parametrize(
    ("header", "spellings"),
    [
        (":SOURce2:VOLTage:LEVel:IMMediate:AMPLitude", (":SOUR2:VOLT", ":sour2:volt:lev", "SOURCE2:VOLT:AMPL")),
        (":SENSe1:CURRent:DC:PROTection:LEVel", (":SENS:CURR:PROT", ":SENS1:CURR:PROT:LEV", ":SENS:CURR:PROT:BOTH")),
        (":VOLTage", (":SOUR:VOLT", ":SOUR1:VOLT", "VOLT")),
    ],
)
def test_short_and_long_forms_and_channel_suffixes_mean_the_same(header: str, spellings: tuple[str, ...]) -> None:
    bench = Bench()
    for number, spelling in enumerate(spellings, start=1):
        bench.send(f"{spelling} {number}e-2")
        assert float(bench.ask(f"{header}?")) == number * 1e-2
    assert bench.error() == NOTHING


def test_a_suffix_counts_for_what_follows_in_the_message(bench: Bench) -> None:
    bench.send(":SOUR2:VOLT 1.5;CURR 2e-3;:SOUR:VOLT 0.5")
    assert bench.ask(":SOUR2:VOLT?;CURR?;:VOLT?") == "+1.500000E+00;+2.000000E-03;+5.000000E-01"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (":SOUR:VOL 1", -113),
        (":SENS:VOLT:RSEN ON", -113),
        (":SYST:RSEN ON", -113),
        (":OUTP:SMOD HIMP", -113),
        (":OUTP3 OFF", -114),
        (":SYST2:ERR?", -113),
        (":OUTP:OFF:MODE HIMP", -141),
        (":OUTP", -109),
        (":OUTP ON,OFF", -108),
        (":SOUR:VOLT abc", -104),
        (":SOUR:VOLT 300", -222),
        (":MEAS? (@3)", -224),
        (":MEAS? (@1),(@2)", -108),
        (":SENS:FUNC VOLT", -150),
        (":SENSITIVITIES:X 1", -112),
        (":OUTP:ON:AUTO MAYBE", -141),
        ("*OPT?", -113),
        (":MEAS:VOLT", -113),
    ],
)
def test_what_is_wrong_is_an_error_without_an_answer(bench: Bench, message: str, code: int) -> None:
    bench.send(message)
    assert bench.code() == code
    assert bench.error() == NOTHING


def test_what_follows_an_error_is_not_carried_out(bench: Bench) -> None:
    bench.send(":SOUR:VOLT 1;:NONSENSE;:SOUR:VOLT 2")
    assert bench.ask(":SOUR:VOLT?") == "+1.000000E+00"


def test_the_error_queue_ends_with_an_overflow_and_outlives_a_reset(bench: Bench) -> None:
    bench.send(*[":NONSENSE"] * 120)
    assert bench.ask(":SYST:ERR:COUN?") == "+100"
    bench.send("*RST")  # 5-2
    assert bench.ask(":SYST:ERR:ALL?").endswith('-350,"Error queue overflow"')
    assert bench.ask(":SYST:ERR:ALL?") == NOTHING
    bench.send(":NONSENSE", "*CLS")
    assert bench.error() == NOTHING


def test_elements_come_in_their_own_order_and_channels_ascending() -> None:
    bench = Bench(Battery(3.7, 100.0), second=Battery(1.2, 100.0))
    bench.voltage_source("3.8", "1e-3")
    bench.send(":FORM:ELEM:SENS SOUR,VOLT")
    assert bench.ask(":FORM:ELEM:SENS?") == "VOLT,SOUR"  # 2961 4-21
    first, second = bench.read(":MEAS? (@2,1)")[::2]
    assert first == pytest.approx(3.8, abs=0.01)
    assert second != pytest.approx(3.8, abs=0.01)
    assert len(bench.read(":MEAS? (@1:2)")) == 4


def test_a_reading_is_fetched_again_until_the_next_one(bench: Bench) -> None:
    bench.send(ELEMENTS)
    assert bench.ask(":FETC?") == ",".join(["+9.910000E+37"] * 4)  # 4-28
    bench.voltage_source()
    measured = bench.ask(":MEAS?")
    assert measured.count("E") == 4
    assert bench.ask(":FETC?") == measured
    assert bench.ask(":MEAS?;:FETC?;:FETC:VOLT?").split(";")[0] != measured


def test_what_is_not_measured_is_not_a_number(bench: Bench) -> None:
    bench.send(ELEMENTS)
    bench.voltage_source()
    bench.send(":SENS:FUNC:OFF:ALL", ':SENS:FUNC "CURR"')
    assert bench.ask(":SENS:FUNC?") == '"CURR"'
    assert bench.ask(":MEAS?").startswith("+9.910000E+37,")  # 4-44
    bench.send(':SENS:FUNC "VOLT:DC"')
    assert bench.ask(":SENS:FUNC:COUN?") == "+2"
    assert abs(bench.read()[0]) < 10


def test_a_bounded_charge_is_in_compliance_and_a_hold_is_not(bench: Bench) -> None:
    bench.send(ELEMENTS)
    bench.voltage_source("4.2", "1e-3")
    voltage_V, current_A, status, level = bench.read()
    assert current_A == pytest.approx(1e-3, rel=1e-3)
    assert level == 4.2
    assert voltage_V == pytest.approx(3.8, abs=0.01)
    assert int(status) & 7 == 2  # 1-14
    assert bench.ask(":SENS:CURR:PROT:TRIP?") == "1"
    bench.send(":SOUR:VOLT 3.75")
    assert int(bench.read()[2]) & 7 == 0
    assert bench.ask(":SENS:CURR:PROT:TRIP?") == "0"


def test_a_current_source_says_so_and_overflows_say_so(bench: Bench) -> None:
    bench.send(ELEMENTS)
    bench.current_source("5e-4")
    assert int(bench.read()[2]) == 1


def test_a_voltage_beyond_the_range_is_an_overflow_and_says_so(bench: Bench) -> None:
    bench.send(ELEMENTS, SAFE, ":SOUR:VOLT:RANG 2;:SOUR:VOLT 2;:SENS:CURR:PROT 1e-3", ":OUTP ON")
    voltage_V, _, status, _ = bench.read()
    assert voltage_V == 9.9e37  # 1-12
    assert int(status) & 8192  # 1-14


@pytest.mark.parametrize(("mode", "apart"), [("HIZ", True), ("NORM", True), ("ZERO", False)])
def test_only_zero_stays_connected_when_off(mode: str, apart: bool) -> None:
    bench = Bench()
    bench.voltage_source()
    bench.send(f":OUTP:OFF:MODE {mode}", ":OUTP OFF")
    assert bench.truth("relay_closed") is not apart  # UG 6-13
    assert bench.ask(":SOUR:VOLT?") == ("+4.200000E+00" if mode == "HIZ" else "+0.000000E+00")


def test_the_off_mode_counts_when_off_is_said(bench: Bench) -> None:
    bench.send(":OUTP:OFF:MODE ZERO;:OUTP OFF;:OUTP:OFF:MODE HIZ")
    assert bench.truth("relay_closed") is True
    bench.send(":OUTP OFF")
    assert bench.truth("relay_closed") is False


def test_beyond_100_mA_even_high_impedance_passes_0_V() -> None:
    bench = Bench(Battery(3.7, 0.1))
    bench.send(SAFE, ":SOUR:FUNC:MODE CURR;:SOUR:CURR:RANG 1;:SOUR:CURR 0.2;:SENS:VOLT:PROT 5", ":OUTP ON", ":OUTP OFF")
    assert bench.ask(":SOUR:FUNC:MODE?") == "VOLT"  # UG 6-13
    assert bench.abuse() == (THROUGH_ZERO,)


def test_the_protection_puts_0_V_on_the_cell_and_lets_go(bench: Bench) -> None:
    bench.send(ELEMENTS)
    bench.voltage_source()
    before_C = float(str(bench.truth("charge_C")))
    bench.send(":OUTP:PROT ON")  # at compliance, as every bounded charge is
    assert bench.ask(":OUTP?") == "0"  # 2961 4-67
    assert bench.truth("relay_closed") is False
    assert float(str(bench.truth("charge_C"))) < before_C
    assert int(bench.read()[2]) & 16
    assert bench.ask(":OUTP:PROT?") == "1"


def test_a_protection_that_is_on_trips_when_the_limit_is_reached_later() -> None:
    bench = Bench(Battery(3.70, 100.0, slope_V_per_C=10.0))
    bench.current_source("5e-4", "4.0")
    bench.send(":OUTP:PROT ON")
    assert bench.ask(":OUTP?") == "1"
    bench.wait(120.0)
    assert bench.ask(":OUTP?") == "0"


def test_the_sense_range_is_never_above_that_of_the_limit(bench: Bench) -> None:
    bench.send(":SENS:CURR:PROT 1e-4;:SENS:CURR:RANG 1")
    assert float(bench.ask(":SENS:CURR:RANG?")) == 1e-4  # UG 6-4
    assert bench.ask(":SENS:CURR:RANG:AUTO?") == "0"


@pytest.mark.parametrize(
    ("voltage", "limit", "code"), [("5", "3", 0), ("10", "3", -222), ("10", "1.5", 0), ("100", "1", -222)]
)
def test_voltage_and_current_stay_within_the_power(bench: Bench, voltage: str, limit: str, code: int) -> None:
    bench.send(f":SOUR:VOLT {voltage}", f":SENS:CURR:PROT {limit}")
    assert bench.code() == code  # 2961 2-36


@pytest.mark.parametrize("limit", ["1e-10", "0"])
def test_a_limit_too_small_is_refused_and_the_old_one_stays(bench: Bench, limit: str) -> None:
    bench.send(f":SENS:CURR:PROT {limit}")
    assert bench.code() == -222
    assert float(bench.ask(":SENS:CURR:PROT?")) == 1e-4


def test_a_fixed_source_range_refuses_what_it_cannot_hold(bench: Bench) -> None:
    bench.send(":SOUR:VOLT:RANG 2", ":SOUR:VOLT 2.1", ":SOUR:VOLT 2.2")
    assert bench.code() == -222
    assert bench.ask(":SOUR:VOLT?") == "+2.100000E+00"
    bench.send(":SOUR:VOLT:RANG 0.2")
    assert bench.code() == -221


def test_a_cell_above_the_voltage_limit_is_dumped(bench: Bench) -> None:
    bench.current_source("0", "2.5")
    assert float(str(bench.truth("current_A"))) < -1e-3
    assert bench.abuse() == (DUMPED,)


def test_a_power_failure_forgets_everything_but_the_cell(bench: Bench) -> None:
    bench.voltage_source()
    bench.smu.receive(b":SOUR:VO")
    bench.smu.power_cycle()
    assert bench.truth("relay_closed") is False
    assert bench.ask(":OUTP?;:OUTP:ON:AUTO?;:OUTP:OFF:MODE?") == "0;1;NORM"


CAREFUL = (SAFE, ":SOUR:VOLT:RANG 20;:SOUR:VOLT 3.7;:SENS:CURR:PROT 1E-4;:SENS:CURR:RANG 1E-4", ":OUTP OFF")


def test_a_careful_host_does_no_harm(bench: Bench) -> None:
    bench.send(*CAREFUL, ":OUTP ON")
    bench.ask(":MEAS?")
    bench.wait(60.0)
    bench.send(":SOUR:VOLT 4.2", ":OUTP OFF")
    bench.wait(60.0)
    bench.ask(":OUTP?")
    assert bench.abuse() == ()


@pytest.mark.parametrize(
    ("message", "act"),
    [
        (":SENS:REM OFF;:OUTP ON", TWO_WIRES),
        (":OUTP:OFF:MODE NORM", NOT_APART),
        ("*RST", NOT_APART),
        (":OUTP:OFF:MODE ZERO;:OUTP OFF", NOT_APART),
        (":OUTP:OFF:AUTO ON;:OUTP ON", AUTO_CLEAR),
        (":OUTP:ON:AUTO ON;:OUTP ON", AUTO_ON),
        (":OUTP:ON:AUTO ON;:INIT", SWITCHED_ON_BY_READING),
        (":OUTP:PROT ON;:OUTP ON", PROTECTION),
        (":SENS:RES:MODE AUTO;:OUTP ON", OHMS),
        (":SOUR:VOLT:MODE SWE;:OUTP ON", MOVING),
        (":SENS:CURR:PROT 1E-3;:OUTP ON", RANGE_COMPLIANCE),
        (":SOUR:FUNC:MODE CURR;:SENS:VOLT:PROT 2.5;:OUTP ON", DUMPED),
        (":OUTP ON;:SOUR:VOLT:RANG 200", SWITCHED_LIVE),
        (":OUTP ON;:OUTP:OFF:MODE NORM;:OUTP OFF", THROUGH_ZERO),
    ],
)
def test_each_kind_of_abuse_is_seen(bench: Bench, message: str, act: str) -> None:
    bench.send(*CAREFUL)
    assert bench.abuse() == ()
    bench.send(message)
    assert act in str(bench.abuse())


def test_charge_that_passes_while_off_is_seen(bench: Bench) -> None:
    bench.send(*CAREFUL, ":OUTP:OFF:MODE ZERO;:OUTP OFF")
    bench.wait(10.0)
    bench.ask(":OUTP?")
    assert bench.abuse() == (NOT_APART, CHARGE_WHILE_OFF)


@pytest.mark.parametrize(("fault", "value"), [("output", False), ("trip", True)])
def test_what_others_do_is_nobodys_abuse(bench: Bench, fault: str, value: bool) -> None:
    bench.send(*CAREFUL, ":OUTP ON")
    bench.smu.set_fault(fault, value)
    assert bench.ask(":OUTP?") == "0"
    bench.wait(10.0)
    bench.ask(":OUTP?")
    assert bench.abuse() == ()
    assert bench.code() == (701 if fault == "trip" else 0)


def test_faults_are_named_and_a_wrong_one_is_refused(bench: Bench) -> None:
    bench.voltage_source()
    bench.smu.set_fault("lead", "open")
    assert bench.read(":MEAS:VOLT?") == [pytest.approx(4.2, abs=0.01)]
    bench.smu.set_fault("lead", "good")
    bench.smu.set_fault("stuck", value=True)
    assert bench.ask(":MEAS:CURR?") == bench.ask(":MEAS:CURR?")
    bench.smu.set_fault("welded", value=True)
    bench.send(":OUTP OFF")
    assert bench.ask(":OUTP?") == "1"
    with pytest.raises(ValueError, match="no fault 'fire'"):
        bench.smu.set_fault("fire", value=True)


def test_two_channels_are_apart_and_the_truth_holds_both() -> None:
    bench = Bench(Battery(3.7, 100.0), second=Battery(3.3, 100.0))
    bench.voltage_source()
    channels = bench.truth("channels")
    assert isinstance(channels, dict)
    assert [channels[number]["output_on"] for number in "12"] == [True, False]
    assert bench.truth("output_on") is True
    bench.send(":OUTP OFF")
    bench.send(":OUTP2:ON:AUTO 0;:OUTP2 ON")
    assert bench.truth("output_on") is True
    assert bench.ask(":OUTP?;:OUTP2?") == "0;1"


def test_it_has_no_serial_port(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keysight-b2902a", "--pty"]) == 1
    assert "has no serial port" in capsys.readouterr().err
