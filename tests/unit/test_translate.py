"""``cycler-ctl import`` and ``cycler-ctl translate`` on files: what is written, printed and answered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cycler_ctl.cli import app
from cycler_ctl.errors import ConfigError, StoreError
from cycler_ctl.terminal.translate import ImportOptions, Target, import_file, translate_file
from protocols.check import load_protocol

PYBAMM = "[('Discharge at 1 A until 3 V', 'Charge at 1 A until 4 V')] * 3\n"
PROTOCOL = """protocol: 1
name: test
cell: {name: A, discharge_means: lithiate}
variables: {j: 1 mA}
record: every 10 s
safety: {voltage: 2 V to 5 V}
steps:
  - charge: {at: $j, until: 4.2 V, for: 1 h}
"""


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    path = tmp_path / "exp.py"
    path.write_text(PYBAMM, encoding="utf-8")
    return path


@pytest.fixture
def protocol(tmp_path: Path) -> Path:
    path = tmp_path / "p.yaml"
    path.write_text(PROTOCOL, encoding="utf-8")
    return path


def options(out: Path | None = None, *, source: str = "pybamm", means: str = "lithiate") -> ImportOptions:
    return ImportOptions(source, out, None, means, skip_unsupported=False)


def test_an_import_is_a_file_the_check_accepts(experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = experiment.with_name("out.yaml")
    assert import_file(experiment, options(out)) == 0
    assert load_protocol(out).program is not None
    said = capsys.readouterr()
    assert said.out == ""
    assert "kept as: 1:3 'Discharge at 1 A until 3 V'" in said.err
    assert f"{out}:1:1: warning[no-safety]" in said.err


def test_without_a_name_for_it_the_protocol_goes_to_standard_output(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert import_file(experiment, options()) == 0
    assert capsys.readouterr().out.startswith("protocol: 1\nname: exp\nsource: ")


def test_what_the_check_finds_wrong_is_written_all_the_same_and_answered_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """More current than the file's own safety allows, as in a published example of aurora-unicycler."""
    step = {"step": "constant_current", "current_mA": 61.5, "until_time_s": 60}
    path, out = tmp_path / "x.json", tmp_path / "x.yaml"
    safety = {"max_current_mA": 10, "min_current_mA": -10}
    path.write_text(json.dumps({"record": {"time_s": 1}, "safety": safety, "method": [step]}), encoding="utf-8")
    assert import_file(path, options(out, source="unicycler")) == 1
    assert out.exists()
    assert "error[safety-conflict]" in capsys.readouterr().err


def test_each_problem_is_one_line_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "x.py", tmp_path / "x.yaml"
    path.write_text("['Discharge at 1 W for 1 h',\n 'Rest for 1 day']", encoding="utf-8")
    assert import_file(path, options(out)) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.removeprefix(f"{path}:")[:4] for line in lines] == ["1:2:", "2:2:"]
    assert not out.exists()


def test_no_file_is_overwritten(experiment: Path, protocol: Path) -> None:
    with pytest.raises(StoreError, match="exists already"):
        import_file(experiment, options(protocol))
    with pytest.raises(StoreError, match="exists already"):
        translate_file(protocol, Target("pybamm", experiment), None, [])
    assert experiment.read_text(encoding="utf-8") == PYBAMM
    assert protocol.read_text(encoding="utf-8") == PROTOCOL


@pytest.mark.parametrize(
    ("source", "means", "words"),
    [("arbin", "lithiate", "there are pybamm, unicycler"), ("pybamm", "reduce", "there are delithiate, lithiate")],
)
def test_an_unknown_choice_is_answered_with_the_known_ones(
    experiment: Path, source: str, means: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        import_file(experiment, options(source=source, means=means))


@pytest.mark.parametrize("data", [None, b"\xff\xfe\x00"])
def test_a_file_that_is_no_text_is_one_message(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "x.py"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ConfigError, match="cannot be read"):
        import_file(path, options())


def test_a_cell_file_goes_into_the_import(experiment: Path, tmp_path: Path) -> None:
    cell, out = tmp_path / "cell.yaml", tmp_path / "out.yaml"
    cell.write_text("cell: {name: MG-1, discharge_means: delithiate}\n", encoding="utf-8")
    import_file(experiment, ImportOptions("pybamm", out, cell, "lithiate"))
    assert "name: MG-1" in out.read_text(encoding="utf-8")
    assert "discharge_means: delithiate" in out.read_text(encoding="utf-8")


def test_a_translation_says_what_it_leaves_behind(protocol: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert translate_file(protocol, Target("pybamm"), None, ["j=2 mA"]) == 0
    said = capsys.readouterr()
    assert "Charge at 0.002 A for 1 hour or until 4.2 V" in said.out
    assert "not carried over: safety: the limit of the voltage" in said.err


def test_a_refused_translation_names_the_step_and_writes_nothing(
    protocol: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    protocol.write_text(PROTOCOL.replace("for: 1 h", "abort_if: 9 h"), encoding="utf-8")
    out = tmp_path / "x.json"
    assert translate_file(protocol, Target("unicycler", out), None, []) == 1
    assert capsys.readouterr().err == f"{protocol}: step 1: aurora-unicycler cannot say abort_if (time >= 9 h)\n"
    assert not out.exists()


def test_a_faulty_protocol_is_not_translated(protocol: Path) -> None:
    protocol.write_text(PROTOCOL.replace("1 h", "1 m"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"error\[unit-unknown\]"):
        translate_file(protocol, Target("unicycler"), None, [])


def test_both_commands_are_in_the_program(experiment: Path, protocol: Path) -> None:
    run = CliRunner()
    brought = run.invoke(app, ["import", str(experiment), "--from", "pybamm", "--skip-unsupported"])
    assert (brought.exit_code, "discharge:" in brought.output) == (0, True)
    for target in ("pybamm", "unicycler", "battinfo"):
        assert run.invoke(app, ["translate", str(protocol), "--to", target]).exit_code == 0
