"""Changes that no test can notice, each with the reason: they change nothing that anybody could see."""

from __future__ import annotations

from collections.abc import Mapping

EXPLAINED: Mapping[tuple[str, str, str], str] = {}
"""(file, text of the line, what was changed) -> why it is no other program."""
