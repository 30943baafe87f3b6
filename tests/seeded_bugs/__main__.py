"""``python -m tests.seeded_bugs [--only WORD] [--processes N]``: a table of all, and exit status 1 where one survives."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from altered import Verdict

from tests.seeded_bugs.bug import Bug
from tests.seeded_bugs.judged_bugs import ALL, control, tried


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 2: a named test fails without any bug, or a bug made nonsense of the program."""
    parser = argparse.ArgumentParser(prog="python -m tests.seeded_bugs")
    parser.add_argument("--only", default="", help="only bugs whose name contains this")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    wanted = parser.parse_args(arguments)
    bugs = [bug for bug in ALL if wanted.only in bug.name]
    with ThreadPoolExecutor(wanted.processes) as pool:
        sound = pool.submit(control, bugs)
        count = sum(_told(bug, *each) for bug, each in zip(bugs, pool.map(tried, bugs), strict=True))
        verdict, said = sound.result()
    sys.stdout.write(f"{count} of {len(bugs)} caught; without any bug the tests named {verdict}\n")
    if verdict != "pass":
        sys.stdout.write(said)
        return 2
    return 0 if count == len(bugs) else 1


def _told(bug: Bug, verdict: Verdict, said: str) -> bool:
    caught = verdict is Verdict.CAUGHT
    sys.stdout.write(f"{verdict:<9} {bug.name:<36} {bug.rule}\n" + ("" if caught else f"{said}\n"))
    sys.stdout.flush()
    return caught


if __name__ == "__main__":
    sys.exit(main())
