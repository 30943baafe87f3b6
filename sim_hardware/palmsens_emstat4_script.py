"""The part of MethodSCRIPT a simulated EmStat4 understands, parsed strictly: what it does not know is an error.

Error numbers are those of PalmSens' own register (palmsens-sdk 39c885d, comm_registry.py). A script that does not parse
does nothing at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from sim_hardware.palmsens_emstat4_values import literal

LONGEST_LINE = 128
LARGEST_SCRIPT = 16_384  # characters; invented
NAME = re.compile(r"[a-z][a-z0-9_]*")
VARTYPE = re.compile(r"[a-j][a-z]")
OPTION = re.compile(r" ?add_meas\((\d+) ([a-z]{2}) ([a-z][a-z0-9_]*)\)")
COMPARISONS = ("==", "!=", ">=", "<=", ">", "<")
MEASURING = {"meas_loop_cp": "000A", "meas_loop_ca": "0007", "meas_loop_ocp": "000B"}
# What each argument must be: v a declared variable, n a number or a variable, t a variable type, l a literal, s a text.
SIGNATURES = {
    "store_var": "vnt",
    "copy_var": "vv",
    "add_var": "vn",
    "sub_var": "vn",
    "mul_var": "vn",
    "div_var": "vn",
    "set_pgstat_chan": "n",
    "set_pgstat_mode": "n",
    "set_max_bandwidth": "n",
    "set_acquisition_frac_autoadjust": "n",
    "set_range": "tn",
    "set_autoranging": "tnn",
    "set_range_minmax": "tnn",
    "set_e": "n",
    "set_i": "n",
    "cell_on": "",
    "cell_off": "",
    "wait": "n",
    "timer_start": "",
    "timer_get": "v",
    "pck_start": "",
    "pck_add": "v",
    "pck_end": "",
    "send_string": "s",
    "abort": "",
    "breakloop": "",
    "meas_loop_cp": "vvnnn",
    "meas_loop_ca": "vvnnn",
    "meas_loop_ocp": "vnn",
}


class Code(IntEnum):
    """Errors of PalmSens' register that a simulated instrument reports."""

    COMMAND_UNKNOWN = 0x0003
    WRONG_MODE = 0x0006
    LINE_TOO_LONG = 0x0008
    BAD_POTENTIAL = 0x000F
    NOT_A_NUMBER = 0x0010
    OCP_WITH_CELL_ON = 0x0014
    BAD_PGSTAT_MODE = 0x0021
    NOT_IN_THIS_MODE = 0x0023
    DIVIDED_BY_ZERO = 0x0028
    OVERLOAD = 0x0032
    UNKNOWN = 0x4001
    UNEXPECTED = 0x4004
    TOO_LARGE = 0x4005
    BAD_OPTION = 0x4008
    NESTED_LOOPS = 0x400B
    NOT_HERE = 0x400C
    BAD_SCOPE = 0x400E
    ENDED = 0x4018
    BAD_PACKAGE = 0x401B
    DECLARED_TWICE = 0x4026
    CELL_IS_OFF = 0x4027
    NO_STEP = 0x4029
    BAD_NAME = 0x402B
    POTENTIAL_IN_LOOP = 0x4032
    CURRENT_IN_LOOP = 0x4033
    BAD_LITERAL = 0x4039
    NOT_COMPARABLE = 0x4041
    OUT_OF_BOUNDS = 0x4205
    NOT_THIS_INSTRUMENT = 0x4206
    BAD_DATATYPE = 0x4207
    BAD_TYPE = 0x4209
    EXTRA_ARGUMENT = 0x420A
    UNDECLARED = 0x420B
    FATAL = 0x7FFF


class ScriptError(Exception):
    """An error number and where; ``column`` None at run time."""

    def __init__(self, code: Code, line: int, column: int | None = None) -> None:
        where = f"Line {line}" if column is None else f"Line {line}, Col {column}"
        super().__init__(f"!{code:04X}: {where}")


@dataclass(frozen=True, slots=True)
class Test:
    """``left operator right`` of an ``if`` or a ``loop``."""

    left: str
    operator: str
    right: str


@dataclass(frozen=True, slots=True)
class Statement:
    """One command; ``blocks`` are what stands inside it: a loop's body, or each branch of an ``if`` with its test."""

    line: int
    name: str
    arguments: tuple[str, ...] = ()
    measured: tuple[tuple[str, str], ...] = ()
    """(variable type, variable) of each ``add_meas``."""
    blocks: tuple[tuple[Test | None, tuple[Statement, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Script:
    variables: frozenset[str]
    body: tuple[Statement, ...]
    finish: tuple[Statement, ...]


def parse(lines: list[str]) -> Script:
    """ScriptError for the first thing that is wrong."""
    if sum(map(len, lines)) > LARGEST_SCRIPT:
        raise ScriptError(Code.TOO_LARGE, len(lines), 1)
    return _Parser(lines).script()


class _Parser:
    def __init__(self, lines: list[str]) -> None:
        self._lines = list(_commands(lines))
        self._at = 0
        self._last = len(lines)
        self._declared: set[str] = set()
        self._measuring = self._looping = 0

    def script(self) -> Script:
        body = self._block(("on_finished:",))
        finish: tuple[Statement, ...] = ()
        if self._at < len(self._lines):
            self._at += 1
            finish = self._block(())
        return Script(frozenset(self._declared), body, finish)

    def _block(self, ends: tuple[str, ...]) -> tuple[Statement, ...]:
        """Up to one of ``ends``, which is left to be read."""
        found: list[Statement] = []
        while self._at < len(self._lines):
            line, words, text = self._lines[self._at]
            if words[0] in ends:
                return tuple(found)
            self._at += 1
            statement = self._statement(line, words, text)
            if statement is not None:
                found.append(statement)
        if ends and ends != ("on_finished:",):
            raise ScriptError(Code.ENDED, self._last, 1)
        return tuple(found)

    def _statement(self, line: int, words: list[str], text: str) -> Statement | None:
        match words[0]:
            case "var":
                self._declare(line, words, text)
                return None
            case "if":
                return self._branches(line, words, text)
            case "loop":
                return self._loop(line, words, text)
            case "endloop" | "endif" | "else" | "elseif" | "on_finished:":
                raise ScriptError(Code.BAD_SCOPE, line, 1)
            case _:
                return self._command(line, words, text)

    def _declare(self, line: int, words: list[str], text: str) -> None:
        if len(words) != 2 or not NAME.fullmatch(words[1]):
            raise ScriptError(Code.BAD_NAME, line, len(text) + 1)
        if words[1] in self._declared:
            raise ScriptError(Code.DECLARED_TWICE, line, len(text) + 1)
        self._declared.add(words[1])

    def _branches(self, line: int, words: list[str], text: str) -> Statement:
        blocks: list[tuple[Test | None, tuple[Statement, ...]]] = []
        test: Test | None = self._test(line, words, text)
        while True:
            blocks.append((test, self._block(("elseif", "else", "endif"))))
            number, words, text = self._lines[self._at]
            self._at += 1
            if words == ["endif"]:
                return Statement(line, "if", blocks=tuple(blocks))
            if test is None or (words[0] == "else" and len(words) > 1):
                raise ScriptError(Code.BAD_SCOPE, number, 1)
            test = None if words[0] == "else" else self._test(number, words, text)

    def _loop(self, line: int, words: list[str], text: str) -> Statement:
        test = self._test(line, words, text)
        self._looping += 1
        body = self._body()
        self._looping -= 1
        return Statement(line, "loop", blocks=((test, body),))

    def _body(self) -> tuple[Statement, ...]:
        body = self._block(("endloop",))
        self._at += 1
        return body

    def _test(self, line: int, words: list[str], text: str) -> Test:
        if len(words) != 4 or words[2] not in COMPARISONS:
            raise ScriptError(Code.UNEXPECTED, line, len(text) + 1)
        for word in (words[1], words[3]):
            self._check(line, text, "n", word)
        return Test(words[1], words[2], words[3])

    def _command(self, line: int, words: list[str], text: str) -> Statement:
        signature = SIGNATURES.get(words[0])
        if signature is None:
            raise ScriptError(Code.UNKNOWN, line, len(words[0]) + 1)
        if words[0] in MEASURING:
            return self._measurement(line, words[0], text)
        if words[0] == "breakloop" and not (self._looping or self._measuring):
            raise ScriptError(Code.NOT_HERE, line, len(text) + 1)
        arguments = [text.partition(" ")[2]] if signature == "s" else words[1:]
        self._check_all(line, text, signature, arguments)
        return Statement(line, words[0], tuple(arguments))

    def _measurement(self, line: int, name: str, text: str) -> Statement:
        if self._measuring:
            raise ScriptError(Code.NESTED_LOOPS, line, 1)
        options = tuple((found[2], found[3]) for found in OPTION.finditer(text))
        plain = OPTION.sub("", text).split()
        if any("(" in word for word in plain):
            raise ScriptError(Code.BAD_OPTION, line, len(text) + 1)
        self._check_all(line, text, SIGNATURES[name], plain[1:])
        for kind, variable in options:
            self._check(line, text, "t", kind)
            self._check(line, text, "v", variable)
        self._measuring += 1
        body = self._body()
        self._measuring -= 1
        return Statement(line, name, tuple(plain[1:]), options, ((None, body),))

    def _check_all(self, line: int, text: str, signature: str, arguments: list[str]) -> None:
        if len(arguments) != len(signature):
            code = Code.EXTRA_ARGUMENT if len(arguments) > len(signature) else Code.UNEXPECTED
            raise ScriptError(code, line, len(text) + 1)
        for kind, argument in zip(signature, arguments, strict=True):
            self._check(line, text, kind, argument)

    def _check(self, line: int, text: str, kind: str, argument: str) -> None:
        wrong = self._wrong(kind, argument)
        if wrong is not None:
            raise ScriptError(wrong, line, len(text) + 1)

    def _wrong(self, kind: str, argument: str) -> Code | None:
        match kind:
            case "v":
                return None if argument in self._declared else Code.UNDECLARED
            case "n":
                return self._no_number(argument)
            case "t":
                return None if VARTYPE.fullmatch(argument) else Code.BAD_TYPE
            case _:
                return None if re.fullmatch(r'"[^"]*"', argument) else Code.UNEXPECTED

    def _no_number(self, argument: str) -> Code | None:
        if NAME.fullmatch(argument):
            return None if argument in self._declared else Code.UNDECLARED
        return None if literal(argument) else Code.BAD_LITERAL


def _commands(lines: list[str]) -> Iterator[tuple[int, list[str], str]]:
    """(number, words, text) of each line that says something."""
    for number, line in enumerate(lines, start=1):
        if len(line) > LONGEST_LINE:
            raise ScriptError(Code.LINE_TOO_LONG, number, LONGEST_LINE)
        text = line.partition("#")[0].strip()
        if text:
            yield number, text.split(), text
