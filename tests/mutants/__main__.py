"""``python -m tests.mutants [FILE ...] [--every N] [--processes N]``: exit 1 where a change lives that nobody has explained.

Or where a branch is not taken.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from altered import PASSED  # noqa: E402

from tests.mutants.changes import Change, changes  # noqa: E402
from tests.mutants.explained import EXPLAINED  # noqa: E402
from tests.mutants.targets import TARGETS  # noqa: E402
from tests.mutants.trials import Outcome, Seen  # noqa: E402
from tests.mutants.tried import Worker  # noqa: E402

_WORKER: list[Worker] = []


def main(arguments: Sequence[str] | None = None) -> int:
    wanted = _parsed(arguments)
    files = [file for file in TARGETS if not wanted.file or any(part in file for part in wanted.file)]
    with ProcessPoolExecutor(wanted.processes, get_context("fork"), _begin) as pool:
        found = [_all_of(pool, file, wanted.every, wanted.processes) for file in files]
    return max(found, default=2)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("file", nargs="*", help="only modules whose path contains this")
    parser.add_argument("--every", type=int, default=1, help="only one change in so many")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    return parser.parse_args(arguments)


def _all_of(pool: ProcessPoolExecutor, file: str, every: int, processes: int) -> int:
    """Together in one process first; what that cannot try, and what nobody noticed there, each in one of its own."""
    every_one = changes((ROOT / file).read_text(encoding="utf-8"))
    only = TARGETS[file].functions
    tried = [change for change in every_one if not only or change.place.function in only][::every]
    seen = pool.submit(_together, file, tried, processes).result()
    stale = [key for key in EXPLAINED if key[0] == file and key[1:] not in {change.key for change in tried}]
    if seen.failed or (stale and every == 1):
        sys.stdout.write(f"{file}: {f'fails without any change: {seen.failed}' * bool(seen.failed) or stale}\n")
        return 2
    unsure = [change for change, outcome in zip(tried, seen.outcomes, strict=True) if outcome is Outcome.AGAIN]
    lives = {id(change) for change in unsure if (file, *change.key) in EXPLAINED}
    again = [change for change in unsure if id(change) not in lives]
    codes = pool.map(_by_itself, [file] * len(again), [change.source for change in again])
    lives |= {id(change) for change, code in zip(again, codes, strict=True) if code == PASSED}
    branches = seen.branches
    unexplained = _told(file, tried, lives)
    missing = ", ".join(f"{first} -> {last}" for first, last in branches.missing)
    sys.stdout.write(f"{file}: {branches.taken} of {branches.of} branches taken{f'; not {missing}' * bool(missing)}\n")
    sys.stdout.flush()
    return 1 if unexplained or missing else 0


def _begin() -> None:
    _WORKER.append(Worker())


def _together(file: str, tried: Sequence[Change], lanes: int) -> Seen:
    return _WORKER[0].seen(file, TARGETS[file], tried, lanes)


def _by_itself(file: str, text: str) -> int:
    return _WORKER[0].outcome(file, text, TARGETS[file].tests)


def _told(file: str, tried: Sequence[Change], lives: Collection[int]) -> int:
    """The survivors by line, and the figures; how many nobody has explained."""
    count: Counter[str] = Counter()
    for change in tried:
        known = EXPLAINED.get((file, *change.key))
        kind = "killed" if id(change) not in lives else "unexplained" if known is None else "explained"
        count[kind] += 1
        if kind != "killed":
            why = "" if known is None else f"  ({known})"
            sys.stdout.write(f"{file}:{change.number}: {change.what}: {change.line}{why}\n")
    total = count.total()
    sys.stdout.write(
        f"{file}: {count['killed']} of {total} killed ({count['killed'] / max(total, 1):.1%}), "
        f"{count['explained']} explained, {count['unexplained']} not\n"
    )
    return count["unexplained"]


if __name__ == "__main__":
    sys.exit(main())
