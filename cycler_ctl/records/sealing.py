"""Seals the finished days of runs while they go on, and the last one when they end; in its own thread, behind control.

Whatever goes wrong here is logged once and tried again: the run file is the truth, a seal only proves it later.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import StoreError
from cycler_ctl.live import ChannelState, ChannelStatus
from cycler_ctl.store.export.seal import seal_days
from cycler_ctl.store.reader import open_run

log = logging.getLogger(__name__)

EVERY_S = 600.0
SOON_S = 1.0  # a run that has just ended is still being closed
GOING = frozenset({ChannelState.RUNNING, ChannelState.PAUSED})


class Sealer:
    """An observer of the station. ``start`` and ``stop`` own its thread; a stop seals what has ended meanwhile."""

    def __init__(self, data_dir: Path, every_s: float = EVERY_S) -> None:
        self._runs = data_dir / "runs"
        self._every_s = every_s
        self._changed = threading.Condition()
        self._news: set[str] = set()
        self._hurry = False
        self._stopping = False
        self._said: dict[str, str] = {}
        self._thread = threading.Thread(target=self._work, name="sealing", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Blocks; what is not sealed by then is at the next start's first news of the run."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout_s)

    def channel_changed(self, status: ChannelStatus) -> None:
        if status.run is None or status.state in GOING:
            return
        with self._changed:
            self._news.add(status.run)
            self._hurry = True
            self._changed.notify_all()

    def durable(self, run: str) -> None:
        with self._changed:
            self._news.add(run)

    def _work(self) -> None:
        more = True
        while more:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or self._hurry, self._every_s)
                if self._hurry and not self._stopping:
                    self._changed.wait_for(lambda: self._stopping, SOON_S)
                self._hurry, more = False, not self._stopping
                news, self._news = self._news, set()
            for run in sorted(news):
                self._seal(run)

    def _seal(self, run: str) -> None:
        folder = self._runs / run
        try:
            with open_run(folder) as reader:
                newest_s = reader.alive[1]
            # by the run's own clock: in virtual time no day is over because it is over outside
            sealed = seal_days(folder, min(SystemClock().utc(), newest_s))
        except (StoreError, OSError, ValueError) as error:
            self._say(run, str(error))
            return
        self._said.pop(run, None)
        for seal in sealed:
            log.info("run %s: sealed %s, rows %d to %d", run, seal.name, seal.first_seq, seal.last_seq)

    def _say(self, run: str, message: str) -> None:
        if self._said.get(run) != message:
            self._said[run] = message
            log.warning("run %s cannot be sealed: %s", run, message)
        with self._changed:
            self._news.add(run)
