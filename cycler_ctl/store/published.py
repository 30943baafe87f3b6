"""What a broker is known to have of a run: more than is in its file proves that the disk lost what it said it kept."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from cycler_ctl.store.reader import RunReader

OUTBOX = "outbox.sqlite"


def rows_beyond(data_dir: Path, reader: RunReader) -> int:
    """The last row of the newest epoch that a broker has acknowledged, where the file does not have it; else 0.

    Only a hint, from a file that may be missing or damaged: without it the run is told and gone on with all the same.
    """
    path = data_dir / OUTBOX
    question = "SELECT acknowledged FROM cursor WHERE run = ? AND epoch = ? AND stream = 'samples'"
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as outbox:
            found = outbox.execute(question, (reader.info.run, reader.epochs[-1].epoch)).fetchone()
    except sqlite3.Error:
        return 0
    return int(found[0]) if found and int(found[0]) > reader.last_seq else 0
