"""JSON from strangers: bounded in size and depth, no key twice, numbers kept digit by digit."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal

from protocols.diagnostics import quoted
from protocols.importers.numbers import decimal_of
from protocols.importers.report import Unsupported, Wrong

DEEPEST = 20
# A string whole, or a bracket; what stands in strings does not nest.
# An unclosed string takes the rest at once, or a file of quotes would cost its square.
BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)

Json = None | bool | Decimal | str | Sequence["Json"] | Mapping[str, "Json"]


def read_json(text: str) -> Json:
    """Raises ``Wrong`` with line and column."""
    _refuse_depth(text)
    try:
        read: Json = json.loads(
            text, parse_float=_number, parse_int=_number, parse_constant=_no_number, object_pairs_hook=_object
        )
    except json.JSONDecodeError as error:
        raise Wrong(f"{error.lineno}:{error.colno}", f"this is not JSON: {error.msg}") from error
    return read


def _refuse_depth(text: str) -> None:
    """The library's parser is recursive; what is nested too deeply never reaches it."""
    depth = 0
    for match in BRACKET.finditer(text):
        if match.group() in "[{":
            depth += 1
        elif match.group() in "]}":
            depth -= 1
        if depth > DEEPEST:
            line = text.count("\n", 0, match.start()) + 1
            column = match.start() - text.rfind("\n", 0, match.start())
            raise Wrong(f"{line}:{column}", f"nested more than {DEEPEST} levels deep")


def _number(text: str) -> Decimal:
    number = decimal_of(text)
    if number is None:
        raise Wrong("", f"the number {quoted(text)} cannot be meant")
    return number


def _no_number(text: str) -> Decimal:
    raise Wrong("", f"{text} is not a number")


def _object(pairs: list[tuple[str, Json]]) -> Mapping[str, Json]:
    read = dict(pairs)
    if len(read) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise Wrong("", f"{quoted(twice)} is given twice in one object")
    return read


def object_at(value: Json, place: str) -> Mapping[str, Json]:
    if isinstance(value, Mapping):
        return value
    raise Wrong(place, f"needs an object {{...}}, not {shown(value)}")


def list_at(value: Json, place: str) -> Sequence[Json]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return value
    raise Wrong(place, f"needs a list [...], not {shown(value)}")


def shown(value: Json) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Decimal):
        return f"the number {value:f}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return "an object" if isinstance(value, Mapping) else "a list"


def number_at(value: Json, place: str) -> Decimal | None:
    """A number, or one in a string; None for null and for an empty string."""
    if isinstance(value, Decimal):
        return value
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    number = decimal_of(value) if isinstance(value, str) else None
    if number is None:
        raise Wrong(place, f"needs a number, not {shown(value)}")
    return number


def text_at(value: Json, place: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise Wrong(place, f"needs a text, not {shown(value)}")


def refuse_unknown(data: Mapping[str, Json], known: Sequence[str], place: str) -> None:
    for key in data:
        if key not in known:
            raise Unsupported(f"{place}.{key}" if place else key, f"{quoted(key)} is not known here")
