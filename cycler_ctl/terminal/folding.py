"""Lines for people: folded where a terminal ends, left whole where a program reads them."""

from __future__ import annotations

import shutil
import sys
import textwrap

DEEPER = 4


def columns() -> int | None:
    """How wide the terminal is; None where there is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


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
