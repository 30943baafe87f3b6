"""The keys of each kind of step."""

from __future__ import annotations

from protocols.describing.vocabulary_keys import Key, Kind, Part, time_key

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
        time_key("The longest time; ends the step like an alternative written last.", "10 h", "90 min"),
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
    (time_key("How long, at most.", "1 h"), REST_END, ABORT, RECORD, LABEL, NOTE),
    ("for", "until"),
)

HOLD = Part(
    "hold",
    "hold",
    "A constant voltage.",
    (
        Key("at", Kind.VOLTAGE, "The voltage, with its sign.", ("4.2 V", "0 V"), required=True),
        time_key("How long, at most.", "2 h"),
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
        time_key("How long each pulse is.", "30 min", required=True),
        RECORD,
    ),
)

PULSE_REST = Part(
    "pulse_rest",
    "The rest of a gitt",
    "The rest after each pulse; needs a longest time.",
    (
        time_key("How long, at most.", "4 h"),
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
