"""Random files and conditions: grammar in no order, with noise between. Whatever comes, a reader must answer."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from protocols.check import check_text
from protocols.diagnostics import Mark, render, source_of
from protocols.model import Cell, Verb
from protocols.quantities import read_quantity
from protocols.reading.amounts import CellFacts, Scope
from protocols.reading.conditions_text import read_condition
from protocols.reading.directions import Kind, Place
from protocols.reading.fields import Findings, TooMany, Variable
from protocols.syntax import Scalar

TERMS = (
    *("voltage", "current", "time", "capacity", "energy", "temperature", "dV/dt", "coulombic efficiency", "V", "I"),
    *(
        "<=",
        ">=",
        "<",
        ">",
        "==",
        "≤",
        "=<",
        " or ",
        " and ",
        " for ",
        " of ",
        " to ",
        "every ",
        "%",
        "$j",
        "$",
        "$low",
        "C/",
    ),
    *(
        "0.2 V",
        "1 h",
        "C/10",
        "0.1C",
        "2 mAh",
        "1 mV/h",
        "120 °C",
        "80 %",
        "1 mAh/g",
        "5 µA",
        "1e3 s",
        "-1 V",
        "0",
        "1e99",
    ),
    *(
        "previous lithiate",
        "previous step",
        "previous charge",
        "theoretical",
        "nominal",
        "full",
        "cycle 3",
        "for 2 cycles",
    ),
    *("lithiate capacity", "nan", "0,5", "٣", "\u2212", "\u00a0", "  ", "", "_", ".", "(", "'"),
)
KEYS = (
    *(
        "protocol",
        "name",
        "variables",
        "cell",
        "record",
        "safety",
        "steps",
        "include",
        "at",
        "for",
        "until",
        "abort_if",
    ),
    *(
        "label",
        "note",
        "then_hold_until",
        "on_start_met",
        "current_limit",
        "rest",
        "hold",
        "gitt",
        "repeat",
        "lithiate",
    ),
    *(
        "delithiate",
        "charge",
        "discharge",
        "times",
        "for_each",
        "stop_when",
        "count_cycles",
        "pulses",
        "voltage",
        "current",
    ),
    *(
        "composition",
        "active_material",
        "area",
        "diameter",
        "nominal_capacity",
        "discharge_means",
        "j",
        "low",
        "<<",
        "",
    ),
)
MARKS = (
    "\n",
    ": ",
    "- ",
    "  ",
    "    ",
    "{",
    "}",
    "[",
    "]",
    ", ",
    "#",
    "'",
    '"',
    "|",
    ">",
    "&a ",
    "*a",
    "!!str ",
    "---\n",
    "\t",
    "? ",
)
NOISE = (
    "\0",
    "\ud800",
    "\ufeff",
    "\x1b",
    "\u2028",
    "\x85",
    "\U0001f50b",
    "\xff",
    "\r",
    "\\",
    "%",
    "@",
    "`",
    "~",
    "1" * 99,
)
HEAD = """\
protocol: 1
name: fuzz
variables: {j: 0.1 mA, low: 0.2 V}
cell: {name: c, area: 1 cm2, active_mass: 1 mg, nominal_capacity: 1 mAh, theoretical_capacity: 1000 mAh/g}
record: 10 s
safety: {voltage: -0.1 V to 2.5 V, current: 5 mA}
steps:
"""
STEPS = (
    "rest: {}",
    "rest: {{until: {}, for: {}}}",
    "lithiate: {{at: {}, until: {}, abort_if: {}, label: {}}}",
    "delithiate: {{at: C/10, until: {}, then_hold_until: {}, record: {}}}",
    "hold: {{at: {}, until: {}, current_limit: {}}}",
    "gitt: {{lithiate: {{at: {}, for: {}}}, rest: {{until: {}, for: {}}}, until: {}, pulses: {}}}",
    "repeat: {{times: {}, for_each: {{j: [{}, {}]}}, stop_when: {}, steps: [lithiate: {{at: $j, until: {}}}]}}",
    "repeat: {{times: 3, count_cycles: {}, stop_when: {}, steps: [lithiate: {{at: 1 mA, until: 0.2 V}}, rest: {}]}}",
    "note: {}",
)
PLACES = tuple(
    Place(key, "lithiate", kind, verb)
    for key in ("until", "abort_if", "then_hold_until")
    for kind in Kind
    for verb in (None, *Verb)
)
EACH = 9
"""Of the places a condition can stand in, each text is read in every ninth."""


@dataclass(frozen=True)
class Uncaught:
    """What a reader did that it must never do."""

    text: str
    error: str


def words(rng: random.Random, most: int) -> str:
    parts = [rng.choice(TERMS) for _ in range(rng.randint(1, most))]
    if rng.random() < 0.1:
        parts.insert(rng.randrange(len(parts) + 1), rng.choice((*NOISE, *MARKS)))
    return rng.choice((" ", " ", "")).join(parts)


def value(rng: random.Random) -> str:
    """As people would write it, in quotes, or as a list."""
    text = words(rng, 5)
    return rng.choice((text, text, f"'{text}'", f'"{text}"', f"[{text}, {words(rng, 3)}]", ""))


def steps_file(rng: random.Random) -> str:
    lines = []
    for _ in range(rng.randint(1, 4)):
        step = rng.choice(STEPS)
        lines.append(f"  - {step.format(*(value(rng) for _ in range(step.count('{}'))))}\n")
    return HEAD + "".join(lines)


def pieces_file(rng: random.Random) -> str:
    parts = (KEYS, TERMS, MARKS, MARKS, MARKS, NOISE)
    return "".join(rng.choice(rng.choice(parts)) for _ in range(rng.randint(1, 60)))


def bytes_file(rng: random.Random) -> str:
    data = bytearray(HEAD.encode() + b"  - rest: 1 h\n")
    for _ in range(rng.randint(1, 6)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return data.decode("utf-8", rng.choice(("replace", "surrogateescape", "ignore")))


def any_file(seed: int) -> str:
    rng = random.Random(seed)
    return rng.choice((steps_file, steps_file, pieces_file, bytes_file))(rng)


def read_file(text: str) -> None:
    """The target: an answer, with a place and something to show, or a program."""
    checked = check_text(text, "fuzz.yaml")
    for diagnostic in checked.diagnostics:
        shown = render(diagnostic)
        if not diagnostic.message or any(letter < " " and letter not in "\t\n" for letter in shown):
            raise AssertionError(f"a message that says nothing, or steers the terminal: {shown!r}")
    if (checked.program is None) is not any(each.severity == "error" for each in checked.diagnostics):
        raise AssertionError("refused without an error, or accepted with one")


def any_condition(seed: int) -> str:
    rng = random.Random(seed)
    return words(rng, 9) if rng.random() < 0.9 else pieces_file(rng)


def read_any_condition(text: str) -> None:
    """The target: clauses, or an error; never neither."""
    variables = {"j": Variable(read_quantity("0.1 mA")), "low": Variable(read_quantity("0.2 V"))}
    cell = Cell("c", area_cm2=1.0, active_mass_g=1e-3, nominal_capacity_Ah=1e-3, theoretical_capacity_Ah=1e-3)
    for place in PLACES[sum(map(ord, text)) % EACH :: EACH]:
        findings = Findings()
        scalar = Scalar(text, Mark(source_of("fuzz", text), 1, 1))
        try:
            read = read_condition(Scope(findings, variables, CellFacts(cell)), scalar, place)
        except TooMany:
            continue
        if place.settled and read.complete is bool(findings.diagnostics):
            raise AssertionError(f"{place}: {read}, {findings}")
        if not all(-1e30 < clause.clause.value < 1e30 for clause in read.clauses):
            raise AssertionError(f"a value that is no number: {read}")


def run(make: Callable[[int], str], target: Callable[[str], None], seeds: range) -> list[Uncaught]:
    """Everything the target could not take."""
    found: list[Uncaught] = []
    for seed in seeds:
        text = make(seed)
        try:
            target(text)
        except Exception as error:  # noqa: BLE001 - the harness is there to see every one of them
            found.append(Uncaught(text, repr(error)))
    return found
