"""``predict``: the engine on simulated cells in virtual time, and what it prints and writes."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from cycler_ctl.errors import ConfigError
from cycler_ctl.predict import PredictOptions, interruptible, model_of, predict, show_prediction
from cycler_ctl.terminal.predicted import SIMULATED, Prediction, prediction_json, render, set_to, trains
from cycler_ctl.virtual import LONGEST_S, Moment
from protocols.check import check_text, load_protocol
from protocols.model import Cell, ConstantVoltage, Program, RepeatStep
from protocols.plan import plan
from protocols.record import Outcome
from protocols.shipped import library

HEAD = """\
protocol: 1
name: test
cell: {name: g, nominal_capacity: 4 mAh, discharge_means: lithiate}
record: every 60 s or 20 mV
safety: {voltage: 2.3 V to 4.6 V}
"""


def program_of(steps: str, head: str = HEAD, every_s: float = 10.0) -> Program:
    checked = check_text(f"{head}steps:\n{steps}", "p.yaml")
    assert checked.program is not None, checked.diagnostics
    return sampled(checked.program, every_s)


def sampled(program: Program, every_s: float) -> Program:
    return replace(program, settings=replace(program.settings, sample_every_s=every_s))


def predicted(program: Program, folder: Path, model: str = "nmc") -> Prediction:
    return predict(program, model_of(model, program.cell), folder)


def fig_s3(letter: str, *, cycles: int, every_s: float) -> Program:
    program = load_protocol(library()[f"fig_s3_{letter}"]).program
    assert program is not None
    *before, repeat = program.steps
    assert isinstance(repeat, RepeatStep)
    return sampled(replace(program, steps=(*before, replace(repeat, times=cycles))), every_s)


# First lithiation and delithiation in mAh per gram of MgH2, 0.2 V to 1.2 V: the model's published table.
TABLE = {"a": (1568, 1180), "b": (1309, 889), "c": (1182, 706), "d": (1934, 1694), "e": (2002, 1664)}


@pytest.mark.parametrize("letter", TABLE)
def test_the_five_protocols_of_fig_s3_give_the_models_capacities(
    letter: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    whole = bool(request.config.getoption("--campaign"))
    every_s = 10.0 if whole or letter != "d" else 60.0
    program = fig_s3(letter, cycles=3 if whole else 1, every_s=every_s)
    found = predicted(program, tmp_path, letter)
    first = found.cycles[0]
    assert (first.lithiation_mAh, first.delithiation_mAh) == pytest.approx(TABLE[letter], rel=0.02)
    assert (found.outcome, first.per_gram) == (Outcome.FINISHED, True)
    # The plan's expectation is a full half cycle; its docstring says how far off that may be.
    assert 1 / 3 <= found.rows / plan(program).expected_rows <= 1.5


CYCLES = "  - repeat: {times: 10, steps: [charge: {at: 1C, until: 4.2 V}, rest: 10 min, discharge: {at: 1C, until: 2.8 V}]}\n"


@pytest.fixture(scope="module")
def ten_cycles(tmp_path_factory: pytest.TempPathFactory) -> Prediction:
    return predicted(program_of(CYCLES), tmp_path_factory.mktemp("ten"))


def test_a_full_cell_is_charged_and_discharged(ten_cycles: Prediction) -> None:
    assert (ten_cycles.outcome, len(ten_cycles.cycles), len(ten_cycles.steps)) == (Outcome.FINISHED, 10, 30)
    assert {each.step.end_reason for each in ten_cycles.steps} == {
        "voltage >= 4.2 V",
        "time >= 10 min",
        "voltage <= 2.8 V",
    }
    last = ten_cycles.cycles[-1]
    assert last.efficiency == pytest.approx(1.0, abs=0.01)  # the model loses no charge
    assert 0.8 * 4 < last.delithiation_mAh < 4


def test_a_full_cell_gives_back_at_most_what_its_charge_put_in(ten_cycles: Prediction) -> None:
    assert all(0.98 < (one.efficiency or 0.0) <= 1.0001 for one in ten_cycles.cycles)
    assert ", efficiency 9" in render(ten_cycles, "p")


def test_a_small_charge_per_gram_is_not_shown_as_none(tmp_path: Path) -> None:
    head = HEAD.replace("name: g,", "name: g, active_mass: 20 mg,")
    text = render(predicted(program_of("  - charge: {at: C/2, for: 10 s}\n", head), tmp_path), "p")
    assert "mAh (0.278 mAh/g)" in text


def test_cycles_that_are_alike_are_shown_by_the_first_two_and_the_last(ten_cycles: Prediction) -> None:
    lines = render(ten_cycles, "p.yaml").splitlines()
    assert [line[9:17].strip() for line in lines if line.startswith("1.1 ")] == ["1", "2", "10"]
    assert "         ... 7 more like these, cycles 3 to 9" in lines
    assert any(line.startswith("1.3      10      discharge    -4 mA ") for line in lines)


def test_it_says_on_its_face_that_the_cell_is_simulated(ten_cycles: Prediction) -> None:
    text = render(ten_cycles, "p.yaml")
    assert SIMULATED in text.splitlines()[1]
    assert "cell model nmc: graphite | NMC full cell" in text
    assert "4 mAh from 2.8 to 4.2 V (the protocol)" in text
    assert f"steps: 30, whole cycles: 10, rows: {ten_cycles.rows}; the run file has" in text


def test_the_json_has_every_step_and_no_number_that_is_none(ten_cycles: Prediction) -> None:
    document = json.loads(json.dumps(prediction_json(ten_cycles), allow_nan=False))
    assert (document["simulated"], document["outcome"]) == (SIMULATED, "finished")
    assert (len(document["steps"]), len(document["cycles"])) == (30, 10)
    charge, rest, _ = document["steps"][:3]
    assert (charge["what"], charge["current_mA"], charge["ended_by"]) == ("charge", 4.0, "voltage >= 4.2 V")
    assert charge["charge_mAh"] == pytest.approx(4.0 * charge["duration_s"] / 3600, rel=0.01)
    assert (rest["current_mA"], rest["charge_mAh"]) == (None, 0.0)
    assert document["rows"] == ten_cycles.rows > 30
    assert document["file_bytes"] > 1000


@pytest.mark.parametrize(("times", "lines"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 4), (9, 4)])
def test_no_pass_is_shown_twice_and_none_is_hidden_alone(times: int, lines: int, tmp_path: Path) -> None:
    found = predicted(
        program_of(f"  - repeat: {{times: {times}, steps: [charge: {{at: C/2, for: 5 min}}]}}\n"), tmp_path
    )
    table = render(found, "p").splitlines()[6:]
    assert table.index("") == lines


def test_values_of_one_protocol_that_set_other_currents_are_not_taken_for_alike(tmp_path: Path) -> None:
    steps = "".join(f"  - repeat: {{times: 5, steps: [charge: {{at: {c}, for: 5 min}}]}}\n" for c in ("1C", "2C"))
    text = render(predicted(program_of(steps), tmp_path), "p")
    assert text.count("... 2 more like these") == 2
    assert "+8 mA" in text


CCCV = "charge: {at: 1C, until: 4.2 V, then_hold_until: C/20}"


def test_a_current_and_its_hold_are_two_rows(tmp_path: Path) -> None:
    found = predicted(program_of(f"  - {CCCV}\n"), tmp_path)
    current, hold = found.steps
    assert [each.step.step_id for each in found.steps] == ["1.cc", "1.cv"]
    assert (hold.step.end_reason, hold.setpoint) == ("current <= C/20", ConstantVoltage(4.2, 4e-3))
    assert current.step.charge_Ah + hold.step.charge_Ah == pytest.approx(4e-3, rel=0.02)
    assert "1.cv     0       hold         4.2 V, at most 4 mA " in render(found, "p")


def test_a_hold_without_a_limit_says_what_was_taken(tmp_path: Path) -> None:
    head = HEAD.replace("safety: {voltage: 2.3 V to 4.6 V}\n", "")
    (hold,) = predicted(program_of("  - hold: {at: 4 V, until: 0.1 mA, for: 9 h}\n", head), tmp_path).steps
    assert set_to(hold.setpoint) == "4 V, at most 40 mA"  # 10C
    assert hold.step.end_reason == "current <= 0.1 mA"


def test_a_train_is_shown_by_its_first_two_pulses_and_its_last_with_what_it_passed(tmp_path: Path) -> None:
    train = "gitt: {charge: {at: C/10, for: 30 min}, rest: 1 h, until: 4.2 V, pulses: 6}"
    found = predicted(program_of(f"  - {train}\n  - repeat: {{times: 2, steps: [{train}]}}\n"), tmp_path)
    assert [(one.path, one.cycle, one.pulses) for one in trains(found.steps)] == [
        ("1", 0, 6),
        ("2.1", 1, 6),
        ("2.1", 2, 6),
    ]
    assert [one.charge_Ah for one in trains(found.steps)] == pytest.approx([6 * 0.2e-3] * 3, rel=1e-3)
    lines = render(found, "p").splitlines()
    assert [line.split()[0] for line in lines if line.startswith("1.")] == [
        "1.1p",
        "1.1r",
        "1.2p",
        "1.2r",
        "1.6p",
        "1.6r",
    ]
    assert "         ... 3 more like these, pulses 3 to 5" in lines
    assert "train 1 (cycle 0): 6 pulses, 1.2 mAh" in lines


def test_each_value_of_a_for_each_is_shown_and_a_repeat_says_why_it_ended(tmp_path: Path) -> None:
    steps = """\
  - repeat:
      times: 4
      for_each: {rate: [0.5C, 1C, 2C]}
      stop_when: discharge capacity <= 95 % of cycle 2
      steps: [charge: {at: $rate, until: 4.2 V}, discharge: {at: $rate, until: 2.8 V}]
"""
    found = predicted(program_of(steps), tmp_path)
    text = render(found, "p")
    assert "+2 mA" in text
    assert "+8 mA" in text
    (ended,) = found.repeats_ended
    assert ended == "repeat 1 ended after cycle 9: stop_when: discharge capacity <= 95 % of cycle 2"
    assert ended in text


def test_an_abort_is_told_with_its_place_and_its_reason(tmp_path: Path) -> None:
    found = predicted(program_of("  - rest: 1 h\n  - charge: {at: 1C, until: 4.2 V, abort_if: 20 min}\n"), tmp_path)
    assert found.outcome is Outcome.ABORTED
    assert "aborted after 80 min of the cell's time, in step 2 (charge, cycle 0): abort_if: time >= 20 min" in render(
        found, "p"
    )


def test_a_step_that_never_ends_is_ended_by_the_guards_ceiling(tmp_path: Path) -> None:
    found = predicted(program_of("  - charge: {at: 1C, until: temperature >= 90 °C}\n"), tmp_path)
    assert found.outcome is Outcome.TRIPPED
    head = HEAD.replace("safety: {voltage: 2.3 V to 4.6 V}\n", "safety: {current: 10 mA}\n")
    unlimited = predicted(program_of("  - charge: {at: 1C, until: temperature >= 90 °C}\n", head), tmp_path / "no")
    assert unlimited.outcome is Outcome.TRIPPED
    assert "the guard's ceiling of" in unlimited.reason


def test_a_rest_that_never_ends_is_looked_at_for_so_long_only(tmp_path: Path) -> None:
    program = program_of("  - rest: {until: temperature >= 90 °C}\n", every_s=86400.0)
    found = predicted(program, tmp_path)
    assert found.outcome is Outcome.STOPPED
    assert "1000 d at most" in found.reason
    assert LONGEST_S < found.total_s < 2 * LONGEST_S


def test_stopped_on_the_way_it_shows_what_is_known(tmp_path: Path) -> None:
    program = program_of(CYCLES)
    seen: list[Moment] = []

    def watch(now: Moment) -> str | None:
        seen.append(now)
        return "Ctrl-C" if now.cycle == 3 else None

    found = predict(program, model_of("nmc", program.cell), tmp_path, watch=watch)
    assert (found.outcome, found.reason) == (Outcome.STOPPED, "stopped by Ctrl-C")
    assert len(found.cycles) == 2
    assert found.steps[-1].step.cycle == 3
    assert found.total_s == seen[-1].time_s
    assert "stopped after" in render(found, "p")


def test_ctrl_c_is_a_question_while_it_runs_and_what_it_was_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible() as interrupted:
        assert not interrupted()
        signal.raise_signal(signal.SIGINT)
        assert interrupted()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "p.yaml"
    path.write_text(f"{HEAD}steps:\n{CYCLES.replace('10,', '2,')}", encoding="utf-8")
    return path


def test_the_rows_go_into_a_file_that_says_they_are_simulated(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.csv"
    assert show_prediction(file, None, [], PredictOptions("nmc", out=out, as_json=True)) == 0
    printed = capsys.readouterr()
    rows = out.read_text(encoding="utf-8").splitlines()
    assert len(rows) == json.loads(printed.out)["rows"] + 1
    assert "Voltage / V" in rows[0]
    (metadata,) = tmp_path.glob("*.metadata.json")
    assert '"channel": "simulated"' in metadata.read_text(encoding="utf-8")
    assert SIMULATED in printed.err


def test_the_figure_says_that_its_cell_is_simulated(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "figure.svg"
    assert show_prediction(file, None, [], PredictOptions("nmc", out=out)) == 0
    assert SIMULATED in out.read_text(encoding="utf-8")


def test_a_run_that_does_not_finish_is_exit_status_1(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(f"{HEAD}steps:\n  - charge: {{at: 1C, until: 4.2 V, abort_if: 10 min}}\n", encoding="utf-8")
    assert show_prediction(file, None, [], PredictOptions("nmc")) == 1
    assert "in step 1 (charge, cycle 0): abort_if: time >= 10 min" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (PredictOptions("lfp"), "no cell model 'lfp': there are a, b, c, d, e, nmc"),
        (PredictOptions("nmc", sample_every="often"), "write for example '10 s'"),
        (PredictOptions("nmc", sample_every="0 s"), "--sample-every '0 s'"),
        (PredictOptions("nmc", out=Path("rows.xlsx")), "the rows go into a .csv"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_with_what_to_write(
    file: Path, options: PredictOptions, message: str
) -> None:
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        show_prediction(file, None, [], options)


def test_a_protocol_with_errors_is_not_run(file: Path) -> None:
    file.write_text("protocol: 1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="missing-key"):
        show_prediction(file, None, [], PredictOptions("nmc"))


def test_the_model_takes_the_size_of_the_protocols_cell_and_says_so() -> None:
    ours = model_of("c", Cell("x"))
    twice = model_of("c", Cell("x", area_cm2=1.0, electrode_mass_g=4e-3, temperature_degC=100.0))
    assert twice.capacity_Ah == pytest.approx(2 * ours.capacity_Ah)
    assert "composite 4 mg (the protocol)" in twice.taken
    assert "area 0.7854 cm2 (the model)" in ours.taken
    assert twice.load.truth()["temperature_K"] == pytest.approx(373.15)
    by_mass = model_of("c", Cell("x", active_mass_g=1.98e-3))
    assert by_mass.capacity_Ah == pytest.approx(ours.capacity_Ah)
    wide = model_of("c", Cell("x", area_cm2=2 * 0.785398))
    assert wide.capacity_Ah == pytest.approx(2 * ours.capacity_Ah, rel=1e-4)


def test_where_the_protocols_cell_is_another_than_the_model_the_prediction_doubts_itself(tmp_path: Path) -> None:
    program = fig_s3("a", cycles=1, every_s=600.0)
    found = predicted(program, tmp_path, "c")
    assert found.warnings[0] == "the protocol's electrode holds 70 % MgH2, the model's 99 %"
    assert found.warnings[0] in render(found, "p")
    assert model_of("nmc", program.cell).doubts == ("the protocol's active material is MgH2, the model a full cell",)
