"""Literals of Python as people write experiments: lists, tuples, texts, numbers, names, ``*``, ``+`` and calls.

Nothing is evaluated and nothing is built: ``[...] * 1000000`` stays a number beside a list, and the interpreter's own
parser, which a hostile text can overflow, never sees the file.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from protocols.diagnostics import quoted
from protocols.importers.numbers import decimal_of
from protocols.importers.report import Wrong

DEEPEST = 20
LARGEST = 50_000
TOKEN = re.compile(
    r"""(?P<space>[ \t\f\ufeff]+|\#[^\n]*|\\\r?\n)
    |(?P<line>\r?\n|;)
    |(?P<text>[rRuU]?(?:'{3}(?:[^\\]|\\.)*?'{3}|"{3}(?:[^\\]|\\.)*?"{3}|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"))
    |(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![0-9A-Za-z_]))
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<mark>[()\[\],=.*+-])""",
    re.VERBOSE | re.DOTALL,
)
ESCAPE = re.compile(r"\\(?:(?P<code>x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})|(?P<letter>.))", re.DOTALL)
LETTERS: Mapping[str, str] = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"', "\n": ""}
CLOSES: Mapping[str, str] = {"(": ")", "[": "]"}


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    place: str


@dataclass(frozen=True, slots=True)
class Leaf:
    """A text, a number, or one of None, True, False."""

    value: str | Decimal | bool | None
    place: str
    size: int = 1
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Items:
    items: tuple[Value, ...]
    is_tuple: bool
    place: str
    size: int = 1
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Times:
    """``value * times``, not carried out."""

    value: Value
    times: Decimal
    place: str
    size: int = 1
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Sum:
    parts: tuple[Value, ...]
    place: str
    size: int = 1
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    args: tuple[Value, ...]
    named: Mapping[str, Value]
    place: str
    size: int = 1
    depth: int = 1


Value = Leaf | Items | Times | Sum | Call


def read_script(text: str) -> tuple[Value, ...]:
    """The values of the statements, in order; raises ``Wrong`` with line and column."""
    return tuple(_Parser(list(_tokens(text))).statements())


def _tokens(text: str) -> Iterator[Token]:
    """Line ends inside brackets are dropped."""
    line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
    position, depth, count = 0, 0, 0
    while position < len(text):
        match = TOKEN.match(text, position)
        place = _place(line_starts, position)
        if match is None or match.lastgroup is None:
            raise Wrong(place, f"{quoted(text[position])} cannot stand in an experiment written as a literal")
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(match.group(), 0)
        count += 1
        if depth > DEEPEST or count > 4 * LARGEST:
            raise Wrong(place, "too deeply nested" if depth > DEEPEST else "too long")
        position = match.end()
        if match.lastgroup != "space" and not (match.lastgroup == "line" and depth > 0):
            yield Token(match.lastgroup, match.group(), place)
    yield Token("line", "", _place(line_starts, len(text)))
    yield Token("end", "", _place(line_starts, len(text)))


def _place(line_starts: list[int], position: int) -> str:
    line = bisect_right(line_starts, position)
    return f"{line}:{position - line_starts[line - 1] + 1}"


@dataclass(slots=True)
class _Parser:
    """A descent that goes no deeper than the brackets do."""

    tokens: list[Token]
    at: int = 0
    names: dict[str, Value] = field(default_factory=dict[str, Value])

    def _look(self, ahead: int = 0) -> Token:
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def _next(self) -> Token:
        token = self._look()
        self.at += 1
        return token

    def _is(self, text: str) -> bool:
        token = self._look()
        return token.kind == "mark" and token.text == text

    def _take(self, text: str) -> bool:
        taken = self._is(text)
        self.at += taken
        return taken

    def statements(self) -> Iterator[Value]:
        while self._look().kind != "end":
            token = self._look()
            if token.kind == "line":
                self.at += 1
            elif token.text in {"import", "from"} and token.kind == "name":
                while self._next().kind != "line":
                    pass
            else:
                yield self._statement()

    def _statement(self) -> Value:
        name = None
        if self._look().kind == "name" and self._look(1).text == "=" and self._look(1).kind == "mark":
            name = self._next().text
            self.at += 1
        value = self._sum()
        end = self._next()
        if end.kind != "line":
            raise _unexpected(end)
        if name is not None:
            self.names[name] = value
        return value

    def _sum(self) -> Value:
        first = self._product()
        parts = [first]
        while self._take("+"):
            parts.append(self._product())
        return first if len(parts) == 1 else Sum(tuple(parts), first.place, *_bounds(first.place, parts))

    def _product(self) -> Value:
        value = self._single()
        while self._is("*"):
            place = self._next().place
            value = _times(value, self._single(), place)
        return value

    def _single(self) -> Value:
        token = self._next()
        if token.kind == "text":
            return Leaf(self._text(token), token.place)
        if token.kind == "number":
            return Leaf(_number(token), token.place)
        if token.kind == "name":
            return self._named(token)
        if token.text == "-" and self._look().kind == "number":
            return Leaf(-_number(self._next()), token.place)
        if token.text in CLOSES and token.kind == "mark":
            return self._items(token)
        raise _unexpected(token)

    def _text(self, first: Token) -> str:
        """Texts side by side are one."""
        parts = [_unescaped(first)]
        while self._look().kind == "text":
            parts.append(_unescaped(self._next()))
        return "".join(parts)

    def _named(self, token: Token) -> Value:
        name = token.text
        while self._take("."):
            part = self._next()
            if part.kind != "name":
                raise _unexpected(part)
            name += f".{part.text}"
        if self._take("("):
            return self._call(name, token.place)
        if name in {"None", "True", "False"}:
            return Leaf({"None": None, "True": True, "False": False}[name], token.place)
        if name not in self.names:
            raise Wrong(token.place, f"{quoted(name)} is not given a value above; only literals can be read")
        return self.names[name]

    def _call(self, name: str, place: str) -> Call:
        args: list[Value] = []
        named: dict[str, Value] = {}
        while not self._take(")"):
            if self._look().kind == "name" and self._look(1).text == "=":
                key = self._next()
                self.at += 1
                if key.text in named:
                    raise Wrong(key.place, f"{quoted(key.text)} is given twice")
                named[key.text] = self._sum()
            else:
                args.append(self._sum())
            self._comma(")")
        return Call(name, tuple(args), named, place, *_bounds(place, [*args, *named.values()]))

    def _comma(self, closing: str) -> bool:
        if self._take(","):
            return True
        if not self._is(closing):
            raise _unexpected(self._next())
        return False

    def _items(self, opening: Token) -> Value:
        """A list, a tuple, or one value in brackets."""
        closing = CLOSES[opening.text]
        items: list[Value] = []
        comma = False
        while not self._take(closing):
            items.append(self._sum())
            comma = self._comma(closing)
        if opening.text == "(" and len(items) == 1 and not comma:
            return items[0]
        return Items(tuple(items), opening.text == "(", opening.place, *_bounds(opening.place, items))


def _bounds(place: str, parts: list[Value]) -> tuple[int, int]:
    """The size and depth of what is made of ``parts``: names can be used again, so both may grow without bound."""
    size = 1 + sum(part.size for part in parts)
    depth = 1 + max((part.depth for part in parts), default=0)
    if size > LARGEST or depth > 2 * DEEPEST:
        raise Wrong(place, f"more than {LARGEST} parts" if size > LARGEST else "too deeply nested")
    return size, depth


def _times(left: Value, right: Value, place: str) -> Times:
    if isinstance(left, Leaf) and isinstance(left.value, Decimal):
        left, right = right, left
    if not isinstance(right, Leaf) or not isinstance(right.value, Decimal):
        raise Wrong(place, "'*' needs a list or a tuple and a whole number")
    return Times(left, right.value, place, *_bounds(place, [left]))


def _number(token: Token) -> Decimal:
    number = decimal_of(token.text)
    if number is None:
        raise Wrong(token.place, f"the number {quoted(token.text)} cannot be meant")
    return number


def _unescaped(token: Token) -> str:
    raw = token.text[0] in "rR"
    body = token.text[1:] if token.text[0] in "rRuU" else token.text
    quotes = 3 if body[:3] in {"'''", '"""'} and len(body) >= 6 else 1
    body = body[quotes:-quotes]
    return body if raw else ESCAPE.sub(_letter, body)


def _letter(match: re.Match[str]) -> str:
    if match["code"]:
        return chr(int(match["code"][1:], 16))
    return LETTERS.get(match["letter"], match.group())


def _unexpected(token: Token) -> Wrong:
    shown = "the end of the file" if token.kind == "end" else "the end of the line" if token.kind == "line" else None
    return Wrong(token.place, f"{shown or quoted(token.text)} is not expected here")
