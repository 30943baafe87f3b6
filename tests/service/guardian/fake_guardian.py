"""Runs the guardian over the fake station: ``fake_guardian.py [--ignore-leases | --hasty | --tells] HABIT DATA_DIR ADDRESS LEASE_S``."""

from __future__ import annotations

import sys
from pathlib import Path

from cycler_ctl import guardian
from cycler_ctl.guardian import run_guardian
from cycler_ctl.watching import lease
from cycler_ctl.watching.lease import Leases
from cycler_ctl.watching.register import SafeOffEntry

arguments = sys.argv[1:]
if arguments[0] == "--ignore-leases":
    arguments.pop(0)
    Leases.overdue = lambda self, now_s: None  # type: ignore[method-assign]
if arguments[0] == "--hasty":
    arguments.pop(0)
    guardian.RETRY_S = 0.2
    lease.ALIVE_S = 3.0
tell = []
if arguments[0] == "--tells":
    arguments.pop(0)
    write = "import os, sys, time; open(sys.argv[1], 'w').write(' '.join([str(os.getpid()), *sys.argv[2:]])); time.sleep(99)"
    tell = [sys.executable, "-c", write, str(Path(arguments[1]) / "told")]
_, data_dir, address, _ = arguments
station = [sys.executable, str(Path(__file__).with_name("fake_station.py")), *arguments]
entries = [SafeOffEntry("smu1", "keithley-2400", address)]
sys.exit(run_guardian(station, data_dir=Path(data_dir), entries=entries, tell=tell))
