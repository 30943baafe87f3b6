"""The ``record`` and ``safety`` sections: what is written down, and what no sample may leave."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from protocols.diagnostics import Mark, quoted
from protocols.model import Record, Safety
from protocols.quantities import (
    ANY_CAPACITY,
    ANY_CURRENT,
    Dimension,
    Need,
    Quantity,
    QuantityError,
    a,
    need_of,
    ordered,
)
from protocols.reading.amounts import Scope, absolute
from protocols.reading.fields import (
    Keys,
    Piece,
    Section,
    above_zero_at,
    needed_at,
    open_section,
    piece,
    quantity_at,
    quantity_field,
    scalar_of,
    split,
)
from protocols.syntax import Node, Scalar
from protocols.units import ZERO_CELSIUS_K

DEFAULT_RECORD = Record(time_s=10.0, voltage_V=0.005)
OR = re.compile(r"(?:^|\s)or(?=\s|$)")
TO = re.compile(r"(?:^|\s)to(?=\s|$)")
EVERY = re.compile(r"every\s+")
SAFETY_KEYS = Keys("safety", ("voltage", "temperature", "current", "capacity", "for"))
FIELDS: Mapping[Dimension, str] = {
    Dimension.TIME: "time_s",
    Dimension.VOLTAGE: "voltage_V",
    Dimension.TEMPERATURE: "temperature_K",
    **dict.fromkeys(ANY_CURRENT.dimensions, "current_A"),
    **dict.fromkeys(ANY_CAPACITY.dimensions, "charge_Ah"),
}


@dataclass(frozen=True, slots=True)
class Envelope:
    """The limits as numbers, and as written for messages."""

    safety: Safety
    texts: Mapping[str, str]


NO_ENVELOPE = Envelope(Safety(), {})


def read_record(scope: Scope, node: Node) -> Record | None:
    """``[every] quantity {or quantity}``; None where it is faulty."""
    scalar = scalar_of(scope.findings, node, "record")
    if scalar is None:
        return None
    whole = piece(scalar)
    every = EVERY.match(whole.text)
    if every is not None:
        whole = Piece(whole.text[every.end() :], scalar, whole.offset + every.end())
    record: Record | None = Record()
    for part in split(whole, OR):
        record = None if record is None else _with_part(scope, record, part)
    return record


def _with_part(scope: Scope, record: Record, part: Piece) -> Record | None:
    quantity = quantity_at(scope.findings, part, scope.variables, subject="record", example="s")
    if quantity is None:
        return None
    field = FIELDS.get(quantity.dimension)
    if field is None:
        wanted = "a step in time, voltage, current, capacity or temperature"
        message = f"record needs {wanted}, but '{quantity.text}' is {a(quantity.dimension.value)}"
        scope.findings.error(part.mark, "dimension", message)
        return None
    step = _difference(scope, part, quantity)
    if step is None:
        return None
    if getattr(record, field) is not None:
        message = f"record has two steps of one kind: {quoted(part.text)} is the second"
        scope.findings.error(part.mark, "conflict", message)
        return None
    return replace(record, **{field: step})


def _difference(scope: Scope, part: Piece, quantity: Quantity) -> float | None:
    """How much must change between two points; for a temperature 1 °C is 1 K."""
    if quantity.unit == "K":
        quantity = replace(quantity, value=quantity.value + float(ZERO_CELSIUS_K))
    checked = above_zero_at(scope.findings, part, quantity, "record")
    return None if checked is None else absolute(scope, part, checked)


def read_safety(scope: Scope, node: Node, mark: Mark) -> Envelope:
    """The run's envelope; a faulty limit is reported and left out."""
    section = open_section(scope.findings, node, SAFETY_KEYS, mark)
    if section is None:
        return NO_ENVELOPE
    voltage = _range(scope, section, "voltage", Dimension.VOLTAGE)
    temperature = _range(scope, section, "temperature", Dimension.TEMPERATURE)
    current = _amount(scope, section, "current", ANY_CURRENT)
    capacity = _amount(scope, section, "capacity", ANY_CAPACITY)
    for_ = quantity_field(scope.findings, section, "for", need_of(Dimension.TIME), scope.variables)
    safety = Safety(
        voltage_V=None if voltage is None else (voltage[0].value, voltage[1].value),
        temperature_degC=None if temperature is None else (temperature[0].value, temperature[1].value),
        current_A=None if current is None else current[1],
        step_charge_Ah=None if capacity is None else capacity[1],
        for_s=0.0 if for_ is None else for_.value,
    )
    return Envelope(
        safety, _texts({"voltage": voltage, "temperature": temperature}, {"current": current, "capacity": capacity})
    )


def _texts(
    ranges: Mapping[str, tuple[Quantity, Quantity] | None], amounts: Mapping[str, tuple[Quantity, float] | None]
) -> Mapping[str, str]:
    texts = {name: f"{both[0].text} to {both[1].text}" for name, both in ranges.items() if both is not None}
    return texts | {name: amount[0].text for name, amount in amounts.items() if amount is not None}


def _range(scope: Scope, section: Section, key: str, dimension: Dimension) -> tuple[Quantity, Quantity] | None:
    node = section.value(key)
    scalar = None if node is None else scalar_of(scope.findings, node, key)
    if scalar is None:
        return None
    subject, need = f"safety {key}", need_of(dimension)
    ends = split(piece(scalar), TO)
    if len(ends) != 2:
        help_text = f"write for example '1 {need.example} to 2 {need.example}'"
        scope.findings.error(scalar.mark, "shape", f"{subject} {quoted(scalar.value)} is not a range", help_text)
        return None
    low, high = (needed_at(scope.findings, end, scope.variables, need, subject) for end in ends)
    if low is None or high is None:
        return None
    try:
        return ordered(low, high, subject)
    except QuantityError as error:
        scope.findings.quantity_error(scalar, error)
        return None


def _amount(scope: Scope, section: Section, key: str, need: Need) -> tuple[Quantity, float] | None:
    node = section.value(key)
    quantity = quantity_field(scope.findings, section, key, need, scope.variables)
    if quantity is None or not isinstance(node, Scalar):
        return None
    value = absolute(scope, piece(node), quantity)
    return None if value is None else (quantity, value)
