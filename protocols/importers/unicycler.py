"""aurora-unicycler's JSON (0.2 to 0.4) to a protocol file.

Its rules, from its documentation and its reader: a current above zero charges; zero, null and an empty text mean
"not set"; a rate beats a current; ``cycle_count`` is the total; an integer ``loop_to`` is the 1-based place in the
list of steps with tags counted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from protocols.importers.draft import Loop, Node, join_holds
from protocols.importers.head import Facts, whole
from protocols.importers.json_text import Json, list_at, number_at, object_at, read_json, refuse_unknown, text_at
from protocols.importers.numbers import quantity_text, time_text
from protocols.importers.report import (
    Imported,
    Notebook,
    Problem,
    Refused,
    Request,
    Unsupported,
    Wrong,
    refuse_too_large,
)
from protocols.importers.unicycler_loops import Placed, nested
from protocols.importers.unicycler_steps import translated

TOP = ("unicycler", "sample", "record", "measurement", "safety", "method")
KNOWN_VERSION = re.compile(r"0\.[234](\.|$)")
PLACEHOLDER = "$NAME"
MOST_STEPS = 10_000
FAR_V = 1000
"""Beyond any instrument: the side of a voltage range that is left to the channel's own limit."""


def import_unicycler(request: Request) -> Imported:
    """The protocol in this language; raises ``Refused``."""
    refuse_too_large(request)
    notebook = Notebook(request.skip_unsupported)
    try:
        top = object_at(read_json(request.document.text.removeprefix("\ufeff")), "the file")
        facts, steps = _facts(request, notebook, top), _steps(notebook, top)
    except Wrong as error:
        raise Refused([*notebook.problems, error.problem]) from error
    return whole(request, notebook, facts, steps)


def _facts(request: Request, notebook: Notebook, top: Mapping[str, Json]) -> Facts:
    _check_keys(notebook, top, TOP, "")
    stem = request.document.name.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".json")
    return Facts(
        program=f"aurora-unicycler {_version(notebook, top)}",
        name=stem or "imported",
        cell=_cell(notebook, _part(top, "sample")),
        record=_record(notebook, top),
        safety=_safety(notebook, _part(top, "safety")),
    )


def _check_keys(notebook: Notebook, data: Mapping[str, Json], known: tuple[str, ...], place: str) -> None:
    for key in data:
        try:
            refuse_unknown({key: None}, known, place)
        except Unsupported as error:
            notebook.skipped(error)


def _part(top: Mapping[str, Json], key: str) -> Mapping[str, Json]:
    value = top.get(key)
    return {} if value is None else object_at(value, key)


def _version(notebook: Notebook, top: Mapping[str, Json]) -> str:
    version = text_at(_part(top, "unicycler").get("version"), "unicycler.version") or ""
    if KNOWN_VERSION.match(version) is None:
        said = f"{version[:40]!r} is" if version else "none is given;"
        notebook.changed.append(f"unicycler.version: {said} read as 0.4")
    return version[:40] or "of no version"


def _cell(notebook: Notebook, sample: Mapping[str, Json]) -> Mapping[str, str]:
    _check_keys(notebook, sample, ("name", "capacity_mAh"), "sample")
    cell: dict[str, str] = {}
    name = (text_at(sample.get("name"), "sample.name") or "").strip()
    if name and name != PLACEHOLDER:
        cell["name"] = name
    elif name:
        notebook.changed.append(f"sample.name: {PLACEHOLDER} is a placeholder: name the cell yourself")
    capacity = number_at(sample.get("capacity_mAh"), "sample.capacity_mAh")
    if capacity is not None:
        if capacity <= 0:
            raise Wrong("sample.capacity_mAh", "must be above zero")
        cell["nominal_capacity"] = quantity_text(capacity, "mAh")
    return cell


def _record(notebook: Notebook, top: Mapping[str, Json]) -> str | None:
    key = "record" if top.get("record") is not None else "measurement"
    record = _part(top, key)
    _check_keys(notebook, record, ("time_s", "voltage_V", "current_mA"), key)
    parts: list[str] = []
    for name, unit in (("time_s", "s"), ("voltage_V", "V"), ("current_mA", "mA")):
        value = number_at(record.get(name), f"{key}.{name}")
        if value is not None and value < 0:
            raise Wrong(f"{key}.{name}", "must be above zero")
        if value:
            parts.append(time_text(value) if unit == "s" else quantity_text(value, unit))
        elif value is not None:
            notebook.changed.append(f"{key}.{name}: 0 is taken as not set")
    if not parts:
        notebook.changed.append("record: nothing is said there, so a point is kept every 10 s or 5 mV")
        return None
    return f"every {' or '.join(parts)}"


def _safety(notebook: Notebook, safety: Mapping[str, Json]) -> Mapping[str, str]:
    known = ("max_voltage_V", "min_voltage_V", "max_current_mA", "min_current_mA", "max_capacity_mAh", "delay_s")
    _check_keys(notebook, safety, known, "safety")
    value = {key: number_at(safety.get(key), f"safety.{key}") for key in known}
    limits = {
        "voltage": _voltages(notebook, value["min_voltage_V"], value["max_voltage_V"]),
        "current": _largest_current(notebook, value["min_current_mA"], value["max_current_mA"]),
        "capacity": _largest_capacity(notebook, value["max_capacity_mAh"]),
    }
    found = {key: text for key, text in limits.items() if text is not None}
    delay = value["delay_s"]
    if delay is not None and delay < 0:
        raise Wrong("safety.delay_s", "must not be below zero")
    if delay and found:
        found["for"] = time_text(delay)
    elif delay:
        notebook.lost.append(f"safety.delay_s: {delay:f} s delays nothing, as there is no limit")
    return found


def _voltages(notebook: Notebook, low: Decimal | None, high: Decimal | None) -> str | None:
    if low is None and high is None:
        return None
    if low is not None and high is not None and low >= high:
        raise Wrong("safety.max_voltage_V", "must be above min_voltage_V")
    if low is None or high is None:
        only, other = ("max", "lower") if low is None else ("min", "upper")
        far = -FAR_V if low is None else FAR_V
        notebook.changed.append(
            f"safety.{only}_voltage_V: it is the only one, so the {other} side ({far} V) is left to the instrument's limit"
        )
    ends = (Decimal(-FAR_V) if low is None else low, Decimal(FAR_V) if high is None else high)
    return " to ".join(quantity_text(end, "V") for end in ends)


def _largest_current(notebook: Notebook, low: Decimal | None, high: Decimal | None) -> str | None:
    """One limit for both directions here: the smaller magnitude. Zero means nothing there."""
    for key, value in (("min_current_mA", low), ("max_current_mA", high)):
        if value is not None and not value:
            notebook.changed.append(f"safety.{key}: 0 is taken as not set")
    if (low or 0) > 0 or (high or 0) < 0:
        raise Wrong("safety", "min_current_mA above zero or max_current_mA below zero forbids rest: no limit to keep")
    given = [abs(value) for value in (low, high) if value]
    if not given:
        return None
    smaller = min(given)
    if len(given) == 1 or given[0] != given[1]:
        notebook.changed.append(
            f"safety.current: {quantity_text(smaller, 'mA')} in both directions, "
            f"from min_current_mA {_or_none(low)} and max_current_mA {_or_none(high)}"
        )
    return quantity_text(smaller, "mA")


def _or_none(value: Decimal | None) -> str:
    return "not set" if value is None else f"{value:f}"


def _largest_capacity(notebook: Notebook, capacity: Decimal | None) -> str | None:
    if capacity is not None and capacity < 0:
        raise Wrong("safety.max_capacity_mAh", "must not be below zero")
    if capacity is not None and not capacity:
        notebook.changed.append("safety.max_capacity_mAh: 0 is taken as not set")
    return quantity_text(capacity, "mAh") if capacity else None


def _steps(notebook: Notebook, top: Mapping[str, Json]) -> tuple[Node, ...]:
    method = list_at(top.get("method"), "method")
    if not method or len(method) > MOST_STEPS:
        raise Wrong("method", f"needs between 1 and {MOST_STEPS} steps, not {len(method)}")
    placed: list[Placed] = []
    for index, item in enumerate(method):
        place = f"method[{index}]"
        try:
            placed.append(translated(notebook, object_at(item, place), place))
        except Wrong as error:
            placed.append(Placed(place))
            if notebook.skipped(error):
                placed[-1] = Placed.skipped(error.problem)
    if notebook.problems:
        raise Refused(notebook.problems)
    steps = _joined(notebook, nested(placed))
    if not steps:
        raise Refused([Problem("method", "has no step that does anything")])
    return steps


def _joined(notebook: Notebook, steps: tuple[Node, ...]) -> tuple[Node, ...]:
    """Holds that belong to the current before them, in every block."""
    inner = tuple(
        Loop(step.times, _joined(notebook, step.steps), step.comment, step.settings) if isinstance(step, Loop) else step
        for step in steps
    )
    joined = join_holds(inner)
    notebook.changed.extend(joined.changed)
    return joined.steps
