"""What Lua code of a simulated 2600 is made of once it is compiled: values, names, closures.

Running a chunk yields the seconds it wants to wait.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

Wait = Generator[float]
Values = tuple[object, ...]


class LuaRuntimeError(Exception):
    """The chunk ends here."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A field with its own way of being read and set; ``set`` None: read only."""

    get: Callable[[], object]
    set: Callable[[object], None] | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Named fields. Setting one nobody knows makes it: what the instrument does then is in no manual."""

    fields: dict[str, object]

    def read(self, name: str) -> object:
        field = self.fields.get(name)
        return field.get() if isinstance(field, Attribute) else field

    def write(self, name: str, value: object) -> None:
        field = self.fields.get(name)
        if not isinstance(field, Attribute):
            self.fields[name] = value
        elif field.set is None:
            raise LuaRuntimeError(f"attribute `{name}' is read only")
        else:
            field.set(value)


@dataclass(frozen=True, slots=True)
class Scope:
    """Names of a function over those of all."""

    own: dict[str, object]
    above: Scope | None = None

    def read(self, name: str) -> object:
        if name in self.own or self.above is None:
            value = self.own.get(name)
            return value.get() if isinstance(value, Attribute) else value
        return self.above.read(name)

    def write(self, name: str, value: object) -> None:
        if name in self.own or self.above is None:
            self.own[name] = value
        else:
            self.above.write(name, value)


@dataclass(frozen=True, slots=True)
class Builtin:
    """A function of the instrument's."""

    run: Callable[..., Values | Wait]


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the host's."""

    names: tuple[str, ...]
    body: Block

    def run(self, scope: Scope, values: Values) -> Wait:
        given = dict(zip(self.names, (*values, *(None for _ in self.names)), strict=False))
        yield from run(self.body, Scope(given, scope))


Evaluate = Callable[[Scope], Values]
Statement = Callable[[Scope], Wait | None]
Block = tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Expression:
    values: Evaluate
    assign: Callable[[Scope, object], None] | None = None
    call: Callable[[Scope], Values | Wait] | None = None

    def one(self, scope: Scope) -> object:
        values = self.values(scope)
        return values[0] if values else None


def run(block: Block, scope: Scope) -> Wait:
    for statement in block:
        wait = statement(scope)
        if wait is not None:
            yield from wait


def number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise LuaRuntimeError(f"attempt to perform arithmetic on a {type_name(value)} value")
    return float(value)


TYPE_NAMES: tuple[tuple[type, str], ...] = ((bool, "boolean"), (float, "number"), (str, "string"), (Table, "table"))


def type_name(value: object) -> str:
    if value is None:
        return "nil"
    return next((name for kind, name in TYPE_NAMES if isinstance(value, kind)), "function")


def is_true(value: object) -> bool:
    return value is not None and value is not False
