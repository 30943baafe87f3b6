"""The JSON Schema (draft 2020-12) of protocol files, so that an editor completes and checks them.

It knows shapes, keys and the spelling of values; what depends on more than one place (directions, references, the
cell's data, safety) is the checker's. Where an editor sees a number and the language text, both are allowed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias

from protocols.describing import patterns
from protocols.describing.vocabulary import PARTS, PROTOCOL, SHARED, STEP_MEANINGS, STEPS
from protocols.describing.vocabulary_keys import Key, Kind, Part
from protocols.units import STATION_ONLY, Dimension

JsonObject: TypeAlias = "dict[str, JSON]"
JSON: TypeAlias = "str | int | bool | list[JSON] | JsonObject"

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FILE, PART_FILE = "protocol.schema.json", "cell.schema.json"
TEXT: list[JSON] = ["string", "number", "boolean"]
"""What an editor may take a text for: ``name: 2024`` and ``label: true`` are text here."""
MOST = {"times": 100_000, "pulses": 1_000_000}


def protocol_schema() -> JsonObject:
    return {
        "$schema": DIALECT,
        **_object(PROTOCOL),
        "title": "cycler-ctl protocol",
        "$defs": _definitions(),
    }


def part_schema() -> JsonObject:
    """Of a file to include, or to give with --cell."""
    keys = tuple(key for key in PROTOCOL.keys if key.name in SHARED)
    part = Part("part", "", "A file that protocols include: whole sections they share.", keys)
    return {
        "$schema": DIALECT,
        **_object(part),
        "title": "cycler-ctl cell file",
        "minProperties": 1,
        "$defs": _definitions(),
    }


def as_file(schema: Mapping[str, JSON]) -> str:
    return json.dumps(schema, indent=1) + "\n"


def _definitions() -> JsonObject:
    parts: JsonObject = {f"part_{part.name}": _object(part) for part in PARTS.values() if part is not PROTOCOL}
    return {**_values(), **parts, "steps": _steps(), "step": _step()}


def _ref(name: str) -> JsonObject:
    return {"$ref": f"#/$defs/{name}"}


def _object(part: Part) -> JsonObject:
    made: JsonObject = {
        "title": f"settings of {part.name.replace('_', ' ')}",  # what an editor offers them as
        "type": "object",
        "description": part.meaning,
        "properties": {key.name: _property(key) for key in part.keys},
        "required": [key.name for key in part.keys if key.required],
        "additionalProperties": False,
    }
    if part.one_of:
        made["anyOf"] = [{"required": [name]} for name in part.one_of]
    return {**made, **_exclusions(part)}


def _exclusions(part: Part) -> JsonObject:
    """Keys that exclude each other."""
    if part.name == "cell":
        return {"not": {"required": ["area", "diameter"]}}
    if part.name == "gitt":
        return {"oneOf": [{"required": [key.name]} for key in part.keys if key.part == "pulse"]}
    return {}


def _property(key: Key) -> JsonObject:
    made = {**_value(key), "description": key.meaning}
    return {**made, "examples": list(key.examples)} if key.examples else made


def _value(key: Key) -> JsonObject:
    if key.name in MOST:
        return {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": MOST[key.name]},
                {"type": "string", "pattern": r"^\+?0*[1-9][0-9]*$"},
            ]
        }
    if key.part:
        part = _ref(f"part_{key.part}")
        return {"anyOf": [_ref(KINDS[key.kind]), part]} if key.kind is Kind.TIME else part
    return _ref(KINDS[key.kind])


KINDS: Mapping[Kind, str] = {kind: kind.name.lower() for kind in Kind if kind not in {Kind.SECTION, Kind.WHOLE}}
"""The definition a value of each kind is described by."""


def _steps() -> JsonObject:
    return {"type": "array", "minItems": 1, "items": _ref("step")}


def _step() -> JsonObject:
    return {
        "type": "object",
        "description": "One kind of step with its settings under it.",
        "properties": {word: {**_step_value(part), "description": STEP_MEANINGS[word]} for word, part in STEPS.items()},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }


def _step_value(part: str) -> JsonObject:
    if part == "rest":
        return {"anyOf": [_ref("time"), _ref("part_rest")], "examples": ["1 h", "10 min"]}
    return _ref(f"part_{part}") if part else {**_ref("text"), "examples": ["heat to 120 °C first"]}


def _spelt(pattern: str, fault: str) -> JsonObject:
    """``patternErrorMessage`` is what yaml-language-server says in place of the pattern."""
    return {"type": "string", "pattern": pattern, "patternErrorMessage": fault}


def _quantity(words: str, *dimensions: Dimension, signed: bool = False) -> JsonObject:
    return _spelt(patterns.whole(patterns.quantity(dimensions, signed=signed)), f"write {words}, or $name")


def _literal() -> JsonObject:
    pattern = patterns.whole(
        patterns.quantity([one for one in Dimension if one not in STATION_ONLY], signed=True, literal=True)
    )
    return {**_spelt(pattern, "write a number and its unit, like 0.5 mA/cm2"), "examples": ["0.5 mA/cm2", "0.2 V"]}


def _list_of(item: JsonObject) -> JsonObject:
    return {"type": "array", "minItems": 1, "items": item}


def _named(item: JsonObject) -> JsonObject:
    return {"type": "object", "patternProperties": {f"^{patterns.NAME}$": item}, "additionalProperties": False}


def _one_or_more(item: JsonObject) -> JsonObject:
    return {"anyOf": [item, _list_of(item)]}


def _values() -> JsonObject:
    """Each kind of value by the name in ``KINDS``."""
    percent = _spelt(patterns.whole(rf"{patterns.UNSIGNED}\s*(?:%|wt%)"), "write a percentage, like 70 %")
    file = _spelt(r"^[^/\\:]+$", "give the name of a file beside this one, without a folder")
    return {
        "version": {"enum": [1, "1"]},
        "text": {"type": TEXT},
        "files": _one_or_more(file),
        "literal": _literal(),
        "variables": {**_named(_ref("literal")), "examples": [{"j": "0.5 mA/cm2", "v_low": "0.2 V"}]},
        "for_each": {**_named(_list_of(_ref("literal"))), "examples": [{"rate": ["C/20", "C/10", "C/5"]}]},
        "composition": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": percent,
            "examples": [{"MgH2": "70 %", "AB": "30 %"}],
        },
        "steps": _steps(),
        **_choices(),
        **_rules(),
        **_quantities(),
    }


def _choices() -> JsonObject:
    return {
        "yes_no": {"enum": ["yes", "no"]},
        "verb": {"enum": ["lithiate", "delithiate"]},
        "state": {"enum": ["lithiated", "delithiated"]},
        "on_start": {"enum": ["skip", "abort"]},
    }


def _rules() -> JsonObject:
    return {
        "record": _spelt(patterns.record(), "write differences, like 'every 30 s or 5 mV'"),
        "condition": _one_or_more(
            _spelt(patterns.condition(), "write a condition, like 'voltage <= 0.2 V' or '0.2 V or 10 h'")
        ),
        "stop_when": _spelt(patterns.stop_when(), "write for example 'delithiate capacity <= 80 % of cycle 3'"),
        "voltage_range": _spelt(patterns.range_of(Dimension.VOLTAGE), "write a range, like '-0.1 V to 2.5 V'"),
        "temperature_range": _spelt(patterns.range_of(Dimension.TEMPERATURE), "write a range, like '20 °C to 60 °C'"),
    }


def _quantities() -> JsonObject:
    return {
        "current": _quantity("a current without a sign, like 0.5 mA/cm2 or C/20", *patterns.CURRENTS),
        "voltage": _quantity("a voltage, like 4.2 V", Dimension.VOLTAGE, signed=True),
        "temperature": _quantity("a temperature, like 120 °C", Dimension.TEMPERATURE, signed=True),
        "capacity": _quantity("a capacity, like 2 mAh or 1600 mAh/g", *patterns.CAPACITIES),
        "specific_capacity": _quantity("a specific capacity, like 2038 mAh/g", Dimension.SPECIFIC_CAPACITY),
        "time": _quantity("a time, like 10 min or 2 h", Dimension.TIME),
        "mass": _quantity("a mass, like 2.0 mg", Dimension.MASS),
        "length": _quantity("a length, like 10 mm", Dimension.LENGTH),
        "area": _quantity("an area, like 0.785 cm2", Dimension.AREA),
    }
