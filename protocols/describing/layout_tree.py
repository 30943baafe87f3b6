"""A protocol's text as it is laid out: its pieces as written, and the comments and empty lines between them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import yaml
import yaml.events
import yaml.tokens

COMMENT = re.compile("#[^\n]*")
HEADER = re.compile(r"[|>][0-9+-]*[ \t]*(?P<comment>#.*)?")
ODD_BREAK = re.compile("\r|\x85|\u2028|\u2029")


class CannotLayOut(Exception):  # noqa: N818 - said to the user
    """Why a text is better left as it is."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar as written, line by line, without its indentation. ``is_block``: one of the ``|`` and ``>`` kind."""

    lines: tuple[str, ...]
    first: int
    last: int
    is_block: bool = False


@dataclass(frozen=True, slots=True)
class Pair:
    key: Leaf
    value: Tree


@dataclass(frozen=True, slots=True)
class Branch:
    """A mapping's pairs or a list's items. ``flow``: written in braces or brackets; ``column``: where it begins."""

    children: tuple[Pair | Tree, ...]
    is_mapping: bool
    flow: bool
    column: int
    first: int
    last: int


Tree = Leaf | Branch


@dataclass(frozen=True, slots=True)
class Comment:
    """``alone``: nothing but blanks before it. ``gap``: how many blanks."""

    text: str
    line: int
    column: int
    alone: bool
    gap: int


class Position(Protocol):
    """A place in the text, all numbers from 0."""

    @property
    def index(self) -> int: ...
    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Source:
    """A text the reader has accepted, with line ends of one kind."""

    tree: Tree
    comments: tuple[Comment, ...]
    blanks: tuple[int, ...]


def read_source(text: str) -> Source:
    """``text`` must have passed the reader; raises CannotLayOut."""
    odd = ODD_BREAK.search(text)
    if odd is not None:
        line = text.count("\n", 0, odd.start()) + 1
        raise CannotLayOut(f"line {line} ends in U+{ord(odd.group()):04X}, which editors take for different things")
    tree = _Reading(text).tree()
    lines = text.split("\n")
    taken = {line for leaf in leaves(tree) for line in range(leaf.first, leaf.last + 1)}
    blanks = tuple(n for n, line in enumerate(lines[:-1]) if not line.strip() and n not in taken)
    return Source(tree, tuple(_comments(text)), blanks)


def leaves(tree: Tree) -> Iterator[Leaf]:
    if isinstance(tree, Leaf):
        yield tree
        return
    for child in tree.children:
        if isinstance(child, Pair):
            yield child.key
            yield from leaves(child.value)
        else:
            yield from leaves(child)


def _loader() -> type[yaml.BaseLoader] | type[yaml.CBaseLoader]:
    return yaml.CBaseLoader if yaml.__with_libyaml__ else yaml.BaseLoader


def _at(mark: Position | None) -> Position:
    if mark is None:
        raise CannotLayOut("the parser does not say where things stand")
    return mark


class _Reading:
    """Turns parser events into a tree; deep nesting has been refused before."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._events = yaml.parse(text, Loader=_loader())

    def tree(self) -> Tree:
        for event in self._events:
            if isinstance(event, yaml.events.DocumentStartEvent):
                return self._node(next(self._events))
        raise CannotLayOut("there is nothing in it")

    def _node(self, event: yaml.events.Event) -> Tree:
        if isinstance(event, yaml.events.ScalarEvent):
            return self._leaf(event)
        if isinstance(event, yaml.events.MappingStartEvent | yaml.events.SequenceStartEvent):
            return self._branch(event)
        raise CannotLayOut(f"{type(event).__name__} has no place in a protocol")

    def _branch(self, start: yaml.events.MappingStartEvent | yaml.events.SequenceStartEvent) -> Branch:
        is_mapping = isinstance(start, yaml.events.MappingStartEvent)
        children: list[Pair | Tree] = []
        event = next(self._events)
        while not isinstance(event, yaml.events.CollectionEndEvent):
            node = self._node(event)
            children.append(self._pair(node) if is_mapping else node)
            event = next(self._events)
        last = _at(event.end_mark).line if start.flow_style else _last(children, _at(start.start_mark).line)
        return Branch(
            tuple(children),
            is_mapping,
            bool(start.flow_style),
            _at(start.start_mark).column,
            _at(start.start_mark).line,
            last,
        )

    def _pair(self, key: Tree) -> Pair:
        if not isinstance(key, Leaf) or len(key.lines) != 1 or key.is_block:
            raise CannotLayOut("a name of several lines cannot be laid out")
        return Pair(key, self._node(next(self._events)))

    def _leaf(self, event: yaml.events.ScalarEvent) -> Leaf:
        start, end = _at(event.start_mark), _at(event.end_mark)
        raw = self._text[start.index : end.index]
        if event.style in {"|", ">"}:
            return _block_leaf(raw, start.line)
        lines = tuple(line.strip() for line in raw.split("\n"))
        return Leaf(lines, start.line, start.line + len(lines) - 1)


def _last(children: list[Pair | Tree], first: int) -> int:
    if not children:
        return first
    last = children[-1]
    return last.value.last if isinstance(last, Pair) else last.last


def _block_leaf(raw: str, first: int) -> Leaf:
    """Without the indentation all its lines share; empty lines at its end only where they count (``+``)."""
    header, *lines = raw.split("\n")
    if re.match("[|>][+-]?[0-9]", header):
        raise CannotLayOut(f"the text on line {first + 1} has a number in its first line: leave the number out")
    full = [line for line in lines if line.strip()]
    margin = len(full[0]) - len(full[0].lstrip(" ")) if full else 0
    while lines and not lines[-1].strip() and "+" not in header:
        lines.pop()
    kept = tuple(line[margin:] for line in lines)  # blanks at a line's end are part of such a text
    return Leaf((header.rstrip(), *kept), first, first + len(kept), is_block=True)


def _comments(text: str) -> Iterator[Comment]:
    """All of them, in order; the gaps between two tokens hold nothing else but blanks."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    return (_comment(text, starts, index) for index in _comment_starts(text))


def _comment_starts(text: str) -> Iterator[int]:
    end = 0
    for token in yaml.scan(text, Loader=_loader()):
        start = _at(token.start_mark).index
        yield from _in_gap(text, end, start)
        end = max(end, _at(token.end_mark).index)
        if isinstance(token, yaml.tokens.ScalarToken) and token.style in {"|", ">"}:
            header = HEADER.match(text, start)
            if header is not None and header["comment"]:
                yield header.start("comment")
    yield from _in_gap(text, end, len(text))


def _in_gap(text: str, start: int, end: int) -> Iterator[int]:
    return (match.start() for match in COMMENT.finditer(text, start, end))


def _comment(text: str, starts: list[int], index: int) -> Comment:
    line = bisect_right(starts, index) - 1
    before = text[starts[line] : index]
    gap = len(before) - len(before.rstrip())
    end = starts[line + 1] if line + 1 < len(starts) else len(text)
    return Comment(text[index:end].rstrip(), line, index - starts[line], not before.strip(), gap)
