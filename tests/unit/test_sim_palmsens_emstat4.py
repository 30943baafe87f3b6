"""The simulated EmStat4 answers as PalmSens' documents say, and is as strict as its MethodSCRIPT."""

from __future__ import annotations

import pytest

from sim_hardware.loads import Battery
from sim_hardware.palmsens_emstat4 import EmStat4
from sim_hardware.palmsens_emstat4_values import Value, encoded, literal, package

pytestmark = pytest.mark.not_our_driver

CP = b"""e
var e
var c
var m
set_pgstat_chan 0
set_pgstat_mode 6
set_max_bandwidth 10
set_range ba 1m
set_range db 1m
set_autoranging db 1m 1m
set_i 0
cell_on
meas_loop_cp e c 200u 100m 1 add_meas(0 ba m)
  pck_start
  pck_add e
  pck_add c
  pck_add m
  pck_end
endloop
on_finished:
cell_off

"""
CA = b"""e
var e
var c
set_pgstat_mode 3
set_range ba 10m
set_e 3800m
cell_on
meas_loop_ca e c 3800m 100m 300m
  pck_start
  pck_add e
  pck_add c
  pck_end
endloop
cell_off

"""


class Bench:
    def __init__(self, voltage_V: float = 3.7, **how: float) -> None:
        self.now_s = 0.0
        self.sim = EmStat4(Battery(voltage_V, 50.0), lambda: self.now_s, **how)  # type: ignore[arg-type]

    def say(self, text: bytes) -> bytes:
        return self.sim.receive(text)

    def after(self, seconds: float, text: bytes = b"") -> bytes:
        self.now_s += seconds
        return self.sim.receive(text)

    @property
    def is_on(self) -> object:
        return self.sim.truth()["output_on"]

    @property
    def abuse(self) -> object:
        return self.sim.truth()["abuse"]


@pytest.mark.parametrize(
    ("asked", "answered"),
    [  # comm_protocol.md of palmsens-sdk 39c885d
        (b"t\n", b"tes4_hr1500#Mar 12 2026 14:28:01\nR*\n"),
        (b"i\n", b"iES4HR20B0008\n"),
        (b"v\n", b"v01.09.00\n"),
        (b"\n", b"\n"),
        (b"CC\n", b"C000000000000000000000000000000000000002F0000003FFFFF98FF00000002\n"),
        (b"Z\n", b"Z!0006\n"),
        (b"Y\n", b"Y!0006\n"),
        (b"fail\n", b"f!0003\n"),
        (b'e\nsend_string "Hello world!"\n\n', b"e\nTHello world!\n\n"),
        (b"e\ninvalid_command\n\n", b"e!4001: Line 1, Col 16\n"),
    ],
)
def test_the_published_questions_have_the_published_answers(asked: bytes, answered: bytes) -> None:
    assert Bench().say(asked) == answered


def test_numbers_are_written_as_the_manual_says() -> None:
    assert encoded(Value(0.01)) == "8989680n"  # the finest prefix that holds it; the manual's 800000Am is 10 m as well
    assert encoded(Value(-0.01)) == "7676980n"
    assert encoded(Value(5, is_int=True)) == "8000005i"
    assert encoded(Value(0.0)) == "8000000 "
    assert encoded(Value(float("nan"))) == "     nan"
    assert package([Value(2.0, type="eb"), Value(1, is_int=True, type="ja")]) == "Peb81E8480u;ja8000001i"


@pytest.mark.parametrize(
    ("text", "number", "is_int"), [("200u", 2e-4, False), ("-500m", -0.5, False), ("3i", 3, True), ("2", 2.0, False)]
)
def test_literals_are_whole_numbers_with_a_prefix(text: str, number: float, is_int: bool) -> None:
    found = literal(text)
    assert found is not None
    assert found.number == pytest.approx(number)
    assert found.is_int is is_int


@pytest.mark.parametrize("text", ["0.5", "1e-3", "u", "", "5x", "--1", "1_0", "99999999999"])
def test_what_is_no_literal_is_refused(text: str) -> None:
    assert literal(text) is None


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("beeep 1", "4001: Line 1, Col 6"),
        ("set_e 0.5", "4039: Line 1, Col 10"),
        ("store_var a 1 ja", "420B: Line 1"),
        ("var a\nvar a", "4026: Line 2"),
        ("var A", "402B: Line 1"),
        ("var a\nstore_var a 1", "4004: Line 2"),
        ("cell_on 1", "420A: Line 1"),
        ("var a\nstore_var a 1 zz", "4209: Line 2"),
        ("endloop", "400E: Line 1"),
        ("var a\nif a > 1\ncell_off", "4018: Line 3"),
        ("breakloop", "400C: Line 1"),
        ("var a\nmeas_loop_ocp a 1 1\nmeas_loop_ocp a 1 1\nendloop\nendloop", "400B: Line 3"),
        ("var a\nvar b\nmeas_loop_cp a b 1u 1 1 nscans(2)\nendloop", "4008: Line 3"),
        ("var a\nif a > b\nendif", "420B: Line 2"),
        ("var a\nif a = 1\nendif", "4004: Line 2"),
        ("wait " + "1" * 130, "0008: Line 1"),
        ("send_string hello", "4004: Line 1"),
    ],
)
def test_a_script_that_does_not_parse_does_nothing(script: str, code: str) -> None:
    bench = Bench()
    said = bench.say(
        f"e\nset_pgstat_mode 3\ncell_on\n{script}\n\n".replace("set_pgstat_mode 3\ncell_on\n", "").encode()
    )
    assert said.startswith(f"e!{code}".encode())
    assert not bench.sim.is_running


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("set_pgstat_mode 9", "0021: Line 1"),
        ("set_i 1u", "0023: Line 1"),
        ("cell_on", "0023: Line 1"),
        ("set_pgstat_mode 3\nset_e 7", "000F: Line 2"),
        ("set_range ba 1", "4206: Line 1"),
        ("set_pgstat_mode 6\nset_range db 1u\nset_i 1m", "4205: Line 3"),
        ("var a\nvar b\nset_pgstat_mode 6\nmeas_loop_cp a b 1u 1 1\nendloop", "4027: Line 4"),
        ("var a\nset_pgstat_mode 6\ncell_on\nmeas_loop_ocp a 1 1\nendloop", "0014: Line 4"),
        ("var a\nmeas_loop_ocp a 1 100m\nendloop", "4029: Line 2"),
        ("pck_add_nothing", None),
        ("var a\npck_add a", "401B: Line 2"),
        ("var a\nstore_var a 1i ja\nadd_var a 1", "4207: Line 3"),
        ("var a\nstore_var a 1i ja\nif a > 1\nendif", "4041: Line 3"),
        ("var a\ndiv_var a 0", "0028: Line 2"),
        ("var a\nloop a == 0\nendloop", None),
    ],
)
def test_a_script_that_fails_says_where(script: str, code: str | None) -> None:
    said = Bench().say(f"e\n{script}\n\n".encode())
    assert (b"!7FFF" in said or b"!4001" in said) if code is None else said == f"e\n!{code}\n".encode()


def test_a_current_is_driven_and_told_set_and_measured() -> None:
    bench = Bench()
    begun = bench.say(CP)
    assert begun.startswith(b"e\nM000A\nPab")
    assert begun.count(b";db") == begun.count(b";ba") == 1
    assert bench.is_on
    assert bench.sim.truth()["current_A"] == pytest.approx(2e-4, rel=2e-3)
    assert bench.after(0.35).count(b"P") == 3
    assert bench.after(10.0).endswith(b"*\n\n")
    assert not bench.is_on
    assert bench.sim.truth()["charge_C"] == pytest.approx(2e-4 * 0.9, rel=2e-3)  # ten points, the first at once
    assert bench.abuse == ()


def test_a_voltage_is_held_and_told_as_set() -> None:
    bench = Bench()
    said = bench.say(CA)
    assert b"M0007\nPda" in said
    assert bench.sim.truth()["current_A"] == pytest.approx(2e-3, rel=0.02)
    assert bench.abuse == ()


def test_y_ends_the_loop_and_z_the_script_and_on_finished_is_done() -> None:
    bench = Bench()
    bench.say(CP.replace(b"on_finished", b'send_string "on"\nwait 5\non_finished'))
    assert bench.after(0.05, b"Y\n") == b"Y\n*\nTon\n"
    assert bench.is_on
    assert bench.after(1.0, b"Y\n") == b"Y!0006\n"  # no loop to end
    assert bench.after(1.0, b"i\n") == b"i!0006\n"  # not while a script runs
    assert bench.after(1.0, b"Z\n") == b"Z\n\n"
    assert not bench.is_on


def test_what_fails_leaves_the_cell_on_and_that_is_abuse() -> None:
    bench = Bench()
    bench.say(CP)
    bench.sim.set_fault("script", value=True)
    assert b"!7FFF: Line" in bench.after(0.2)
    assert bench.is_on
    assert bench.abuse == ("a cell left on with no script running",)


def test_a_script_without_on_finished_leaves_the_cell_on_when_aborted() -> None:
    bench = Bench()
    bench.say(CA)
    bench.say(b"Z\n")
    assert bench.is_on
    assert bench.abuse == ("a cell left on with no script running",)


@pytest.mark.parametrize(
    ("was", "becomes", "act"),
    [
        (b"set_i 0\ncell_on", b"set_i 100u\ncell_on", "switched on with a current set"),
        (b"cell_on\n", b"cell_on\nset_range db 10m\n", "another mode or range with the cell on"),
        (b"cell_on\n", b"cell_on\nset_pgstat_mode 3\nset_pgstat_mode 6\ncell_on\n", "another mode or range"),
    ],
)
def test_what_harms_a_cell_is_kept(was: bytes, becomes: bytes, act: str) -> None:
    bench = Bench()
    bench.say(CP.replace(was, becomes))
    assert act in str(bench.abuse)


def test_a_voltage_far_from_the_cells_is_abuse() -> None:
    bench = Bench(voltage_V=1.0)
    bench.say(CA)
    assert bench.abuse == ("a voltage far from the cell's put on it",)


def test_it_hears_nothing_for_a_while_after_an_error() -> None:
    bench = Bench(deaf_s=0.05)
    assert bench.say(b"Z\n") == b"Z!0006\n"
    assert bench.after(0.04, b"i\n") == b""
    assert bench.after(0.02, b"i\n") == b"iES4HR20B0008\n"


def test_a_loops_first_point_may_take_an_interval() -> None:
    bench = Bench(lead=1.0)
    assert bench.say(CP) == b"e\nM000A\n"
    assert bench.after(0.15).count(b"Pab") == 1


def test_flow_control_bytes_are_no_part_of_a_command_and_pieces_are_put_together() -> None:
    bench = Bench()
    assert bench.say(b"\x11i") == b""
    assert bench.say(b"\x13\n") == b"iES4HR20B0008\n"


def test_power_comes_back_with_the_cell_open_and_nothing_running() -> None:
    bench = Bench()
    bench.say(CP)
    bench.sim.power_cycle()
    assert not bench.is_on
    assert bench.say(b"Z\n") == b"Z!0006\n"


def test_asking_for_the_truth_changes_nothing() -> None:
    asked, unasked = Bench(), Bench()
    for bench in (asked, unasked):
        bench.say(CP)
    for _ in range(50):
        asked.now_s += 0.013
        asked.sim.truth()
    unasked.now_s = asked.now_s
    assert asked.say(b"Z\n") == unasked.say(b"Z\n")
    assert asked.sim.truth() == unasked.sim.truth()


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="no fault 'tea'"):
        Bench().sim.set_fault("tea", value=True)
