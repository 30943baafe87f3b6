"""Makes the small finished run of tests/unit/data/schema-NNN.sqlite with the program that first wrote that schema.

001: the program of commit 4c916dc, the last before schema 2, unpacked with ``git archive 4c916dc | tar -x -C old``, then
``PYTHONPATH=old python tests/support/make_schema_file.py FOLDER``; 002: with commit 13fd51d. A file is never made anew
by a newer program: that it was written by the old one is what it is for.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.writer import create_run
from cycler_ctl.testing.rows import START_UTC_S, Shape, cycling_rows
from protocols.model import Verb
from protocols.record import CycleSummary, EventKind, EventRecord, Outcome, StepSummary

INFO = RunInfo(
    "20261122-101500-a1-7f3k", 7, "a1", "lab-3", "kasuga", START_UTC_S, "Fig. S3 (a)", "protocol: 1\n", "00" * 32,
    {"name": "MG-0142", "temperature_degC": 120.0}, {}, {}, {"maker": "KEITHLEY", "model": "2400", "serial": "1"}, {},
    Verb.LITHIATE, 5.0,
)  # fmt: skip
NOTE = EventRecord(1.0, START_UTC_S, EventKind.NOTE, {"text": "é 🔋"})
STEP = StepSummary(
    1, "1", "lithiate", 1, None, 0.0, 60.0, "voltage <= 0.2 V", ("time",), 2.2e-3, 1e-3, 0.5, 0.2, 59.5, 2.19e-3, 1e-3
)
CYCLE = CycleSummary(1, 2.2e-3, 1.65e-3, 1e-3, 2e-3, 0.0, 900.0)
CHECKPOINT = '{"state": 1}'


def make(data_dir: Path) -> Path:
    options = WriterOptions(commit_every_s=0.01, minimum_free_bytes=0)
    writer = create_run(data_dir, INFO, on_durable=lambda _: None, utc=lambda: START_UTC_S + 9e4, options=options)
    writer.append(list(cycling_rows(Shape(points=6))), [NOTE], [STEP], [CYCLE], checkpoint=lambda: CHECKPOINT)
    writer.finish(Outcome.FINISHED, "all steps done")
    assert writer.close()
    return writer.run_dir / "run.sqlite"


if __name__ == "__main__":
    sys.stdout.write(f"{make(Path(sys.argv[1]))}\n")
