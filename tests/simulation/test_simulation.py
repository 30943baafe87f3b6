"""The whole station in virtual time under seeded faults: no invariant breaks, the same seed gives the same trace."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import simulate
from simulated.bugs import BUGS
from simulated.faults import KINDS, by_number

SEEDS, CAMPAIGN_SEEDS = "0-39", "0-9999"
EACH_FAULT = 500
HARD_SEEDS = (11588, 11702)
"""A relay that is stuck comes free just as its current is taken away."""
JOBS = int(os.environ.get("SIMULATION_JOBS", os.cpu_count() or 1))
BUG_SEEDS = 5
pytestmark = [pytest.mark.timeout(36_000), pytest.mark.not_our_driver]


def test_no_seed_breaks_an_invariant(request: pytest.FixtureRequest) -> None:
    campaign = request.config.getoption("--campaign")
    first, last = map(int, os.environ.get("SIMULATION_SEEDS", CAMPAIGN_SEEDS if campaign else SEEDS).split("-"))
    found = list(simulate.many(range(first, last + 1), simulate.HOURS, JOBS))
    hits: Counter[str] = Counter()
    for one in found:
        hits.update(one["hits"])
    cpu_s = sum(one["cpu_s"] for one in found)
    sys.stdout.write(
        f"{len(found)} seeds of {simulate.HOURS:g} h, {cpu_s:.0f} s of processor time\n{by_number(hits)}\n"
    )
    assert not (broken := simulate.broken_of(found)), f"{len(broken)} of {len(found)} seeds\n" + "\n".join(broken)
    assert f"{first}-{last}" != CAMPAIGN_SEEDS or not (rare := {name for name in KINDS if hits[name] < EACH_FAULT}), (
        rare
    )
    assert campaign or not (never := {name for name in KINDS if not hits[name]}), never


def test_the_same_seed_gives_the_same_trace_to_the_last_byte(tmp_path: Path) -> None:
    traces: list[bytes] = []
    for number in range(2):
        file = tmp_path / f"trace-{number}"
        arguments = [sys.executable, simulate.__file__, "--seed", "1", "--hours", "0.5", "--trace", str(file)]
        subprocess.run(arguments, check=True, capture_output=True, env=simulate.environment())
        traces.append(file.read_bytes())
    assert traces[0].count(b"\n") > 500
    assert traces[0] == traces[1]


@pytest.fixture(scope="module")
def worker() -> Iterator[simulate.Worker]:
    with simulate.Worker() as worker:
        yield worker


@pytest.mark.parametrize("seed", HARD_SEEDS)
def test_a_seed_that_was_broken_is_not_any_more(worker: simulate.Worker, seed: int) -> None:
    assert worker.run(seed, simulate.HOURS)["broken"] == []


@pytest.mark.parametrize("bug", BUGS)
def test_a_seeded_bug_is_caught(worker: simulate.Worker, bug: str) -> None:
    first = BUGS[bug].seed
    for seed in range(first, first + BUG_SEEDS):
        found = worker.run(seed, BUGS[bug].hours, bug)
        if found["broken"]:
            assert "the simulation itself failed" not in str(found["broken"]), found
            assert worker.run(seed, BUGS[bug].hours, simulate.WITHOUT + bug)["broken"] == []
            return
    pytest.fail(f"{BUG_SEEDS} seeds did not notice it")
