"""Text that came from a file or an instrument, fit to stand in a line of ours."""

from __future__ import annotations

import re

_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")


def one_line(text: str, letters: int) -> str:
    """Without line ends and letters that nobody sees, and no longer than ``letters``."""
    line = " ".join(_UNSEEN.sub(" ", text).split())
    return line if len(line) <= letters else f"{line[: letters - 1]}…"
