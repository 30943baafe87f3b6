"""The service's log on disk, of bounded size, without secrets; written by a thread of its own.

Whoever logs never waits for the disk: a line that finds no room in the queue is lost, and so is one that cannot be
written. Facts are in the run files; a log is for people.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from logging.handlers import QueueHandler, RotatingFileHandler
from pathlib import Path
from queue import Full, Queue
from threading import Thread

FOLDER = "logs"
LARGEST_BYTES, KEPT = 2_000_000, 4
WAITING = 2000
END_S = 1.0  # for what still waits, when the process ends
SECRETS = re.compile(r"((?:token|password|secret)=|Bearer )[^\s&]+|(//[^\s/:@]+:)[^\s/@]+(?=@)", re.IGNORECASE)

Lines = Queue[logging.LogRecord | None]


class Quiet(RotatingFileHandler):
    """A full disk is said by the store; here it must neither raise nor write over the terminal."""

    def handleError(self, record: logging.LogRecord) -> None:
        del record


class Passing(QueueHandler):
    """Never waits."""

    def enqueue(self, record: logging.LogRecord) -> None:
        with suppress(Full):
            self.queue.put_nowait(record)


class Redacted(logging.Formatter):
    """A message begins a line; what else it has is further in, so that nothing in it looks like another message."""

    def format(self, record: logging.LogRecord) -> str:
        return SECRETS.sub(r"\1\2***", super().format(record)).replace("\n", "\n  ")


@contextmanager
def log_file(data_dir: Path, who: str, logger: logging.Logger) -> Generator[None]:
    """What ``logger`` and those below it say goes to ``data_dir/logs/<who>.log`` as well."""
    try:
        (data_dir / FOLDER).mkdir(parents=True, exist_ok=True)
        file = Quiet(data_dir / FOLDER / f"{who}.log", maxBytes=LARGEST_BYTES, backupCount=KEPT, encoding="utf-8")
    except OSError:
        yield
        return
    words = Redacted(f"%(asctime)sZ {who} %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    words.converter = time.gmtime
    file.setFormatter(words)
    lines: Lines = Queue(WAITING)
    passing = Passing(lines)
    writer = Thread(target=_write, args=(lines, file), name=f"log {who}", daemon=True)
    writer.start()
    logger.addHandler(passing)
    try:
        yield
    finally:
        logger.removeHandler(passing)
        with suppress(Full):
            lines.put_nowait(None)
        writer.join(END_S)


def _write(lines: Lines, file: logging.Handler) -> None:
    while (record := lines.get()) is not None:
        file.handle(record)
    file.close()
