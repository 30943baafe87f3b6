"""An ordinary day ends no run: benign noise on real guard, engine and runner in virtual time, 600 channel-days with --campaign."""

from __future__ import annotations

import sys
from collections import Counter

import pytest
import virtual_loop
from benign import CHANNEL, DAY_S, Life, lived
from virtual_loop import leap

BORNE = {"lost", "late", "spikes", "hums", "sensor fails"}
FEW, MANY = ((1.0, 1, 0.05), (10.0, 1, 0.5), (30.0, 2, 1.0)), ((1.0, 1, 5.0), (10.0, 10, 9.5), (30.0, 50, 10.0))
"""(sample period, channels, days of each)"""


@pytest.fixture(autouse=True)
def _no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_loop, "GRACE_S", 0.0)  # nothing comes from anywhere else


@pytest.mark.timeout(7200)
def test_an_ordinary_day_ends_no_run(request: pytest.FixtureRequest) -> None:
    borne: Counter[str] = Counter()
    lives: list[tuple[int, float, Life]] = []
    for every_s, channels, days in MANY if request.config.getoption("--campaign") else FEW:
        for _ in range(channels):
            seed = len(lives)
            lives.append((seed, every_s, leap(lived(seed, days, every_s))))
            borne += lives[-1][2].seen
    days = sum(life.lasted_s for *_, life in lives) / DAY_S
    sys.stdout.write(f"{days:.1f} channel-days: {dict(borne)}\n")
    false = [f"seed {seed}, every {every_s} s: {life.end}" for seed, every_s, life in lives if life.tripped]
    assert not false, "\n".join(false)
    assert all(life.end.off_confirmed for *_, life in lives)
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
    life = leap(lived(0, 1.0, 10.0, CHANNEL.model_copy(update=limit)))
    assert life.tripped
    assert said in life.end.reason
