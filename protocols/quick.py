"""Dataclasses of which some are made at every sample: frozen for the type checkers, and by them alone.

At run time a frozen one sets each of its fields by a call, which takes three times as long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

__all__ = ["quick"]

Data = TypeVar("Data")

if TYPE_CHECKING:
    from dataclasses import dataclass as quick
else:

    def quick(*, frozen: bool, slots: bool) -> Callable[[type[Data]], type[Data]]:
        """``dataclass`` but for what forbids to set a field; equality and hash are the same."""
        return dataclass(slots=slots, unsafe_hash=frozen)
