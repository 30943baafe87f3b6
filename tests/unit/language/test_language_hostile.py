"""Hostile files are refused in bounded time and 300 MB of memory; odd but plain ones are read."""

import json
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import drawn_hostiles
import hostile_files
import pytest
from hostile_files import HEAD, HOSTILE, LIMIT_BYTES, MEGABYTE, readable

from cycler_ctl.config import ChannelSettings, Limits
from cycler_ctl.plugins import load_driver
from cycler_ctl.running.start import refusals
from protocols.check import check_text, load_protocol

ROOT = Path(__file__).parents[3]
MOST = 20
"""Yardsticks of processor time, 2 s on a quiet computer; ten thousand steps take 10 to 18."""
FEW, MANY = 15, 1000
DRAWN = str(Path(drawn_hostiles.__file__))
LIMITS = Limits(voltage_V=(-0.5, 5.0), current_A=10e-3, step_charge_Ah=20e-3)
CHANNEL = ChannelSettings(instrument="smu1", sample_every_s=1.0, limits=LIMITS, temperature="unmonitored")


def child(program: str, *arguments: str) -> list[list[Any]]:
    """The lines of JSON that a program with little memory prints."""
    ran = subprocess.run(
        [sys.executable, program, *arguments],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.fixture(scope="module")
def reports() -> dict[str, tuple[float, bool, list[str]]]:
    """What a child with little memory made of each file."""
    lines = child(str(Path(hostile_files.__file__)))
    return {name: (yardsticks, accepted, codes) for name, yardsticks, accepted, codes in lines}


@pytest.mark.timeout(900)
def test_whatever_a_seed_draws_of_each_sort_is_refused_at_its_line_in_bounded_time_and_memory(
    pytestconfig: pytest.Config,
) -> None:
    times = MANY if pytestconfig.getoption("--campaign") else FEW
    found = {sort: (count, yardsticks, wrong) for sort, count, yardsticks, wrong in child(DRAWN, str(times))}
    assert found.pop("peak")[0] < LIMIT_BYTES
    assert [wrong for _, _, wrong in found.values() if wrong] == []
    assert {sort: count for sort, (count, _, _) in found.items()} == dict.fromkeys(drawn_hostiles.SORTS, times)
    slowest = max(yardsticks for _, yardsticks, _ in found.values())
    assert slowest < MOST
    sys.stderr.write(
        f"{', '.join(f'{sort} {times}' for sort in found)}: refused, each in {slowest:.3f} yardsticks or less\n"
    )


def test_limits_wider_than_the_channels_are_refused_by_name(pytestconfig: pytest.Config) -> None:
    times = MANY if pytestconfig.getoption("--campaign") else FEW
    spec, chance, asked = load_driver("keithley-2400"), Random(41), set[str]()
    assert spec.ratings is not None
    ratings = spec.ratings(spec.options())
    while len(asked) < times:
        text = drawn_hostiles.wider(chance, LIMITS.voltage_V, LIMITS.current_A)
        program = check_text(text, "p.yaml").program
        assert program is not None, text
        said = "\n".join(refusals(program, CHANNEL, ratings))
        assert "beyond the channel's limits" in said or "above the channel's limit" in said, text
        asked.add(text)
    sys.stderr.write(f"F41 limits wider than the channel's {times}: refused by name\n")


def test_a_reader_that_accepts_or_names_another_line_is_caught() -> None:
    """The negative control of the two tests above."""
    good = check_text(f"{HEAD}  - rest: 1 h\n", "p.yaml")
    assert drawn_hostiles.fault_of(good, range(7, 8)) == "it was accepted"
    bad = check_text(f"{HEAD}  - rest: nan h\n", "p.yaml")
    assert drawn_hostiles.fault_of(bad, range(7, 8)) == ""
    assert drawn_hostiles.fault_of(bad, range(6, 7)).startswith("line 6 is not named")
    assert good.program is not None
    spec = load_driver("keithley-2400")
    assert spec.ratings is not None
    assert list(refusals(good.program, CHANNEL, spec.ratings(spec.options()))) == []


def test_every_hostile_file_is_refused_with_a_reason(reports: dict[str, tuple[float, bool, list[str]]]) -> None:
    names = [name for source in HOSTILE for name, _ in source()]
    harmless = {"1 MiB on one line", "spaces inside a quantity"}
    for name in names:
        _, accepted, codes = reports[name]
        assert accepted is (name in harmless), (name, codes)
        assert codes or name in harmless
    assert len(names) > 70


def test_odd_but_plain_files_are_read(reports: dict[str, tuple[float, bool, list[str]]]) -> None:
    assert {name: reports[name][1] for name, _ in readable()} == {name: True for name, _ in readable()}


def test_no_file_takes_more_than_twenty_yardsticks(reports: dict[str, tuple[float, bool, list[str]]]) -> None:
    slowest = max((yardsticks, name) for name, (yardsticks, _, _) in reports.items() if name != "peak")
    assert slowest[0] < MOST, slowest


def test_no_file_takes_300_mb(reports: dict[str, tuple[float, bool, list[str]]]) -> None:
    assert reports["peak"][0] < LIMIT_BYTES


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_marks_and_line_ends_change_nothing_of_what_is_read(mark: str, end: str) -> None:
    text = f"{HEAD}  - lithiate: {{at: 1 mA, until: 0.2 V}}\n  - rest: 5 x\n"
    (found,) = check_text(mark + text.replace("\n", end), "p").diagnostics
    assert (found.line, found.column, found.code) == (8, 13, "unit-unknown")
    good = text.replace("5 x", "5 h")
    assert check_text(mark + good.replace("\n", end), "p").program == check_text(good, "p").program


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_a_file_in_another_encoding_is_refused(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(f"{HEAD}  - note: 120 °C\n  - rest: 1 h\n".encode(encoding))
    checked = load_protocol(path)
    assert checked.program is None
    assert {each.code for each in checked.diagnostics} <= {"file", "yaml-syntax"}


def test_of_fifty_megabytes_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    with path.open("wb") as file:
        for _ in range(50):
            file.write(b"  - rest: 1 s\n" * (MEGABYTE // 14))
    checked = load_protocol(path)
    assert [each.code for each in checked.diagnostics] == ["limit"]
    assert len(checked.text) <= MEGABYTE + 1


def test_a_hundred_included_files_are_too_many(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("record: 1 s\n", encoding="utf-8")
    (tmp_path / "big.yaml").write_text("#" * 70_000, encoding="utf-8")
    many = f"protocol: 1\nname: x\ninclude: [{', '.join(['c.yaml'] * 100)}]\nsteps: [rest: 1 h]\n"
    codes = [each.code for each in check_text(many, "p", folder=tmp_path).diagnostics]
    assert codes.count("limit") == 1
    assert len(codes) < 20
    (found,) = check_text(many.replace("c.yaml, " * 99 + "c.yaml", "big.yaml"), "p", folder=tmp_path).diagnostics
    assert (found.code, found.message) == ("include", "'big.yaml' is larger than 64 KiB")


def test_ten_thousand_steps_are_read(reports: dict[str, tuple[float, bool, list[str]]]) -> None:
    assert reports["ten thousand steps"][1]
