"""What a bug put in on purpose is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bug:
    """``old``, which stands in ``file`` once, becomes ``new``. Each of ``tests`` by itself must notice that ``rule`` is broken."""

    name: str
    rule: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
