"""The fingerprint of a whole run, taken a few rows at a time: with it a reader can prove that it has every row.

SHA-256 over the rows in the order of ``seq``; each row is its array in a ``samples`` message as compact UTF-8 JSON,
followed by a line feed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from cycler_ctl.publish.payloads import Value, encode


class Digest:
    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.rows = 0

    def add(self, rows: Iterable[Iterable[Value]]) -> None:
        for row in rows:
            self._hash.update(encode(list(row)) + b"\n")
            self.rows += 1

    def hex(self) -> str:
        return self._hash.hexdigest()
