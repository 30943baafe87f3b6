"""Rows that did not come: for how long each gap is known, and when the station is asked for it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

PATIENCE_S = 30.0
"""Rows of several collectors overtake each other: a gap this young closes by itself."""
AGAIN_S = 60.0
AGAIN_MOST_S = 3600.0
AT_ONCE = 20
"""Requests a round."""
MOST_ROWS = 100_000


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
    wait_s: float = AGAIN_S


class Gaps:
    """Which gaps to ask for now. A gap that changed its ends is a new one: something came."""

    def __init__(self) -> None:
        self._known: dict[Gap, _Known] = {}

    def due(self, found: Iterable[Gap], now_s: float) -> list[Gap]:
        self._known = {gap: self._known.get(gap) or _Known(now_s + PATIENCE_S) for gap in found}
        ready = [(known.due_s, gap) for gap, known in self._known.items() if known.due_s <= now_s]
        chosen = [gap for _, gap in sorted(ready, key=lambda each: each[0])[:AT_ONCE]]
        for gap in chosen:
            known = self._known[gap]
            known.due_s, known.wait_s = now_s + known.wait_s, min(2 * known.wait_s, AGAIN_MOST_S)
        return chosen


def need(gap: Gap, client: str) -> tuple[str, bytes]:
    """Topic and message."""
    said = {
        "v": 1,
        "run": gap.run,
        "epoch": gap.epoch,
        "from_seq": gap.first,
        "to_seq": min(gap.last, gap.first + MOST_ROWS - 1),
        "client": client,
    }
    return f"cycler/v1/{gap.site}/{gap.station}/need", json.dumps(said, separators=(",", ":")).encode()
