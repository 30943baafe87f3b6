"""Reading SCPI as a B2900 does: channels are a suffix of a mnemonic, ``:SOUR2:VOLT``, or a list, ``(@1,2)``.

Written from the B2900's SCPI command reference (B2910-90030 Ed. 2) p. 1-6 to 1-10 and its errors on p. 5-4. A table of
headers gives the tree; ``[c]`` in one marks where the channel's number may stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product

from sim_hardware.scpi import LONGEST_MNEMONIC, PARAMETER_NOT_ALLOWED, TOO_LONG, UNDEFINED_HEADER, ScpiError

SUFFIX_OUT_OF_RANGE, ILLEGAL_VALUE = -114, -224

_NODE = re.compile(r"(\[)?:([A-Za-z]+)(\[c\])?(\])?")
_MNEMONIC = re.compile(r"([A-Z]+)(\d*)")
_CHANNEL_LIST = re.compile(r"\(@([12])(?:[,:]([12]))?\)")
_DEPTH = {"(": 1, ")": -1}


@dataclass(slots=True)
class Node:
    """One level of the command tree; ``command`` is set where a header may end."""

    children: dict[str, Node] = field(default_factory=dict[str, "Node"])
    command: str | None = None
    is_numbered: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the tree a header without a leading colon goes on, and for which channel."""

    node: Node
    channel: int = 1


@dataclass(frozen=True, slots=True)
class Unit:
    """One message unit. ``error`` is set instead of ``command`` where the parser gave up."""

    command: str
    is_query: bool
    channel: int
    arguments: tuple[str, ...]
    error: int = 0


def build_tree(headers: Iterable[str]) -> Node:
    """Tree of headers written as in the manual: ``[:SOURce[c]]:VOLTage[:LEVel]``, ``*IDN``."""
    root = Node()
    for header in headers:
        if header.startswith("*"):
            root.children[header] = Node(command=header)
        else:
            for path in _paths(header):
                _insert(root, path, header)
    return root


def _paths(header: str) -> Iterable[list[tuple[str, bool]]]:
    """Every way to leave out optional nodes: names as the manual writes them, and whether they may be numbered."""
    choices: list[tuple[tuple[str, bool] | None, ...]] = []
    for optional, name, numbered, _ in _NODE.findall(header):
        node = (name, bool(numbered))
        choices.append((node, None) if optional else (node,))
    return ([node for node in path if node is not None] for path in product(*choices))


def _insert(node: Node, path: list[tuple[str, bool]], header: str) -> None:
    for name, numbered in path:
        short = "".join(letter for letter in name if letter.isupper())
        child = node.children.get(short) or Node()
        child.is_numbered |= numbered
        node.children[short] = node.children[name.upper()] = child
        node = child
    node.command = header


def parse(message: str, root: Node, channels: int) -> tuple[Unit, ...]:
    """Units of one program message; what follows a bad unit is taken to be discarded."""
    units: list[Unit] = []
    place = Place(root)
    for text in split(message, ";"):
        if not text:
            continue
        header, _, rest = text.partition(" ")
        try:
            command, channel, place = _resolve(header.removesuffix("?").upper(), place, root, channels)
        except ScpiError as error:
            units.append(Unit("", is_query=False, channel=1, arguments=(), error=error.code))
            break
        arguments = tuple(split(rest, ",")) if rest.strip() else ()
        units.append(Unit(command, header.endswith("?"), channel, arguments))
    return tuple(units)


def _resolve(header: str, place: Place, root: Node, channels: int) -> tuple[str, int, Place]:
    """Command and channel of a header, and the place at which the next unit without a leading colon goes on."""
    if header.startswith("*"):
        return _command(root.children.get(header)), 1, place
    if header.startswith(":"):
        place, header = Place(root), header[1:]
    parent = place
    for mnemonic in header.split(":"):
        parent, place = place, _step(place, mnemonic, channels)
    return _command(place.node), place.channel, parent


def _step(place: Place, mnemonic: str, channels: int) -> Place:
    found = _MNEMONIC.fullmatch(mnemonic)
    if len(mnemonic) > LONGEST_MNEMONIC:
        raise ScpiError(TOO_LONG)
    if found is None or found[1] not in place.node.children:
        raise ScpiError(UNDEFINED_HEADER)
    node = place.node.children[found[1]]
    if not found[2]:
        return Place(node, place.channel)
    if not node.is_numbered:
        raise ScpiError(UNDEFINED_HEADER)
    if not 1 <= int(found[2]) <= channels:
        raise ScpiError(SUFFIX_OUT_OF_RANGE)
    return Place(node, int(found[2]))


def _command(node: Node | None) -> str:
    if node is None or node.command is None:
        raise ScpiError(UNDEFINED_HEADER)
    return node.command


def split(text: str, separator: str) -> list[str]:
    """Split outside quotes and brackets and strip each part."""
    parts: list[str] = []
    quote = part = ""
    depth = 0
    for letter in text:
        if letter in "\"'":
            quote = "" if quote == letter else quote or letter
        depth += 0 if quote else _DEPTH.get(letter, 0)
        if letter == separator and not quote and depth <= 0:
            parts.append(part.strip())
            part = ""
        else:
            part += letter
    return [*parts, part.strip()]


def channel_list(arguments: tuple[str, ...], channels: int) -> tuple[int, ...]:
    """Ascending, for answers always come in that order; the first one if nothing is said (p. 1-8, 4-44)."""
    if not arguments:
        return (1,)
    first, *more = arguments
    if more:
        raise ScpiError(PARAMETER_NOT_ALLOWED)
    found = _CHANNEL_LIST.fullmatch(first.replace(" ", ""))
    named = sorted({int(number) for number in found.groups() if number}) if found else []
    if not named or named[-1] > channels:
        raise ScpiError(ILLEGAL_VALUE)
    return tuple(named)
