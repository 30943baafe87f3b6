"""What a key and a part of the language are, for the tables of the vocabulary."""

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


def time_key(meaning: str, *examples: str, required: bool = False) -> Key:
    return Key("for", Kind.TIME, meaning, examples, required)
