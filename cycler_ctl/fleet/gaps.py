"""What did not come: for how long that is known, and when the station is asked for it. Pure."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from protocols.record import JSON

PATIENCE_S = 30.0
"""Rows of several collectors overtake each other: a gap this young closes by itself."""
AGAIN_MOST_S = 3600.0
A_DAY_S = 86_400.0
AT_ONCE = 20
"""Requests a round."""
MOST_ROWS = 100_000
What = TypeVar("What", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Gap:
    site: str
    station: str
    run: str
    epoch: int
    first: int
    last: int


@dataclass(slots=True)
class _Known:
    due_s: float
    wait_s: float


class Asking(Generic[What]):
    """What to ask for now, first after ``patience_s``, then ever more seldom. A gap that changed its ends is a new one.

    Holds no more than it was last told.
    """

    def __init__(
        self, patience_s: float = PATIENCE_S, again_s: float = 2 * PATIENCE_S, most_s: float = AGAIN_MOST_S
    ) -> None:
        self._patience_s = patience_s
        self._again_s = again_s
        self._most_s = most_s
        self._known: dict[What, _Known] = {}

    def due(self, found: Iterable[What], now_s: float) -> list[What]:
        first_s = now_s + self._patience_s
        self._known = {each: self._known.get(each) or _Known(first_s, self._again_s) for each in found}
        ready = [(known.due_s, each) for each, known in self._known.items() if known.due_s <= now_s]
        chosen = [each for _, each in sorted(ready, key=lambda one: one[0])[:AT_ONCE]]
        for each in chosen:
            known = self._known[each]
            known.due_s, known.wait_s = now_s + known.wait_s, min(2 * known.wait_s, self._most_s)
        return chosen


def need(gap: Gap, client: str) -> tuple[str, bytes]:
    """Topic and message."""
    said: dict[str, JSON] = {
        "v": 1,
        "run": gap.run,
        "epoch": gap.epoch,
        "from_seq": gap.first,
        "to_seq": min(gap.last, gap.first + MOST_ROWS - 1),
        "client": client,
    }
    return f"cycler/v1/{gap.site}/{gap.station}/need", _json(said)


def need_runs(site: str, station: str, client: str) -> tuple[str, bytes]:
    """Which runs are there, also those of which nothing came?"""
    return f"cycler/v1/{site}/{station}/need", _json({"v": 1, "after": "", "client": client})


def _json(said: dict[str, JSON]) -> bytes:
    return json.dumps(said, separators=(",", ":")).encode()
