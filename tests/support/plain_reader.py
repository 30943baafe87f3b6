"""A second, tiny reader of the protocol language, for tests: it trusts the file and shares no code with the first.

Both readers' results are written as plain lines, so that a file one of them misunderstands shows as two texts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import yaml

Tree = Any
"""What YAML gives: text, lists and mappings."""
FACTORS = {
    **dict.fromkeys(("V", "A", "s", "Ah", "Wh", "g", "cm", "cm2", "second", "seconds"), "1"),
    **dict.fromkeys(("mV", "mA", "ms", "mAh", "mWh", "mg", "mV/s"), "0.001"),
    **dict.fromkeys(("µV", "µA", "µAh", "µg", "µV/s"), "0.000001"),
    "nA": "0.000000001",
    "min": "60",
    "minute": "60",
    "minutes": "60",
    "h": "3600",
    "hour": "3600",
    "hours": "3600",
    "d": "86400",
    "day": "86400",
    "days": "86400",
    "mm": "0.1",
    "mm2": "0.01",
    "%": "0.01",
    "wt%": "0.01",
    "°C": "1",
    "degC": "1",
    "K": "1",
}
KINDS = {
    "V mV µV": "voltage",
    "A mA µA nA": "current",
    "ms s min h d second minute hour day seconds minutes hours days": "time",
    "Ah mAh µAh": "capacity",
    "Wh mWh": "energy",
    "°C degC K": "temperature",
    "V/h mV/h mV/min mV/s µV/s": "dV/dt",
    "% wt%": "ratio",
    "g mg µg": "mass",
    "cm mm": "length",
    "cm2 mm2": "area",
}
KIND = {unit: kind for units, kind in KINDS.items() for unit in units.split()}
NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
OPERATOR = re.compile("<=|>=|=<|=>|[<>≤≥]")
GROWING = {"time", "capacity", "energy"}
SI_RECORD = {"time": 0, "voltage": 1, "current": 2, "capacity": 3, "temperature": 4}


def shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.9g}"


class Plain:
    """Reads one file whose cell is known."""

    def __init__(self, tree: Mapping[str, Tree]) -> None:
        self.tree = tree
        self.cell: Mapping[str, Tree] = tree.get("cell", {"name": "unnamed"})
        self.variables: dict[str, str] = dict(tree.get("variables", {}))
        self.safety: Mapping[str, Tree] = tree.get("safety", {})
        self.means: str | None = self.cell.get("discharge_means")

    def area(self) -> float:
        if "area" in self.cell:
            return self.plain(self.cell["area"])
        return math.pi * self.plain(self.cell["diameter"]) ** 2 / 4

    def mass(self) -> float:
        if "active_mass" in self.cell:
            return self.plain(self.cell["active_mass"])
        share = self.cell["composition"][self.cell["active_material"]]
        return self.plain(self.cell["electrode_mass"]) * self.plain(share)

    def words(self, text: str) -> str:
        text = text.strip()
        return self.variables[text[1:]].strip() if text.startswith("$") else text

    def kind_and_value(self, text: str) -> tuple[str, float]:
        """The dimension and the value inside: V, A, s, Ah, Wh, degC, V/s."""
        text = self.words(text)
        if text.startswith(("C/", "+C/")):
            return "current", self.nominal() / float(text.partition("/")[2])
        number = NUMBER.match(text)
        assert number is not None, text
        unit = text[number.end() :].strip().replace("μ", "µ")
        unit = "µ" + unit[1:] if unit.startswith("u") else unit
        unit = unit.replace("cm^2", "cm2").replace("cm²", "cm2").replace("m²", "m2").replace("m^2", "m2")
        return self.known(Decimal(number.group()), unit)

    def known(self, number: Decimal, unit: str) -> tuple[str, float]:
        if unit == "C":
            return "current", self.nominal() * float(number)
        if unit in {"V/h", "mV/h", "mV/min"}:
            top, _, below = unit.partition("/")
            return "dV/dt", float(number) * float(FACTORS[top]) / float(FACTORS[below])
        if unit in KIND:
            return KIND[unit], float(number * Decimal(FACTORS[unit])) - (273.15 if unit == "K" else 0)
        top, _, below = unit.partition("/")
        amount = float(number * Decimal(FACTORS[top]))
        per = {"cm2": self.area, "g": self.mass, "m2": self.area_m2, "kg": self.mass_kg}[below]()
        return KIND[top], amount * per

    def area_m2(self) -> float:
        return self.area() / 1e4

    def mass_kg(self) -> float:
        return self.mass() / 1e3

    def plain(self, text: str) -> float:
        return self.kind_and_value(text)[1]

    def nominal(self) -> float:
        return self.plain(self.cell["nominal_capacity"])

    def theoretical(self) -> float:
        return self.plain(self.cell["theoretical_capacity"])

    def verb(self, word: str) -> str:
        if word in {"lithiate", "delithiate"}:
            return word
        assert self.means is not None
        other = "delithiate" if self.means == "lithiate" else "lithiate"
        return self.means if word == "discharge" else other

    def clause(self, text: str, verb: str | None) -> str:
        body, _, held = re.sub(r"\s+", " ", text.strip()).partition(" for ")
        operator = OPERATOR.search(body)
        watched = body[: operator.start()].strip() if operator else None
        value = body[operator.end() :].strip() if operator else body
        if " of " in value:
            kind, amount, reference = self.share(value)
        else:
            (kind, amount), reference = self.kind_and_value(value), "-"
        watched = watched or kind
        assert watched == kind, text
        falls = watched in {"current", "dV/dt"} or (watched == "voltage" and verb == "lithiate")
        op = ("<=" if operator.group() in {"<=", "=<", "<", "≤"} else ">=") if operator else "<=" if falls else ">="
        return f"{watched} {op} {shown(amount)} {reference} for {shown(self.plain(held)) if held else '-'}"

    def share(self, value: str) -> tuple[str, float, str]:
        share, _, name = value.partition(" of ")
        amount = self.plain(share)
        match name.split():
            case ["theoretical"]:
                return "capacity", amount * self.theoretical(), "-"
            case ["nominal"]:
                return "capacity", amount * self.nominal(), "-"
            case ["previous", "step"]:
                return "capacity", amount, "previous"
            case ["previous", word]:
                return "capacity", amount, f"previous {self.verb(word)}"
            case _:
                return "capacity", amount, f"label {name.strip()}"

    def condition(self, node: Tree, verb: str | None) -> list[str]:
        lines = [node] if isinstance(node, str) else list(node or [])
        alternatives = [part for line in lines for part in re.split(r"\sor\s", f" {line} ")]
        return [" & ".join(self.clause(each, verb) for each in re.split(r"\sand\s", part)) for part in alternatives]

    def ends(self, step: Mapping[str, Tree], verb: str | None) -> list[str]:
        until = self.condition(step.get("until"), verb)
        return until + ([self.clause(step["for"], None)] if "for" in step else [])

    def record(self, *nodes: Tree) -> str:
        text = next(node for node in (*nodes, self.tree.get("record"), "10 s or 5 mV") if node is not None)
        fields: list[float | None] = [None] * 5
        for part in re.split(r"\sor\s", re.sub(r"^every\s+", "", text.strip())):
            kind, value = self.kind_and_value(part)
            fields[SI_RECORD[kind]] = value + 273.15 if part.strip().endswith("K") else value
        return " ".join(map(shown, fields))

    def safe(self) -> tuple[float, float]:
        if "voltage" not in self.safety:
            return -math.inf, math.inf
        low, high = re.split(r"\sto\s", self.safety["voltage"])
        return self.plain(low), self.plain(high)

    def window(self, until: Tree, verb: str) -> str:
        low, high = self.safe()
        lone = [each for each in self.condition(until, verb) if each.startswith("voltage") and " & " not in each]
        cutoffs = [float(each.split()[2]) for each in lone]
        if cutoffs and verb == "lithiate":
            low = max(cutoffs) - 0.02
        elif cutoffs:
            high = min(cutoffs) + 0.02
        return f"{shown(low)} to {shown(high)}"

    def signed(self, at: str, verb: str) -> str:
        return shown(self.plain(at) * (1 if verb == "delithiate" else -1))

    def steps(self, nodes: list[Tree], prefix: str) -> Iterator[str]:
        for number, node in enumerate(nodes, 1):
            ((word, step),) = node.items()
            yield from self.step(f"{prefix}{number}", word, step)

    def step(self, path: str, word: str, step: Tree) -> Iterator[str]:
        match word:
            case "note":
                yield f"{path} note {step.strip()}"
            case "rest":
                whole = {"for": step} if isinstance(step, str) else step
                yield from self.rest(path, whole, whole)
            case "hold":
                yield from self.hold(path, step)
            case "gitt":
                yield from self.gitt(path, step)
            case "repeat":
                yield from self.repeat(path, step)
            case _:
                yield from self.current(path, word, step)

    def tail(self, step: Mapping[str, Tree], verb: str | None = None) -> str:
        _only(
            step,
            "at for until abort_if record label note current_limit on_start_met then_hold_until pulses rest "
            "lithiate delithiate charge discharge",
        )
        label, note = (step[key].strip() if key in step else "-" for key in ("label", "note"))
        return f"abort {self.condition(step.get('abort_if'), verb)} label {label} note {note}"

    def rest(
        self, path: str, step: Mapping[str, Tree], whole: Mapping[str, Tree], tail: str | None = None
    ) -> Iterator[str]:
        low, high = self.safe()
        window = f"{shown(low)} to {shown(high)}"
        tail = self.tail(step) if tail is None else tail
        yield f"{path} rest {self.ends(step, None)} record {self.record(whole.get('record'))} window {window} {tail}"

    def hold(self, path: str, step: Mapping[str, Tree]) -> Iterator[str]:
        limit = step.get("current_limit", self.safety.get("current"))
        limit_A = math.inf if limit is None else self.plain(limit)
        ends, record = self.ends(step, None), self.record(step.get("record"))
        yield f"{path} hold {shown(self.plain(step['at']))} at most {shown(limit_A)} {ends} record {record} {self.tail(step)}"

    def current(self, path: str, word: str, step: Mapping[str, Tree]) -> Iterator[str]:
        verb = self.verb(word)
        ends, record = self.ends(step, verb), self.record(step.get("record"))
        window, signed = self.window(step.get("until"), verb), self.signed(step["at"], verb)
        start, tail = step.get("on_start_met", "skip"), self.tail(step, verb)
        if "then_hold_until" not in step:
            yield f"{path} {word} {signed} {ends} record {record} window {window} start {start} {tail}"
            return
        none = "abort [] label - note -"
        lone = [index for index, each in enumerate(ends) if each.startswith("voltage") and " & " not in each]
        yield f"{path} cccv {lone} {tail}"
        yield f"{path}.cc {word} {signed} {ends} record {record} window {window} start {start} {none}"
        volts, taper = ends[lone[0]].split()[2], self.condition(step["then_hold_until"], None)
        yield f"{path}.cv hold {volts} at most {shown(abs(float(signed)))} {taper} record {record} {none}"

    def gitt(self, path: str, step: Mapping[str, Tree]) -> Iterator[str]:
        (word,) = {"lithiate", "delithiate", "charge", "discharge"} & step.keys()
        verb, pulse = self.verb(word), step[word]
        _only(pulse, "at for record")
        rest = {"for": step["rest"]} if isinstance(step["rest"], str) else step["rest"]
        _only(rest, "until for")
        yield f"{path} gitt {self.condition(step.get('until'), verb)} {step.get('pulses', '-')} {self.tail(step, verb)}"
        none = "abort [] label - note -"
        record = self.record(pulse.get("record"), step.get("record"))
        window = self.window(step.get("until"), verb)
        ends, signed = [self.clause(pulse["for"], None)], self.signed(pulse["at"], verb)
        yield f"{path}.p {word} {signed} {ends} record {record} window {window} start skip {none}"
        yield from self.rest(f"{path}.r", rest, step, none)

    def repeat(self, path: str, step: Mapping[str, Tree]) -> Iterator[str]:
        _only(step, "times for_each stop_when count_cycles steps label note")
        times, label, note = step.get("times", "1"), step.get("label", "-").strip(), step.get("note", "-").strip()
        inner = any("repeat" in each for each in step["steps"])
        counts = {"yes": True, "no": False}[step["count_cycles"]] if "count_cycles" in step else not inner
        stop = self.stop(step["stop_when"]) if "stop_when" in step else "-"
        lists: Mapping[str, list[str]] = step.get("for_each", {})
        if not lists:
            yield f"{path} repeat {int(times)} {counts} [] stop {stop} label {label} note {note}"
            yield from self.steps(step["steps"], f"{path}.")
            return
        yield f"{path} repeat 1 False [] stop {stop} label {label} note {note}"
        outer = self.variables
        for values in zip(*lists.values(), strict=True):
            self.variables = {**outer, **dict(zip(lists, map(self.words, values), strict=True))}
            shown_values = [shown(self.plain(value)) for value in values]
            yield f"{path} repeat {int(times)} {counts} {[*zip(lists, shown_values, strict=True)]} stop - label - note -"
            yield from self.steps(step["steps"], f"{path}.")
            self.variables = outer

    def stop(self, text: str) -> str:
        match = re.fullmatch(
            r"\s*(\w+) capacity\s*(<=|>=|<|>|≤|≥|=<|=>)\s*(.+?)(?: of cycle (\d+))?(?: for (\d+) cycles?)?\s*",
            re.sub(r"\s+", " ", text),
        )
        assert match is not None, text
        word, op, value, cycle, run = match.groups()
        op = "<=" if op in {"<=", "<", "≤", "=<"} else ">="
        return f"{self.verb(word)} {op} {shown(self.plain(value))} of {int(cycle or 0)} for {int(run or 1)}"

    def lines(self) -> Iterator[str]:
        _only(self.tree, "protocol name description author source variables cell record safety steps")
        yield " | ".join(self.tree.get(key, "").strip() for key in ("name", "description", "author", "source"))
        yield f"variables {[(name, shown(self.plain(text))) for name, text in self.variables.items()]}"
        yield f"safety {self.safety_line()}"
        yield f"cell {self.cell['name'].strip()} {self.cell.get('as_built')} {self.means}"
        yield from self.steps(self.tree["steps"], "")

    def safety_line(self) -> str:
        _only(self.safety, "voltage temperature current capacity for")
        ranges = [
            " to ".join(shown(self.plain(end)) for end in re.split(r"\sto\s", self.safety[key]))
            if key in self.safety
            else "-"
            for key in ("voltage", "temperature")
        ]
        amounts = [
            shown(self.plain(self.safety[key])) if key in self.safety else "-" for key in ("current", "capacity")
        ]
        return f"{ranges} {amounts} {shown(self.plain(self.safety['for'])) if 'for' in self.safety else '0'}"


def _only(node: Mapping[str, Tree], keys: str) -> None:
    """A key nobody reads would be a meaning lost."""
    assert node.keys() <= set(keys.split()), node.keys()


def as_written(text: str) -> list[str]:
    """What an accepted file says."""
    return [*Plain(yaml.load(text, Loader=yaml.BaseLoader)).lines()]  # noqa: S506 - reads text alone, makes no objects
