"""The cycles of a PyBaMM experiment and its settings, from a literal or from JSON, before the steps are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from protocols.diagnostics import quoted
from protocols.importers.json_text import Json, list_at, read_json, shown
from protocols.importers.literal import Call, Items, Leaf, Sum, Times, Value, read_script
from protocols.importers.report import Unsupported, Wrong

MOST_TIMES = 100_000
ARGUMENTS = ("operating_conditions", "period", "temperature", "termination")
STEP_TYPES: Mapping[str, str] = {
    "string": "string",
    "current": "current",
    "Current": "current",
    "c_rate": "c-rate",
    "CRate": "c-rate",
    "voltage": "voltage",
    "Voltage": "voltage",
    "rest": "rest",
    "Rest": "rest",
    "power": "power",
    "Power": "power",
    "resistance": "resistance",
    "Resistance": "resistance",
}


@dataclass(frozen=True, slots=True)
class Written:
    """A step as it was written: a text, or the object of ``to_config``."""

    config: Json
    place: str


@dataclass(frozen=True, slots=True)
class Inner:
    """Steps again and again inside one cycle: a tuple times a number."""

    times: int
    steps: tuple[Written | Inner, ...]
    place: str


@dataclass(frozen=True, slots=True)
class Cycle:
    steps: tuple[Written | Inner, ...]
    place: str


@dataclass(frozen=True, slots=True)
class Group:
    """Cycles again and again: a list times a number."""

    times: int
    members: tuple[Member, ...]
    place: str


Member = Cycle | Group


@dataclass(frozen=True, slots=True)
class Experiment:
    members: tuple[Member, ...]
    period: Json = None
    temperature: Json = None
    termination: Json = None
    unknown: tuple[Unsupported, ...] = ()
    """Settings that have no equivalent."""


def from_json(text: str) -> Experiment:
    """A list of steps and lists, or the object that ``Experiment.to_config`` writes."""
    read = read_json(text)
    if not isinstance(read, Mapping):
        return Experiment(_json_members(list_at(read, ""), "experiment"))
    lists = [key for key in ("cycles", "steps", "operating_conditions") if read.get(key) is not None]
    others = [key for key in read if key not in {"cycles", "steps", *ARGUMENTS}]
    unknown = tuple(Unsupported(key, f"{quoted(key)} is not known here") for key in others)
    if len(lists) != 1:
        raise Wrong("", "the experiment needs one of cycles, steps or operating_conditions")
    members = _json_members(list_at(read[lists[0]], lists[0]), lists[0])
    return Experiment(members, read.get("period"), read.get("temperature"), read.get("termination"), unknown)


def _json_members(items: Sequence[Json], place: str) -> tuple[Member, ...]:
    return tuple(_json_member(item, f"{place}[{index}]") for index, item in enumerate(items))


def _json_member(item: Json, place: str) -> Member:
    if isinstance(item, str) or not isinstance(item, Sequence):
        return Cycle((Written(item, place),), place)
    if not item:
        raise Wrong(place, "a cycle without a step")
    return Cycle(tuple(Written(step, f"{place}[{index}]") for index, step in enumerate(item)), place)


def from_script(text: str) -> tuple[Experiment, int]:
    """The experiment of a Python file, and how many other calls the file makes."""
    values = read_script(text)
    # A name used again is the same call.
    calls = list({call.place: call for value in values for call in _experiments(value)}.values())
    if len(calls) > 1:
        raise Wrong(calls[1].place, "a second experiment: keep one to a file")
    if calls:
        return _from_call(calls[0]), sum(isinstance(value, Call) and value is not calls[0] for value in values)
    if not values:
        raise Wrong("1:1", "the file has no experiment: a list of steps, or pybamm.Experiment([...])")
    return Experiment(tuple(_members(values[-1]))), 0


def _experiments(value: Value) -> Iterator[Call]:
    """A call of ``Experiment``, by itself or handed at once to something else."""
    if isinstance(value, Call):
        inside = (*value.args, *value.named.values())
        for each in (value, *inside):
            if isinstance(each, Call) and each.name.rsplit(".", 1)[-1] == "Experiment":
                yield each


def _from_call(call: Call) -> Experiment:
    if len(call.args) > len(ARGUMENTS):
        raise Wrong(call.place, "Experiment has more arguments than are known here")
    given = dict(zip(ARGUMENTS, call.args, strict=False))
    given |= {key: value for key, value in call.named.items() if key in ARGUMENTS}
    unknown = tuple(
        Unsupported(value.place, f"the argument {quoted(key)} has no equivalent in this language")
        for key, value in call.named.items()
        if key not in ARGUMENTS
    )
    if "operating_conditions" not in given:
        raise Wrong(call.place, "Experiment needs a list of steps")
    settings = {key: None if key not in given else plain(given[key]) for key in ARGUMENTS[1:]}
    return Experiment(tuple(_members(given["operating_conditions"])), **settings, unknown=unknown)


def _members(value: Value) -> Iterator[Member]:
    match value:
        case Items(items, is_tuple=False):
            for item in items:
                yield _member(item)
        case Sum(parts):
            for part in parts:
                yield from _members(part)
        case Times(inner, times, place):
            yield Group(_whole(times, place), tuple(_members(inner)), place)
        case _:
            raise Wrong(value.place, "a list of steps is needed here: [...]")


def _member(value: Value) -> Member:
    if isinstance(value, Items) and not value.is_tuple:
        raise Wrong(value.place, "a list inside the list: PyBaMM takes a cycle as a tuple, ('...', '...')")
    if isinstance(value, Leaf | Call):
        return Cycle((Written(_config(value), value.place),), value.place)
    steps = tuple(_steps(value))
    if not steps:
        raise Wrong(value.place, "a cycle without a step")
    return Cycle(steps, value.place)


def _steps(value: Value) -> Iterator[Written | Inner]:
    match value:
        case Items(items, is_tuple=True):
            for item in items:
                if not isinstance(item, Leaf | Call):
                    raise Wrong(item.place, "a step is needed here, as a text")
                yield Written(_config(item), item.place)
        case Sum(parts):
            for part in parts:
                yield from _steps(part)
        case Times(inner, times, place):
            yield Inner(_whole(times, place), tuple(_steps(inner)), place)
        case _:
            raise Wrong(value.place, "a tuple of steps is needed here")


def _whole(times: Decimal, place: str) -> int:
    if times < 1 or times != times.to_integral_value():
        raise Wrong(place, f"'* {times:f}' needs a whole number above zero")
    if times > MOST_TIMES:
        raise Wrong(place, f"'* {times:f}' is more than {MOST_TIMES} times")
    return int(times)


def _config(value: Leaf | Call) -> Json:
    """A step as JSON would hold it."""
    if isinstance(value, Leaf):
        if not isinstance(value.value, str):
            raise Wrong(value.place, f"a step is a text, not {shown(value.value)}")
        return value.value
    name = value.name.rsplit(".", 1)[-1]
    kind = STEP_TYPES.get(name, name)
    first = "text" if kind == "string" else "duration" if kind == "rest" else "value"
    if len(value.args) > 1:
        raise Wrong(value.place, "name the arguments after the first, for example duration='1 hour'")
    config: dict[str, Json] = {"type": kind, **{key: plain(each) for key, each in value.named.items()}}
    if value.args:
        config[first] = plain(value.args[0])
    return config


def plain(value: Value) -> Json:
    """A literal as JSON would hold it."""
    if isinstance(value, Leaf):
        return value.value
    if isinstance(value, Items):
        return [plain(item) for item in value.items]
    if isinstance(value, Call):  # something of PyBaMM's own; whoever reads it says that it is not supported
        return {"type": value.name.rsplit(".", 1)[-1]}
    raise Wrong(value.place, "only a text, a number or a list of them can be read here")
