"""YAML to nodes that know their place. Every scalar is text; what could surprise or swell is refused.

The tree is built from the parser's events, not by recursion, so that no file can exhaust the stack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import yaml
import yaml.events
from yaml import BaseLoader

from protocols.diagnostics import LINE_END, Diagnostic, Mark, Severity, Source, diagnostic_at, quoted, source_of
from protocols.reading.syntax_faults import SyntaxFault, fault_of, inside

LARGEST_FILE = 1 << 20
SLOW_PARSER_FILE = 1 << 16
"""The pure parser takes half a minute for a hostile file of the full size; it sees no larger one than this."""
DEEPEST = 20
NESTED = "a protocol needs no more than a few repeats inside each other: check the indentation"
REPEATS = "use repeat: instead of writing steps again and again"
UNPRINTABLE = "delete it, and save the file as plain text (UTF-8)"
ONE_DOCUMENT = "write one protocol in a file, without lines of '---'"
AS_NAME = "write 'name: value'; '{', '[' and '? ' have a meaning of their own at the beginning"
PLAIN = "delete it: every value is plain text here"
MOST_VALUES = 100_000
MOST_JOINED = 20_000
"""Names, values, lists and settings, and ``or`` and ``and`` between conditions, in one file: it shall be checked within two seconds."""
MOST_REPEATED = 1000
JOINED = re.compile(r"\s(?:or|and)(?=\s)")
# What a YAML stream may hold (YAML 1.1, 5.1); lone surrogates are not text at all.
NOT_PRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Scalar:
    """A piece of text. ``inner``: how far its first letter stands right of ``mark``; None where it is not one line."""

    value: str
    mark: Mark
    inner: int | None = 0

    def at(self, offset: int) -> Mark:
        """The place of the letter at ``offset``; the beginning where that cannot be said."""
        if self.inner is None:
            return self.mark
        return Mark(self.mark.source, self.mark.line, self.mark.column + self.inner + offset)


@dataclass(frozen=True, slots=True)
class Entry:
    key: Scalar
    value: Node


@dataclass(frozen=True, slots=True)
class Mapping:
    entries: tuple[Entry, ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Node, ...]
    mark: Mark


Node = Scalar | Mapping | Sequence


@dataclass(frozen=True, slots=True)
class Parsed:
    """``root`` is None where the text could not be read at all; the diagnostics then say why."""

    root: Node | None
    source: Source
    diagnostics: tuple[Diagnostic, ...] = ()


def parse(text: str, name: str) -> Parsed:
    """The one document in ``text``; never raises."""
    if len(text) > LARGEST_FILE or len(text.encode("utf-8", "replace")) > LARGEST_FILE:
        return _too_large(name)
    text = text.removeprefix("\ufeff")
    source = source_of(name, text)
    try:
        _check_letters(text, source)
        _check_tabs(text, source)
        _check_joined(text, source)
        builder = _Builder(source)
        for event in _events(text, source):
            builder.take(event)
    except SyntaxFault as fault:
        return Parsed(None, source, (fault.diagnostic,))
    return Parsed(builder.root, source, tuple(builder.repeated_keys))


def _too_large(name: str) -> Parsed:
    source = source_of(name, "")
    message = f"the file is larger than {LARGEST_FILE // 1024} KiB"
    return Parsed(None, source, (diagnostic_at(Mark(source, 1, 1), Severity.ERROR, "limit", message, REPEATS),))


def _check_letters(text: str, source: Source) -> None:
    match = NOT_PRINTABLE.search(text)
    if match is not None:
        mark = _mark_of(text, source, match.start())
        raise SyntaxFault(
            mark, "yaml-syntax", f"the character U+{ord(match.group()):04X} cannot stand in a text file", UNPRINTABLE
        )


def _check_tabs(text: str, source: Source) -> None:
    """Only the pure parser is strict about tabs, so a large file may have none."""
    index = text.find("\t")
    if index >= 0 and len(text) > SLOW_PARSER_FILE:
        mark = _mark_of(text, source, index)
        raise SyntaxFault(mark, "yaml-syntax", "a file of this size may not hold tabs", "indent with spaces, not tabs")


def _check_joined(text: str, source: Source) -> None:
    beyond = next(islice(JOINED.finditer(text), MOST_JOINED, None), None)
    if beyond is not None:
        mark = _mark_of(text, source, beyond.start() + 1)
        message = f"the file says 'or' and 'and' more than {MOST_JOINED} times"
        raise SyntaxFault(mark, "limit", message, REPEATS)


def _mark_of(text: str, source: Source, index: int) -> Mark:
    ends = [match.end() for match in LINE_END.finditer(text, 0, index)]
    return Mark(source, len(ends) + 1, index - (ends[-1] if ends else 0) + 1)


def _events(text: str, source: Source) -> Iterator[yaml.events.Event]:
    """The events of the fast parser; the pure one where it fails, for its words, or may be laxer (tabs)."""
    try:
        # One event at a time: the builder stops at its limits before a parser grows slow on a hostile depth.
        yield from yaml.parse(text, Loader=BaseLoader if "\t" in text else _fast_loader())
    except yaml.MarkedYAMLError as error:
        words = _in_the_pure_parsers_words(text) if len(text) <= SLOW_PARSER_FILE else None
        raise fault_of(words or error, source) from error


def _fast_loader() -> type[BaseLoader] | type[yaml.CBaseLoader]:
    return yaml.CBaseLoader if yaml.__with_libyaml__ else BaseLoader


def _in_the_pure_parsers_words(text: str) -> yaml.MarkedYAMLError | None:
    try:
        for _ in yaml.parse(text, Loader=BaseLoader):
            pass
    except yaml.MarkedYAMLError as error:
        return error
    return None


@dataclass(slots=True)
class _Open:
    """A collection not yet closed. ``key`` is the key of the mapping that waits for its value."""

    mark: Mark
    title: str
    is_mapping: bool
    entries: list[Entry] = field(default_factory=list["Entry"])
    items: list[Node] = field(default_factory=list["Node"])
    first_lines: dict[str, int] = field(default_factory=dict[str, int])
    key: Scalar | None = None


class _Builder:
    """Turns events into nodes; owns the stack of open collections."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.root: Node | None = None
        self.repeated_keys: list[Diagnostic] = []
        self.open: list[_Open] = []
        self.documents = 0
        self.values = 0

    def take(self, event: yaml.events.Event) -> None:
        match event:
            case yaml.events.ScalarEvent():
                self._refuse_decoration(event)
                self._add(self._scalar(event))
            case yaml.events.MappingStartEvent() | yaml.events.SequenceStartEvent():
                self._refuse_decoration(event)
                self._begin(event)
            case yaml.events.MappingEndEvent() | yaml.events.SequenceEndEvent():
                self._close()
            case yaml.events.DocumentStartEvent():
                self._document(event)
            case yaml.events.AliasEvent():
                raise self._feature(event, f"aliases (*{event.anchor})")
            case _:
                pass

    def _mark(self, event: yaml.events.Event) -> Mark:
        place = event.start_mark
        return Mark(self.source, 1, 1) if place is None else inside(self.source, place.line, place.column)

    def _document(self, event: yaml.events.DocumentStartEvent) -> None:
        self.documents += 1
        if self.documents > 1:
            raise SyntaxFault(
                self._mark(event), "yaml-feature", "a second YAML document in one file is not allowed", ONE_DOCUMENT
            )
        if event.version or event.tags:
            raise SyntaxFault(self._mark(event), "yaml-feature", "YAML directives (%) are not allowed", PLAIN)

    def _feature(self, event: yaml.events.Event, what: str) -> SyntaxFault:
        help_text = "use variables: and $name instead"
        return SyntaxFault(self._mark(event), "yaml-feature", f"YAML {what} are not allowed", help_text)

    def _refuse_decoration(self, event: yaml.events.ScalarEvent | yaml.events.CollectionStartEvent) -> None:
        if event.anchor is not None:
            raise self._feature(event, f"anchors (&{event.anchor})")
        if event.tag is not None:
            what = f"YAML tags ({event.tag.replace('tag:yaml.org,2002:', '!!')}) are not allowed"
            raise SyntaxFault(self._mark(event), "yaml-feature", what, PLAIN)

    def _scalar(self, event: yaml.events.ScalarEvent) -> Scalar:
        mark = self._mark(event)
        self._count(mark)
        line = self.source.lines[mark.line - 1]
        inner = 1 if event.style in {"'", '"'} else 0
        return Scalar(event.value, mark, inner if line.startswith(event.value, mark.column - 1 + inner) else None)

    def _count(self, mark: Mark) -> None:
        self.values += 1
        if self.values > MOST_VALUES:
            raise SyntaxFault(mark, "limit", f"the file holds more than {MOST_VALUES} names and values", REPEATS)

    def _begin(self, event: yaml.events.MappingStartEvent | yaml.events.SequenceStartEvent) -> None:
        mark = self._mark(event)
        self._count(mark)
        if len(self.open) >= DEEPEST:
            raise SyntaxFault(mark, "limit", f"the file is nested more than {DEEPEST} levels deep", NESTED)
        self._refuse_as_key(mark)
        is_mapping = isinstance(event, yaml.events.MappingStartEvent)
        self.open.append(_Open(mark, self._title(), is_mapping))

    def _refuse_as_key(self, mark: Mark) -> None:
        if self.open and self.open[-1].is_mapping and self.open[-1].key is None:
            raise SyntaxFault(mark, "yaml-feature", "a name must be plain text, not a list or a mapping", AS_NAME)

    def _title(self) -> str:
        """What people call the collection that begins now: the key it belongs to."""
        if not self.open:
            return "the file"
        key = self.open[-1].key
        return self.open[-1].title if key is None else key.value

    def _close(self) -> None:
        closed = self.open.pop()
        if closed.is_mapping:
            self._add(Mapping(tuple(closed.entries), closed.mark))
        else:
            self._add(Sequence(tuple(closed.items), closed.mark))

    def _add(self, node: Node) -> None:
        if not self.open:
            self.root = node
        elif not self.open[-1].is_mapping:
            self.open[-1].items.append(node)
        else:
            self._add_to_mapping(self.open[-1], node)

    def _add_to_mapping(self, mapping: _Open, node: Node) -> None:
        if mapping.key is not None:
            self._add_value(mapping, mapping.key, node)
            mapping.key = None
        elif isinstance(node, Scalar):
            if node.value == "<<":
                raise SyntaxFault(
                    node.mark, "yaml-feature", "YAML merge keys (<<) are not allowed", "write the settings out"
                )
            mapping.key = node

    def _add_value(self, mapping: _Open, key: Scalar, node: Node) -> None:
        """The first of two equal keys is kept, the second reported."""
        first_line = mapping.first_lines.get(key.value)
        if first_line is None:
            mapping.first_lines[key.value] = key.mark.line
            mapping.entries.append(Entry(key, node))
            return
        if len(self.repeated_keys) >= MOST_REPEATED:
            return
        message = f"{quoted(key.value)} is given twice in {mapping.title} (first on line {first_line})"
        self.repeated_keys.append(diagnostic_at(key.mark, Severity.ERROR, "duplicate-key", message))
