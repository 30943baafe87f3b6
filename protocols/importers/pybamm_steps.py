"""One step of a PyBaMM experiment, as a text, a call or JSON, to a step of the language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from protocols.diagnostics import quoted
from protocols.importers.draft import Draft
from protocols.importers.json_text import Json, object_at, refuse_unknown, shown
from protocols.importers.numbers import decimal_of, in_reach, time_text
from protocols.importers.pybamm_strings import (
    Amount,
    End,
    Kind,
    amount_of,
    read_end,
    read_sentence,
    read_time,
)
from protocols.importers.report import Notebook, Unsupported, Wrong

DAY_S = Decimal(24 * 3600)
ZERO_CELSIUS_K = Decimal("273.15")
VALUE_KINDS: Mapping[str, tuple[Kind, str]] = {
    "current": (Kind.CURRENT, "A"),
    "c-rate": (Kind.RATE, "C"),
    "c_rate": (Kind.RATE, "C"),
    "voltage": (Kind.VOLTAGE, "V"),
}
KEYS = (
    *("type", "text", "value", "duration", "termination", "terminations", "period", "temperature", "tags"),
    *("start_time", "description", "direction", "skip_ok"),
)


@dataclass(frozen=True, slots=True)
class Foreign:
    """A step as PyBaMM means it. ``word``: rest, charge, discharge or hold; ``text``: as it was written."""

    place: str
    text: str
    word: str
    at: Amount | None
    duration_s: Decimal | None
    ends: tuple[End, ...]
    period_s: Decimal | None = None
    temperature_degC: Decimal | None = None
    tags: tuple[str, ...] = ()
    abort_on_start: bool = False


def read_step(config: Json, place: str) -> Foreign:
    """From a text or from the object ``Experiment.to_config`` writes; raises ``Wrong``."""
    data = {"type": "string", "text": config} if isinstance(config, str) else object_at(config, place)
    kind = data.get("type")
    if kind not in ("string", "rest", *VALUE_KINDS):
        raise Unsupported(place, f"a step of type {shown(kind)} has no equivalent in this language")
    refuse_unknown(data, KEYS, place)
    if data.get("start_time") is not None:
        raise Unsupported(place, "start_time has no equivalent in this language")
    step = _from_text(data, place) if kind == "string" else _from_value(data, place)
    period = data.get("period")
    return replace(
        step,
        ends=(*step.ends, *_ends(data, place)),
        duration_s=step.duration_s if data.get("duration") is None else read_time(data["duration"], place),
        period_s=step.period_s if period is None else read_time(period, place),
        temperature_degC=read_temperature(data.get("temperature"), place),
        tags=_tags(data.get("tags"), place),
        abort_on_start=data.get("skip_ok") is False,
    )


def _from_text(data: Mapping[str, Json], place: str) -> Foreign:
    text = data.get("text")
    if not isinstance(text, str):
        raise Wrong(place, f"a step needs a text, not {shown(text)}")
    read = read_sentence(text, place)
    word = _word(place, read.word, read.at)
    return Foreign(place, text, word, read.at, read.duration_s, read.ends, read.period_s)


def _word(place: str, word: str, at: Amount | None) -> str:
    """What PyBaMM's word means; what it takes by accident is refused."""
    if at is None:
        return "rest"
    if word == "Hold":
        if at.kind is not Kind.VOLTAGE:
            raise Unsupported(place, f"a hold at {at.text}: PyBaMM passes a current; write 'Discharge at {at.text}'")
        return "hold"
    if at.kind is Kind.VOLTAGE:
        raise Unsupported(place, f"{word} at {at.text}: PyBaMM holds a voltage; write 'Hold at {at.text}'")
    if at.value < 0:
        raise Unsupported(place, f"{word} at a current below zero: write the other word")
    return "rest" if not at.value else word.lower()


def _from_value(data: Mapping[str, Json], place: str) -> Foreign:
    kind = data.get("type")
    if kind == "rest":
        return Foreign(place, _described(data, "rest"), "rest", None, None, ())
    value = data.get("value")
    if isinstance(value, str):
        raise Unsupported(place, f"the input parameter {quoted(value)} has no equivalent in this language")
    if not isinstance(value, Decimal):
        raise Unsupported(place, "a drive cycle or a function as value has no equivalent in this language")
    at = _amount(kind, value)
    if at.kind is Kind.VOLTAGE:
        return Foreign(place, _described(data, f"voltage {value:f}"), "hold", at, None, ())
    word = "discharge" if value > 0 else "charge" if value < 0 else "rest"
    return Foreign(place, _described(data, f"{kind} {value:f}"), word, replace(at, value=abs(value)), None, ())


def _amount(kind: Json, value: Decimal) -> Amount:
    found, unit = VALUE_KINDS[kind if isinstance(kind, str) else ""]
    return amount_of(found, value, unit)


def _described(data: Mapping[str, Json], otherwise: str) -> str:
    description = data.get("description")
    return description if isinstance(description, str) else otherwise


def _ends(data: Mapping[str, Json], place: str) -> Iterator[End]:
    for key in ("termination", "terminations"):
        value = data.get(key)
        if value is not None:
            items = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
            yield from (_end(item, place) for item in items)


def _end(value: Json, place: str) -> End:
    if isinstance(value, str):
        return read_end(value, place)
    data = object_at(value, place)
    kind, number, op = data.get("type"), data.get("value"), data.get("operator")
    if not isinstance(kind, str) or kind not in VALUE_KINDS:
        raise Unsupported(place, f"a termination of type {shown(kind)} has no equivalent in this language")
    if op not in (None, "<", ">"):
        raise Wrong(place, f"{shown(op)} is not an operator of a termination")
    if not isinstance(number, Decimal):
        raise Wrong(place, f"a termination needs a number, not {shown(number)}")
    return End(_amount(kind, number), op if isinstance(op, str) else None)


def read_temperature(value: Json, place: str) -> Decimal | None:
    """In degrees Celsius; a number is in kelvin there."""
    if value is None:
        return None
    if isinstance(value, Decimal):
        return in_reach(value - ZERO_CELSIUS_K)
    text = value.strip() if isinstance(value, str) else ""
    for unit, offset in (("oC", Decimal(0)), ("K", ZERO_CELSIUS_K)):
        number = decimal_of(text.removesuffix(unit)) if text.endswith(unit) else None
        if number is not None:
            return number - offset
    raise Wrong(place, f"{shown(value)} is not a temperature such as '25oC' or 298.15 (K)")


def _tags(value: Json, place: str) -> tuple[str, ...]:
    if value is None:
        return ()
    items = (value,) if isinstance(value, str) else value
    if isinstance(items, Sequence) and all(isinstance(item, str) for item in items):
        return tuple(str(item) for item in items)
    raise Wrong(place, f"tags needs texts, not {shown(value)}")


def draft(notebook: Notebook, step: Foreign, stop_V: str | None) -> Draft:
    """The step in this language; raises ``Unsupported``. ``stop_V``: the voltage at which the experiment ends."""
    settings: dict[str, str] = {}
    if step.word != "rest" and step.at is not None:
        settings["at"] = step.at.text
    until = [_clause(notebook, step, end) for end in step.ends]
    if until:
        settings["until"] = " or ".join(until)
    settings["for"] = time_text(step.duration_s if step.duration_s is not None else _default_s(notebook, step))
    if stop_V is not None:
        settings["abort_if"] = f"voltage <= {stop_V}"
    settings |= _rest_of(notebook, step)
    said = ", ".join(f"{key} {text}" for key, text in settings.items())
    notebook.kept.append(f"{step.place} {step.text!r}: {step.word} {said}")
    return Draft(step.word, f"{step.place}: {step.text}", settings, _cutoff(step))


def _cutoff(step: Foreign) -> str | None:
    """The voltage that ends a current, if it is the only one."""
    voltages = [end.amount.text for end in step.ends if end.amount.kind is Kind.VOLTAGE]
    return voltages[0] if step.word in {"charge", "discharge"} and len(voltages) == 1 else None


def _default_s(notebook: Notebook, step: Foreign) -> Decimal:
    """PyBaMM's own longest time where none is given; there, reaching it ends the whole experiment."""
    seconds, why = DAY_S, "24 h"
    if step.at is not None and step.at.kind is Kind.RATE and step.at.value:
        seconds, why = Decimal(round(Decimal(7200) / step.at.value, 3)), "2/rate hours"
    notebook.changed.append(
        f"{step.place} {step.text!r}: no longest time is given, so PyBaMM's default ({why}) is written as "
        f"'for: {time_text(seconds)}'; there it ends the experiment, here the step"
    )
    return seconds


def _clause(notebook: Notebook, step: Foreign, end: End) -> str:
    amount = end.amount
    if amount.kind is not Kind.VOLTAGE:
        return _taper(notebook, step, end)
    if step.word == "hold":
        raise Unsupported(step.place, f"'until {amount.text}' cannot end a hold, whose voltage is fixed")
    if end.op is None and step.word == "rest":
        raise Unsupported(step.place, f"PyBaMM itself ignores 'until {amount.text}' in a rest; say < or >")
    return amount.text if end.op is None else f"voltage {end.op}= {amount.text}"


def _taper(notebook: Notebook, step: Foreign, end: End) -> str:
    amount = end.amount
    if step.word != "hold":
        raise Unsupported(step.place, f"'until {amount.text}' cannot end a {step.word}, whose current is fixed")
    if amount.value <= 0:
        raise Unsupported(step.place, "a current at or below zero as an end has no equivalent in this language")
    if end.op is None:
        return amount.text
    if amount.kind is Kind.RATE:
        raise Unsupported(step.place, f"PyBaMM itself ignores the {end.op} before {amount.text}; leave it out")
    notebook.changed.append(
        f"{step.place} {step.text!r}: the current is a magnitude here, but positive on discharge in PyBaMM"
    )
    return f"current {end.op}= {amount.text}"


def _rest_of(notebook: Notebook, step: Foreign) -> Mapping[str, str]:
    settings: dict[str, str] = {}
    if step.abort_on_start and step.word in {"charge", "discharge"}:
        settings["on_start_met"] = "abort"
    elif step.abort_on_start:
        notebook.lost.append(f"{step.place} {step.text!r}: skip_ok=False; a {step.word} whose end is met just ends")
    if step.period_s is not None:
        settings["record"] = f"every {time_text(step.period_s)}"
    if step.tags:
        settings["note"] = f"tags: {', '.join(step.tags)}"
    return settings
