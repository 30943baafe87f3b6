"""Each kind of step of aurora-unicycler's list, one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from protocols.diagnostics import quoted
from protocols.importers.draft import Draft
from protocols.importers.json_text import Json, number_at, refuse_unknown, shown, text_at
from protocols.importers.numbers import decimal_of, in_reach, number_text, quantity_text, time_text
from protocols.importers.report import Notebook, Unsupported, Wrong
from protocols.importers.unicycler_loops import Jump, Placed

KEYS: Mapping[str, tuple[str, ...]] = {
    "open_circuit_voltage": ("until_time_s",),
    "constant_current": ("rate_C", "current_mA", "until_time_s", "until_voltage_V"),
    "constant_voltage": ("voltage_V", "until_time_s", "until_rate_C", "until_current_mA"),
    "loop": ("loop_to", "start_step", "cycle_count"),
    "tag": ("tag",),
}
UNSUPPORTED = ("voltage_scan", "impedance_spectroscopy")
MOST_TIMES = 100_000
# C/3, 2C/3, D/2 (a discharge) and 1/5: the fractions its reader takes.
FRACTION = re.compile(r"(?P<top>[^/CD]*)(?P<letter>[CD]?)/(?P<bottom>[^/]+)")


@dataclass(frozen=True, slots=True)
class Source:
    """One object of the list and where it stands."""

    notebook: Notebook
    data: Mapping[str, Json]
    place: str

    def number(self, key: str) -> Decimal | None:
        return number_at(self.data.get(key), f"{self.place}.{key}")

    def used(self, key: str, value: Decimal | None) -> Decimal | None:
        """``value`` if it is set by the rules there; a written zero is reported."""
        if value is not None and not value:
            self.notebook.changed.append(f"{self.place}.{key}: 0 means 'not set' there; left out")
        return value or None


def translated(notebook: Notebook, data: Mapping[str, Json], place: str) -> Placed:
    """What stands at this place; raises ``Wrong``."""
    kind = text_at(data.get("step"), f"{place}.step")
    if kind in UNSUPPORTED:
        raise Unsupported(place, f"{kind} has no equivalent in this language")
    if kind is None or kind not in KEYS:
        raise Unsupported(f"{place}.step", f"{shown(data.get('step'))} is not a kind of step known here")
    refuse_unknown(data, ("step", "id", *KEYS[kind]), place)
    source = Source(notebook, data, place)
    return READERS[kind](source)


def _written(source: Source) -> str:
    """The step as it was, for the comment above its translation."""
    said = [f"{key} {_plain(value)}" for key, value in source.data.items() if key != "step" and value not in (None, "")]
    return f"{source.place}: {source.data['step']} {', '.join(said)}"


def _plain(value: Json) -> str:
    return value if isinstance(value, str) else f"{value:f}" if isinstance(value, Decimal) else str(value)


def _step(source: Source, word: str, settings: Mapping[str, str | None], cutoff: str | None = None) -> Placed:
    given = {key: text for key, text in settings.items() if text}
    draft = Draft(word, _written(source), given, cutoff)
    said = ", ".join(f"{key} {text}" for key, text in given.items())
    source.notebook.kept.append(f"{source.place} {source.data['step']}: {word} {said}")
    return Placed(source.place, step=draft)


def _time(source: Source) -> str | None:
    time = source.used("until_time_s", source.number("until_time_s"))
    if time is not None and time < 0:
        raise Wrong(f"{source.place}.until_time_s", "must be above zero")
    return None if time is None else time_text(time)


def _rest(source: Source) -> Placed:
    time = _time(source)
    if time is None:
        raise Wrong(source.place, "needs until_time_s above zero")
    return _step(source, "rest", {"for": time})


@dataclass(frozen=True, slots=True)
class Amount:
    """A current as its magnitude's text, and its sign."""

    text: str
    charges: bool


def _amount(source: Source, rate_key: str, current_key: str) -> Amount | None:
    """A rate beats a current there."""
    rate = source.used(rate_key, _rate(source, rate_key))
    current = source.used(current_key, source.number(current_key))
    if rate is None:
        return None if current is None else Amount(quantity_text(abs(current), "mA"), current > 0)
    if current is not None:
        source.notebook.changed.append(
            f"{source.place}.{current_key}: {current:f} is left out, {rate_key} beats it there as well"
        )
    return Amount(_rate_text(source.data[rate_key], rate), rate > 0)


def _rate(source: Source, key: str) -> Decimal | None:
    value = source.data.get(key)
    if not isinstance(value, str) or "/" not in value:
        return number_at(value, f"{source.place}.{key}")
    match = FRACTION.fullmatch(value.replace(" ", ""))
    top = None if match is None else Decimal(1) if not match["top"] and match["letter"] else decimal_of(match["top"])
    bottom = None if match is None else decimal_of(match["bottom"])
    if match is None or top is None or not bottom:
        raise Wrong(f"{source.place}.{key}", f"{quoted(value)} is not a rate such as 0.5, 'C/2' or 'D/2'")
    rate = in_reach(top / bottom)
    if rate is None:
        raise Wrong(f"{source.place}.{key}", f"{quoted(value)} cannot be meant")
    return -rate if match["letter"] == "D" else rate


def _rate_text(written: Json, rate: Decimal) -> str:
    """``C/3`` stays as it is: a third has no end of digits."""
    match = FRACTION.fullmatch(written.replace(" ", "")) if isinstance(written, str) else None
    bottom = None if match is None else decimal_of(match["bottom"])
    if match is not None and bottom and match["top"] in {"", "1", "-1"}:
        return f"C/{number_text(abs(bottom))}"
    return quantity_text(abs(rate), "C")


def _current(source: Source) -> Placed:
    amount = _amount(source, "rate_C", "current_mA")
    if amount is None:
        raise Wrong(source.place, "needs rate_C or current_mA, not zero")
    voltage = source.used("until_voltage_V", source.number("until_voltage_V"))
    until = None if voltage is None else quantity_text(voltage, "V")
    time = _time(source)
    if until is None and time is None:
        raise Wrong(source.place, "needs until_voltage_V or until_time_s, not zero")
    word = "charge" if amount.charges else "discharge"
    return _step(source, word, {"at": amount.text, "until": until, "for": time}, until)


def _voltage(source: Source) -> Placed:
    voltage = source.number("voltage_V")
    if voltage is None:
        raise Wrong(source.place, "needs voltage_V")
    taper = _amount(source, "until_rate_C", "until_current_mA")
    time = _time(source)
    if taper is None and time is None:
        raise Wrong(source.place, "needs until_rate_C, until_current_mA or until_time_s, not zero")
    until = None if taper is None else f"current <= {taper.text}"
    return _step(source, "hold", {"at": quantity_text(voltage, "V"), "until": until, "for": time})


def _loop(source: Source) -> Placed:
    key = "loop_to" if "loop_to" in source.data else "start_step"
    if key == "start_step":
        source.notebook.changed.append(f"{source.place}.start_step: read as loop_to, its name since 0.2")
    target = _target(source, key)
    times = source.number("cycle_count")
    if times is None or times < 1 or times != times.to_integral_value():
        raise Wrong(f"{source.place}.cycle_count", f"needs a whole number above zero, not {shown(times)}")
    if times > MOST_TIMES:
        raise Wrong(f"{source.place}.cycle_count", f"{times:f} is more than {MOST_TIMES}")
    source.notebook.kept.append(f"{source.place} loop: repeat, times {times:f} (the total)")
    return Placed(source.place, jump=Jump(target, int(times), _written(source)))


def _target(source: Source, key: str) -> str | int:
    """A tag's name or a place; a text of digits is a tag there. Absent: the first place."""
    value = source.data.get(key, Decimal(1))
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, Decimal) and 1 <= value <= MOST_TIMES and value == value.to_integral_value():
        return int(value)
    raise Wrong(f"{source.place}.{key}", f"needs a tag or the place of a step, not {shown(value)}")


def _tag(source: Source) -> Placed:
    tag = text_at(source.data.get("tag"), f"{source.place}.tag")
    if tag is None or not tag.strip():
        raise Wrong(f"{source.place}.tag", "must not be empty")
    return Placed(source.place, tag=tag)


READERS: Mapping[str, Callable[[Source], Placed]] = {
    "open_circuit_voltage": _rest,
    "constant_current": _current,
    "constant_voltage": _voltage,
    "loop": _loop,
    "tag": _tag,
}
