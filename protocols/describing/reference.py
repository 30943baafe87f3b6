"""The reference of the language as Markdown, made from the tables that the schema is made from.

``python -m protocols.describing.reference docs/guide/protocol-reference.md`` writes it anew.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from protocols.describing.vocabulary import PARTS, STEP_MEANINGS
from protocols.describing.vocabulary_keys import Key, Kind, Part
from protocols.units import STATION_ONLY, TABLE, Dimension

HEAD = """\
# Protocol reference

Made from the program's own tables by `python -m protocols.describing.reference docs/guide/protocol-reference.md`; do not edit it.
A tutorial is in [first-protocol.md](first-protocol.md), recipes in [how-to.md](how-to.md), and what happens when in
[what-happens-when.md](what-happens-when.md).

## The file

UTF-8 text in YAML, at most 1 MiB, one document, at most 20 levels deep, at most a million executed steps. Every value
is text to the program: `no`, `1:30` and `0042` are what they look like. Anchors, aliases, tags and merge keys are
refused; a key given twice is an error. Put quotes around a text that contains `: ` or ` #`.

## Quantities

A number, then its unit: `0.5 mA/cm2`. Numbers have a decimal point, never a comma; `1e-3` is read, `nan` and `inf` are
not. C-rates are written `C/10` or `0.1C`. `$name` stands for a variable. Units are case-sensitive. `µ` may be U+00B5,
U+03BC or `u`; `cm2`, `cm^2` and `cm²` are one unit; `m` is refused, because it could be milli, metre or minute.
"""
CONDITIONS = """\
## Conditions

A condition ends a step (`until`), ends a hold that follows (`then_hold_until`), or aborts the run (`abort_if`).

| written | means |
|---|---|
| `0.2 V` | the voltage has reached 0.2 V, from the side the step moves it |
| `voltage <= 0.2 V` | the same, said in full; also `>=`, `<`, `>`, `≤`, `≥` |
| `voltage <= 0.2 V for 5 s` | at every reading of an unbroken 5 s |
| `0.2 V or 10 h` | whichever comes first |
| `current <= 0.05 mA and time >= 1 h` | both at one reading |
| `120 % of previous lithiate` | the capacity of this step is 1.2 times that of the last completed lithiation |
| `80 % of NAME` | the same, of the last completed step with the label NAME |
| `100 % of theoretical`, `90 % of nominal` | of the cell's own capacities |

What may be watched: `voltage`, `current`, `time`, `capacity`, `energy`, `temperature`, `dV/dt`. Voltage has a sign; the
others are magnitudes. `and` and `or` in one line are refused: write a list, one alternative a line. `==` is refused.
After `previous` stands `lithiate`, `delithiate`, `charge`, `discharge` or `step`.

A bare voltage in `until` means `<=` where the voltage falls and `>=` where it rises; a bare time, capacity or energy
means `>=`; a bare current or dV/dt means `<=`. In `abort_if` a bare voltage or temperature is refused: say which way.

`stop_when` looks at whole cycles: `delithiate capacity <= 80 % of cycle 4 for 2 cycles`, `lithiate capacity <= 1 mAh`,
`coulombic efficiency <= 95 % for 3 cycles`.
"""
MESSAGES = """\
## Messages

`file:line:column: error[code]: what is wrong`, then the line, a caret, and `= help: what to write`. Errors keep a
protocol from starting; warnings do not.
"""
CODES: Mapping[str, str] = {
    "alloying": "warning: the cut-off lies where magnesium alloys with lithium",
    "cell-data": "a unit or reference needs something of the cell that is not given",
    "cell-replaced": "warning: the cell given at the start takes the place of the protocol's",
    "choice": "the value is none of the words allowed",
    "coarse-record": "warning, in a plan: fewer than 50 points are to be expected in a step",
    "condition": "a condition cannot be read, or would never be met",
    "conflict": "two things exclude each other",
    "convention": "charge or discharge is written, and the cell does not say what it means",
    "dimension": "a quantity of another kind is needed",
    "direction": "the condition holds from the start, or never",
    "duplicate-key": "a key is given twice",
    "duplicate-label": "a label is used twice",
    "file": "the file cannot be read",
    "include": "an included file is missing, unreadable, or not beside the protocol",
    "inconsistent": "facts about the cell contradict each other",
    "instrument-range": "in a plan: the instrument cannot do it",
    "limit": "the file or the protocol is too large",
    "missing-key": "a key that must be there is not",
    "missing-value": "a key has no value",
    "mixed-and-or": "and and or in one line",
    "no-end": "nothing ends the step",
    "no-record": "warning: no record rule",
    "no-safety": "warning: no safety section",
    "no-voltage-cutoff": "warning: a current without a voltage that ends it",
    "number": "not a number",
    "out-of-range": "a number that cannot be meant",
    "override": "--set names no variable, or another kind of quantity",
    "range-accuracy": "warning, in a plan: the current is small for the instrument's range",
    "reference": "it refers to something that is not there, or not before this step",
    "safety-conflict": "the step would leave the safety limits",
    "shape": "something else belongs here: settings, a list, one value",
    "unit-missing": "a number without a unit",
    "unit-unknown": "not a unit of the language",
    "unknown-key": "not a key of this part",
    "unknown-step": "not a kind of step",
    "unknown-variable": "no variable has this name",
    "variable": "a variable's name or definition is faulty",
    "version": "another version of the language",
    "yaml-feature": "YAML can do this, the language cannot",
    "yaml-syntax": "not YAML",
}


def reference_text() -> str:
    parts = "\n".join(_part(part) for part in PARTS.values())
    return "\n".join([HEAD, _units(), CONDITIONS, _records(), _steps(), parts, _messages()]).rstrip() + "\n"


def _units() -> str:
    rows = [f"| {dimension.value} | {_unit_names(dimension)} |" for dimension in TABLE if dimension not in STATION_ONLY]
    return "\n".join(["| kind | units |", "|---|---|", *rows, ""])


def _unit_names(dimension: Dimension) -> str:
    named = [f"`{name}`" for name in TABLE[dimension] if dimension is not Dimension.C_RATE]
    return " ".join(named) or "`C/10` `0.1C`"


def _records() -> str:
    return (
        "## Records and ranges\n\n"
        "`record: every 30 s or 5 mV or 1 mAh/g` keeps a point whenever one of these differences to the last kept point "
        "is reached: of time, voltage, current, capacity or temperature, each at most once; `every` may be left out.\n"
        "A range is written `-0.1 V to 2.5 V`, the lower end first.\n"
    )


def _steps() -> str:
    rows = [f"| `{word}` | {meaning} |" for word, meaning in STEP_MEANINGS.items()]
    return "\n".join(["## Steps", "", "| step | does |", "|---|---|", *rows, ""])


def _part(part: Part) -> str:
    rows = [_row(key) for key in part.keys]
    ends = " or ".join(f"`{name}`" for name in part.one_of)
    need = ["", f"At least {ends} must be there."] if ends else []
    table = ["| key | value | meaning |", "|---|---|---|", *rows]
    return "\n".join([f"## {part.title}", "", part.meaning, *need, "", *table, ""])


def _row(key: Key) -> str:
    name = f"`{key.name}`" + (" (must)" if key.required else "")
    example = f"; for example `{key.examples[0]}`" if key.examples else ""
    return f"| {name} | {_value(key)}{example} | {key.meaning} |"


def _value(key: Key) -> str:
    if not key.part:
        return key.kind.value
    settings = f"settings: see {PARTS[key.part].title[0].lower()}{PARTS[key.part].title[1:]}"
    return settings if key.kind is Kind.SECTION else f"{key.kind.value}, or {settings}"


def _messages() -> str:
    rows = [f"| `{code}` | {meaning} |" for code, meaning in CODES.items()]
    return "\n".join([MESSAGES, "| code | meaning |", "|---|---|", *rows])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference_text(), encoding="utf-8", newline="\n")
