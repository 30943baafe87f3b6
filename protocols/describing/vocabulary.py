"""Every key of the language, with what it means and how it is written: the source of the schema and the reference.

That these are exactly the keys the reader knows, and that it accepts every example, is tested.
"""

from __future__ import annotations

from protocols.describing.vocabulary_keys import Key, Kind, Part, time_key
from protocols.describing.vocabulary_steps import CURRENT, GITT, HOLD, PULSE, PULSE_REST, REPEAT, REST

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
        time_key("How long a limit must be passed without a break. Without it: one sample is enough.", "2 s"),
    ),
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
