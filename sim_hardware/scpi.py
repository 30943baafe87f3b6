"""Reading SCPI as a Keithley 2400 does: exact short or long mnemonics, in any case, and nothing in between.

Written from the 2400 manual, p. 14-9 to 14-13. Knows no instrument: a table of headers gives the tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product

COMMAND_ERROR, PARAMETER_NOT_ALLOWED, MISSING_PARAMETER = -100, -108, -109
TOO_LONG, UNDEFINED_HEADER = -112, -113
LONGEST_MNEMONIC = 12

_NODE = re.compile(r"(\[)?:([A-Za-z]+)(\[1\])?(\])?")


class ScpiError(Exception):
    """A message unit the instrument does not carry out; ``code`` goes to the error queue."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class Node:
    """One level of the command tree; ``command`` is set where a header may end."""

    children: dict[str, Node] = field(default_factory=dict[str, "Node"])
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """One message unit. ``error`` is set instead of ``command`` where the parser gave up."""

    command: str
    is_query: bool
    arguments: tuple[str, ...]
    error: int = 0


def build_tree(headers: Iterable[str]) -> Node:
    """Tree of headers written as in the manual: ``[:SENSe[1]]:VOLTage[:DC]:RANGe``, ``*IDN``."""
    root = Node()
    for header in headers:
        if header.startswith("*"):
            root.children[header] = Node(command=header)
        else:
            for path in _paths(header):
                _insert(root, path, header)
    return root


def _paths(header: str) -> Iterable[list[tuple[str, ...]]]:
    """Every way to leave out optional nodes, each node as its accepted spellings."""
    choices: list[tuple[tuple[str, ...] | None, ...]] = []
    for optional, name, numbered, _ in _NODE.findall(header):
        short = "".join(letter for letter in name if letter.isupper())
        spellings = tuple(dict.fromkeys((short, name.upper())))
        if numbered:
            spellings += tuple(f"{spelling}1" for spelling in spellings)
        choices.append((spellings, None) if optional else (spellings,))
    return ([node for node in path if node is not None] for path in product(*choices))


def _insert(node: Node, path: list[tuple[str, ...]], header: str) -> None:
    for spellings in path:
        child = node.children.get(spellings[0]) or Node()
        for spelling in spellings:
            node.children[spelling] = child
        node = child
    node.command = header


def parse(message: str, root: Node) -> tuple[Unit, ...]:
    """Units of one program message; what follows a bad unit is discarded (p. 14-12)."""
    units: list[Unit] = []
    level = root
    for text in _split(message, ";"):
        if not text:
            continue
        header, _, rest = text.partition(" ")
        try:
            command, level = _resolve(header.removesuffix("?").upper(), level, root)
        except ScpiError as error:
            units.append(Unit("", is_query=False, arguments=(), error=error.code))
            break
        arguments = tuple(_split(rest, ",")) if rest.strip() else ()
        units.append(Unit(command, header.endswith("?"), arguments))
    return tuple(units)


def _resolve(header: str, level: Node, root: Node) -> tuple[str, Node]:
    """Command of a header and the level at which the next unit without a leading colon goes on."""
    if header.startswith("*"):
        return _command(root.children.get(header)), level
    if header.startswith(":"):
        level, header = root, header[1:]
    parent, node = level, level
    for mnemonic in header.split(":"):
        if len(mnemonic) > LONGEST_MNEMONIC:
            raise ScpiError(TOO_LONG)
        if mnemonic not in node.children:
            raise ScpiError(UNDEFINED_HEADER)
        parent, node = node, node.children[mnemonic]
    return _command(node), parent


def _command(node: Node | None) -> str:
    if node is None or node.command is None:
        raise ScpiError(UNDEFINED_HEADER)
    return node.command


def _split(text: str, separator: str) -> list[str]:
    """Split outside quotes and strip each part."""
    parts: list[str] = []
    quote = part = ""
    for letter in text:
        if letter in "\"'":
            quote = "" if quote == letter else quote or letter
        if letter == separator and not quote:
            parts.append(part.strip())
            part = ""
        else:
            part += letter
    return [*parts, part.strip()]


def flag(text: str) -> bool:
    if text.upper() in {"ON", "1"}:
        return True
    if text.upper() in {"OFF", "0"}:
        return False
    raise ScpiError(-141 if text[:1].isalpha() else -222)


def choice(text: str, names: Mapping[str, str]) -> str:
    """The short form of one of ``names`` (short form to long form, both upper case)."""
    word = text.upper()
    for short, long in names.items():
        if word in (short, long):
            return short
    raise ScpiError(-141)


def number(text: str, low: float, high: float, default: float) -> float:
    named = {"MIN": low, "MINIMUM": low, "MAX": high, "MAXIMUM": high, "DEF": default, "DEFAULT": default}
    value = named.get(text.upper())
    if value is not None:
        return value
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
        raise ScpiError(-104)
    value = float(text)
    if not low <= value <= high:
        raise ScpiError(-222)
    return value


def quoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    raise ScpiError(-150)


class ErrorQueue:
    """First in, first out, ten deep; the last place says -350 when more would come (manual B-1)."""

    def __init__(self, texts: Mapping[int, str]) -> None:
        self._texts = texts
        self._codes: list[int] = []

    def __len__(self) -> int:
        return len(self._codes)

    def push(self, code: int) -> None:
        if len(self._codes) < 10:
            self._codes.append(code)
        else:
            self._codes[-1] = -350

    def pop(self) -> str:
        return self.spell(self._codes.pop(0)) if self._codes else self.spell(0)

    def clear(self) -> None:
        self._codes.clear()

    def spell(self, code: int) -> str:
        sign = "+" if code > 0 else ""
        return f'{sign}{code},"{self._texts.get(code, "Unknown error")}"'


def register(value: int, told_as: str) -> str:
    """As :FORMat:SREGister says: ASC, HEX, OCT or BIN."""
    match told_as:
        case "HEX":
            return f"#H{value:X}"
        case "OCT":
            return f"#Q{value:o}"
        case "BIN":
            return f"#B{value:b}"
        case _:
            return str(value)
