"""The thread that brings ended runs to the share; a share that is away costs nobody anything but the wait."""

from __future__ import annotations

import logging
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

from cycler_ctl.errors import StoreError
from cycler_ctl.live import ChannelStatus
from cycler_ctl.publish.backoff import Backoff, Timing
from cycler_ctl.settings import ShareSettings
from cycler_ctl.share.copying import copy_verified
from cycler_ctl.share.ledger import FOLDER, Ledger, read_ledger, write_ledger
from cycler_ctl.store.reader import overview_of, run_folders

log = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0
"""A run whose end was told a moment before it was durable is found this late."""
TIMING = Timing(first_s=10.0, most_s=900.0)
EXPORT_S = 3600.0
Export = Callable[[str, Path, Path], None]
"""(format, the run's folder, where to)."""


def export_apart(kind: str, run_dir: Path, out: Path) -> None:
    """In a process of its own: making a bundle of a long run must not take turns with the control loop."""
    command = [sys.executable, "-P", "-m", "cycler_ctl.cli", "export", str(run_dir), "--format", kind, "-o", str(out)]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=EXPORT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StoreError(f"{kind} of {run_dir.name} was not made: {error}") from error
    if done.returncode:
        raise StoreError(f"{kind} of {run_dir.name} was not made: {done.stderr.strip()[-300:]}")


@dataclass(frozen=True, slots=True)
class ShareStatus:
    """``trouble``: why ``waiting`` ended runs are not in the folder yet, and since when; None while nothing is wrong."""

    folder: str
    waiting: int = 0
    trouble: str | None = None
    trouble_since_utc_s: float | None = None


class Sharer:
    """An Observer with a thread of its own. ``stop`` ends it; a share that hangs is left behind with the process."""

    def __init__(
        self,
        data_dir: Path,
        settings: ShareSettings,
        utc: Callable[[], float],
        export: Export = export_apart,
        timing: Timing = TIMING,
    ) -> None:
        self._data_dir = data_dir
        self._settings = settings
        self._utc = utc
        self._export = export
        self._backoff = Backoff(timing, random.random)
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._told: str | None = None
        self._status = ShareStatus(str(settings.folder))
        self._thread = threading.Thread(target=self._work, name="share", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        self._ending.set()
        self._wake.set()
        self._thread.join(timeout_s)

    def status(self) -> ShareStatus:
        """How it went the last time; from any thread, without the disk."""
        return self._status

    def channel_changed(self, status: ChannelStatus) -> None:
        if status.state.value not in {"running", "paused"}:
            self._wake.set()

    def durable(self, run: str) -> None:
        """Nothing is copied while a run goes on."""

    def _work(self) -> None:
        while not self._ending.is_set():
            self._wake.clear()
            if self.share_all():
                self._backoff.was_up(inf)
                self._wake.wait(LOOK_EVERY_S)
            else:
                self._ending.wait(self._backoff.next_s())

    def share_all(self) -> bool:
        """Copy what has ended and is not there yet, the oldest first; True if nothing is left to be tried again."""
        try:
            trouble = self._try_all(read_ledger(self._data_dir))
        except (OSError, StoreError) as error:
            trouble = str(error)
            self._note(replace(self._status, trouble=trouble))
        self._tell(trouble)
        return trouble is None

    def _try_all(self, ledger: Ledger) -> str | None:
        """The first trouble; one run's does not hold up the others."""
        waiting = [folder for folder in run_folders(self._data_dir) if folder.name not in ledger.done]
        waiting = [folder for folder in reversed(waiting) if _has_ended(folder)]
        troubles: list[str] = []
        before = ledger
        for folder in waiting:
            try:
                ledger = ledger.with_run(folder.name, self._share(folder))
                write_ledger(self._data_dir, ledger)
                shutil.rmtree(self._staged(folder.name), ignore_errors=True)
            except (OSError, StoreError) as error:
                troubles.append(f"{folder.name}: {error}")
        trouble = troubles[0] if troubles else None
        ledger = replace(ledger, folder=str(self._settings.folder)).with_trouble(trouble, len(troubles), self._utc())
        self._note(ShareStatus(ledger.folder, len(troubles), trouble))
        if ledger != before:
            write_ledger(self._data_dir, ledger)
        return trouble

    def _note(self, status: ShareStatus) -> None:
        """Trouble is as old as it has lasted, whatever it is now."""
        since_s = self._status.trouble_since_utc_s or self._utc()
        self._status = replace(status, trouble_since_utc_s=None if status.trouble is None else since_s)

    def _share(self, folder: Path) -> dict[str, str]:
        """The sha256 of each file, all of them read back from the share."""
        share = self._settings.folder
        if not share.is_dir():  # never made: where a share is not mounted, its place would be on this disk
            raise StoreError(f"{share} is not there: is the share connected?")
        staged = self._made(folder)
        files = sorted(path for path in staged.iterdir() if path.is_file())
        return {file.name: copy_verified(file, share / folder.name / file.name, self._goes_on) for file in files}

    def _goes_on(self) -> bool:
        return not self._ending.is_set()

    def _staged(self, run: str) -> Path:
        return self._data_dir / FOLDER / run

    def _made(self, folder: Path) -> Path:
        """The run's exports, made once: after a kill the same bytes are copied again."""
        staged = self._staged(folder.name)
        if not staged.is_dir():
            making = staged.with_name(f".{folder.name}")
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir(parents=True)
            for kind in self._settings.formats:
                if not self._goes_on():
                    raise StoreError("the service is ending: the copy is made at the next start")
                self._export(kind, folder, making)
            making.rename(staged)
        return staged

    def _tell(self, trouble: str | None) -> None:
        """Once when it begins and once when it is over; the ledger has what it is now."""
        if trouble is not None and self._told is None:
            log.warning("share: %s (tried again until it works)", trouble)
        elif trouble is None and self._told is not None:
            log.info("share: every ended run is in %s", self._settings.folder)
        self._told = trouble


def _has_ended(folder: Path) -> bool:
    """An interrupted run may yet go on; one that cannot be read is not this thread's to tell."""
    state = overview_of(folder).state
    return state is not None and state.state == "ended"
