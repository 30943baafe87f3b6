"""Run files that are open for reading, the ones used longest ago closed first: a backlog may have any number of runs."""

from __future__ import annotations

from collections import OrderedDict

from cycler_ctl.publish.source import RunFile, RunFiles

_OPEN_FILES = 32


class OpenFiles:
    """Belongs to one thread."""

    def __init__(self, files: RunFiles) -> None:
        self.all = files
        self._open: OrderedDict[str, RunFile] = OrderedDict()

    def of(self, run: str) -> RunFile:
        file = self._open.pop(run, None) or self.all.open(run)
        self._open[run] = file
        if len(self._open) > _OPEN_FILES:
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
