"""The simulated Keithley 2400 against exchanges and rules of its manual (2400S-900-01 Rev K; pages in comments)."""

from __future__ import annotations

import math
import re

import pytest
from judged import Provokes

from sim_hardware.cell import make_cell
from sim_hardware.circuit import CurrentSource, Operating, VoltageSource, advance, operate
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.keithley2400_abuse import NOT_APART, TWO_WIRES
from sim_hardware.loads import Battery, Load, resistor

pytestmark = pytest.mark.not_our_driver


class Bench:
    """A 2400 with a time of its own."""

    def __init__(self, load: Load, seed: int = 1) -> None:
        self.now_s = 0.0
        self.smu = Keithley2400(load, lambda: self.now_s, seed=seed, serial="1234567")

    def send(self, *messages: str) -> None:
        for message in messages:
            assert self.smu.receive(message.encode() + b"\n") == b"", message

    def ask(self, message: str) -> str:
        reply = self.smu.receive(message.encode() + b"\n")
        assert reply.endswith(b"\n"), f"{message} was not answered"
        return reply.decode().removesuffix("\n")

    def error(self) -> str:
        return self.ask(":SYST:ERR?")

    def read(self) -> list[float]:
        return [float(part) for part in self.ask(":READ?").split(",")]

    def status(self) -> int:
        return int(self.read()[-1])

    def truth(self, key: str) -> float:
        value = self.smu.truth()[key]
        assert isinstance(value, float)
        return value

    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    def set_up(self) -> None:
        """High impedance, both functions, fixed ranges."""
        self.send("*RST;:OUTP:SMOD HIMP", ":SYST:RSEN ON", ':SENS:FUNC "VOLT","CURR"', ":FORM:ELEM VOLT,CURR,TIME,STAT")

    def current_source(self, level: str, limit: str = "5") -> None:
        self.set_up()
        self.send(":SOUR:FUNC CURR", ":SOUR:CURR:RANG 1e-3", f":SOUR:CURR {level}", f":SENS:VOLT:PROT {limit}")
        self.send(":OUTP ON")
        assert self.error() == '0,"No error"'

    def voltage_source(self, level: str, limit: str) -> None:
        self.set_up()
        self.send(":SOUR:VOLT:RANG 20", f":SOUR:VOLT {level}", f":SENS:CURR:PROT {limit}", ":SENS:CURR:RANG 1e-3")
        self.send(":OUTP ON")
        assert self.error() == '0,"No error"'


@pytest.fixture
def bench() -> Bench:
    return Bench(Battery(3.7, 100.0))


def test_identity_names_maker_model_and_serial_number(bench: Bench) -> None:
    maker, model, serial, firmware = bench.ask("*IDN?").split(",")  # 16-3
    assert (maker, model, serial) == ("KEITHLEY INSTRUMENTS INC.", "MODEL 2400", "1234567")
    assert firmware.count("/") >= 2


def test_version_is_that_of_the_manual(bench: Bench) -> None:
    assert bench.ask(":SYST:VERS?") == "1996.0"  # 18-112


def test_an_unknown_header_is_silence_and_an_error(bench: Bench) -> None:
    bench.send(":SENS:DATE?")  # B-9
    assert bench.error() == '-113,"Undefined header"'
    assert bench.error() == '0,"No error"'


def test_what_follows_a_bad_unit_is_discarded(bench: Bench) -> None:
    bench.send(":SENS:DATE?; :SENS:FUNC?")  # B-9, 14-12
    assert bench.error() == '-113,"Undefined header"'


def test_what_came_before_a_bad_unit_is_answered(bench: Bench) -> None:
    assert bench.ask("*OPC?;:NONSENSE;:OUTP?") == "1"


def test_a_command_error_discards_the_rest_and_an_execution_error_does_not(bench: Bench) -> None:
    bench.send(":SOUR:VOLT;:OUTP ON")  # 14-12
    assert bench.error().startswith("-109")
    assert bench.ask(":OUTP?") == "0"
    bench.send(":SOUR:VOLT 500;:OUTP:SMOD HIMP")
    assert bench.error().startswith("-222")
    assert bench.ask(":OUTP:SMOD?") == "HIMP"


def test_a_mixed_form_is_no_header(bench: Bench) -> None:
    bench.send(":SYSTe:PRESe")  # 14-9
    assert bench.error() == '-113,"Undefined header"'


@pytest.mark.parametrize("header", [":SENSE1:VOLTAGE:DC:PROTECTION:LEVEL?", ":sens:volt:prot?", "VOLT:PROT?"])
def test_long_short_and_optional_nodes_name_the_same_command(bench: Bench, header: str) -> None:
    assert float(bench.ask(header)) == 21.0


@pytest.mark.parametrize(
    "message",
    [  # headers an independent driver sends (pymeasure test_keithley2400)
        ":FORMAT:ELEMENTS VOLTAGE, CURRENT, RESISTANCE, TIME, STATUS",
        "OUTPUT 0",
        ":OUTPUT:SMODE HIMP",
        ":SOURCE:CURRENT:RANGE:AUTO 0",
        ":SOURCE:DELAY:AUTO 0",
        ":SYSTEM:AZERO:STATE ONCE",
        ":SENSE:AVERAGE:TCONTROL MOV",
        ":SENSE:CURRENT:NPLCYCLES 0.1",
        ":SENSE:FUNCTION:ALL",
        ":SENSE:RESISTANCE:MODE MAN",
        ":SYSTEM:LFREQUENCY:AUTO 0",
        ":SYSTEM:RSENSE 1",
        ":ARM:SOURCE TLIN",
        ":ARM:OUTPUT TENT",
        ":TRIGGER:ILINE 1",
        ":TRIGGER:DELAY 10",
        ":TRIGGER:CLEAR",
        ":DISPLAY:ENABLE 0",
        ":ABORT",
        "*TRG",
    ],
)
def test_what_an_independent_driver_sends_is_understood(bench: Bench, message: str) -> None:
    bench.send(message)
    assert bench.error() == '0,"No error"'


def test_answers_of_one_message_are_joined_by_semicolons(bench: Bench) -> None:
    assert bench.ask(":OUTP?;:SOUR:FUNC?;:OUTP:SMOD?;*OPC?") == "0;VOLT;NORM;1"  # 14-13


def test_a_header_without_colon_goes_on_at_the_level_of_the_one_before(bench: Bench) -> None:
    bench.send(":SOUR:CURR:RANG 1e-3;RANG:AUTO ON")  # 14-12
    assert bench.ask(":SOUR:CURR:RANG:AUTO?") == "1"
    bench.send(":SOUR:CURR:RANG 1e-3;SOUR:VOLT 1")
    assert bench.error().startswith("-113")


def test_reading_with_the_output_off_is_an_error_without_an_answer(bench: Bench) -> None:
    bench.send(":READ?")  # 17-5, B-6
    assert bench.error() == '+803,"Not permitted with OUTPUT off"'
    bench.send(":INIT")
    assert bench.error().startswith("+803")


def test_auto_clear_switches_the_output_on_for_the_reading_only(bench: Bench) -> None:
    bench.send(":SOUR:CLE:AUTO ON")
    bench.read()
    assert bench.ask(":OUTP?") == "0"


def test_a_range_for_the_sourced_quantity_is_refused(bench: Bench) -> None:
    bench.send(":SOUR:FUNC CURR", ":SENS:CURR:RANG 1e-3")  # 18-62 note 1
    assert bench.error() == '+823,"Invalid with source read-back on"'


def test_a_range_above_the_compliance_range_is_refused(bench: Bench) -> None:
    bench.send(":SENS:CURR:RANG 1e-3")  # 18-62 note 3: the compliance is 105 µA after reset
    assert bench.error() == '+824,"Cannot exceed compliance range"'
    bench.send(":SENS:CURR:PROT 1e-3", ":SENS:CURR:RANG 1e-3")
    assert bench.error() == '0,"No error"'


def test_a_compliance_below_a_thousandth_of_the_range_is_refused_and_the_old_one_stays(bench: Bench) -> None:
    bench.send(":SENS:CURR:PROT 1e-3", ":SENS:CURR:RANG 1e-3", ":SENS:CURR:PROT 0.9e-6")  # 18-68
    assert bench.error().startswith("+822")
    assert float(bench.ask(":SENS:CURR:PROT?")) == 1e-3


@pytest.mark.parametrize(
    ("query", "expected"),
    [  # what owners' tests found on hardware after *RST (pymeasure test_keithley2400_with_device)
        (":OUTP?", "0"),
        (":OUTP:SMOD?", "NORM"),
        (":ROUT:TERM?", "FRON"),
        (":SENS:CURR:RANG?", "1.05e-4"),
        (":SENS:CURR:RANG:AUTO?", "1"),
        (":SENS:CURR:NPLC?", "1"),
        (":SENS:CURR:PROT?", "1.05e-4"),
        (":SENS:VOLT:RANG?", "21"),
        (":SENS:VOLT:RANG:AUTO?", "1"),
        (":SENS:VOLT:PROT?", "21"),
        (":SENS:RES:MODE?", "AUTO"),
        (":SENS:RES:RANG?", "2.1e5"),
        (":SENS:AVER:TCON?", "REP"),
        (":SENS:AVER:COUN?", "10"),
        (":SENS:AVER?", "0"),
        (":SOUR:CLE:AUTO?", "0"),
        (":SOUR:FUNC?", "VOLT"),
        (":SOUR:DEL?", "0.001"),
        (":SOUR:DEL:AUTO?", "1"),
        (":SOUR:CURR:RANG?", "1.05e-4"),
        (":SOUR:CURR:RANG:AUTO?", "1"),
        (":SOUR:CURR?", "0"),
        (":SOUR:VOLT:RANG?", "21"),
        (":SOUR:VOLT?", "0"),
        (":SYST:AZER:STAT?", "1"),
    ],
)
def test_reset_state_is_that_of_the_hardware(bench: Bench, query: str, expected: str) -> None:
    bench.current_source("1e-4")
    bench.send(":SENS:VOLT:RANG 5", ":SOUR:CLE:AUTO ON", ":SENS:AVER ON", ":ROUT:TERM REAR", "*RST")
    reply = bench.ask(query)
    try:
        assert float(reply) == float(expected)
    except ValueError:
        assert reply == expected


def test_a_range_answers_five_per_cent_more_than_it_was_given(bench: Bench) -> None:
    bench.send(":SOUR:CURR:RANG 1e-3", ":SOUR:VOLT:RANG 5")
    assert float(bench.ask(":SOUR:CURR:RANG?")) == pytest.approx(1.05e-3)
    assert float(bench.ask(":SOUR:VOLT:RANG?")) == pytest.approx(21.0)
    assert bench.ask(":SOUR:CURR:RANG:AUTO?") == "0"


def test_numbers_are_spelled_as_in_the_manual(bench: Bench) -> None:
    bench.voltage_source("3.5", "1e-3")
    number = r"[+-]\d\.\d{6}E[+-]\d\d"  # 18-48 figure 18-1
    assert re.fullmatch(f"{number}(,{number}){{3}}", bench.ask(":READ?"))
    bench.send(":FORM:ELEM VOLT,CURR,RES,TIME,STAT")
    assert len(bench.read()) == 5


def test_elements_come_in_their_own_order_whatever_was_asked(bench: Bench) -> None:
    bench.send(":FORM:ELEM STAT,CURR,VOLT")
    assert bench.ask(":FORM:ELEM?") == "VOLT,CURR,STAT"
    bench.send(":OUTP ON")
    assert len(bench.read()) == 3


def test_status_word_of_the_manual_example_has_the_same_bits(bench: Bench) -> None:
    bench.send(":SOUR:FUNC CURR", ":SENS:FUNC:ALL", ":SENS:VOLT:PROT 5", ":OUTP ON")
    assert bench.status() == 48132  # +4.813200E+04, 18-48: front, auto ohms, V, I, Ω measured, I source


def test_what_is_not_measured_is_answered_as_programmed_or_as_not_a_number(bench: Bench) -> None:
    bench.send(':SENS:FUNC:OFF "CURR"', ':SENS:FUNC "VOLT"', ":SOUR:VOLT 3.7", ":OUTP ON")
    assert bench.read()[1] == 9.91e37  # 18-50
    bench.send(':SENS:FUNC:OFF "VOLT"', ':SENS:FUNC "CURR"', ":SOUR:VOLT 2", ":OUTP ON")
    assert bench.read()[0] == 2.0  # the setting, though the cell holds 3.7 V in current compliance


def test_a_cell_above_a_small_source_range_reads_as_overflow(bench: Bench) -> None:
    bench.set_up()
    bench.send(":SOUR:VOLT:RANG 0.2", ":SOUR:VOLT 0.18", ":OUTP ON")
    voltage_V, *_, status = bench.read()
    assert voltage_V >= 9.9e37
    assert int(status) & 1


def test_normal_off_drains_the_cell_and_high_impedance_does_not(bench: Bench) -> None:
    bench.wait(3600.0)  # 13-9, 18-57: 0 V behind 0.5 % of the 100 µA range
    assert bench.truth("current_A") == pytest.approx(-0.5e-6)
    assert bench.truth("charge_C") == pytest.approx(-0.5e-6 * 3600.0)
    bench.send(":OUTP:SMOD HIMP")
    drained_C = bench.truth("charge_C")
    bench.wait(3600.0)
    assert bench.truth("charge_C") == drained_C
    assert bench.smu.truth()["relay_closed"] is False


def test_normal_off_drains_more_on_a_larger_range(bench: Bench) -> None:
    bench.send(":SOUR:FUNC CURR", ":SOUR:CURR:RANG 1")
    assert bench.truth("current_A") == pytest.approx(-5e-3)


def test_zero_off_drains_at_the_compliance_and_guard_dumps_into_its_voltage_limit(bench: Bench) -> None:
    bench.send(":SENS:CURR:PROT 1e-2", ":OUTP:SMOD ZERO")
    assert bench.truth("current_A") == pytest.approx(-1e-2)
    bench.send(":OUTP:SMOD GUAR")
    assert bench.truth("current_A") < -1e-2


@pytest.mark.parametrize("reset", ["*RST", ":SYST:PRES"])
def test_reset_brings_back_the_drain(bench: Bench, reset: str) -> None:
    bench.current_source("1e-4")
    bench.send(reset)
    assert bench.ask(":OUTP:SMOD?;:OUTP?") == "NORM;0"
    assert bench.truth("current_A") < 0.0


def test_a_power_cycle_forgets_everything_but_the_cell(bench: Bench) -> None:
    bench.current_source("1e-4")
    bench.wait(100.0)
    charge_C = bench.truth("charge_C")
    bench.smu.power_cycle()
    assert bench.ask(":OUTP?;:OUTP:SMOD?;:SENS:VOLT:PROT?") == "0;NORM;2.100000E+01"
    assert int(bench.ask("*ESR?")) & 128
    assert bench.truth("charge_C") == charge_C


def test_current_source_regulates_and_reports_no_compliance(bench: Bench) -> None:
    bench.current_source("-3.927e-4")
    voltage_V, current_A, _, status = bench.read()
    assert current_A == pytest.approx(-3.927e-4, abs=2e-7)
    assert voltage_V == pytest.approx(3.7 - 0.03927, abs=1e-3)
    assert not int(status) & (1 << 3 | 1 << 16)
    assert int(status) & 1 << 15
    assert bench.ask(":SENS:VOLT:PROT:TRIP?") == "0"


def test_a_cell_above_the_voltage_limit_of_a_current_source_is_dumped(bench: Bench) -> None:
    bench.current_source("1e-4", limit="2.5")  # 3-22 to 3-24: the limit becomes a voltage source
    assert bench.truth("voltage_V") == pytest.approx(2.5)
    assert bench.truth("current_A") == pytest.approx(-0.012)
    assert bench.status() & 1 << 3
    assert bench.ask(":SENS:VOLT:PROT:TRIP?") == "1"


def test_a_fixed_measure_range_below_the_cell_clamps_and_sets_bit_16(bench: Bench) -> None:
    bench.current_source("1e-4")
    bench.send(":SENS:VOLT:RANG 2")  # 6-2: the clamp is 105 % of the range
    assert bench.truth("voltage_V") == pytest.approx(2.1)
    assert bench.truth("current_A") < -1e-3
    status = bench.status()
    assert status & 1 << 16
    assert not status & 1 << 3


def test_measured_ohms_take_the_source_over_until_they_are_manual(bench: Bench) -> None:
    bench.voltage_source("3.7", "2e-4")
    bench.send(':SENS:FUNC "RES"', ":SENS:RES:RANG 20")  # 4-4, 18-61: auto ohms is how it powers on
    assert bench.truth("current_A") == pytest.approx(0.1)
    assert bench.status() & (1 << 10 | 1 << 13 | 1 << 15) == 1 << 10 | 1 << 13 | 1 << 15
    for refused in (":SOUR:CURR 1e-4", ":SOUR:CURR:RANG 1e-3", ":SENS:VOLT:PROT 5"):
        bench.send(refused)
        assert bench.error() == '+825,"Invalid with auto-ohms on"'
    bench.send(":SENS:RES:MODE MAN")
    assert abs(bench.truth("current_A")) < 1e-6


def test_overvoltage_protection_bounds_a_current_source_and_sets_bit_4() -> None:
    bench = Bench(resistor(1e6))
    bench.current_source("1e-3", limit="100")
    bench.send(":SOUR:VOLT:PROT 20")
    assert bench.truth("voltage_V") == pytest.approx(20.0)
    assert bench.status() & 1 << 4
    assert bench.ask(":SOUR:VOLT:PROT:TRIP?") == "1"


def test_bounded_discharge_is_a_voltage_source_in_current_limit(bench: Bench) -> None:
    bench.voltage_source("2.5", "3.927e-4")
    voltage_V, current_A, _, status = bench.read()
    assert current_A == pytest.approx(-3.927e-4, abs=1e-6)
    assert voltage_V == pytest.approx(3.66, abs=1e-2)
    assert int(status) & 1 << 3
    assert bench.ask(":SENS:CURR:PROT:TRIP?") == "1"
    bench.send(":SOUR:VOLT 3.6999")
    assert not bench.status() & 1 << 3


def test_a_source_limit_that_is_left_in_the_middle_of_a_wait_is_followed() -> None:
    bench = Bench(make_cell("c"))
    bench.voltage_source("0.18", "3.927e-4")
    bench.wait(40 * 3600.0)
    one_go_C = bench.truth("charge_C")
    assert bench.truth("voltage_V") == pytest.approx(0.18, abs=1e-6)
    assert abs(bench.truth("current_A")) < 1e-5
    often = Bench(make_cell("c"))
    often.voltage_source("0.18", "3.927e-4")
    for _ in range(4 * 3600):
        often.wait(10.0)
        often.ask("*OPC?")
    assert often.truth("charge_C") == pytest.approx(one_go_C, rel=2e-3)


def test_changing_the_source_function_switches_the_output_off(bench: Bench) -> None:
    bench.voltage_source("3.7", "1e-3")
    bench.send(":SOUR:FUNC VOLT")
    assert bench.ask(":OUTP?") == "1"
    bench.send(":SOUR:FUNC CURR")
    assert bench.ask(":OUTP?") == "0"


@pytest.mark.parametrize("command", [":MEAS:CURR?", ":CONF:VOLT", ":MEAS:VOLT?"])
def test_measure_and_configure_switch_the_output_on_and_reset_the_compliance(bench: Bench, command: str) -> None:
    bench.send(":OUTP:SMOD HIMP", ":SENS:CURR:PROT 1e-3")  # 17-2, 17-5
    bench.smu.receive(command.encode() + b"\n")
    assert bench.ask(":OUTP?") == "1"
    if "CURR" in command:
        assert float(bench.ask(":SENS:CURR:PROT?")) == pytest.approx(1.05e-4)


def test_fetch_repeats_the_last_reading_and_needs_one(bench: Bench) -> None:
    bench.send(":FETC?")
    assert bench.error().startswith("-230")
    bench.voltage_source("3.7", "1e-3")
    reading = bench.ask(":READ?")
    bench.wait(100.0)
    assert bench.ask(":FETC?") == reading


def test_the_instruments_clock_wraps(bench: Bench) -> None:
    bench.voltage_source("3.7", "1e-3")
    bench.wait(100_010.0)  # 18-50: after 99 999.999 s
    assert bench.read()[2] == pytest.approx(10.001, abs=1e-3)


def test_the_eleventh_error_becomes_a_queue_overflow(bench: Bench) -> None:
    for _ in range(12):
        bench.send(":NONSENSE")
    assert bench.ask(":SYST:ERR:COUN?") == "10"
    codes = [bench.error().split(",")[0] for _ in range(11)]
    assert codes == ["-113"] * 9 + ["-350", "0"]


def test_clear_status_empties_the_queue(bench: Bench) -> None:
    bench.send(":NONSENSE", "*CLS")
    assert bench.error() == '0,"No error"'


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (":SOUR:VOLT", -109),
        (":SOUR:VOLT 1,2", -108),
        (":SOUR:VOLT five", -104),
        (":SOUR:VOLT 4,2", -108),
        (":SOUR:VOLT 500", -222),
        (":OUTP PERHAPS", -141),
        (":OUTP:SMOD HIMPED", -141),
        (":SENS:FUNC VOLT", -150),
        (":FORM REAL", 701),
        (":SOUR:VOLT:RANG 2;:SOUR:VOLT 4.2", -222),
        (":SOUR:VOLT 4.2;:SOUR:VOLT:RANG 2", -221),
        (":READ", -113),
        (":SYSTEMATICALLY:ERR?", -112),
    ],
)
def test_what_is_refused_changes_nothing_and_says_so(bench: Bench, message: str, code: int) -> None:
    bench.send(message)
    assert int(bench.error().split(",")[0]) == code
    assert bench.ask(":OUTP?;:OUTP:SMOD?") == "0;NORM"


def test_control_c_throws_away_half_a_command_and_what_was_not_sent_yet(bench: Bench) -> None:
    assert bench.smu.receive(b"*IDN?\n:OUTP O\x03") == b""  # 14-14
    assert bench.ask(":OUTP?") == "0"
    assert bench.error() == '0,"No error"'


def test_bytes_may_come_in_any_pieces_and_with_any_line_end(bench: Bench) -> None:
    whole = bench.smu.receive(b"*OPC?\r\n:OUTP?\r:SOUR:FUNC?\n")
    assert whole == b"1\n0\nVOLT\n"
    pieces = b"".join(bench.smu.receive(bytes([byte])) for byte in b"*OPC?\r\n:OUTP?\r:SOUR:FUNC?\n")
    assert pieces == whole


def test_a_flood_without_line_end_is_an_overrun(bench: Bench) -> None:
    assert bench.smu.receive(b"A" * 5000) == b""
    assert bench.ask("*OPC?") == "1"
    assert bench.error().startswith("-363")


def test_one_seed_gives_the_same_noise_and_another_seed_another(bench: Bench) -> None:
    def readings(seed: int) -> list[str]:
        bench = Bench(make_cell("a"), seed)
        bench.voltage_source("0.2", "3e-4")
        found = []
        for _ in range(20):
            bench.wait(5.0)
            found.append(bench.ask(":READ?"))
        return found

    assert readings(7) == readings(7)
    assert readings(7) != readings(8)


def test_looking_at_the_truth_changes_nothing() -> None:
    def readings(looks: int) -> list[str]:
        bench = Bench(make_cell("c"))
        bench.voltage_source("0.2", "3e-4")
        found = []
        for _ in range(30):
            for _ in range(looks):
                bench.wait(600.0 / looks)
                assert bench.truth("charge_C") < 0.0
            found.append(bench.ask(":READ?"))
        return found

    assert readings(1) == readings(4)


def test_noise_offset_and_digits_are_small_but_there() -> None:
    bench = Bench(Battery(1.0, 1.0))
    bench.current_source("0")
    voltages, currents = zip(*[bench.read()[:2] for _ in range(400)], strict=True)
    mean_V = math.fsum(voltages) / 400
    assert 0.0 < abs(mean_V - 1.0) < 2e-4
    assert 2 <= len(set(voltages)) <= 8  # 0.15 mV steps
    spread_A = math.sqrt(math.fsum((i - math.fsum(currents) / 400) ** 2 for i in currents) / 400)
    assert spread_A == pytest.approx(2e-5 * 1e-3, rel=0.2)


def test_an_open_lead_and_a_short_are_seen_and_felt() -> None:
    bench = Bench(Battery(3.7, 100.0))
    bench.current_source("1e-4")
    bench.smu.set_fault("lead", "open")
    assert bench.status() & 1 << 3
    assert bench.truth("current_A") == 0.0
    bench.smu.set_fault("lead", "short")
    assert bench.read()[0] == pytest.approx(0.0, abs=1e-3)
    assert bench.truth("current_A") == pytest.approx(-0.037)
    bench.smu.set_fault("lead", "good")
    assert bench.read()[0] == pytest.approx(3.71, abs=1e-3)


def test_a_stuck_meter_repeats_itself_while_its_clock_goes_on() -> None:
    bench = Bench(make_cell("a"))
    bench.voltage_source("0.2", "3e-4")
    bench.read()
    bench.smu.set_fault("stuck", value=True)
    first = bench.read()
    bench.wait(100.0)
    second = bench.read()
    assert first[:2] == second[:2]
    assert second[2] == first[2] + 100.0


def test_a_bad_contact_adds_its_voltage_until_it_is_mended() -> None:
    bench = Bench(Battery(3.7, 100.0))
    bench.current_source("1e-3")
    bench.smu.set_fault("contact_ohm", 500.0)
    assert bench.read()[0] == pytest.approx(3.7 + 0.6, abs=1e-3)
    bench.wait(10.0)
    bench.smu.set_fault("contact_ohm", 0.0)
    assert bench.read()[0] == pytest.approx(3.7 + 0.1, abs=1e-3)
    assert bench.truth("charge_C") == pytest.approx(0.01, rel=1e-3)


def test_someone_at_the_front_panel_switches_the_output(bench: Bench) -> None:
    bench.current_source("1e-3")
    bench.smu.set_fault("output", value=False)
    bench.send(":READ?")
    assert bench.error().startswith("+803")


def test_a_welded_output_cannot_be_switched_off_and_says_so(bench: Bench) -> None:
    bench.current_source("1e-3")
    bench.smu.set_fault("welded", value=True)
    assert bench.ask(":OUTP OFF;:OUTP?") == "1"
    bench.smu.power_cycle()
    assert bench.ask(":OUTP?") == "1"
    bench.smu.set_fault("welded", value=False)
    assert bench.ask(":OUTP OFF;:OUTP?") == "0"


def test_a_welded_output_that_comes_back_from_a_power_failure_is_no_act_of_the_hosts(
    bench: Bench, provokes: Provokes
) -> None:
    bench.current_source("1e-3")
    bench.smu.set_fault("welded", value=True)
    bench.smu.power_cycle()
    bench.send(":OUTP OFF", ":SYST:RSEN OFF")
    assert bench.smu.truth()["abuse"] == ()
    bench.smu.set_fault("welded", value=False)
    bench.send(":OUTP OFF")
    assert bench.smu.truth()["abuse"] == ()
    bench.send(":OUTP ON")
    assert TWO_WIRES in str(bench.smu.truth()["abuse"])
    provokes(TWO_WIRES, NOT_APART)


@pytest.mark.parametrize("looks", [1, 4])
def test_looking_changes_nothing_while_a_voltage_is_held(looks: int) -> None:
    bench = Bench(make_cell("a"))
    bench.voltage_source("0.6", "3e-4")
    bench.wait(7200.0)
    for _ in range(looks):
        held = bench.smu.truth()
    assert bench.ask("*OPC?") == "1"
    assert bench.smu.truth() == held


def test_an_unknown_fault_is_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match="no fault"):
        bench.smu.set_fault("lead", "perhaps")


@pytest.mark.parametrize("tau_s", [1000.0, 10.0])
def test_a_capacitor_behind_a_resistor_follows_its_exponential_under_a_voltage_source(tau_s: float) -> None:
    load, source = Battery(1.0, 100.0, slope_V_per_C=100.0 / tau_s), VoltageSource(2.0, 1.0)
    start = operate(load, source)
    end, charge_C = advance(load, source, 1.5 * tau_s, start)
    assert end.current_A == pytest.approx(0.01 * math.exp(-1.5), rel=1e-3)
    assert charge_C == pytest.approx(0.01 * tau_s * (1.0 - math.exp(-1.5)), rel=1e-3)


def test_a_capacitor_changes_from_current_limit_to_voltage_at_the_right_moment() -> None:
    load, source = Battery(1.0, 100.0, slope_V_per_C=0.1), VoltageSource(2.0, 5e-3)
    # 5 mA until 1 V + 0.1 V/C · q + 0.5 V = 2 V: q = 5 C at 1000 s; then 5 mA · exp(-(t - 1000 s)/1000 s)
    end, charge_C = advance(load, source, 2000.0, operate(load, source))
    assert end == Operating(end.current_A, 2.0, limited=False)
    assert end.current_A == pytest.approx(5e-3 * math.exp(-1.0), rel=2e-3)
    assert charge_C == pytest.approx(5.0 + 5.0 * (1.0 - math.exp(-1.0)), rel=2e-3)


def test_a_current_source_stops_at_its_voltage_limit_on_both_sides() -> None:
    for sign in (-1.0, 1.0):
        point = operate(resistor(1e4), CurrentSource(sign * 1e-3, 5.0))
        assert point.voltage_V == pytest.approx(sign * 5.0, abs=1e-6)
        assert point.current_A == pytest.approx(sign * 5e-4, rel=1e-6)
        assert point.limited


@pytest.mark.parametrize("after", [":SOUR:VOLT 3.7", ":SOUR:VOLT:RANG 20", "*CLS", ":ABOR"])
def test_a_pending_level_is_taken_at_the_next_trigger_and_not_before(bench: Bench, after: str) -> None:
    bench.voltage_source("3.7", "1e-3")
    bench.send(":SOUR:VOLT:TRIG 3.6", after)  # 18-78, 18-79
    assert bench.ask(":SOUR:VOLT?;:SOUR:VOLT:LEV:TRIG:AMPL?") == "3.700000E+00;3.600000E+00"
    assert bench.truth("current_A") == pytest.approx(0.0, abs=1e-6)
    bench.read()
    assert bench.truth("current_A") == pytest.approx(-1e-3, rel=0.01)
    assert bench.ask(":SOUR:VOLT?;:SOUR:VOLT:TRIG?") == "3.600000E+00;3.600000E+00"


def test_a_pending_level_waits_for_its_own_source_and_ends_with_a_reset(bench: Bench) -> None:
    bench.send(":SOUR:CURR:TRIG 1e-3")
    bench.voltage_source("3.7", "1e-3")
    assert bench.ask(":SOUR:CURR:TRIG?") == "0.000000E+00"
    bench.send(":SOUR:CURR:TRIG 1e-3")
    bench.read()
    assert bench.ask(":SOUR:CURR?;:SOUR:CURR:TRIG?") == "0.000000E+00;1.000000E-03"


def test_a_range_that_does_not_hold_the_pending_level_is_refused(bench: Bench) -> None:
    bench.set_up()
    bench.send(":SOUR:VOLT:TRIG 3.6", ":SOUR:VOLT:RANG 2")
    assert bench.error().startswith("-221")


@pytest.mark.parametrize(("told", "held"), [("5", 20.0), ("20", 20.0), ("110", 100.0), ("-39", 20.0), ("161", 210.0)])
def test_a_value_between_two_over_voltage_levels_takes_the_lower_one(bench: Bench, told: str, held: float) -> None:
    bench.send(f":SOUR:VOLT:PROT {told}")  # 18-81
    assert float(bench.ask(":SOUR:VOLT:PROT?")) == held
