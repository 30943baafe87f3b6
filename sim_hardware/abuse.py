"""The list every simulator keeps of what its host did to a cell that no host may do. It must stay empty.

Each act is logged too, so that whoever tries a driver on ``cycler-sim`` reads of it on stderr at once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

log = logging.getLogger(__name__)


class Acts:
    """Each kind once, in the order of first times. Every act of every simulator passes through ``add``."""

    def __init__(self) -> None:
        self._acts: list[str] = []

    def add(self, act: str) -> None:
        if act not in self._acts:
            self._acts.append(act)
            log.error("abuse of a cell: %s", act)

    def __iter__(self) -> Iterator[str]:
        return iter(self._acts)
