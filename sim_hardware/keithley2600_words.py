"""The words of Lua, as far as a simulated 2600 understands it."""

from __future__ import annotations

import re

TOKEN = re.compile(
    r"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<string>\"[^\"\n]*\"|'[^'\n]*')|(?P<sign>==|~=|<=|>=|\.\.|[-+*/<>=().,;])"
)
BLANK = re.compile(r"(?:\s|--[^\n]*)*")
WORDS = frozenset(
    {"and", "or", "not", "if", "then", "else", "elseif", "end", "function", "return", "true", "false", "nil"}
)
END = ""


class LuaSyntaxError(Exception):
    """The chunk is not carried out at all."""


def tokens(text: str) -> list[tuple[str, str]]:
    found_so_far: list[tuple[str, str]] = []
    at = 0
    while (at := _after_blank(text, at)) < len(text):
        found = TOKEN.match(text, at)
        if found is None:
            raise LuaSyntaxError(f"unexpected symbol near `{text[at]}'")
        kind = str(found.lastgroup)
        found_so_far.append((found[0] if found[0] in WORDS or kind == "sign" else kind, found[0]))
        at = found.end()
    return [*found_so_far, (END, "<eof>")]


def _after_blank(text: str, at: int) -> int:
    blank = BLANK.match(text, at)
    return blank.end() if blank else at


class Source:
    """The tokens with a place in them."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def kind(self) -> str:
        return self._tokens[self._at][0]

    @property
    def text(self) -> str:
        return self._tokens[self._at][1]

    def take(self, kind: str) -> str:
        found, text = self._tokens[self._at]
        if found != kind:
            raise LuaSyntaxError(f"`{kind}' expected near `{text}'")
        self._at += 1
        return text

    def took(self, kind: str) -> bool:
        if self.kind != kind:
            return False
        self._at += 1
        return True
