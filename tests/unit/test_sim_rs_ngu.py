"""The simulated R&S NGU and NGM against what their manuals, the vendor's package and users' programs show."""

from __future__ import annotations

import re

import pytest

from sim_hardware.keithley2400_abuse import CHARGE_WHILE_OFF, DUMPED, TWO_WIRES
from sim_hardware.keithley2450_abuse import SWITCHED_LIVE
from sim_hardware.loads import Battery, Load
from sim_hardware.rs_ngu import RsNgu
from sim_hardware.rs_ngu_abuse import BOTH_WAYS, FUSED, SHAPED, UNBOUNDED, UNPROTECTED
from sim_hardware.rs_ngu_models import FAMILY

pytestmark = pytest.mark.not_our_driver

NOTHING = '0,"No error"'
SAFE = ":VOLT:SENS EXT;:VOLT:PROT 1;:OUTP:MODE SOUR"


class Bench:
    """An NGU or NGM with a time of its own."""

    def __init__(self, model: str = "ngu401", load: Load | None = None, seed: int = 1) -> None:
        self.now_s = 0.0
        battery = load or Battery(3.7, 100.0)
        self.smu = RsNgu(battery, lambda: self.now_s, second=Battery(3.3, 100.0), seed=seed, model=model)

    def send(self, *messages: str) -> None:
        for message in messages:
            assert self.smu.receive(message.encode() + b"\n") == b"", message

    def ask(self, message: str) -> str:
        reply = self.smu.receive(message.encode() + b"\n")
        assert reply.endswith(b"\n"), f"{message} was not answered"
        return reply.decode().removesuffix("\n")

    def error(self) -> str:
        return self.ask("SYST:ERR?")

    def code(self) -> int:
        return int(self.error().split(",", 1)[0])

    def read(self) -> tuple[float, float]:
        voltage_V, current_A = self.ask("READ?").split(",")
        return float(voltage_V), float(current_A)

    def truth(self, key: str) -> float:
        value = self.smu.truth()[key]
        assert isinstance(value, float)
        return value

    def abuse(self) -> object:
        return self.smu.truth()["abuse"]

    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    def charging(self, level: str = "4.2", limit: str = "2e-3") -> None:
        self.send(SAFE, f"VOLT {level};:CURR {limit}", "OUTP 1")
        assert self.error() == NOTHING

    def discharging(self, level: str = "2.5", limit: str = "-2e-3") -> None:
        self.send(SAFE, "OUTP:MODE SINK", f"VOLT {level};:CURR:NEG {limit}", "OUTP 1")
        assert self.error() == NOTHING


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("model", FAMILY)
def test_identity_is_spelled_as_a_real_ngm202_does(model: str) -> None:
    bench = Bench(model)  # Rohde&Schwarz,NGM202,3638.4472k03/101403,03.068
    assert re.fullmatch(
        rf"Rohde&Schwarz,{model.upper()},\d{{4}}\.\d{{4}}k\d\d/\d{{6}},\d\d\.\d{{3}}", bench.ask("*IDN?")
    )


def test_numbers_are_spelled_as_a_real_ngm202_does() -> None:
    bench = Bench("ngm202")
    bench.send("VOLT 5;:CURR 2")
    assert bench.ask("VOLT?") == "5.0000000E+00"
    assert bench.ask("CURR?") == "2.0000000E+00"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("VOLTA 1", -113),
        ("OUTP:MODE BOTH", -141),
        ("VOLT", -109),
        ("VOLT 1,2", -108),
        ("VOLT 3.7 V", -104),
        ("VOLT 25", -222),
        ("CURR 0", -222),
        ("CURR:NEG 1e-3", -222),
        ("INST:OUT1", -113),  # an NGU rejects it: SweepMe! pull request 103
        ("INST:NSEL 1", -113),  # nobody says that a one-output instrument has it
        ("SENS:CURR:RANG 50", -222),
        ("VOLT? (@2)", -108),
        ("READ?(@1)", -113),  # no blank before the list: NGM manual -09 p. 183 (there as -103)
        ("SENSE:VOLTAGE:RANGE:UP 5", -113),
    ],
)
def test_what_is_refused_changes_nothing_and_says_so(bench: Bench, message: str, code: int) -> None:
    bench.smu.receive(message.encode() + b"\n")
    assert bench.code() == code
    assert bench.ask("OUTP?;:VOLT?") == "0;0.0000000E+00"


@pytest.mark.parametrize(
    "message",
    [  # what users send an NGU401: PyMeasure's NGU driver, scripts with READ?
        "*RST",
        "SOUR:PRI VOLT",
        "SOUR:VOLT:RANG 6;:SOUR:CURR:RANG 0.1",
        "SOUR:VOLT 4.2;:SOUR:VOLT -1",
        "SOUR:CURR 25E-6;:SOUR:CURR:NEG -25E-6",
        "SENS:CURR:RANG:AUTO 0;:SENS:CURR:RANG 1e-3",
        "OUTP:SEL 1;:OUTP:GEN 1",
        "OUTP:MODE SOURCE;:OUTP:FTR 0;:OUTP:DEL 0;:OUTP:TRIG 0",
        "SYST:REM;:SYST:LOC",
        "SOUR:CURR:NEG MIN",
    ],
)
def test_what_users_send_is_understood(bench: Bench, message: str) -> None:
    bench.send(message)
    assert bench.error() == NOTHING


@pytest.mark.parametrize(("model", "negative"), [("ngu401", True), ("ngu201", False), ("ngm202", False)])
def test_only_an_ngu401_takes_negative_voltages(model: str, *, negative: bool) -> None:
    bench = Bench(model)
    bench.send("VOLT -1")
    assert (bench.error() == NOTHING) is negative


@pytest.mark.parametrize("header", ["CURR:NEG?", "SOUR:PRI?", "CURR:RANG?"])
def test_an_ngm_has_neither_priorities_nor_a_limit_for_sinking(header: str) -> None:
    bench = Bench("ngm202")
    assert bench.smu.receive(header.encode() + b"\n") == b""
    assert bench.code() == -113


def test_a_voltage_source_at_its_limit_is_in_constant_current(bench: Bench) -> None:
    bench.charging()
    voltage_V, current_A = bench.read()
    assert current_A == pytest.approx(2e-3, rel=5e-3)  # NGU manual p. 42
    assert voltage_V == pytest.approx(3.9, abs=2e-3)
    assert bench.ask("STAT:QUES:INST:ISUM1:COND?") == "1"  # NGM manual -06 p. 166
    bench.send("VOLT 3.75")
    assert bench.ask("STAT:QUES:INST:ISUM1:COND?") == "2"
    assert bench.abuse() == ()


def test_a_sunk_current_has_its_own_limit_and_sign(bench: Bench) -> None:
    bench.discharging()
    _, current_A = bench.read()
    assert current_A == pytest.approx(-2e-3, rel=5e-3)
    assert bench.abuse() == ()


def test_in_source_mode_a_cell_above_the_level_gives_nothing(bench: Bench) -> None:
    bench.charging(level="2.5")
    voltage_V, current_A = bench.read()
    assert voltage_V == pytest.approx(3.7, abs=1e-3)
    assert abs(current_A) < 1e-6
    bench.wait(3600.0)
    assert bench.truth("charge_C") == 0.0


def test_in_automatic_mode_a_cell_above_the_level_is_dumped_at_the_negative_limit(bench: Bench) -> None:
    bench.send(SAFE, "OUTP:MODE AUTO", "OUTP 1")  # VOLT 0 after a reset
    assert bench.truth("current_A") == pytest.approx(-0.037, rel=0.01)
    assert bench.abuse() == (BOTH_WAYS,)


def test_what_an_ngm_sinks_is_limited_by_nothing_that_is_known() -> None:
    bench = Bench("ngm202", Battery(3.7, 1.0))
    bench.send(SAFE, "OUTP:MODE SINK", "VOLT 2.5;:CURR 0.01", "OUTP 1")
    assert bench.truth("current_A") == pytest.approx(-1.2, rel=0.01)
    assert bench.abuse() == (UNBOUNDED,)


def test_a_cell_above_the_voltage_limit_of_current_priority_is_dumped(bench: Bench) -> None:
    bench.send(SAFE, "SOUR:PRI CURR;:VOLT 2.5;:CURR 0", "OUTP 1")
    assert bench.truth("current_A") < -1e-3
    assert DUMPED in bench.smu.frame.outputs[0].abuse.acts


@pytest.mark.parametrize(
    ("setting", "act"),
    [
        ("VOLT:RAMP 1", SHAPED),
        ("OUTP:FTR 1", SHAPED),
        ("OUTP:IMP:STAT 1", SHAPED),
        ("OUTP:DEL 1", SHAPED),
        ("FUSE 1", FUSED),
        ("VOLT:PROT 0", UNPROTECTED),
        ("OUTP:MODE AUTO", BOTH_WAYS),
    ],
)
def test_each_setting_that_is_unfit_for_a_cell_is_an_act_of_abuse(bench: Bench, setting: str, act: str) -> None:
    bench.send(SAFE, "VOLT 3.71;:CURR 1e-3", setting, "OUTP 1")
    assert bench.abuse() == (act,)


def test_two_wires_are_an_act_of_abuse_and_found_leads_are_not(bench: Bench) -> None:
    bench.charging()
    bench.send("OUTP 0", "VOLT:SENS AUTO", "OUTP 1")
    assert bench.abuse() == ()
    bench.smu.set_fault("sense", "open")
    bench.send("OUTP 1")
    assert bench.abuse() == (TWO_WIRES,)


def test_another_mode_or_range_with_the_output_on_is_an_act_of_abuse(bench: Bench) -> None:
    bench.charging()
    bench.send("SENS:CURR:RANG 0.1")
    assert bench.abuse() == (SWITCHED_LIVE,)


def test_a_current_beyond_the_measure_range_reads_as_the_ranges_end(bench: Bench) -> None:
    bench.charging()
    bench.send("SENS:CURR:RANG 1e-3")
    assert bench.read()[1] == pytest.approx(1.05e-3)


def test_with_the_output_off_a_reading_is_answered_and_means_nothing(bench: Bench) -> None:
    voltage_V, current_A = bench.read()
    assert abs(voltage_V) < 0.5
    assert current_A == 0.0


def test_off_lets_go_of_the_cell(bench: Bench) -> None:
    bench.charging()
    bench.wait(10.0)
    bench.send("OUTP 0")
    charge_C = bench.truth("charge_C")
    bench.wait(3600.0)
    assert bench.truth("charge_C") == charge_C > 0.0
    assert bench.smu.truth()["relay_closed"] is False
    assert bench.abuse() == ()


def test_charge_while_off_is_seen(bench: Bench) -> None:
    bench.charging()
    bench.send("OUTP 0")
    output = bench.smu.frame.outputs[0]
    output.abuse.look_back(1e-3, is_on=False)
    assert bench.abuse() == (CHARGE_WHILE_OFF,)


def test_over_voltage_trips_stays_off_and_wants_to_be_cleared(bench: Bench) -> None:
    bench.charging()
    bench.send("VOLT:PROT:LEV 3.8")
    assert bench.ask("OUTP?;:VOLT:PROT:TRIP?;:STAT:QUES:INST:ISUM1:COND?") == "0;1;512"
    bench.send("VOLT:PROT:LEV 5", "OUTP 1")
    assert bench.ask("OUTP?") == "0"
    bench.send("VOLT:PROT:CLE", "OUTP 1")
    assert bench.ask("OUTP?") == "1"


def test_an_open_sense_lead_drives_the_output_to_its_limit_until_the_protection_trips(bench: Bench) -> None:
    bench.charging(limit="1e-2")
    bench.send("VOLT:PROT:LEV 4.2", "VOLT 4")
    assert bench.ask("OUTP?") == "1"
    bench.smu.set_fault("sense", "open")
    assert bench.ask("OUTP?;:VOLT:PROT:TRIP?") == "0;1"


def test_a_master_switch_and_selected_outputs_make_one_on() -> None:
    bench = Bench("ngm202")
    bench.send("INST:NSEL 2", SAFE, "VOLT 3.5;:CURR 1e-3", "OUTP:SEL 1")
    assert bench.ask("OUTP?;:OUTP:GEN?") == "0;0"
    bench.send("OUTP:GEN 1")
    assert bench.ask("OUTP? (@1);:OUTP? (@2)") == "0;1"
    bench.send("INST:NSEL 1", SAFE, "OUTP:SEL 1")  # with the master on it goes on at once
    assert bench.ask("OUTP?") == "1"
    bench.send("OUTP 0")
    assert bench.ask("OUTP? (@1);:OUTP? (@2)") == "0;1"
    bench.send("OUTP:GEN 0")
    assert bench.ask("OUTP? (@1);:OUTP? (@2)") == "0;0"


def test_commands_go_to_the_output_that_was_selected_last_even_after_an_error() -> None:
    bench = Bench("ngm202")
    bench.send("INST:NSEL 2;:VOLT 3", "INST:NSEL 7;:VOLT 4")  # the second selection is refused, the voltage is not
    assert bench.code() == -222
    assert bench.ask("INST:NSEL?;:VOLT?") == "2;4.0000000E+00"
    assert bench.ask("VOLT? (@1)") == "0.0000000E+00"


def test_the_summary_registers_name_their_own_output() -> None:
    bench = Bench("ngm202")
    bench.send("INST:NSEL 2", SAFE, "VOLT 4;:CURR 1e-3", "OUTP 1", "INST:NSEL 1")
    assert bench.ask("STAT:QUES:INST:ISUM1:COND?;:STATUS:QUES:INST:ISUMMARY2:CONDITION?") == "0;1"


def test_an_ngm_takes_steps_of_a_tenth_of_a_milliampere() -> None:
    bench = Bench("ngm202")
    bench.send("CURR 0.01234")
    assert bench.ask("CURR?") == "1.2300000E-02"


def test_a_range_that_does_not_hold_what_is_set_is_refused(bench: Bench) -> None:
    bench.send("VOLT 10", "VOLT:RANG 6")
    assert bench.code() == -221
    bench.send("CURR:RANG 0.01")  # the limits are 0.1 A after a reset
    assert bench.code() == -221


def test_a_power_cycle_forgets_everything_but_the_cell_and_blames_nobody(bench: Bench) -> None:
    bench.charging()
    bench.wait(100.0)
    charge_C = bench.truth("charge_C")
    bench.smu.power_cycle()
    assert bench.ask("OUTP?;:OUTP:MODE?;:VOLT:SENS?") == "0;AUTO;AUTO"
    assert int(bench.ask("*ESR?")) & 128
    assert bench.truth("charge_C") == charge_C
    assert bench.abuse() == ()


def test_a_reset_switches_off_and_forgets(bench: Bench) -> None:
    bench.charging()
    bench.send("*RST")
    assert bench.ask("OUTP?;:VOLT?;:VOLT:PROT?") == "0;0.0000000E+00;0"


def test_the_error_queue_is_ten_deep_and_then_says_so(bench: Bench) -> None:
    for _ in range(20):
        bench.send("NONSENSE")
    codes = [bench.code() for _ in range(11)]
    assert (codes[0], codes[9], codes[10]) == (-113, -350, 0)


def test_bytes_may_come_in_any_pieces_and_half_a_message_dies_with_its_connection(bench: Bench) -> None:
    whole = bench.smu.receive(b"*OPC?\r\nOUTP?\n")
    assert whole == b"1\n0\n"
    assert b"".join(bench.smu.receive(bytes([byte])) for byte in b"*OPC?\r\nOUTP?\n") == whole
    bench.smu.receive(b"OUTP ")
    bench.smu.line_lost()
    bench.smu.receive(b"1\n")
    assert bench.ask("OUTP?") == "0"
    bench.smu.receive(b"A" * 70_000)
    assert bench.code() == -113
    assert bench.code() == -363


def test_faults_of_cell_and_meter_are_felt(bench: Bench) -> None:
    bench.charging()
    bench.smu.set_fault("contact_ohm", 100.0)
    assert bench.read()[0] == pytest.approx(4.1, abs=2e-3)
    bench.smu.set_fault("stuck", value=True)
    assert bench.read() == bench.read()
    bench.smu.set_fault("welded", value=True)
    assert bench.ask("OUTP 0;:OUTP?") == "1"
    with pytest.raises(ValueError, match="no fault"):
        bench.smu.set_fault("lead", "perhaps")


def test_one_seed_gives_the_same_noise() -> None:
    def readings(seed: int) -> list[tuple[float, float]]:
        bench = Bench(seed=seed)
        bench.charging()
        return [bench.read() for _ in range(10)]

    assert readings(7) == readings(7)
    assert readings(7) != readings(8)


def test_looking_at_the_truth_changes_nothing() -> None:
    def charge_C(looks: int) -> float:
        bench = Bench(load=Battery(3.7, 100.0, slope_V_per_C=0.01))
        bench.charging(level="4", limit="2e-4")
        for _ in range(30 * looks):
            bench.wait(60.0 / looks)
            assert bench.truth("charge_C") > 0.0
        return bench.truth("charge_C")

    assert charge_C(1) == pytest.approx(charge_C(4), rel=1e-9)
