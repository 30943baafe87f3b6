"""The whole station in virtual time under seeded faults: no invariant breaks, the same seed gives the same trace."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import simulate
from simulated.bugs import BUGS
from simulated.faults import KINDS

SEEDS, CAMPAIGN_SEEDS = 40, 10_000
EACH_FAULT = 500
JOBS = int(os.environ.get("SIMULATION_JOBS", os.cpu_count() or 1))
BUG_SEEDS, BUG_HOURS = 5, 1.0
pytestmark = [pytest.mark.timeout(36_000), pytest.mark.not_our_driver]


def test_no_seed_breaks_an_invariant(request: pytest.FixtureRequest) -> None:
    campaign = request.config.getoption("--campaign")
    seeds = int(os.environ.get("SIMULATION_SEEDS", CAMPAIGN_SEEDS if campaign else SEEDS))
    hits: Counter[str] = Counter()
    cpu_s = 0.0
    broken: list[str] = []
    for found in simulate.many(range(seeds), simulate.HOURS, JOBS):
        hits.update(dict(found["hits"]))  # type: ignore[call-overload]
        cpu_s += float(str(found["cpu_s"]))
        if found["broken"]:
            broken.append(f"{found['broken']}\n  {simulate.command(int(str(found['seed'])), simulate.HOURS, '')}")
    table = "\n".join(f"{count:8d}  {name}" for name, count in sorted(hits.items()))
    virtual_s = seeds * simulate.HOURS * 3600.0
    sys.stdout.write(
        f"{seeds} seeds, {cpu_s:.0f} s of processor time: {virtual_s / cpu_s:.0f} virtual s per s\n{table}\n"
    )
    assert not broken, f"{len(broken)} of {seeds} seeds\n" + "\n".join(broken[:20])
    assert seeds < CAMPAIGN_SEEDS or not (rare := {name for name in KINDS if hits[name] < EACH_FAULT}), rare


def test_the_same_seed_gives_the_same_trace_to_the_last_byte(tmp_path: Path) -> None:
    traces: list[bytes] = []
    for number in range(2):
        file = tmp_path / f"trace-{number}"
        arguments = [sys.executable, simulate.__file__, "--seed", "1", "--hours", "0.5", "--trace", str(file)]
        subprocess.run(arguments, check=True, capture_output=True, env=simulate.environment())
        traces.append(file.read_bytes())
    assert traces[0].count(b"\n") > 500
    assert traces[0] == traces[1]


@pytest.mark.parametrize("bug", BUGS)
def test_a_seeded_bug_is_caught(bug: str) -> None:
    assert simulate.in_child(0, BUG_HOURS, simulate.WITHOUT + bug)["broken"] == []
    for seed in range(BUG_SEEDS):
        found = simulate.in_child(seed, BUG_HOURS, bug)
        if found["broken"]:
            assert "the simulation itself failed" not in str(found["broken"]), found
            return
    pytest.fail(f"{BUG_SEEDS} seeds did not notice it")
