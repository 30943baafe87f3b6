"""What a start, a queue and an amendment make of a text in the service itself: bounded time and memory, whatever it says.

A text over HTTP is at most 1 MiB (the gate's limit of a body); the reader's own limits refuse the rest. What is left are
files that are accepted and as large as they may be.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import hostile_files
from hostile_files import LIMIT_BYTES

ROOT = Path(__file__).parents[2]
MOST = 40
"""Yardsticks of processor time, in a thread of its own; ten thousand steps take 11."""
PROGRAM = """
import json, sys, time
from pathlib import Path
import hostile_files as files
from cycler_ctl.config import *
from cycler_ctl.errors import CyclerError
from cycler_ctl.instrument import Identity
from cycler_ctl.plugins import load_driver
from cycler_ctl.ratings import Accuracy, Protection, Ratings
from cycler_ctl.running.start import Order, Spot, prepare
from protocols.reading.documents import Document

files.within_limits()
limits = Limits(voltage_V=(-0.5, 5.0), current_A=20e-3, step_charge_Ah=20)
config = Config(
    station=StationSettings(name="x", data_dir=Path("x")),
    http=HttpSettings(enabled=False),
    instruments={"smu1": InstrumentSettings(driver="keithley-2400", address="x")},
    channels={"a1": ChannelSettings(instrument="smu1", limits=limits, temperature="unmonitored")},
)
ranges = (Accuracy(1e-3, 0, 0, 0, 0), Accuracy(0.1, 0, 0, 0, 0))
ratings = Ratings((-20.0, 20.0), 0.1, ranges, 0.1, Protection.B, "", "")
spot = Spot("a1", config, load_driver("keithley-2400"), Identity("a", "2400", "1", "1"), ratings)
texts = {name: text for source in (files.swollen, files.readable) for name, text in source()}
values = ", ".join(f"{number} s" for number in range(1, 1001))
body = "        - rest: $r\\n" * 10
texts["a thousand values"] = f"{files.HEAD}  - repeat:\\n      for_each: {{r: [{values}]}}\\n      steps:\\n{body}"
yardstick = files.Yardstick()
for name in sys.argv[1:]:
    began_s = time.process_time()
    try:
        prepare(Order(Document("p.yaml", texts[name]), sent={}), spot, 0.0)
        what = "accepted"
    except CyclerError as error:
        what = type(error).__name__
    print(json.dumps([name, what, yardstick.times(time.process_time() - began_s)]))
print(json.dumps(["peak", "", files.most_memory_bytes()]))
"""
ACCEPTED = ("ten thousand steps", "a thousand values", "1 MiB on one line")
REFUSED = (
    "a billion laughs",
    "lists in lists",
    "3000 levels of indentation",
    "50 MB of spaces",
    "ten values, five deep",
)


def test_what_a_start_makes_of_a_hostile_text_in_the_service_is_bounded() -> None:
    folder = Path(hostile_files.__file__).parent
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, *ACCEPTED, *REFUSED],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{folder}", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert ran.returncode == 0, ran.stderr
    found = {name: (what, size) for name, what, size in map(json.loads, ran.stdout.splitlines())}
    assert found.pop("peak")[1] < LIMIT_BYTES
    assert {name: what for name, (what, _) in found.items()} == dict.fromkeys(ACCEPTED, "accepted") | dict.fromkeys(
        REFUSED, "ConfigError"
    )
    slowest = max((yardsticks, name) for name, (_, yardsticks) in found.items())
    assert slowest[0] < MOST, slowest
