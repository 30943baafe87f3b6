"""What an EmStat4 says: where an answer ends, and what its packages mean.

MethodSCRIPT v1.2 (2020-04), chapter 4, for the packages; comm_protocol.md of palmsens-sdk 39c885d for the rest. What a
running script says on its own (``P``, ``T``, ``M``, ``L``, ``*``, ``+``, ``-``, an empty line) may stand before
any answer, and each answer begins with the first character of its question.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cycler_ctl.errors import BadReply, DeviceFault

BY_ITSELF = frozenset("PTML*+-")
ARMED = "Tarmed"  # what our scripts say when they are checked and wait for the word
LOOPS = {"M000A": "driving", "M0007": "holding", "M000B": "resting"}
PREFIXES = {p: 10.0**e for p, e in zip("afpnum kMGTPE", range(-18, 19, 3), strict=True)}
OFFSET = 1 << 27
VALUE = re.compile(r"([a-j][a-z])([0-9A-F]{7})([afpnum kMGTPEi])((?:,[0-9A-F]{2,3})*)")
ERROR = re.compile(r".?!([0-9A-F]{4})(.*)")
OVERLOAD = 2
WORDS = {
    "0003": "the command was not recognised",
    "0006": "not now: no script runs, or one does",
    "000F": "the potential is not valid",
    "0014": "the cell is on",
    "001B": "not supported by this instrument",
    "0021": "the mode is not supported",
    "0023": "not in this mode",
    "0032": "critical overload of the cell",
    "0080": "the counter electrode oscillates",
    "4001": "unknown script command",
    "4206": "not for this instrument",
}


@dataclass(frozen=True, slots=True)
class Value:
    """One variable of a package, in steps of ``step``. ``status`` and ``range`` are told of measured ones."""

    type: str
    number: float
    step: float
    status: int = 0
    range: int | None = None


def reply_length(buffer: bytes) -> int | None:
    """An answer ends with its line; one to Y, Z or e when the script measures again, is over, or has failed."""
    head, done, armed = "", 0, False
    for raw in buffer.splitlines(keepends=True):
        if not raw.endswith(b"\n"):
            return None
        done += len(raw)
        line = raw[:-1].decode("latin-1")
        if not head:
            if line and line[0] not in BY_ITSELF:
                head = line
                if head not in {"e", "Y", "Z"} and not _has_more(head):
                    return done
        elif _ends(head, line, armed=armed):
            return done
        armed = armed or line == ARMED
    return None


def _has_more(head: str) -> bool:
    """The version is told in several lines."""
    return head[0] == "t" and "!" not in head


def _ends(head: str, line: str, *, armed: bool) -> bool:
    if head[0] == "t":
        return line.endswith("*")
    if line == "" or line[0] == "!":
        return True
    return line[0] == "M" and (head == "Y" or (head == "e" and armed))


def answer(question: str, raw: bytes) -> list[str]:
    """The lines of the answer itself; BadReply when it is not this question's, DeviceFault when it is an error."""
    lines = raw.decode("latin-1").removesuffix("\n").split("\n")
    while len(lines) > 1 and (not lines[0] or lines[0][0] in BY_ITSELF):
        lines.pop(0)
    if not lines[0].startswith((question[0], "!")):
        raise BadReply(question[:20], raw, "the answer to another question")
    for line in lines:
        if found := ERROR.fullmatch(line):
            raise Failed(question, found[1], found[2])
    return lines


class Failed(DeviceFault):
    """The instrument answered with an error number."""

    def __init__(self, question: str, code: str, where: str) -> None:
        meaning = WORDS.get(code, "see the MethodSCRIPT manual, appendix A")
        super().__init__(
            f"{f'its script, after {question!r},' if where else repr(question)} failed: {code}{where}, {meaning}"
        )
        self.code = code


def packages(lines: list[str], raw: bytes) -> Iterator[tuple[Value, ...]]:
    """Each package; they come in equal pairs, so that a byte changed on the way shows."""
    found = [line for line in lines if line.startswith("P")]
    if not found or found[::2] != found[1::2]:
        raise BadReply("package", raw, "not the same twice")
    for line in found[::2]:
        yield tuple(_value(text, raw) for text in line[1:].split(";"))


def only_package(lines: list[str], raw: bytes) -> tuple[Value, ...]:
    found = list(packages(lines, raw))
    if len(found) != 1:
        raise BadReply("package", raw, "more than one")
    return found[0]


def _value(text: str, raw: bytes) -> Value:
    found = VALUE.fullmatch(text)
    if found is None:
        raise BadReply("package", raw, f"{text!r} is not a value")
    number = int(found[2], 16) - OFFSET
    metadata = {token[0]: int(token[1:], 16) for token in found[4].split(",")[1:]}
    scale = 1.0 if found[3] == "i" else PREFIXES[found[3]]
    return Value(found[1], number * scale, scale, metadata.get("1", 0), metadata.get("2"))
