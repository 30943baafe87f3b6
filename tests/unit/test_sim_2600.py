"""The simulated 2600 as strict as the manual: its Lua, its errors, its off modes, its one script processor."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from sim_hardware.bench import Place, make_smu
from sim_hardware.keithley2600 import Keithley2600
from sim_hardware.keithley2600_models import FAMILY
from sim_hardware.loads import Battery

pytestmark = pytest.mark.not_our_driver

OFF_APART = "smua.source.offmode = smua.OUTPUT_HIGH_Z smua.source.output = smua.OUTPUT_OFF"
CHARGING = (
    "smua.source.offmode = 2 smua.sense = 1 smua.source.func = 1 smua.source.rangev = 6 smua.source.levelv = 4.2 "
    "smua.source.limiti = 2e-4 smua.measure.rangei = 2e-4 smua.source.output = 1"
)
SMALLEST_A = {"2602B": 10e-9, "2635A": 100e-12}


@dataclass
class Lab:
    """A 3.7 V cell on output a, a 3.6 V cell on b, and a clock that stands still."""

    model: str = "2602B"
    now_s: float = 0.0
    sim: Keithley2600 = field(init=False)

    def __post_init__(self) -> None:
        cells = (Battery(3.7, 50.0), Battery(3.6, 50.0))[: len(FAMILY[self.model].outputs)]
        self.sim = Keithley2600(cells, lambda: self.now_s, model=self.model)

    def send(self, *lines: str) -> str:
        return self.sim.receive("".join(f"{line}\n" for line in lines).encode()).decode()

    def value(self, expression: str) -> float:
        return float(self.send(f"print({expression})"))

    def error(self) -> tuple[int, str]:
        code, text, severity, _ = self.send("print(errorqueue.next())").strip().split("\t")
        assert float(severity) == (20.0 if float(code) else 0.0)
        return round(float(code)), text

    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    def charge_C(self) -> float:
        self.sim.truth()
        return float(str(self.sim.smus["a"].truth(self.now_s)["charge_C"]))

    def abuse(self) -> object:
        return self.sim.truth()["abuse"]


@pytest.fixture
def lab() -> Lab:
    return Lab()


# Answers as recorded and printed


def test_answers_are_spelled_as_the_manual_prints_them(lab: Lab) -> None:
    assert lab.send("print(errorqueue.count)") == "0.00000e+00\n"  # p. 7-83
    assert lab.send("print(smua.source.compliance)") == "false\n"  # p. 7-220
    assert (
        lab.send("errorcode, message = errorqueue.next() print(errorcode, message)") == "0.00000e+00\tQueue Is Empty\n"
    )
    assert lab.send("*IDN?") == "Keithley Instruments Inc., Model 2602B, 1219110, 3.3.5\n"
    assert lab.send("format.asciiprecision = 10 print(0.1, 'a', true, nil)") == "1.000000000e-01\ta\ttrue\tnil\n"


def test_iv_gives_the_current_first_and_only_the_last_of_a_list_expands(lab: Lab) -> None:
    lab.send(CHARGING)
    current_A, voltage_V = map(float, lab.send("print(smua.measure.iv())").split())
    assert current_A == pytest.approx(2e-4, rel=0.01)
    assert voltage_V == pytest.approx(3.71, abs=0.01)
    assert len(lab.send("print(smua.measure.iv(), smua.measure.iv(), 1)").split()) == 3
    assert len(lab.send("print(1, smua.measure.iv())").split()) == 3


@pytest.mark.parametrize(
    ("chunk", "printed"),
    [
        ("print(1 + 2 * 3 - 4 / 2)", "5.00000e+00\n"),
        ("print(-(1 + 2), not nil, 1 == 1, 1 ~= 1, 2 >= 3)", "-3.00000e+00\ttrue\ttrue\tfalse\tfalse\n"),
        ("print(nil or 7, false and 7, 1 and 2)", "7.00000e+00\tfalse\t2.00000e+00\n"),
        ("if smub then print(1) else print(0) end", "1.00000e+00\n"),
        ("if 1 > 2 then print(1) elseif 2 > 1 then print(2) else print(3) end", "2.00000e+00\n"),
        ("a, b = 1 print(a, b)", "1.00000e+00\tnil\n"),
        ("function f(a, b) x = a print(b) end f(1, 2) print(x, a)", "2.00000e+00\n1.00000e+00\tnil\n"),
        ("s = smua.source s.levelv = 2 print(smua.source.levelv) -- a remark", "2.00000e+00\n"),
        ("n = 12 print(n)", "1.20000e+01\n"),
    ],
)
def test_lua_is_carried_out(lab: Lab, chunk: str, printed: str) -> None:
    assert lab.send(chunk) == printed
    assert lab.error() == (0, "Queue Is Empty")


@pytest.mark.parametrize(
    "chunk",
    [
        "print(1",
        "x =",
        "for i = 1, 2 do end",
        "t = {1}",
        "smua:reset()",
        ":OUTP?",
        "1 = 2",
        "print(1) end",
        "n = 1 = 2",
    ],
)
def test_a_chunk_outside_the_grammar_does_nothing_at_all(lab: Lab, chunk: str) -> None:
    assert lab.send(f"smua.source.levelv = 3 {chunk}") == ""
    code, text = lab.error()
    assert (code, text.startswith("TSP Syntax error at line 1")) == (-285, True)
    assert lab.value("smua.source.levelv") == 0.0


def test_a_runtime_error_ends_the_chunk_where_it_is(lab: Lab) -> None:
    assert lab.send("smua.source.levelv = 3 print(channel.x) smua.source.levelv = 4") == ""
    code, text = lab.error()
    assert code == -286
    assert text == "TSP Runtime error at line 1: attempt to index field `x' (a nil value)"
    assert lab.value("smua.source.levelv") == 3.0


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("source.limiti", "0", 1102),
        ("source.limiti", "1e-9", 1102),
        ("source.limitv", "41", 1101),
        ("source.levelv", "41", 1101),
        ("source.rangei", "4", 1101),
        ("measure.nplc", "30", 1101),
        ("source.offmode", "3", 1105),
        ("sense", "2", 1105),
    ],
)
def test_a_refused_value_leaves_the_old_one_and_the_script_goes_on(lab: Lab, name: str, value: str, code: int) -> None:
    before = lab.value(f"smua.{name}")
    assert lab.send(f"smua.{name} = {value} print(1)") == "1.00000e+00\n"
    assert lab.error()[0] == code
    assert lab.value(f"smua.{name}") == before


def test_a_misspelled_attribute_is_taken_silently(lab: Lab) -> None:
    """Pymeasure had such a typo for years (PR 615): only reading back what was meant shows it."""
    lab.send("smua.source.limiv = 3")
    assert lab.error()[0] == 0
    assert lab.value("smua.source.limitv") == 40.0


@pytest.mark.parametrize(("model", "voltage_V", "current_A"), [("2602B", 40.0, 1.0), ("2612A", 20.0, 0.1)])
def test_after_a_reset_the_limits_are_those_of_the_manual(model: str, voltage_V: float, current_A: float) -> None:
    lab = Lab(model)
    lab.send("smua.source.limitv = 3 smua.source.limiti = 1e-6", "reset()")
    assert lab.value("smua.source.limitv") == voltage_V
    assert lab.value("smua.source.limiti") == current_A
    assert lab.value("smua.source.offmode") == 0.0


@pytest.mark.parametrize("model", SMALLEST_A)
def test_the_smallest_limit_is_the_models(model: str) -> None:
    lab = Lab(model)
    lab.send(f"smua.source.limiti = {SMALLEST_A[model]:e}")
    assert lab.error()[0] == 0
    lab.send(f"smua.source.limiti = {0.9 * SMALLEST_A[model]:e}")
    assert lab.error()[0] == 1102


def test_a_2601_knows_no_second_smu() -> None:
    lab = Lab("2601B")
    assert lab.send("print(smub)") == "nil\n"
    lab.send("smub.source.output = 0")
    assert lab.error()[0] == -286


def test_what_is_sourced_is_measured_on_the_sources_range_and_the_other_range_is_kept(lab: Lab) -> None:
    """The example of p. 9-230."""
    lab.send("smua.source.func = 1 smua.source.rangev = 1 smua.measure.rangev = 6")
    assert lab.value("smua.measure.rangev") == 1.0
    lab.send("smua.source.func = 0")
    assert lab.value("smua.measure.rangev") == 6.0


def test_beyond_a_fixed_measure_range_is_an_overflow_and_no_clamp(lab: Lab) -> None:
    lab.send("smua.source.func = 0 smua.source.leveli = 0 smua.source.limitv = 20 smua.measure.rangev = 1")
    lab.send("smua.sense = 1 smua.source.offmode = 2 smua.source.output = 1")
    assert lab.send("print(smua.measure.v())") == "9.91000e+37\n"
    assert lab.send("print(smua.source.compliance)") == "false\n"


def test_a_level_out_of_a_fixed_range_is_told_on_switching_on(lab: Lab) -> None:
    lab.send("smua.source.rangev = 1 smua.source.levelv = 5")
    assert lab.error()[0] == 0
    lab.send("smua.source.output = 1")
    assert lab.error()[0] == 1101
    assert lab.value("smua.source.output") == 0.0


# One script processor


def test_while_a_script_waits_what_comes_queues_behind_it(lab: Lab) -> None:
    assert lab.send("print(1) delay(5) print(2)") == "1.00000e+00\n"
    lab.wait(4.9)
    assert lab.send("print(3)") == ""
    lab.wait(0.1)
    assert lab.send("") == "2.00000e+00\n3.00000e+00\n"


def test_abort_ends_the_wait_and_what_would_have_followed(lab: Lab) -> None:
    lab.send(f"{CHARGING} delay(5) smua.source.output = 0", "smua.source.output = 0")
    assert lab.send("abort", "print(smua.source.output)") == "1.00000e+00\n"
    lab.wait(60.0)
    assert lab.value("smua.source.output") == 1.0


def test_a_script_acts_at_its_own_time_however_late_one_looks(lab: Lab) -> None:
    lab.send(f"{CHARGING} delay(10) smua.source.output = smua.OUTPUT_HIGH_Z")
    lab.wait(1000.0)
    assert lab.charge_C() == pytest.approx(2e-4 * 10.0, rel=0.01)
    assert lab.sim.smus["a"].truth(lab.now_s)["relay_closed"] is False


@pytest.mark.parametrize("closing_aborts", [True, False])
def test_a_script_survives_the_line_where_closing_it_aborts_nothing_and_never_the_power(
    lab: Lab, closing_aborts: bool
) -> None:
    lab.sim.closing_aborts = closing_aborts
    lab.send(f"{CHARGING} delay(10) smua.source.output = 0")
    lab.sim.line_lost()
    lab.wait(11.0)
    assert lab.sim.truth()["output_on"] is closing_aborts
    lab.send("smua.source.output = 1 delay(10) smua.source.output = 0")
    lab.sim.power_cycle()
    assert (lab.sim.truth()["output_on"], lab.sim.truth()["off_mode"]) == (False, "NORM")
    assert lab.send("print(1)") == "1.00000e+00\n"


def test_a_script_that_was_loaded_runs_by_its_name(lab: Lab) -> None:
    """As cyckei loads its own."""
    lab.send(
        "loadscript safety", "function off(t)", "delay(t)", "smua.source.output = 0", "end", "endscript", "safety()"
    )
    lab.send(CHARGING, "off(120)")
    lab.wait(119.0)
    assert lab.sim.truth()["output_on"] is True
    lab.wait(1.0)
    assert lab.sim.truth()["output_on"] is False
    assert lab.error()[0] == 0


def test_asking_for_the_truth_changes_nothing(lab: Lab) -> None:
    lab.send(CHARGING)
    lab.wait(100.0)
    first = lab.sim.truth()
    assert lab.sim.truth() == first
    assert lab.sim.smus["a"].at_s == 0.0


def test_prompts_come_only_where_they_were_asked_for(lab: Lab) -> None:
    assert lab.send("localnode.prompts = 1", "print(1)", "nonsense()") == "TSP>\n1.00000e+00\nTSP>\nTSP?\n"


def test_messages_may_come_in_any_pieces(lab: Lab) -> None:
    whole = b"smua.source.levelv = 3\nprint(smua.source.levelv)\n"
    assert b"".join(lab.sim.receive(bytes([byte])) for byte in whole) == b"3.00000e+00\n"


def test_the_error_queue_fills_and_says_so(lab: Lab) -> None:
    lab.send(*["nonsense("] * 300)
    assert lab.value("errorqueue.count") == 256.0
    for _ in range(255):
        assert lab.error()[0] == -285
    assert lab.error()[0] == -350
    assert lab.error()[0] == 0


# What it does to a cell


@pytest.mark.parametrize(
    ("settings", "current_A"),
    [
        ("smua.source.offmode = 0", -1e-3),  # NORMAL: 0 V, and 1 mA is the default limit (p. 2-42)
        ("smua.source.offmode = 0 smua.source.offlimiti = 1e-4", -1e-4),
        ("smua.source.offmode = 0 smua.source.offfunc = 0", 0.0),
        ("smua.source.offmode = 1 smua.source.limiti = 5e-3", -5e-3),  # ZERO: the limit of the source
        ("smua.source.offmode = 2", 0.0),
        ("smua.source.offmode = 0 smua.source.output = 2", 0.0),  # p. 9-249
    ],
)
def test_off_lets_go_of_the_cell_only_at_high_impedance(lab: Lab, settings: str, current_A: float) -> None:
    lab.send(settings)
    assert lab.sim.truth()["current_A"] == pytest.approx(current_A, rel=1e-6)
    assert lab.sim.truth()["output_on"] is False


def test_a_cell_above_the_voltage_limit_is_dumped(lab: Lab) -> None:
    lab.send("smua.source.func = 0 smua.source.limitv = 1 smua.source.offmode = 2 smua.sense = 1")
    lab.send("smua.source.output = 1")
    assert lab.sim.truth()["current_A"] == pytest.approx(-(3.7 - 1.0) / 50.0, rel=0.05)
    assert lab.abuse() == ("a cell beyond the voltage limit",)


@pytest.mark.parametrize(
    ("level_V", "sink", "current_A"), [(4.2, 0, 2e-4), (4.2, 1, 3e-4), (3.0, 1, -2e-4), (3.0, 0, -3e-4)]
)
def test_the_limit_is_wrong_where_sink_mode_does_not_fit_the_direction(
    lab: Lab, level_V: float, sink: int, current_A: float
) -> None:
    lab.send(CHARGING.replace("4.2", f"{level_V} smua.source.sink = {sink}"))
    assert lab.sim.truth()["current_A"] == pytest.approx(current_A, rel=0.01)
    lab.send(f"smua.source.sink = {1 - sink}", f"smua.source.sink = {sink}")
    assert lab.sim.truth()["current_A"] == pytest.approx(current_A, rel=0.01)


def test_compliance_is_spelled_as_each_generations_manual_says() -> None:
    assert Lab("2602B").send("print(smua.source.compliance)") == "false\n"
    assert Lab("2602A").send("print(smua.source.compliance)") == "0.00000e+00\n"


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ((CHARGING, "smua.sense = 0"), "on in two wires"),
        ((CHARGING, "smua.source.offmode = 0"), "off, but still connected"),
        ((OFF_APART, "smua.source.offmode = 0"), "off, but still connected"),
        ((OFF_APART, "reset()"), "off, but still connected"),
        ((CHARGING, "smua.source.func = 0"), "another function or range with the output on"),
        ((CHARGING, "smua.measure.rangei = 1"), "another function or range with the output on"),
    ],
)
def test_what_a_host_may_not_do_is_listed(lab: Lab, lines: tuple[str, ...], named: str) -> None:
    lab.send(*lines)
    acts = lab.abuse()
    assert isinstance(acts, tuple)
    assert named in acts


def test_a_charge_that_flows_while_off_is_listed(lab: Lab) -> None:
    lab.send(OFF_APART, "smua.source.offmode = 0")
    lab.wait(10.0)
    lab.send("print(1)")
    assert lab.abuse() == ("off, but still connected", "charge while off")


def test_a_power_failure_is_not_the_hosts_doing(lab: Lab) -> None:
    lab.send(OFF_APART)
    lab.sim.power_cycle()
    lab.wait(10.0)
    lab.send("print(1)")
    assert lab.charge_C() == pytest.approx(-1e-2, rel=1e-3)  # 1 mA for 10 s: NORMAL
    assert lab.abuse() == ()


def test_an_ordinary_charge_is_no_abuse_and_the_other_output_knows_nothing_of_it(lab: Lab) -> None:
    lab.send(OFF_APART.replace("smua", "smub"), CHARGING)
    lab.wait(100.0)
    lab.send("smua.source.output = 0")
    assert lab.abuse() == ()
    assert lab.charge_C() == pytest.approx(0.02, rel=0.01)
    assert lab.sim.smus["b"].terminals.cell_charge_C == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("fault", "value"), [("lead", "open"), ("contact_ohm", 100.0), ("noise", 0.0), ("stuck", True), ("b.welded", True)]
)
def test_faults_are_set_by_name(lab: Lab, fault: str, value: str | float) -> None:
    lab.sim.set_fault(fault, value)
    with pytest.raises(ValueError, match="no fault"):
        lab.sim.set_fault(f"{fault}s", value)


def test_a_bench_hangs_one_cell_on_each_output() -> None:
    sim = make_smu(Place("smu1", "keithley-2602b", "c+resistor"), 1, lambda: 0.0)
    assert isinstance(sim, Keithley2600)
    assert sim.smus["a"].truth(0.0)["voltage_V"] != sim.smus["b"].truth(0.0)["voltage_V"]
