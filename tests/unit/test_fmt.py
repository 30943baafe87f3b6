"""fmt changes the layout and nothing else: not the meaning, not a comment, not what belongs to the file."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cycler_ctl.errors import ConfigError
from cycler_ctl.terminal.formatting import format_files, formatted
from protocols.check import check_text
from protocols.describing.layout_tree import CannotLayOut
from protocols.describing.spelling import respelt_text
from protocols.model import Program
from protocols.shipped import FOLDER, library

MESSY = """\
# first
protocol:    1
name:  "A: b"   # a name

# what changes
variables:
    j:   0.5 mA/cm²     # c1
    # still about variables
    v_low: 200mV
description: >
   folded
   text

    with more
cell: { name: c,   area: 1 cm^2 , nominal_capacity: 2mAh,
  discharge_means: lithiate }
record: every 30s or 5 mV # often
safety: {voltage: -0.1 V to 2.5 V, current: 2 mA, temperature: 20 ℃ to 135 °C, for: 2 s, capacity: 100 mAh} # wide
steps:
# the first step
- rest: 1 h   # r
- note:   the μ in a note, and 5uA, stay
-   repeat:   # three times
        # inside
        times: 3
        steps:
        - lithiate:
                at:
                   # between name and value
                   $j
                until:
                # before the list
                - voltage ≤ $v_low   # a
                # middle
                - 10h
                # after the list
        - delithiate: {at: 500 uA, # micro
                       until: 1.2 V}
        # the end of the repeat
# the end
"""
NEAT = """\
# first
protocol: 1
name: "A: b"   # a name

# what changes
variables:
  j: 0.5 mA/cm2     # c1
  # still about variables
  v_low: 200 mV
description: >
  folded
  text

   with more
cell: {name: c, area: 1 cm2, nominal_capacity: 2 mAh, discharge_means: lithiate}
record: every 30 s or 5 mV  # often
safety:
  voltage: -0.1 V to 2.5 V
  current: 2 mA
  temperature: 20 °C to 135 °C
  for: 2 s
  capacity: 100 mAh  # wide
steps:
  # the first step
  - rest: 1 h   # r
  - note: the μ in a note, and 5uA, stay
  - repeat:   # three times
      # inside
      times: 3
      steps:
        - lithiate:
            # between name and value
            at: $j
            until:
              # before the list
              - voltage <= $v_low   # a
              # middle
              - 10 h
              # after the list
        - delithiate:
            at: 500 µA  # micro
            until: 1.2 V
        # the end of the repeat
# the end
"""
HERE = Path("p.yaml")


def program_of(text: str) -> Program:
    program = check_text(text, "p.yaml").program
    assert program is not None
    return program


def test_one_layout() -> None:
    assert formatted(MESSY, HERE) == NEAT
    assert formatted(NEAT, HERE) == NEAT


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_what_ships_is_laid_out(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert formatted(text, path) == text


def test_a_protocol_written_as_json_becomes_one_in_blocks() -> None:
    text = '{"protocol": 1, "name": "x", "record": "every 1 s", "safety": {}, "steps": [{"rest": "1 h"}]}'
    assert formatted(text, HERE).startswith('"protocol": 1\n"name": "x"\n')
    assert program_of(formatted(text, HERE)) == program_of(text)


@pytest.mark.parametrize(
    ("written", "one_spelling"),
    [
        ("5 uA/cm^2", "5 µA/cm2"),
        ("5 μA", "5 µA"),
        ("'5μA'", "'5 µA'"),
        ("voltage ≥ 1V for 5s", "voltage >= 1 V for 5 s"),
        ("-0.1V to 2.5V", "-0.1 V to 2.5 V"),
        ("1 C", "1C"),
        ("C/20 or 2h", "C/20 or 2 h"),
        ("dV/dt ≤ 1mV/h", "dV/dt <= 1 mV/h"),
        ("70% of previous lithiate", "70 % of previous lithiate"),
        ("80 % of cycle 4 for 2 cycles", "80 % of cycle 4 for 2 cycles"),
        ("coulombic efficiency <= 95% for 3 cycles", "coulombic efficiency <= 95 % for 3 cycles"),
        ("120 ℃", "120 °C"),
        ("$v_low2 or 1h", "$v_low2 or 1 h"),
        ("1e-3A", "1e-3 A"),
        ("120 % of step_5s", "120 % of step_5s"),
        ("2 seconds", "2 seconds"),
    ],
)
def test_units_and_comparisons_have_one_spelling(written: str, one_spelling: str) -> None:
    assert respelt_text(written) == one_spelling


def test_a_spelling_that_would_change_a_name_is_left() -> None:
    text = MESSY.replace("- rest: 1 h", "- delithiate: {at: 1 mA, until: 1 V, label: at 5uA}").replace(
        "- 10h", "- 10 % of at 5uA"
    )
    laid_out = formatted(text, HERE)
    assert "10 % of at 5uA" in laid_out
    assert "cm²" in laid_out  # then nothing is respelt
    assert program_of(laid_out) == program_of(text)


def comments(text: str) -> list[str]:
    """Found another way than the formatter finds them: these texts hold no other '#'."""
    return sorted(match.rstrip() for match in re.findall("#.*", text))


COMMENT = st.sampled_from(["", "", "", "# one", "#two", "# µ 5uA: {x"])
SPACE = st.sampled_from(["", " ", "   "])
SCALARS = {
    "at": ["0.5 mA", "'0.5 mA'", "500uA", "$j", "C/20"],
    "until": ["0.2 V", '"0.2 V"', "voltage ≤ 200mV", "0.2 V or 10 h", "0.2 V\n  or 10 h"],
    "for": ["1 h", "60min", "2 hours"],
    "note": ["plain", "'it''s'", '"a: b"', "five 5uA", ">\n  folded\n  text", "|\n  kept\n    as is\n"],
}


@st.composite
def step(draw: st.DrawFn, depth: int = 0) -> tuple[str, object]:
    kind = draw(st.sampled_from(["rest", "lithiate", "note", "repeat"] if depth < 2 else ["rest", "lithiate", "note"]))
    if kind == "repeat":
        first = ("rest", "1 h")
        return kind, {"times": "2", "steps": [first, *draw(st.lists(step(depth + 1), min_size=0, max_size=2))]}
    if kind == "lithiate":
        keys = ["at", *draw(st.sampled_from([["until"], ["for"], ["until", "for", "note"], ["note", "until"]]))]
        return kind, {key: draw(st.sampled_from(SCALARS[key])) for key in keys}
    return kind, draw(st.sampled_from(SCALARS["for" if kind == "rest" else "note"]))


class Scribe:
    """Writes a protocol as untidily as YAML allows."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.lines: list[str] = []

    def between(self) -> None:
        for _ in range(self.draw(st.integers(0, 2))):
            self.lines.append(" " * self.draw(st.integers(0, 12)) + self.draw(COMMENT))

    def line(self, text: str) -> None:
        comment = self.draw(COMMENT)
        self.lines.append(f"{text}{self.draw(SPACE)} {comment}" if comment else text)

    def scalar(self, lead: str, text: str, column: int) -> None:
        first, *rest = text.split("\n")
        if rest or text[0] in "|>":
            self.lines += [f"{lead}{self.draw(SPACE)} {first}", *(" " * column + line for line in rest)]
        elif self.draw(st.booleans()):
            self.line(f"{lead} {self.draw(SPACE)}{first}")
        else:
            self.line(lead)
            self.between()
            self.line(" " * (column + 2) + first)

    def mapping(self, lead: str, settings: dict[str, object], column: int) -> None:
        for number, (key, value) in enumerate(settings.items()):
            if number or not lead:
                self.between()
            start = lead if number == 0 and lead else " " * column
            self.value(f"{start}{key}:", value, column)

    def value(self, lead: str, value: object, column: int) -> None:
        if isinstance(value, str):
            self.scalar(lead, value, column + 1)
            return
        inner = column + self.draw(st.integers(1, 4))
        if isinstance(value, dict):
            if "steps" not in value and "\n" not in str(value.values()) and self.draw(st.booleans()):
                inside = f",{self.draw(SPACE)} ".join(f"{key}: {text}" for key, text in value.items())
                if "\\n" not in repr(inside):
                    self.line(f"{lead} {{{inside}{self.draw(SPACE)}}}")
                    return
            self.line(lead)
            self.mapping("", value, inner)
            return
        assert isinstance(value, list)
        self.line(lead)
        self.steps(value, self.draw(st.sampled_from([column, inner])))

    def steps(self, steps: list[tuple[str, object]], column: int) -> None:
        for word, value in steps:
            self.between()
            gap = " " * self.draw(st.integers(1, 3))
            self.mapping(f"{' ' * column}-{gap}", {word: value}, column + 1 + len(gap))


@st.composite
def untidy(draw: st.DrawFn) -> str:
    scribe = Scribe(draw)
    top: dict[str, object] = {
        "protocol": "1",
        "name": "untidy",
        "variables": {"j": "0.5 mA"},
        "cell": {"name": "c", "nominal_capacity": "2mAh"},
        "record": "every 30s",
        "safety": {"voltage": "-0.1V to 2.5 V", "current": "2 mA"},
        "steps": [("rest", "1 h"), *draw(st.lists(step(), max_size=3))],
    }
    scribe.mapping("", top, 0)
    scribe.between()
    return "\n".join(scribe.lines) + "\n"


def test_meaning_and_comments_survive_any_layout_and_a_second_time_changes_nothing(
    request: pytest.FixtureRequest,
) -> None:
    @given(text=untidy())
    @settings(max_examples=1500 if request.config.getoption("--campaign") else 100, deadline=None)
    def lay_out(text: str) -> None:
        laid_out = formatted(text, HERE)
        assert program_of(laid_out) == program_of(text)
        assert comments(laid_out) == comments(text)
        assert formatted(laid_out, HERE) == laid_out
        if not re.search("[|>]\n", text):  # blanks and empty lines are part of such a text
            assert not re.search(r"[ \t]\n|\n\n\n|\t", laid_out)

    lay_out()


def seconds_for(steps: int) -> float:
    body = "".join(f"- rest:   {{for: {n} s , until: 1 h}}  # step {n}\n   # below {n}\n" for n in range(1, steps + 1))
    began_s = time.process_time()
    laid_out = formatted(f"protocol: 1\nname: long\nrecord: every 1 s\nsafety: {{}}\nsteps:\n{body}", HERE)
    assert laid_out.count("#") == 2 * steps
    return time.process_time() - began_s


def test_the_time_for_a_long_file_grows_with_its_length_and_not_with_its_square(request: pytest.FixtureRequest) -> None:
    short = 2000 if request.config.getoption("--campaign") else 250
    assert seconds_for(5 * short) < 12 * min(seconds_for(short) for _ in range(3))


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\nb: [*a, *a]\n",
        "[" * 5000,
        "protocol: 1\nname: !!python/object/apply:os.system [ls]\nsteps: [rest: 1 h]\n",
        "#\n" * 600_000,
        "",
    ],
    ids=["alias", "nesting", "tag", "size", "nothing"],
)
def test_hostile_files_are_refused_by_the_reader_before_anything_else_sees_them(text: str, tmp_path: Path) -> None:
    file = tmp_path / "hostile.yaml"
    file.write_text(text, encoding="utf-8")
    began_s = time.process_time()
    assert format_files([file], check_only=False) == 1
    assert time.process_time() - began_s < 2
    assert file.read_text(encoding="utf-8") == text


def messy_file(folder: Path) -> Path:
    file = folder / "messy.yaml"
    file.write_bytes(MESSY.encode())
    return file


def test_a_file_is_laid_out_once_and_then_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = messy_file(tmp_path)
    file.chmod(0o640)
    assert format_files([file], check_only=False) == 0
    assert file.read_text(encoding="utf-8") == NEAT
    assert file.stat().st_mode & 0o777 == 0o640
    assert "laid out anew" in capsys.readouterr().out
    at = file.stat().st_mtime_ns
    assert format_files([file], check_only=False) == 0
    assert file.stat().st_mtime_ns == at
    assert capsys.readouterr().out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["messy.yaml"]


def test_check_changes_nothing_and_says_which_files_would_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = messy_file(tmp_path)
    assert format_files([file, *library().values()], check_only=True) == 1
    assert file.read_bytes() == MESSY.encode()
    assert capsys.readouterr().out == f"{file}: would be laid out anew\n"
    assert format_files([*library().values()], check_only=True) == 0


def test_a_file_with_errors_is_not_touched_and_they_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = messy_file(tmp_path)
    file.write_text(MESSY.replace("times: 3", "times: 0"), encoding="utf-8")
    before = file.read_bytes()
    assert format_files([file], check_only=False) == 1
    assert file.read_bytes() == before
    assert "error[out-of-range]: times must be between" in capsys.readouterr().err


def test_one_faulty_file_does_not_keep_the_others_from_being_laid_out(tmp_path: Path) -> None:
    faulty, file = tmp_path / "faulty.yaml", messy_file(tmp_path)
    faulty.write_text("protocol: 2\n", encoding="utf-8")
    assert format_files([faulty, tmp_path / "none.yaml", file], check_only=False) == 1
    assert file.read_text(encoding="utf-8") == NEAT


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_windows_line_ends_and_a_byte_order_mark_stay(tmp_path: Path, mark: bytes) -> None:
    file = tmp_path / "windows.yaml"
    file.write_bytes(mark + MESSY.replace("\n", "\r\n").encode())
    assert format_files([file], check_only=False) == 0
    assert file.read_bytes() == mark + NEAT.replace("\n", "\r\n").encode()


def test_a_file_of_both_line_ends_gets_the_more_frequent(tmp_path: Path) -> None:
    file = tmp_path / "mixed.yaml"
    file.write_bytes(MESSY.replace("\n", "\r\n", 2).encode())
    assert format_files([file], check_only=False) == 0
    assert file.read_bytes() == NEAT.encode()


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    file, link = messy_file(tmp_path), tmp_path / "link.yaml"
    link.symlink_to(file)
    assert format_files([link], check_only=False) == 0
    assert link.is_symlink()
    assert file.read_text(encoding="utf-8") == NEAT


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (MESSY.replace(">\n", ">1\n"), "has a number in its first line"),
        (MESSY.replace('"A: b"', '"A\u2028b"'), "U+2028"),
        (MESSY.replace("- rest:", '- ? "re\\\n    st"\n  :'), "several lines"),
    ],
)
def test_what_cannot_be_laid_out_safely_is_left_with_a_reason(text: str, why: str) -> None:
    with pytest.raises((CannotLayOut, ConfigError), match=re.escape(why)):
        formatted(text, HERE)


CELL = """\
cell:   # ours
    name: x
    area: 1 cm²
safety: {current:  5mA}
"""


def test_a_cell_file_is_laid_out_too(tmp_path: Path) -> None:
    file = tmp_path / "cell_x.yaml"
    file.write_text(CELL, encoding="utf-8")
    assert format_files([file], check_only=False) == 0
    assert file.read_text(encoding="utf-8") == ("cell:   # ours\n  name: x\n  area: 1 cm2\nsafety: {current: 5 mA}\n")


def test_an_error_in_a_cell_file_is_said_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cell_x.yaml:3:13: error\[unit-unknown\]"):
        formatted(CELL.replace("cm²", "cm3"), tmp_path / "cell_x.yaml")
