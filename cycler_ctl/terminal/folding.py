"""Lines for people: folded where a terminal ends, left whole where a program reads them."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from typing import TextIO

DEEPER = 4
DEEPEST = 8
"""Where the rest of a wide table's column is told, below its line."""
_PADDING = re.compile(r"(?<=\S) {3,}(?=\S)")


def columns(stream: TextIO | None = None) -> int | None:
    """How wide the terminal is that the stream (standard output) goes to; None where it goes to none."""
    return shutil.get_terminal_size().columns if (stream or sys.stdout).isatty() else None


def folded(line: str, width: int | None) -> str:
    """What does not fit goes on below, further in; a word that is longer stays whole, for it may be there to be copied."""
    if width is None or len(line) <= width:
        return line
    indent = " " * (len(line) - len(line.lstrip()))
    lines = textwrap.wrap(
        line.strip(), width, initial_indent=indent, subsequent_indent=indent + " " * DEEPER,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return "\n".join(lines)


def fitted(text: str, width: int | None) -> str:
    """A text with wide tables: a line that does not fit gives up its padding first, and is folded then."""
    if width is None:
        return text
    return "\n".join(folded(_closer(line, width), width) for line in text.splitlines())


def _closer(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    indent = min(len(line) - len(line.lstrip()), DEEPEST)
    return " " * indent + _PADDING.sub("  ", line.strip())
