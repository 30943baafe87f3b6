"""How far somebody who goes through all rows of a run is, for whoever waits; what is told costs nothing where nobody does."""

from __future__ import annotations

from collections.abc import Callable

Tell = Callable[[str, int, int | None], None]
"""What is done, how many rows of it are, and of how many, as far as that is known."""


def nobody(what: str, done: int, of: int | None) -> None:
    """Where no person waits."""
    del what, done, of
