"""Run files that are open for reading, the ones used longest ago closed first: a backlog may have any number of runs."""

from __future__ import annotations

import sys
from collections import OrderedDict

from cycler_ctl.publish.source import RunFile, RunFiles

_OF_A_BACKLOG = 32
_SHARE = 32
"""Of the handles that this process may have: each file takes two, and a channel takes some eight without it."""


def _handles() -> int:
    if sys.platform != "win32":
        import resource

        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize


class OpenFiles:
    """Belongs to one thread. ``live``: so many runs may go on at the same time, and each is looked at again and again."""

    def __init__(self, files: RunFiles, live: int = 0) -> None:
        self.all = files
        self._most = max(_OF_A_BACKLOG, min(live + _OF_A_BACKLOG, _handles() // _SHARE))
        self._open: OrderedDict[str, RunFile] = OrderedDict()

    def of(self, run: str) -> RunFile:
        file = self._open.pop(run, None) or self.all.open(run)
        self._open[run] = file
        if len(self._open) > self._most:
            self._open.popitem(last=False)[1].close()
        return file

    def close_one(self, run: str) -> None:
        file = self._open.pop(run, None)
        if file is not None:
            file.close()

    def close(self) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()
