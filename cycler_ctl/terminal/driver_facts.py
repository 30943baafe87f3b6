"""What drivers say of their instruments, for `cycler-ctl drivers` and for docs/instruments.md.

``python -m cycler_ctl.terminal.driver_facts docs/instruments.md`` writes the generated parts of that page anew.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import product
from math import isfinite
from pathlib import Path
from typing import get_args

from cycler_ctl.instrument import Accuracy, DriverSpec, Ratings
from cycler_ctl.plugins import driver_names, load_driver
from protocols.planning.advice import range_text
from protocols.quantities import format_number

CURRENTS_A = (100e-6, 1e-3)
"""What a solid-state cell of 10 mm is cycled at; accuracy is shown at these."""
CELL_V = 4.0
"""Accuracy of the voltage is shown here."""
VARIANTS = ("model", "regulation")
"""Options that change what an output can do, where a driver has them."""


def facts(name: str, spec: DriverSpec) -> dict[str, object]:
    """All that a driver says of its instruments, for programs."""
    return {
        "driver": name,
        "title": spec.title,
        "outputs": list(spec.outputs),
        "protection": spec.protection.value if spec.protection else None,
        "status": spec.status,
        "notes": list(spec.notes),
        "ratings": [{"options": dict(options), **ratings_json(found)} for options, found in ratings_of(spec)],
    }


def ratings_json(ratings: Ratings) -> dict[str, object]:
    slowest_s = ratings.slowest_sample_s
    return {**asdict(ratings), "slowest_sample_s": slowest_s if isfinite(slowest_s) else None}


def ratings_of(spec: DriverSpec) -> Iterator[tuple[Mapping[str, str], Ratings]]:
    """Of the family's usual model, or of each where an option names it, with each regulation that the driver takes."""
    if spec.ratings is None:
        return
    choices = {name: _choices(spec, name) for name in VARIANTS if name in spec.options.model_fields}
    for values in product(*choices.values()):
        options = dict(zip(choices, values, strict=True))
        yield options, spec.ratings(spec.options(**options))


def _choices(spec: DriverSpec, name: str) -> tuple[str, ...]:
    field = spec.options.model_fields[name]
    return get_args(field.annotation) or (str(field.default),)


def lines(name: str, spec: DriverSpec) -> Iterator[str]:
    """A driver, for people."""
    protection = f"protection class {spec.protection.value}" if spec.protection else "sensor, no output"
    yield f"{name}: {spec.title}; {protection}; {spec.status}"
    for options, ratings in ratings_of(spec):
        yield f"    {_options(options)}: {_summary(ratings)}"
        yield from (f"        {_accuracy(ratings, current_A)}" for current_A in CURRENTS_A)
        yield f"        {_voltage(ratings)}"
        yield f"        class {ratings.protection.value}: {ratings.protection_why}"
    yield from (f"    {note}" for note in spec.notes)


def _options(options: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in options.items()) or "always"


def _summary(ratings: Ratings) -> str:
    low, high = (format_number(voltage_V) for voltage_V in ratings.voltage_V)
    ranges = ", ".join(range_text(one.range_A) for one in ratings.ranges)
    return f"{low} to {high} V; ranges {ranges}; fastest sample {_seconds(ratings.fastest_sample_s)}"


def _seconds(time_s: float) -> str:
    return f"{format_number(time_s, 2)} s"


def _accuracy(ratings: Ratings, current_A: float) -> str:
    accuracy = ratings.range_for(current_A)
    if accuracy is None:
        return f"{range_text(current_A)}: above its ranges"
    set_to, read_as = errors(accuracy, current_A)
    better = "" if accuracy.sourcing is None else f" ({_percent(_error(accuracy.sourcing, current_A))} sourcing only)"
    return (
        f"{range_text(current_A)} on the {range_text(accuracy.range_A)} range: "
        f"set to {_percent(set_to)}{better}, read to {_percent(read_as)}"
    )


def _voltage(ratings: Ratings) -> str:
    """Of the range that holds a cell."""
    accuracy = ratings.voltage_range_for(CELL_V)
    if accuracy is None:
        return f"accuracy of the voltage {ratings.voltage_from}"
    set_to, read_as = (
        f"{format_number(gain * 100, 3)} % + {format_number(offset_V * 1000, 3)} mV"
        for gain, offset_V in (
            (accuracy.source_gain, accuracy.source_offset_V),
            (accuracy.measure_gain, accuracy.measure_offset_V),
        )
    )
    return (
        f"{format_number(CELL_V)} V on the {format_number(accuracy.range_V)} V range: set to ±({set_to}), "
        f"read to ±({read_as}); {ratings.voltage_from}"
    )


def _gaps(ratings: Ratings) -> Iterator[str]:
    """Where a range ends, and what cannot be set."""
    if ratings.range_fill != 1.0:
        yield f"a range is used up to {format_number(ratings.range_fill * 100, 3)} % of its name"
    if ratings.least_limit:
        what = "currents and limits" if ratings.least_current else "limits of a held voltage"
        least = f"{format_number(ratings.least_limit * 100, 3)} %"
        yield f"{what} below {least} of the range that holds them cannot be set: plan and start refuse them"
    if ratings.least_A:
        yield f"nothing below {range_text(ratings.least_A)} can be set"


def errors(accuracy: Accuracy, current_A: float) -> tuple[float, float]:
    """The errors of what is set and of what is read, as fractions of this current: sinking, where that is worse."""
    return (
        _error((accuracy.source_gain, accuracy.source_offset_A), current_A),
        _error((accuracy.measure_gain, accuracy.measure_offset_A), current_A),
    )


def _error(gain_and_offset: tuple[float, float], current_A: float) -> float:
    gain, offset_A = gain_and_offset
    return gain + offset_A / current_A


def _percent(share: float) -> str:
    return f"±{format_number(share * 100, 2)} %"


BLOCK = re.compile(r"<!-- from the driver (\S+) -->\n.*?<!-- end -->", re.DOTALL)


def page(text: str) -> str:
    """The page with what stands between its marks made anew."""
    return BLOCK.sub(lambda mark: f"<!-- from the driver {mark[1]} -->\n{block(mark[1])}\n<!-- end -->", text)


def block(name: str) -> str:
    """A driver's facts as Markdown."""
    spec = load_driver(name)
    outputs = f"Outputs {', '.join(spec.outputs)}" if spec.outputs else "No output"
    parts = [f'`driver = "{name}"`: {spec.title}. {outputs}. Status: {spec.status}.']
    parts += [_table(options, ratings) for options, ratings in ratings_of(spec)]
    parts.append("\n".join(f"- {note}" for note in spec.notes))
    return "\n\n".join(parts)


def _table(options: Mapping[str, str], ratings: Ratings) -> str:
    low, high = (format_number(voltage_V) for voltage_V in ratings.voltage_V)
    slowest = f", slowest {_seconds(ratings.slowest_sample_s)}" if isfinite(ratings.slowest_sample_s) else ""
    fastest = f"fastest sample {_seconds(ratings.fastest_sample_s)}{slowest}"
    spans = f"{low} to {high} V, up to {range_text(ratings.current_A)}"
    rows = [
        f"**{_options(options)}**: {spans}, {fastest}; class {ratings.protection.value}.",
        "",
        "| range | setting ± | reading ± | setting, sourcing only ± |",
        "|---|---|---|---|",
        *(_row(one) for one in ratings.ranges),
        "",
        *(f"- {_accuracy(ratings, current_A)}" for current_A in CURRENTS_A),
        f"- {_voltage(ratings)}",
        *(f"- {each}" for each in _gaps(ratings)),
        f"- class {ratings.protection.value}: {ratings.protection_why}",
    ]
    return "\n".join(rows)


def _row(one: Accuracy) -> str:
    setting, reading = (one.source_gain, one.source_offset_A), (one.measure_gain, one.measure_offset_A)
    sourcing = "the same" if one.sourcing is None else _sum(one.sourcing)
    return f"| {range_text(one.range_A)} | {_sum(setting)} | {_sum(reading)} | {sourcing} |"


def _sum(gain_and_offset: tuple[float, float]) -> str:
    gain, offset_A = gain_and_offset
    return f"{format_number(gain * 100, 3)} % + {_offset(offset_A)}"


def _offset(offset_A: float) -> str:
    return f"{format_number(offset_A * 1e12, 3)} pA" if offset_A < 1e-9 else range_text(float(f"{offset_A:.3g}"))


def all_specs() -> dict[str, DriverSpec]:
    return {name: load_driver(name) for name in driver_names()}


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(page(file.read_text(encoding="utf-8")), encoding="utf-8")
