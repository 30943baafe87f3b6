"""An ordinary day ends no run: benign noise on real guard, engine and runner in virtual time, 600 channel-days with --campaign."""

from __future__ import annotations

import os
import sys
from collections import Counter

import pytest
from benign import CHANNEL, DAY_S, life_of, many

BORNE = {"lost", "late", "spikes", "hums", "sensor fails"}
FEW, MANY = ((1.0, 1, 0.05), (10.0, 1, 0.5), (30.0, 2, 1.0)), ((1.0, 1, 5.0), (10.0, 10, 9.5), (30.0, 50, 10.0))
"""(sample period, channels, days of each)"""
JOBS = int(os.environ.get("SIMULATION_JOBS", os.cpu_count() or 1))


@pytest.mark.timeout(7200)
def test_an_ordinary_day_ends_no_run(request: pytest.FixtureRequest) -> None:
    campaign = bool(request.config.getoption("--campaign"))
    asked = [(days, every_s) for every_s, channels, days in (MANY if campaign else FEW) for _ in range(channels)]
    seeded = [(seed, *one) for seed, one in enumerate(asked)]
    lives = many(seeded, JOBS) if campaign else [life_of(*one) for one in seeded]
    borne = sum((life.seen for life in lives), Counter[str]())
    days = sum(life.lasted_s for life in lives) / DAY_S
    sys.stdout.write(f"{days:.1f} channel-days: {dict(borne)}\n")
    false = [f"{one}: {life.end.reason}" for one, life in zip(seeded, lives, strict=True) if life.tripped]
    assert not false, "\n".join(false)
    assert all(life.end.off_confirmed for life in lives)
    assert set(borne) >= BORNE


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"r_max_ohm": 12.0}, "check the cell's contacts"),
        ({"slew_max_V_s": 1e-4}, "check the sense leads"),
        ({"temperature_slew_max_K_s": 5e-3}, "the temperature went from"),
        ({"temperature_stuck_s": 20.0}, "is the sensor frozen?"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_limit_within_the_same_noise_trips(limit: dict[str, float], said: str) -> None:
    """The negative control: the guard sees the noise that it bears."""
    life = life_of(0, 1.0, 10.0, CHANNEL.model_copy(update=limit))
    assert life.tripped
    assert said in life.end.reason
