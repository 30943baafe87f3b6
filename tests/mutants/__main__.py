"""``python -m tests.mutants [FILE ...] [--every N] [--processes N]``: exit 1 where a change lives that nobody has explained."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from altered import PASSED  # noqa: E402

from tests.mutants.changes import Change, changes  # noqa: E402
from tests.mutants.explained import EXPLAINED  # noqa: E402
from tests.mutants.targets import TARGETS  # noqa: E402
from tests.mutants.tried import Worker  # noqa: E402

_WORKER: list[Worker] = []


def main(arguments: Sequence[str] | None = None) -> int:
    wanted = _parsed(arguments)
    files = [file for file in TARGETS if not wanted.file or any(part in file for part in wanted.file)]
    unexplained = 0
    with ProcessPoolExecutor(wanted.processes, get_context("fork"), _begin) as pool:
        for file in files:
            source = (ROOT / file).read_text(encoding="utf-8")
            if pool.submit(_try, file, source).result() != PASSED:
                sys.stdout.write(f"{file}: its tests fail without any change\n")
                return 2
            tried = list(changes(source))[:: wanted.every]
            codes = pool.map(_try, [file] * len(tried), [change.source for change in tried])
            unexplained += _told(file, zip(tried, codes, strict=True))
    return 1 if unexplained else 0


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("file", nargs="*", help="only modules whose path contains this")
    parser.add_argument("--every", type=int, default=1, help="only one change in so many")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    return parser.parse_args(arguments)


def _begin() -> None:
    _WORKER.append(Worker())


def _try(file: str, text: str) -> int:
    return _WORKER[0].outcome(file, text, TARGETS[file])


def _told(file: str, tried: Iterator[tuple[Change, int]]) -> int:
    """The survivors by line, and the figures; how many nobody has explained."""
    count: Counter[str] = Counter()
    for change, code in tried:
        known = EXPLAINED.get((file, *change.key))
        kind = "killed" if code != PASSED else "unexplained" if known is None else "explained"
        count[kind] += 1
        if kind != "killed":
            why = "" if known is None else f"  ({known})"
            sys.stdout.write(f"{file}:{change.number}: {change.what}: {change.line}{why}\n")
    total = count.total()
    sys.stdout.write(
        f"{file}: {count['killed']} of {total} killed ({count['killed'] / max(total, 1):.1%}), "
        f"{count['explained']} explained, {count['unexplained']} not\n"
    )
    sys.stdout.flush()
    return count["unexplained"]


if __name__ == "__main__":
    sys.exit(main())
