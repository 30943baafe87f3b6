"""The protocol schema and the reader know the same language: keys, required keys, examples, shipped files."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from cycler_ctl.errors import ConfigError
from cycler_ctl.terminal.schemas import DOCUMENTS, show_schema
from protocols.check import check_text
from protocols.describing import patterns
from protocols.describing.schema import FILE, PART_FILE, as_file, part_schema, protocol_schema
from protocols.describing.vocabulary import PARTS, PROTOCOL, STEPS
from protocols.describing.vocabulary_keys import Key, Kind, Part
from protocols.diagnostics import Diagnostic, Severity
from protocols.quantities import QuantityError, read_quantity
from protocols.shipped import FOLDER, library
from protocols.units import TABLE, Dimension

SCHEMA = Draft202012Validator(protocol_schema())
CELL = Draft202012Validator(part_schema())
BASE: dict[str, Any] = {
    "protocol": 1,
    "name": "base",
    "variables": {"j": "0.5 mA/cm2", "v_low": "0.2 V"},
    "cell": {
        "name": "c",
        "diameter": "10 mm",
        "electrode_mass": "2.0 mg",
        "composition": {"MgH2": "70 %", "AB": "30 %"},
        "active_material": "MgH2",
        "theoretical_capacity": "2038 mAh/g",
        "nominal_capacity": "2.24 mAh",
        "discharge_means": "lithiate",
    },
    "record": "every 30 s or 5 mV",
    "safety": {"voltage": "-0.1 V to 4.5 V", "current": "5 mA"},
    "steps": [{"lithiate": {"at": "1 mA", "for": "1 h", "label": "first"}}, {"rest": "1 h"}],
}
SAMPLES: dict[str, dict[str, Any]] = {
    "current": {"lithiate": {"at": "1 mA", "for": "1 h"}},
    "rest": {"rest": {"for": "1 h"}},
    "hold": {"hold": {"at": "0.5 V", "for": "1 h"}},
    "gitt": {"gitt": {"lithiate": {"at": "C/20", "for": "30 min"}, "rest": "1 h", "pulses": 3}},
    "repeat": {"repeat": {"times": 2, "steps": [{"lithiate": {"at": "1 mA", "for": "1 h"}}]}},
}
"""Of each step, a small one."""
INSIDE = {"pulse": "lithiate", "pulse_rest": "rest"}
FILES = {
    "variables": {"j": "0.5 mA/cm2"},
    "for_each": {"rate": ["1 mA", "2 mA"]},
    "composition": {"MgH2": "70 %", "AB": "30 %"},
}


def with_part(part: Part) -> tuple[dict[str, Any], dict[str, Any]]:
    """A valid protocol and, in it, the block of settings of this part."""
    whole = copy.deepcopy(BASE)
    if part is PROTOCOL:
        return whole, whole
    if part.name in {"cell", "safety"}:
        return whole, whole[part.name]
    kind = "gitt" if part.name in INSIDE else part.name
    step = copy.deepcopy(SAMPLES[kind])
    whole["steps"].append(step)
    (block,) = step.values()
    if part.name == "pulse_rest":
        block["rest"] = {"for": "4 h"}
    return whole, block[INSIDE[part.name]] if part.name in INSIDE else block


def errors(protocol: dict[str, Any], folder: Path | None = None) -> list[Diagnostic]:
    """What the reader says; JSON is YAML."""
    found = check_text(json.dumps(protocol, ensure_ascii=False), "p.yaml", folder=folder).diagnostics
    return [one for one in found if one.severity is Severity.ERROR]


def faults(document: object) -> list[str]:
    return [f"{each.json_path}: {each.message}" for each in SCHEMA.iter_errors(document)]


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_the_reader_knows_exactly_the_keys_of_the_schema(part: Part) -> None:
    whole, block = with_part(part)
    assert errors(whole) == []
    block["zzzzzzzz"] = "1"
    (error,) = errors(whole)
    assert error.code == "unknown-key"
    assert error.help is not None
    assert sorted(error.help.removeprefix("it may have ").split(", ")) == sorted(key.name for key in part.keys)


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_the_reader_needs_exactly_the_keys_the_schema_requires(part: Part) -> None:
    whole, block = with_part(part)
    block.clear()
    block["note" if part.name in STEPS.values() else "record"] = "1 s"
    if block is whole:
        block["author"] = "a record alone is a file to include, and says only that"
    said = {match[1] for error in errors(whole) if (match := re.search(r"needs '(\w+)'", error.message))}
    assert said == {key.name for key in part.keys if key.required}
    assert any(error.code == "no-end" for error in errors(whole)) == bool(part.one_of)


@pytest.mark.parametrize("part", [part for part in PARTS.values() if part.one_of], ids=lambda part: part.name)
def test_any_one_of_the_ends_is_enough_for_both(part: Part) -> None:
    ends = {"for": "1 h", "until": "1 h", "times": 3, "pulses": 3, "for_each": {"x": ["1 V"]}}
    for name in part.one_of:
        whole, block = with_part(part)
        for other in part.one_of:
            block.pop(other, None)
        assert faults(whole)
        block[name] = ends[name]
        assert errors(whole) == []
        assert faults(whole) == []


def test_the_kinds_of_steps_are_those_the_reader_knows() -> None:
    for word in STEPS:
        (error,) = errors({**BASE, "steps": [*BASE["steps"], {word: ""}]})
        assert error.code == "missing-value"
        assert error.message == f"'{word}' has no value"
    (unknown,) = errors({**BASE, "steps": [{"zzzzz": "1 h"}]})
    assert unknown.code == "unknown-step"


def examples_of(key: Key) -> list[Any]:
    if key.kind.name.lower() in FILES:
        return [FILES[key.kind.name.lower()]]
    if key.kind is Kind.SECTION or key.kind is Kind.STEPS:
        return []
    return list(key.examples)


EXAMPLES = [
    pytest.param(part, key, example, id=f"{part.name}-{key.name}-{number}")
    for part in PARTS.values()
    for key in part.keys
    for number, example in enumerate(examples_of(key))
]
# What an example stands beside when it needs or excludes something.
BESIDE: dict[tuple[str, str], dict[str, Any]] = {
    ("cell", "area"): {"diameter": None},
    ("current", "then_hold_until"): {"until": "0.2 V"},
    ("repeat", "stop_when"): {
        "times": 9,
        "steps": [{"lithiate": {"at": "1 mA", "until": "0.2 V"}}, {"delithiate": {"at": "1 mA", "until": "1.2 V"}}],
    },
}


@pytest.mark.parametrize(("part", "key", "example"), EXAMPLES)
def test_reader_and_schema_accept_every_example(part: Part, key: Key, example: Any, tmp_path: Path) -> None:
    whole, block = with_part(part)
    for name, value in BESIDE.get((part.name, key.name), {}).items():
        block[name] = value
        if value is None:
            del block[name]
    if key.name == "include":
        (tmp_path / example).write_text("variables: {other: 1 V}\n", encoding="utf-8")
        del whole["variables"]
    block[key.name] = example
    if key.name == "active_mass":
        assert example == "1.4 mg"  # 70 % of 2.0 mg
    assert errors(whole, tmp_path) == []
    assert faults(whole) == []


def test_every_key_says_what_it_means_and_every_written_value_has_an_example() -> None:
    for part in PARTS.values():
        for key in part.keys:
            assert key.meaning.endswith(".")
            assert key.examples or key.kind in {
                *(Kind.SECTION, Kind.STEPS, Kind.VARIABLES, Kind.FOR_EACH, Kind.COMPOSITION)
            }


def as_editors_see_it(path: Path) -> object:
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", library().values(), ids=library())
def test_shipped_protocols_are_valid_for_the_schema(path: Path) -> None:
    assert faults(as_editors_see_it(path)) == []


@pytest.mark.parametrize("path", sorted(FOLDER.glob("cell_*.yaml")), ids=lambda path: path.stem)
def test_shipped_cell_files_are_valid_for_the_schema_of_cell_files(path: Path) -> None:
    assert list(CELL.iter_errors(as_editors_see_it(path))) == []


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_modeline_of_a_shipped_file_leads_to_its_schema(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=./")
    schema = path.parent / first.partition("$schema=")[2]
    assert schema.name == (PART_FILE if path.stem.startswith("cell_") else FILE)
    Draft202012Validator.check_schema(json.loads(schema.read_text(encoding="utf-8")))


@pytest.mark.parametrize(("name", "schema"), [(FILE, protocol_schema()), (PART_FILE, part_schema())])
def test_the_shipped_schema_is_the_generated_one(name: str, schema: dict[str, Any]) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == as_file(schema)


# What is wrong in shape or spelling alone, as pairs of a place and a value: refused by reader and schema alike.
WRONG: list[tuple[str, str, Any]] = [
    ("protocol", "protocol", 2),
    ("protocol", "nam", "x"),
    ("protocol", "record", "now and then"),
    ("protocol", "record", "every 30"),
    ("protocol", "variables", {"j": 0.5}),
    ("protocol", "variables", {"j": "0.5 mA/cm"}),
    ("protocol", "variables", {"j": "$k"}),
    ("protocol", "variables", {"J": "1 V"}),
    ("protocol", "steps", []),
    ("protocol", "steps", ["rest 1 h"]),
    ("protocol", "steps", [{"ocv": "10 min"}]),
    ("protocol", "steps", [{"rest": "10 m"}]),
    ("protocol", "steps", [{"rest": 10}]),
    ("protocol", "steps", [{"rest": "1 h", "note": "two at once"}]),
    ("protocol", "include", "../cell.yaml"),
    ("cell", "nmae", "x"),
    ("cell", "area", "1 cm2"),
    ("cell", "discharge_means", "lithium"),
    ("cell", "composition", {"MgH2": "70 mg", "AB": "30 %"}),
    ("safety", "voltage", "1 V"),
    ("safety", "for", "2"),
    ("current", "untill", "0.2 V"),
    ("current", "at", "0.5 MA/cm2"),
    ("current", "at", "0,5 mA/cm2"),
    ("current", "at", "-0.5 mA/cm2"),
    ("current", "at", "0.5 V"),
    ("current", "at", 5),
    ("current", "until", "V <= 0.2 V"),
    ("current", "until", "voltage == 0.2 V"),
    ("current", "until", "0.2 V and 1 h or 60 h"),
    ("current", "until", "80 %"),
    ("current", "until", "dV/dt <= 1 mV"),
    ("current", "until", "voltage <= 120 % of first"),
    ("current", "until", ["0.2 V", "5"]),
    ("current", "on_start_met", "stop"),
    ("hold", "at", "4.2"),
    ("gitt", "delithiate", {"at": "C/20", "for": "30 min"}),
    ("gitt", "pulses", 0),
    ("gitt", "lithiate", {"at": "C/20"}),
    ("repeat", "times", 0),
    ("repeat", "times", 100_001),
    ("repeat", "times", "three"),
    ("repeat", "count_cycles", "true"),
    ("repeat", "stop_when", "delithiate capacity <= 80 %"),
    ("repeat", "for_each", {"x": []}),
    ("repeat", "for_each", {"x": "1 V"}),
]


@pytest.mark.parametrize(("part", "key", "value"), WRONG, ids=lambda value: str(value)[:40])
def test_what_is_wrong_in_shape_is_refused_by_both(part: str, key: str, value: Any) -> None:
    whole, block = with_part(PARTS[part])
    assert faults(whole) == []
    block[key] = value
    assert faults(whole)
    assert errors(whole)


ANY_UNIT = st.sampled_from([(name, dimension) for dimension, names in TABLE.items() for name in names])
NUMBERS = st.one_of(
    st.decimals(0, 10**6, places=3, allow_nan=False).map(str), st.integers(0, 10**6).map(str), st.just("1e-3")
)


@given(unit=ANY_UNIT, number=NUMBERS, gap=st.sampled_from(["", " ", "  "]), style=st.integers(0, 3))
def test_the_pattern_takes_every_spelling_of_a_quantity_the_reader_takes(
    unit: tuple[str, Dimension], number: str, gap: str, style: int
) -> None:
    name, dimension = unit
    spelt = [name, name.replace("µ", "u"), name.replace("µ", "μ"), name.replace("m2", "m²").replace("°C", "℃")][style]
    text = f"{number}{gap}{spelt}"
    try:
        read = read_quantity(text)
    except QuantityError:
        return
    assert read.dimension is dimension
    assert re.search(patterns.whole(patterns.quantity((dimension,))), text)


def code_of(text: str) -> str | None:
    try:
        read_quantity(text)
    except QuantityError as error:
        return error.code
    return None


@given(text=st.text("0123456789.eE+-CVAmhµu/ $j%°,_\u0660", max_size=9))
@example("0E000A")
@settings(max_examples=400)
def test_what_the_pattern_takes_is_read_as_a_quantity(text: str) -> None:
    every = patterns.whole(patterns.quantity(tuple(Dimension), signed=True, literal=True))
    # sizes beyond reach, and numbers of too many digits, a pattern leaves to the checker
    assert not re.search(every, text) or code_of(text) in {None, "out-of-range", "number"}


CLAUSES = st.sampled_from(
    ["0.2 V", "voltage <= 0.2 V", "voltage<0.2 V for 5 s", "120 % of first", "capacity >= 1 mAh", "10 h", "$v_low"]
)


@given(clauses=st.lists(CLAUSES, min_size=1, max_size=5), joint=st.sampled_from([" or ", " and "]))
def test_schema_and_reader_take_the_same_conditions(clauses: list[str], joint: str) -> None:
    whole, block = with_part(PARTS["current"])
    block["until"] = joint.join(clauses)
    assert errors(whole) == []
    assert faults(whole) == []


def test_a_long_wrong_condition_does_not_hang_an_editor() -> None:
    long = " or ".join(["120 % of previous lithiate"] * 200) + " or"
    assert re.search(patterns.condition(), long) is None


@pytest.mark.parametrize("what", DOCUMENTS)
def test_every_schema_is_printed_as_json(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert show_schema(what) == 0
    printed = json.loads(capsys.readouterr().out)
    if "$schema" in printed:
        Draft202012Validator.check_schema(printed)
    else:
        assert printed.get("asyncapi") == "3.0.0" or "/api/v1/channels/{channel}/stop" in printed["paths"]


def test_an_unknown_schema_is_one_message() -> None:
    with pytest.raises(ConfigError, match="it may be protocol, cell, station, mqtt, http"):
        show_schema("protocols")


DATA = Path(__file__).parent / "data" / "protocols"
INVALID: list[dict[str, Any]] = json.loads((DATA / "invalid.json").read_text(encoding="utf-8"))
# What one value, seen alone, shows; the rest needs the checker.
OF_SHAPE = {
    *("unknown-key", "unknown-step", "missing-key", "shape", "version", "unit-missing", "unit-unknown", "number"),
    *("mixed-and-or", "no-end", "condition", "dimension", "variable"),
}
NEEDS_MORE = {"at: $v_low", "until: 1.2 V or 120 % of lithiation"}


def document_of(text: str) -> object:
    return YAML(typ="safe", pure=True).load(text)


def test_the_base_of_the_invalid_examples_is_valid() -> None:
    assert faults(document_of((DATA / "base.yaml").read_text(encoding="utf-8"))) == []


def test_every_part_of_the_language_in_one_file_is_valid() -> None:
    everything = Path(__file__).parent / "language" / "everything.yaml"
    assert faults(document_of(everything.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("case", INVALID, ids=lambda case: case["new"][:40] or f"without {case['old'].strip()}")
def test_the_invalid_examples_that_are_faults_of_shape_are_refused(case: dict[str, Any]) -> None:
    code = re.search(r"error\[([\w-]+)\]", case["first_error"][0])
    assert code is not None
    text = (DATA / "base.yaml").read_text(encoding="utf-8").replace(case["old"], case["new"])
    if code[1] in OF_SHAPE and case["new"].strip() not in NEEDS_MORE:
        assert faults(document_of(text))
