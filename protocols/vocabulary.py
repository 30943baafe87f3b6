"""Every key of the language, with what it means and how it is written: the source of the schema and the reference.

That these are exactly the keys the reader knows, and that it accepts every example, is tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a value is written; the value is how the reference calls it."""

    VERSION = "`1`"
    TEXT = "text"
    FILES = "a file name, or a list of them"
    VARIABLES = "names with quantities"
    SECTION = "settings"
    STEPS = "a list of steps"
    COMPOSITION = "names with percentages"
    RECORD = "a record rule"
    CONDITION = "a condition"
    STOP_WHEN = "a stop_when condition"
    FOR_EACH = "names with lists of quantities"
    WHOLE = "a whole number"
    YES_NO = "`yes` or `no`"
    VERB = "`lithiate` or `delithiate`"
    STATE = "`lithiated` or `delithiated`"
    ON_START = "`skip` or `abort`"
    CURRENT = "a current"
    VOLTAGE = "a voltage"
    VOLTAGE_RANGE = "a voltage range"
    TEMPERATURE = "a temperature"
    TEMPERATURE_RANGE = "a temperature range"
    CAPACITY = "a capacity"
    SPECIFIC_CAPACITY = "a specific capacity"
    TIME = "a time"
    MASS = "a mass"
    LENGTH = "a length"
    AREA = "an area"


@dataclass(frozen=True, slots=True)
class Key:
    """One key. ``part``: the name of the part of the language its settings are, where it has settings of its own."""

    name: str
    kind: Kind
    meaning: str
    examples: tuple[str, ...] = ()
    required: bool = False
    part: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """The keys one block takes. ``one_of``: at least one of these keys must be there."""

    name: str
    title: str
    meaning: str
    keys: tuple[Key, ...]
    one_of: tuple[str, ...] = ()


def _time(meaning: str, *examples: str, required: bool = False) -> Key:
    return Key("for", Kind.TIME, meaning, examples, required)


RECORD = Key(
    "record",
    Kind.RECORD,
    "When a point is kept, in place of the protocol's own rule: at any of these differences to the last kept point. "
    "The first and the last point of a step are always kept.",
    ("every 30 s or 5 mV", "every 1 s or 1 mV", "0.5 mV or 1 mAh/g"),
)
LABEL = Key("label", Kind.TEXT, "A name for the step, used once: others say '120 % of NAME'.", ("slow_lithiation",))
NOTE = Key("note", Kind.TEXT, "A remark for whoever reads the record.", ("as in the paper",))
ABORT = Key(
    "abort_if",
    Kind.CONDITION,
    "What must not happen. It ends the whole run as aborted and turns the output off.",
    ("time >= 20 h", "temperature >= 130 °C", "20 h"),
)
RAMP_END = Key(
    "until",
    Kind.CONDITION,
    "What ends the step. A bare voltage is the cut-off on the side the voltage moves to; several are joined by "
    "'or', or by 'and', or stand in a list, one alternative a line.",
    ("0.2 V", "voltage <= 0.2 V for 5 s", "0.2 V or 120 % of previous lithiate", "capacity >= 1 mAh", "$v_low"),
)
REST_END = Key(
    "until",
    Kind.CONDITION,
    "What ends the rest, for example a small drift of the open-circuit voltage.",
    ("dV/dt <= 1 mV/h", "temperature >= 118 °C for 10 min"),
)
HOLD_END = Key(
    "until",
    Kind.CONDITION,
    "What ends the hold. A bare current ends it when the current has fallen to that.",
    ("C/50", "current <= 0.05 mA", "capacity >= 1 mAh"),
)

PROTOCOL = Part(
    "protocol",
    "The protocol",
    "One file, one experiment. Every value is text to the program: numbers have their unit beside them.",
    (
        Key("protocol", Kind.VERSION, "The version of the language.", ("1",), required=True),
        Key("name", Kind.TEXT, "What people call the experiment.", ("MgH2 at two rates",), required=True),
        Key("description", Kind.TEXT, "What it is for.", ("Two slow cycles and a long rest.",)),
        Key("author", Kind.TEXT, "Who wrote it.", ("A. Researcher",)),
        Key("source", Kind.TEXT, "Where it comes from, for example a paper.", ("Supporting Information, Fig. S3",)),
        Key(
            "include",
            Kind.FILES,
            "Files beside this one that give whole sections: cell, variables, record, safety. "
            "A section given twice is an error.",
            ("cell_mgh2.yaml",),
        ),
        Key(
            "variables",
            Kind.VARIABLES,
            "Quantities with names (small letters, digits, '_'), used as $name. "
            "'--set name=quantity' overrides one for a run; the kind of quantity must stay the same.",
        ),
        Key("cell", Kind.SECTION, "The cell.", part="cell"),
        Key(
            "record",
            Kind.RECORD,
            "When a point is kept: at any of these differences to the last kept point. "
            "The first and the last point of a step are always kept. Without it: every 10 s or 5 mV.",
            ("every 30 s or 5 mV", "every 10 min or 0.5 mV or 1 mAh/g", "every 10 s or 0.1 K"),
        ),
        Key("safety", Kind.SECTION, "What no sample may leave. The channel's own limits hold as well.", part="safety"),
        Key("steps", Kind.STEPS, "What is done, in order.", required=True),
    ),
)

CELL = Part(
    "cell",
    "The cell",
    "What is known of the cell. A protocol needs only what its units ask for: an area for mA/cm2, an active mass for "
    "mA/g, a nominal capacity for C-rates.",
    (
        Key("name", Kind.TEXT, "The cell's name or number.", ("MG-0142",), required=True),
        Key("area", Kind.AREA, "The electrode's area; needed for /cm2. Area or diameter, not both.", ("0.785 cm2",)),
        Key("diameter", Kind.LENGTH, "The electrode's diameter, in place of its area.", ("10 mm",)),
        Key("electrode_mass", Kind.MASS, "The mass of the whole electrode layer.", ("2.0 mg",)),
        Key("composition", Kind.COMPOSITION, "What it is made of, by weight; must add up to 100 %."),
        Key("active_material", Kind.TEXT, "The name in the composition that stores charge.", ("MgH2",)),
        Key("active_mass", Kind.MASS, "Its mass, if not electrode_mass times its share; needed for /g.", ("1.4 mg",)),
        Key(
            "theoretical_capacity",
            Kind.SPECIFIC_CAPACITY,
            "Of the active material; what '100 % of theoretical' means.",
            ("2038 mAh/g",),
        ),
        Key(
            "nominal_capacity",
            Kind.CAPACITY,
            "What 1C means for this cell, and '100 % of nominal'.",
            ("2.24 mAh", "3.2 mAh/cm2", "1600 mAh/g"),
        ),
        Key(
            "discharge_means",
            Kind.VERB,
            "What 'discharge' does to the working electrode: lithiate in a half cell against lithium and in a full "
            "cell whose working electrode is the positive one. Needed only where charge or discharge is written.",
            ("lithiate",),
        ),
        Key("as_built", Kind.STATE, "The state of the working electrode in the fresh cell.", ("delithiated",)),
        Key("working_electrode", Kind.TEXT, "For the record.", ("MgH2:AB = 70:30",)),
        Key("counter_electrode", Kind.TEXT, "For the record.", ("Li",)),
        Key("electrolyte", Kind.TEXT, "For the record.", ("LiBH4",)),
        Key("temperature", Kind.TEMPERATURE, "What it is meant to run at, for the record.", ("120 °C",)),
        Key("notes", Kind.TEXT, "Anything else, for the record.", ("pressed at 240 MPa",)),
    ),
)

SAFETY = Part(
    "safety",
    "Safety",
    "What no sample may leave. A limit passed for as long as 'for' turns the output off and ends the run as tripped.",
    (
        Key("voltage", Kind.VOLTAGE_RANGE, "The window of the cell's voltage.", ("-0.1 V to 2.5 V",)),
        Key(
            "temperature",
            Kind.TEMPERATURE_RANGE,
            "The window of the cell's temperature. The lower end is not watched during a rest: the cell may be "
            "waiting to be heated.",
            ("110 °C to 135 °C",),
        ),
        Key("current", Kind.CURRENT, "The largest current, in either direction.", ("2 mA", "2C")),
        Key("capacity", Kind.CAPACITY, "The largest capacity of one step.", ("10 mAh",)),
        _time("How long a limit must be passed without a break. Without it: one sample is enough.", "2 s"),
    ),
)

CURRENT = Part(
    "current",
    "lithiate, delithiate, charge, discharge",
    "A constant current. The verb gives the direction, so the current is written without a sign. lithiate and "
    "delithiate name what happens to the working electrode; charge and discharge mean what the cell's "
    "discharge_means says.",
    (
        Key(
            "at",
            Kind.CURRENT,
            "The current, without a sign: absolute, per area, per active mass, or as C-rate.",
            ("0.5 mA/cm2", "C/20", "20 mA/g", "1 mA", "$j"),
            required=True,
        ),
        _time("The longest time; ends the step like an alternative written last.", "10 h", "90 min"),
        RAMP_END,
        Key(
            "then_hold_until",
            Kind.CONDITION,
            "CCCV: when the voltage of 'until' ends the current, that voltage is held until this.",
            ("C/20", "C/20 or 2 h"),
        ),
        ABORT,
        Key(
            "on_start_met",
            Kind.ON_START,
            "What happens if 'until' already holds when the step begins: skip it (the default), or abort the run.",
            ("abort",),
        ),
        RECORD,
        LABEL,
        NOTE,
    ),
    ("for", "until"),
)

REST = Part(
    "rest",
    "rest",
    "No current. Written 'rest: 1 h', or with settings.",
    (_time("How long, at most.", "1 h"), REST_END, ABORT, RECORD, LABEL, NOTE),
    ("for", "until"),
)

HOLD = Part(
    "hold",
    "hold",
    "A constant voltage.",
    (
        Key("at", Kind.VOLTAGE, "The voltage, with its sign.", ("4.2 V", "0 V"), required=True),
        _time("How long, at most.", "2 h"),
        HOLD_END,
        Key(
            "current_limit",
            Kind.CURRENT,
            "The largest current. Without it: the safety section's current, else the channel's.",
            ("1 mA", "C/2"),
        ),
        ABORT,
        RECORD,
        LABEL,
        NOTE,
    ),
    ("for", "until"),
)

PULSE = Part(
    "pulse",
    "The pulse of a gitt",
    "The current of one pulse and how long it flows.",
    (
        Key("at", Kind.CURRENT, "The current of each pulse, without a sign.", ("C/20",), required=True),
        _time("How long each pulse is.", "30 min", required=True),
        RECORD,
    ),
)

PULSE_REST = Part(
    "pulse_rest",
    "The rest of a gitt",
    "The rest after each pulse; needs a longest time.",
    (
        _time("How long, at most.", "4 h"),
        Key("until", Kind.CONDITION, "What ends it earlier.", ("dV/dt <= 1 mV/h",)),
    ),
    ("for",),
)

_VERB_OF_PULSE = "The pulse, by the verb that gives its direction. A gitt has exactly one."
GITT = Part(
    "gitt",
    "gitt",
    "A train of current pulses with a rest after each: galvanostatic intermittent titration.",
    (
        *(
            Key(verb, Kind.SECTION, _VERB_OF_PULSE, part="pulse")
            for verb in ("lithiate", "delithiate", "charge", "discharge")
        ),
        Key(
            "rest",
            Kind.TIME,
            "The rest after each pulse: a time, or settings.",
            ("2 h",),
            required=True,
            part="pulse_rest",
        ),
        Key(
            "until",
            Kind.CONDITION,
            "What ends the train. It is watched during pulses, under current; the rest after that pulse still runs.",
            ("0.2 V", "voltage <= 0.2 V"),
        ),
        Key("pulses", Kind.WHOLE, "The largest number of pulses.", ("60",)),
        ABORT,
        RECORD,
        LABEL,
        NOTE,
    ),
    ("until", "pulses"),
)

REPEAT = Part(
    "repeat",
    "repeat",
    "A block of steps run several times. 'times' is the total number of passes.",
    (
        Key("times", Kind.WHOLE, "How often, in all: 1 to 100000. With for_each: for each value.", ("3",)),
        Key(
            "for_each",
            Kind.FOR_EACH,
            "Variables that take one value after the other: all passes with the first, then all with the second.",
        ),
        Key(
            "stop_when",
            Kind.STOP_WHEN,
            "Looked at after each counted cycle in the block; when met, the block ends and the protocol goes on.",
            (
                "delithiate capacity <= 80 % of cycle 3",
                "delithiate capacity <= 80 % of cycle 4 for 2 cycles",
                "lithiate capacity <= 1 mAh",
                "coulombic efficiency <= 95 % for 3 cycles",
            ),
        ),
        Key(
            "count_cycles",
            Kind.YES_NO,
            "Whether each pass is a cycle. Without it: yes if the block holds no other repeat.",
            ("no",),
        ),
        Key("steps", Kind.STEPS, "What is repeated.", required=True),
        LABEL,
        NOTE,
    ),
    ("times", "for_each"),
)

PARTS = {part.name: part for part in (PROTOCOL, CELL, SAFETY, REST, CURRENT, HOLD, GITT, PULSE, PULSE_REST, REPEAT)}

STEPS = {
    "rest": "rest",
    "lithiate": "current",
    "delithiate": "current",
    "charge": "current",
    "discharge": "current",
    "hold": "hold",
    "gitt": "gitt",
    "repeat": "repeat",
    "note": "",
}
"""Each kind of step and the part that holds its keys; a note is text."""

STEP_MEANINGS = {
    "rest": "No current: 'rest: 1 h', or with for, until and so on.",
    "lithiate": "A constant current that lithiates (reduces) the working electrode.",
    "delithiate": "A constant current that delithiates (oxidises) the working electrode.",
    "charge": "A constant current that charges the cell; cell: discharge_means says which way that is.",
    "discharge": "A constant current that discharges the cell; cell: discharge_means says which way that is.",
    "hold": "A constant voltage.",
    "gitt": "A train of current pulses, each followed by a rest.",
    "repeat": "A block of steps, run several times.",
    "note": "Text for the log; takes no time.",
}

SHARED = ("variables", "cell", "record", "safety")
"""The sections a file to include may hold."""
